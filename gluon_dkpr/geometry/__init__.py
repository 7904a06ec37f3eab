"""NumPy geometry in float64. Works without MXNet."""

from gluon_dkpr.geometry.alignment import AlignmentError, align, procrustes
from gluon_dkpr.geometry.bvh import BvhError, load_bvh, save_bvh
from gluon_dkpr.geometry.crop import Crop, CropError
from gluon_dkpr.geometry.kinematics import (
    MotionError,
    forward_kinematics,
    kinematic_jacobian,
    rotation_matrix,
)
from gluon_dkpr.geometry.parts import Part, part_axes, part_levers, skeleton_parts
from gluon_dkpr.geometry.planar_angles import (
    PlanarBones,
    angles_from_joints,
    middle_of_bounds,
    planar_bones,
)
from gluon_dkpr.geometry.statistics import (
    PoseStatistics,
    orientation_parameters,
    pose_statistics,
    sample_within_bounds,
)

__all__ = [
    "AlignmentError",
    "BvhError",
    "Crop",
    "CropError",
    "MotionError",
    "Part",
    "PlanarBones",
    "PoseStatistics",
    "align",
    "angles_from_joints",
    "forward_kinematics",
    "kinematic_jacobian",
    "load_bvh",
    "middle_of_bounds",
    "orientation_parameters",
    "part_axes",
    "part_levers",
    "planar_bones",
    "pose_statistics",
    "procrustes",
    "rotation_matrix",
    "sample_within_bounds",
    "save_bvh",
    "skeleton_parts",
]
