"""Networks by name."""

from gluon_dkpr.model_zoo.pose_net import Pose, PoseNet
from gluon_dkpr.model_zoo.pretrained import load_pretrained
from gluon_dkpr.model_zoo.weights import WeightsError
from gluon_dkpr.model_zoo.zoo import (
    ModelError,
    get_model,
    input_channels,
    input_statistics,
    list_models,
)

__all__ = [
    "ModelError",
    "Pose",
    "PoseNet",
    "WeightsError",
    "get_model",
    "input_channels",
    "input_statistics",
    "list_models",
    "load_pretrained",
]
