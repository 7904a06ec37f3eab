"""What an articulated object is. Works without MXNet."""

from gluon_dkpr.skeleton.built_in import BUILT_IN, get_skeleton
from gluon_dkpr.skeleton.checks import SkeletonError
from gluon_dkpr.skeleton.hand import hand
from gluon_dkpr.skeleton.human36m import human36m
from gluon_dkpr.skeleton.io import (
    load_skeleton,
    save_skeleton,
    skeleton_from_dict,
    skeleton_to_dict,
)
from gluon_dkpr.skeleton.parts import Joint, Parameter, Rotation
from gluon_dkpr.skeleton.planar import planar
from gluon_dkpr.skeleton.proportions import estimate_bone_lengths, reach, subject_scales
from gluon_dkpr.skeleton.skeleton import Skeleton

__all__ = [
    "BUILT_IN",
    "Joint",
    "Parameter",
    "Rotation",
    "Skeleton",
    "SkeletonError",
    "estimate_bone_lengths",
    "get_skeleton",
    "hand",
    "human36m",
    "load_skeleton",
    "planar",
    "reach",
    "save_skeleton",
    "skeleton_from_dict",
    "skeleton_to_dict",
    "subject_scales",
]
