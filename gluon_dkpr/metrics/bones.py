"""Bone lengths: does a prediction keep the object rigid?"""

from __future__ import annotations

import numpy as np

from gluon_dkpr.metrics.checks import MetricError, checked_joints
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


def bone_lengths(joints: Array, skeleton: Skeleton) -> Array:
    """Return the length of each bone of each pose.

    Args:
        joints: visible joints, shape (N, J, D), any unit and frame.
        skeleton: tells which joints are joined, ``skeleton.bones``.

    Returns:
        Lengths in the unit of the joints, shape (N, J-1), in the order of ``skeleton.bones``.

    Raises:
        MetricError: for a wrong shape or joints that are not finite.
    """
    joints = checked_joints(joints, "joints")
    expected = (skeleton.num_joints, skeleton.dim)
    if joints.shape[1:] != expected:
        raise MetricError(
            f"joints have shape {joints.shape}, expected (N, {expected[0]}, {expected[1]}) "
            f"for skeleton '{skeleton.name}'"
        )
    parents, children = skeleton.bone_indices.T
    return np.linalg.norm(joints[:, children] - joints[:, parents], axis=-1)


def bone_length_std(joints: Array, skeleton: Skeleton) -> Array:
    """Return the standard deviation of each bone's length over the samples.

    Protocol: population standard deviation (division by N) for each bone by itself, over poses of
    one size: scale other subjects to 1 first. Reports give the mean over the bones, in length
    units and as a percentage of the mean rest length: the 5.3 px that the paper reports of its
    toy problem's direct joint are 11.8 % of 45 px (section 4.1).

    Args, Raises: as :func:`bone_lengths`.

    Returns:
        Standard deviations in the unit of the joints, shape (J-1,), order of ``skeleton.bones``.
    """
    return bone_lengths(joints, skeleton).std(axis=0)
