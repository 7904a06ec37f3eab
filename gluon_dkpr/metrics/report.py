"""All the numbers of one evaluation together."""

from __future__ import annotations

from typing import Optional, TypedDict

from gluon_dkpr.metrics.angles import angle_error
from gluon_dkpr.metrics.bones import bone_length_std, bone_lengths
from gluon_dkpr.metrics.checks import MetricError
from gluon_dkpr.metrics.joints import mpjpe
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


class PoseReport(TypedDict):
    """What :func:`evaluate_poses` returns; plain numbers and texts, ready for JSON.

    Keys:
        n: number of samples.
        unit: length unit of ``joint_error`` and ``bone_length_std``, the skeleton's.
        joint_error: mean Euclidean joint error (:func:`mpjpe`).
        angle_error_deg: mean absolute angle error (:func:`angle_error`), ``None`` without motion.
        bone_length_std: mean over bones of the standard deviation over samples of the predicted
            length (:func:`bone_length_std`).
        bone_length_std_percent: the same in percent of the mean rest length.
    """

    n: int
    unit: str
    joint_error: float
    angle_error_deg: Optional[float]
    bone_length_std: float
    bone_length_std_percent: float


def evaluate_poses(
    skeleton: Skeleton,
    joints_true: Array,
    joints_pred: Array,
    motion_true: Optional[Array] = None,
    motion_pred: Optional[Array] = None,
) -> PoseReport:
    """Measure predicted poses against the truth.

    Args:
        skeleton: the object.
        joints_true: visible joints, shape (N, J, D), in the skeleton's length unit; root-relative
            if the protocol is.
        joints_pred: predicted joints, same shape, unit and frame.
        motion_true: motion, shape (N, P), radians and the skeleton's length unit; optional.
        motion_pred: predicted motion, same; optional. For a network that predicts joints only it
            is what :func:`gluon_dkpr.geometry.angles_from_joints` or a fit gives.

    Raises:
        MetricError: for a wrong shape, a number not finite, one motion without the other, or a
            skeleton without bones.
    """
    if (motion_true is None) != (motion_pred is None):
        raise MetricError("motion_true and motion_pred: expected both or none")
    if not skeleton.bones or not skeleton.bone_lengths.any():
        raise MetricError(f"skeleton '{skeleton.name}' has no bone of any length")
    joint_error = mpjpe(joints_true, joints_pred)
    lengths = bone_lengths(joints_pred, skeleton)
    angle_error_deg = None
    if motion_true is not None:
        angle_error_deg = angle_error(motion_true, motion_pred, skeleton)
        if len(motion_true) != len(lengths):
            raise MetricError(f"motion has {len(motion_true)} samples, joints {len(lengths)}")
    std = float(bone_length_std(joints_pred, skeleton).mean())
    return PoseReport(
        n=len(lengths),
        unit=skeleton.length_unit,
        joint_error=joint_error,
        angle_error_deg=angle_error_deg,
        bone_length_std=std,
        bone_length_std_percent=100.0 * std / float(skeleton.bone_lengths.mean()),
    )
