"""Exports in ONNX, run by onnxruntime."""

from __future__ import annotations

from typing import Mapping

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.export.model import ExportedModel
from gluon_dkpr.engine.graph import INPUT_NAME, OUTPUT_NAMES
from gluon_dkpr.engine.signature import ExportError, Signature
from gluon_dkpr.types import Tensor

_TYPES = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}
_ONLY_ERRORS = 3


class OnnxModel(ExportedModel):
    """An export in ONNX; on the CPU alone.

    Args:
        signature: what it takes and gives.
        contents: bytes of the file, under ``model``.
        ctx: the CPU.

    Raises:
        ExportError: without onnxruntime, for another device, or if graph and signature do not fit
            together.
    """

    def __init__(self, signature: Signature, contents: Mapping[str, bytes], ctx: mx.Context):
        super().__init__(signature, ctx)
        if ctx.device_type != "cpu":
            raise ExportError(f"an ONNX export runs on the CPU here, not on {ctx}")
        self._session = _open(contents["model"])
        _check_fits(signature, self._session)

    def _run(self, images: Tensor) -> list:
        outputs = self._session.run(None, {INPUT_NAME: images.asnumpy()})
        return [mx.nd.array(output, ctx=self.ctx, dtype="float32") for output in outputs]


def import_onnxruntime():
    """Return the module; it is an extra.

    Raises:
        ExportError: if it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ExportError(
            f'an ONNX export wants onnxruntime ({error}); run: pip install "gluon_dkpr[onnx]"'
        ) from None
    return onnxruntime


def _open(model: bytes):
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ONLY_ERRORS
    try:
        return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds without a common base
        reason = " ".join(str(error).split())
        raise ExportError(f"the graph is not one of ONNX: {reason:.120}") from None


def _check_fits(signature: Signature, session) -> None:
    """Raise ExportError unless names, types and shapes are those of the signature."""
    dtype = _TYPES[signature.input_dtype]
    expected = [
        [(INPUT_NAME, dtype, signature.input_shape)],
        [(n, _TYPES["float32"], s) for n, s in zip(OUTPUT_NAMES, signature.output_shapes)],
    ]
    for what, entries, wanted in zip(
        ("takes", "gives"), (session.get_inputs(), session.get_outputs()), expected
    ):
        found = [(entry.name, entry.type, tuple(entry.shape[1:])) for entry in entries]
        if found != wanted or any(isinstance(entry.shape[0], int) for entry in entries):
            raise ExportError(f"the graph {what} {found}, expected {wanted} of any batch")
