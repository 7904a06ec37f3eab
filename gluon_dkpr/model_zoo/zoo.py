"""Backbones by name: the network of [40] and GluonCV's residual networks."""

from __future__ import annotations

import difflib
from typing import Optional, Tuple

import numpy as np

from gluon_dkpr.backend import import_gluoncv, mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import PoseStatistics
from gluon_dkpr.model_zoo.pose_net import PoseNet
from gluon_dkpr.model_zoo.toy_cnn import toy_cnn
from gluon_dkpr.skeleton import Skeleton, reach
from gluon_dkpr.skeleton.planar import IMAGE_SIZE_PX
from gluon_dkpr.types import Tensor

# ResNet v1b is GluonCV's form of the paper's residual network (stride in the 3x3 convolution).
RESNETS = tuple(f"resnet{depth}_v1b" for depth in (18, 34, 50, 101, 152))
# Of the colours 0 to 1 that GluonCV's and torchvision's weights were trained on.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ModelError(DkprError, ValueError):
    """A network of this name, or with these options, does not exist."""


def list_models() -> Tuple[str, ...]:
    """Return the names that :func:`get_model` takes."""
    return ("toy_cnn", *RESNETS)


def get_model(
    name: str,
    skeleton: Skeleton,
    method: str = "kinematic",
    statistics: Optional[PoseStatistics] = None,
    length: Optional[float] = None,
    with_motion: bool = False,
    with_guide: bool = False,
    raw_outputs: bool = False,
    **options,
) -> PoseNet:
    """Return a network that predicts poses of a skeleton; its parameters are not initialised.

    Args:
        name: one of :func:`list_models`. ``toy_cnn`` takes (B, 1, 128, 128), the residual networks
            (B, 3, H, W), both float32.
        skeleton: the object.
        method: ``"kinematic"``, ``"direct"`` or ``"parameter"``.
        statistics: of the training poses in the network's unit, see
            :func:`gluon_dkpr.geometry.pose_statistics`.
        length: length in the skeleton's unit that is 1 inside the network. By default the image
            size for a skeleton in px (the paper's normalisation), else the longest way from the
            root to a joint.
        with_motion, with_guide: see :class:`PoseNet`.
        raw_outputs: see :func:`gluon_dkpr.nn.make_head`.
        options: of the backbone (``toy_cnn``: dropout, hidden_sigma).

    Raises:
        ModelError: for an unknown name or option.
        MethodError: for an unknown method.
    """
    _check_name(name)
    if length is None:
        length = IMAGE_SIZE_PX if skeleton.length_unit == "px" else reach(skeleton)
    prefix = f"{name}_"
    try:
        if name == "toy_cnn":
            features = toy_cnn(prefix=prefix, **options)
        else:
            features = _resnet(name, **options)
    except TypeError as error:
        raise ModelError(f"model {name!r}: {error}") from None
    return PoseNet(
        features,
        skeleton,
        method,
        length,
        statistics,
        with_motion,
        with_guide,
        raw_outputs,
        prefix=prefix,
    )


def input_channels(name: str) -> int:
    """Return how many channels the images of a model have.

    Raises:
        ModelError: for an unknown name.
    """
    _check_name(name)
    return 1 if name == "toy_cnn" else len(IMAGENET_MEAN)


def _check_name(name: str) -> None:
    if name not in list_models():
        close = difflib.get_close_matches(name, list_models(), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ModelError(f"no model {name!r}, expected one of {list(list_models())}{hint}")


def input_statistics(net: PoseNet, channels: int) -> Tuple[Tuple[float, ...], Tuple[float, ...]]:
    """Return mean and standard deviation by which a network standardises the channels of an image.

    Args:
        net: of :func:`get_model`.
        channels: of its images; a network that standardises nothing has means 0, deviations 1.

    Raises:
        ModelError: for grey images and a network that standardises colours. MXNet would take them:
            it spreads the one channel over three.
    """
    if isinstance(net.features[0], _Standardise):
        if channels != len(IMAGENET_MEAN):
            raise ModelError(f"images of {channels} channels, expected 3 by a network for colours")
        return IMAGENET_MEAN, IMAGENET_STD
    return (0.0,) * channels, (1.0,) * channels


class _Standardise(mx.gluon.HybridBlock):
    """Colours 0 to 1 to zero mean and unit deviation over ImageNet, as its weights want them.

    In the graph, so that every user of an export feeds it plain colours. Images get no gradient:
    nobody asks for it, and without this the first convolution's would be computed all the same,
    3 % of a training step.

    Inputs:
        - **data**: (B, 3, H, W).

    Outputs:
        - the same shape.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.mean = self.params.get_constant("mean", _channels(IMAGENET_MEAN))
            self.std = self.params.get_constant("std", _channels(IMAGENET_STD))

    def hybrid_forward(self, F, data: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return the standardised images."""
        return F.BlockGrad(F.broadcast_div(F.broadcast_sub(data, mean), std))


def _channels(values) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(1, 3, 1, 1)


def _resnet(name: str) -> mx.gluon.HybridBlock:
    """Return a GluonCV residual network up to its pooled features (B, F)."""
    gluoncv = import_gluoncv()
    whole = gluoncv.model_zoo.get_model(name, pretrained=False, prefix=f"{name}_")
    features = mx.gluon.nn.HybridSequential(prefix="")
    features.add(_Standardise(prefix=f"{name}_input_"))
    for part in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
        features.add(getattr(whole, part))
    features.add(whole.avgpool, whole.flat)
    return features
