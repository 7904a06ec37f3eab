"""Networks by name."""

from gluon_dkpr.model_zoo.pose_net import Pose, PoseNet
from gluon_dkpr.model_zoo.zoo import ModelError, get_model, list_models

__all__ = ["ModelError", "Pose", "PoseNet", "get_model", "list_models"]
