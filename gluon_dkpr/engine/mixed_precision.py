"""Mixed precision: the backbone computes in float16 on GPUs, all that is kept stays float32.

The parameters are those of the float32 network. Only the graph that training runs differs: MXNet
casts images and weights on their way into the backbone's convolutions and dense layers, and their
gradients back. So checkpoints, evaluation and export know nothing of it. The other ways fit less:
``mxnet.contrib.amp.init`` changes MXNet's operators for the whole process, those of the kinematic
layer and of exported graphs among them, and ``Block.cast`` leaves float16 parameters behind.

Small gradients vanish in float16, so the loss is multiplied by a factor, which the optimiser takes
out again: the largest one that the gradients' range allows, found as training goes.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import List, NamedTuple

from gluon_dkpr.backend import mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.model_zoo import PoseNet

# As in MXNet's own: so many good steps double the factor, an overflow halves it.
FIRST_FACTOR, GOOD_STEPS = 2.0**16, 2000
LEAST_FACTOR, LARGEST_FACTOR = 1.0, 2.0**24


class MixedPrecisionError(DkprError):
    """A device cannot compute in float16."""


class LossScale(NamedTuple):
    """A factor of the loss, and how well it does.

    Attributes:
        factor: a power of two, so that nothing is rounded.
        good_steps: since it changed last.
    """

    factor: float = FIRST_FACTOR
    good_steps: int = 0

    def after(self, norm: float) -> LossScale:
        """Return the factor for the next step.

        Args:
            norm: of the last step's gradient; not finite after an overflow.
        """
        if not math.isfinite(norm):
            return LossScale(max(LEAST_FACTOR, self.factor / 2))
        if self.good_steps + 1 < GOOD_STEPS:
            return self._replace(good_steps=self.good_steps + 1)
        return LossScale(min(LARGEST_FACTOR, self.factor * 2))

    @property
    def is_least(self) -> bool:
        """Whether a smaller factor cannot be the cure of gradients that are not finite."""
        return self.factor <= LEAST_FACTOR


def require_float16(ctx: List) -> None:
    """Refuse devices that cannot compute in float16.

    Raises:
        MixedPrecisionError: for a CPU.
    """
    others = [str(device) for device in ctx if device.device_type != "gpu"]
    if others:
        raise MixedPrecisionError(
            f"--amp computes in float16, which MXNet's matrix products do on GPUs alone; found "
            f"device {', '.join(others)}; leave --amp out, or name GPUs with --ctx"
        )


def mixed_network(net: PoseNet, scaled: bool = False, dtype: str = "float16"):
    """Return a block that computes what ``net`` does, its backbone in another precision.

    The dense layer over the features and the head stay float32, and so do all parameters, which are
    the network's own, and their gradients.

    Args:
        net: initialised, its shapes known.
        scaled: give the network its second input, see :class:`gluon_dkpr.model_zoo.PoseNet`.
        dtype: ``"float16"`` or ``"bfloat16"``; CPUs have the second only.

    Returns:
        HybridBlock with inputs and outputs of the network, hybridized.
    """
    inputs = [mx.sym.var(name, dtype="float32") for name in ("data", "scale")[: 1 + scaled]]
    amp = import_module("mxnet.contrib.amp")  # after our own import of MXNet
    features = amp.convert_symbol(net.features(inputs[0]), target_dtype=dtype, data_names=["data"])
    outputs = net.from_features(mx.sym, mx.sym.Cast(features, dtype="float32"), *inputs[1:])
    block = mx.gluon.SymbolBlock(outputs, inputs, params=net.collect_params())
    block.hybridize(static_alloc=True)
    return block
