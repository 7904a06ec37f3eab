"""Bone lengths and sizes of subjects, measured on their joints (section 4.2 of the paper)."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

import numpy as np

from gluon_dkpr.skeleton.checks import SkeletonError, shown
from gluon_dkpr.skeleton.skeleton import Skeleton
from gluon_dkpr.types import Array


def estimate_bone_lengths(skeleton: Skeleton, joints: Array) -> Array:
    """Return the length of each bone as the median over the frames that show both of its ends.

    The median, so that a joint that is lost in some frames, or in the wrong place, does no harm
    as long as most frames are right.

    Args:
        skeleton: says which joints are joined.
        joints: visible joints of one subject, shape (F, J, D), D of the skeleton, any frame and
            unit. Missing joints are NaN.

    Returns:
        Lengths in the order of ``skeleton.bones``, shape (J-1,), unit of ``joints``; as
        :meth:`Skeleton.with_bone_lengths` takes them.

    Raises:
        SkeletonError: for another shape, an infinite coordinate, or a bone that no frame shows.
    """
    joints = np.asarray(joints, dtype=np.float64)
    expected = (skeleton.num_joints, skeleton.dim)
    if joints.ndim != 3 or joints.shape[1:] != expected:
        raise SkeletonError(
            f"joints have shape {joints.shape}, expected (F, {expected[0]}, {expected[1]}) "
            f"for skeleton '{skeleton.name}'"
        )
    if np.isinf(joints).any():
        frame, joint, _ = np.argwhere(np.isinf(joints))[0]
        raise SkeletonError(f"joints[{frame}, {joint}] is infinite, expected a number or NaN")
    parents, children = skeleton.bone_indices.T
    lengths = np.linalg.norm(joints[:, children] - joints[:, parents], axis=-1)
    unseen = np.isnan(lengths).all(axis=0)
    if unseen.any():
        parent, child = skeleton.bones[int(np.argmax(unseen))]
        raise SkeletonError(f"bone '{parent}' to '{child}': none of {len(joints)} frames shows it")
    return np.nanmedian(lengths, axis=0)


def subject_scales(
    skeleton: Skeleton, joints: Mapping[str, Array]
) -> Tuple[Array, Dict[str, float]]:
    """Return the average subject and how much larger than it each subject is.

    As in section 4.2: the bone lengths of the model are the mean over the subjects, each counted
    once however many frames it has; a subject's scale is its summed bone length divided by the
    mean summed bone length. The scales have mean 1.

    Args:
        skeleton: says which joints are joined.
        joints: for each subject its joints, shape (F, J, D), as in :func:`estimate_bone_lengths`;
            all in the same unit. F may differ.

    Returns:
        The mean bone lengths, shape (J-1,), and for each subject its scale.

    Raises:
        SkeletonError: as :func:`estimate_bone_lengths`, naming the subject; for no subject, or
            joints that are all in one place.
    """
    if not joints:
        raise SkeletonError("no subject, expected joints of one or more")
    lengths = {}
    for subject, subject_joints in joints.items():
        try:
            lengths[subject] = estimate_bone_lengths(skeleton, subject_joints)
        except SkeletonError as error:
            raise SkeletonError(f"subject {shown(subject)}: {error}") from None
    mean = np.mean(list(lengths.values()), axis=0)
    if not mean.sum() > 0:
        raise SkeletonError(f"skeleton '{skeleton.name}': the bones of the subjects have no length")
    return mean, {subject: float(own.sum() / mean.sum()) for subject, own in lengths.items()}


def reach(skeleton: Skeleton) -> float:
    """Return the longest way from the root to a joint along the bones; 1 for a single point."""
    distance = {skeleton.root.name: 0.0}
    length = dict(zip(skeleton.bones, skeleton.bone_lengths))
    waiting = list(skeleton.bones)
    while waiting:
        parent, child = waiting.pop(0)
        if parent in distance:
            distance[child] = distance[parent] + length[parent, child]
        else:
            waiting.append((parent, child))
    return max(distance.values()) or 1.0
