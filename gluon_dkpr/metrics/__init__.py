"""Pose errors in NumPy, by the field's names. Works without MXNet.

Every comparison takes the truth first and the prediction second.
"""

from gluon_dkpr.metrics.angles import angle_error
from gluon_dkpr.metrics.bones import bone_length_std, bone_lengths
from gluon_dkpr.metrics.checks import MetricError
from gluon_dkpr.metrics.joints import auc, mpjpe, p_mpjpe, pck, root_relative
from gluon_dkpr.metrics.report import PoseReport, evaluate_poses

__all__ = [
    "MetricError",
    "PoseReport",
    "angle_error",
    "auc",
    "bone_length_std",
    "bone_lengths",
    "evaluate_poses",
    "mpjpe",
    "p_mpjpe",
    "pck",
    "root_relative",
]
