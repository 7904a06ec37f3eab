"""NumPy geometry in float64. Works without MXNet."""

from gluon_dkpr.geometry.alignment import AlignmentError, align, procrustes
from gluon_dkpr.geometry.kinematics import (
    MotionError,
    forward_kinematics,
    kinematic_jacobian,
    rotation_matrix,
)
from gluon_dkpr.geometry.planar_angles import angles_from_joints
from gluon_dkpr.geometry.statistics import (
    PoseStatistics,
    pose_statistics,
    sample_within_bounds,
)

__all__ = [
    "AlignmentError",
    "MotionError",
    "PoseStatistics",
    "align",
    "angles_from_joints",
    "forward_kinematics",
    "kinematic_jacobian",
    "pose_statistics",
    "procrustes",
    "rotation_matrix",
    "sample_within_bounds",
]
