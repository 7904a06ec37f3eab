"""Pose errors in NumPy, by the field's names. Works without MXNet.

Every comparison takes the truth first and the prediction second.
"""

from gluon_dkpr.metrics.angles import angle_error
from gluon_dkpr.metrics.bones import bone_length_std, bone_lengths
from gluon_dkpr.metrics.checks import MetricError
from gluon_dkpr.metrics.joints import auc, mpjpe, p_mpjpe, pck, root_relative
from gluon_dkpr.metrics.people import HumanReport, Measures, evaluate_people
from gluon_dkpr.metrics.report import PoseReport, evaluate_poses
from gluon_dkpr.metrics.swaps import left_right_limbs, side_score, swap_rate

__all__ = [
    "HumanReport",
    "Measures",
    "MetricError",
    "PoseReport",
    "angle_error",
    "auc",
    "bone_length_std",
    "bone_lengths",
    "evaluate_people",
    "evaluate_poses",
    "left_right_limbs",
    "mpjpe",
    "p_mpjpe",
    "pck",
    "root_relative",
    "side_score",
    "swap_rate",
]
