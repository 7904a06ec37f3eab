"""Weight files of MXNet, PyTorch and safetensors, read safely and without those libraries."""

from gluon_dkpr.model_zoo.weights.open_file import open_weights
from gluon_dkpr.model_zoo.weights.stored import StoredTensor, WeightsError

__all__ = ["StoredTensor", "WeightsError", "open_weights"]
