"""HybridBlocks: the kinematic layer, the heads and the losses."""

from gluon_dkpr.nn.heads import (
    METHODS,
    DirectJoint,
    DirectParameter,
    KinematicJoint,
    MethodError,
    make_head,
)
from gluon_dkpr.nn.kinematic import KinematicLayer
from gluon_dkpr.nn.loss import (
    BoneLoss,
    DistanceLoss,
    JointLoss,
    ParameterBoundLoss,
    ParameterLoss,
)

__all__ = [
    "METHODS",
    "BoneLoss",
    "DirectJoint",
    "DirectParameter",
    "DistanceLoss",
    "JointLoss",
    "KinematicJoint",
    "KinematicLayer",
    "MethodError",
    "ParameterBoundLoss",
    "ParameterLoss",
    "make_head",
]
