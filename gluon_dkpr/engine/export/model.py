"""Exports that predict."""

from __future__ import annotations

from typing import Mapping

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.data import to_network_input
from gluon_dkpr.engine.graph import INPUT_NAME, parameter_shapes
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.engine.signature import ExportError, Signature
from gluon_dkpr.model_zoo import Pose
from gluon_dkpr.types import Array, Tensor


class ExportedModel(ImagePredictor):
    """An exported graph, ready to predict; what all formats have in common.

    Args:
        signature: what it takes and gives.
        ctx: device.
    """

    def __init__(self, signature: Signature, ctx: mx.Context):
        images = signature.image_shape, ctx, signature.margin, signature.grey
        super().__init__(signature.skeleton, signature.method, *images)
        self.signature = signature

    def __call__(self, images: Tensor) -> Pose:
        """Return the poses in a batch of the graph's own input, as NDArrays.

        Args:
            images: float32 (B, C, H, W), 0 to 1; uint8 (B, H, W, 3), red, green, blue, for a graph
                with pre-processing.

        Raises:
            ExportError: for images of another shape or type.
        """
        shape, dtype = self.signature.input_shape, self.signature.input_dtype
        kind = getattr(images, "dtype", type(images).__name__)
        fits = isinstance(images, mx.nd.NDArray) and images.shape[1:] == shape
        if not fits or kind is not np.dtype(dtype).type:
            raise ExportError(
                f"images are {getattr(kind, '__name__', kind)} {getattr(images, 'shape', '')}, "
                "expected an NDArray of {} (B, {}, {}, {})".format(dtype, *shape)
            )
        outputs = self._run(images)
        return Pose(outputs[0], None if self.method == "direct" else outputs[1])

    def _run(self, images: Tensor) -> list:
        """Return the outputs of the graph."""
        raise NotImplementedError

    def _takes(self, shape) -> bool:
        colours = self.signature.preprocess and shape == self.signature.input_shape
        return colours or super()._takes(shape)

    def _to_input(self, images: Array) -> Array:
        return graph_input(self.signature, images)


def graph_input(signature: Signature, images: Array) -> Array:
    """Return what a graph takes, of uint8 images (B, H, W, C) as its network is trained on.

    A graph with pre-processing takes colours, of a grey image three equal ones.
    """
    if signature.preprocess:
        return np.broadcast_to(images, (len(images), *signature.input_shape))
    return to_network_input(images)


class MXNetModel(ExportedModel):
    """An export in MXNet's own format, float32 or int8.

    Args:
        signature: what it takes and gives.
        contents: bytes of the files, by what they hold.
        ctx: device.
        fuse: join convolutions with what follows them, by oneDNN on a CPU.

    Raises:
        ExportError: if graph, parameters and signature do not fit together.
    """

    def __init__(
        self,
        signature: Signature,
        contents: Mapping[str, bytes],
        ctx: mx.Context,
        fuse: bool = False,
    ):
        super().__init__(signature, ctx)
        symbol, arrays = _parse(signature, contents["symbol"], contents["parameters"])
        fuse = fuse and ctx.device_type == "cpu" and mx.runtime.Features().is_enabled("MKLDNN")
        if fuse and signature.format == "mxnet":  # int8 was fused when it was made
            symbol = symbol.get_backend_symbol("MKLDNN")
        data = mx.sym.var(INPUT_NAME, dtype=signature.input_dtype)
        self._block = mx.gluon.SymbolBlock(symbol, data)
        for name, parameter in self._block.collect_params().items():
            parameter.shape, parameter.grad_req = arrays[name].shape, "null"
            parameter.cast(arrays[name].dtype)
            parameter.initialize(mx.init.Zero(), ctx=ctx)
            parameter.set_data(arrays[name])
        if fuse:
            # oneDNN keeps the weights in its own layout from call to call only if all is static.
            self._block.hybridize(static_alloc=True, static_shape=True)

    def _run(self, images: Tensor) -> list:
        outputs = self._block(images)
        return outputs if isinstance(outputs, (list, tuple)) else [outputs]


def _parse(signature: Signature, graph: bytes, parameters: bytes):
    """Return symbol and arrays (name to NDArray) that are known to fit each other."""
    try:
        symbol = mx.sym.load_json(graph.decode("utf-8"))
        loaded = mx.nd.load_frombuffer(parameters)
    except (mx.MXNetError, UnicodeDecodeError):
        raise ExportError("graph or parameters are not those of MXNet") from None
    if not isinstance(loaded, dict):
        raise ExportError("parameters have no names")
    arrays = {name.split(":", 1)[-1]: array for name, array in loaded.items()}
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    if set(names) != {INPUT_NAME, *arrays}:
        other = sorted(set(names) ^ {INPUT_NAME, *arrays})
        raise ExportError(f"graph and parameters differ in {', '.join(other)[:120]}")
    _check_shapes(signature, symbol, arrays)
    return symbol, arrays


def _check_shapes(signature: Signature, symbol: mx.sym.Symbol, arrays: Mapping[str, Tensor]):
    """Raise ExportError unless shapes of parameters and outputs follow from that of the input."""
    input_shape = (1, *signature.input_shape)
    try:
        shapes = parameter_shapes(symbol, input_shape)
        _, outputs, _ = symbol.infer_shape(**{INPUT_NAME: input_shape})
    except mx.MXNetError:
        raise ExportError(f"the graph takes no input of shape {input_shape}") from None
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ExportError(f"{name} has shape {arrays[name].shape}, expected {shape}")
    if [tuple(shape[1:]) for shape in outputs] != list(signature.output_shapes):
        raise ExportError(f"the graph gives {outputs}, expected {signature.output_shapes}")
