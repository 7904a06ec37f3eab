"""From the files of an export to what predicts."""

from __future__ import annotations

from typing import Optional

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.export.files import find_export, read_export
from gluon_dkpr.engine.export.model import ExportedModel, MXNetModel
from gluon_dkpr.engine.export.onnx_model import OnnxModel
from gluon_dkpr.engine.signature import ExportError

MODELS = {"mxnet": MXNetModel, "int8": MXNetModel, "onnx": OnnxModel}


def load_export(path, ctx: Optional[mx.Context] = None, fuse: bool = True) -> ExportedModel:
    """Read an export of any format.

    Sizes and hashes are compared before MXNet or onnxruntime sees a byte: one wrong digit in a
    graph, such as a convolution of 0 groups, can end the process.

    Args:
        path: one of its files, their common prefix, or a folder with one export.
        ctx: device, the CPU by default.
        fuse: of MXNet's formats on a CPU: let oneDNN join operators and keep memory between calls.

    Raises:
        ExportError: if a file is missing, damaged or of another export; names the file.
    """
    files = find_export(path)
    if files is None:
        raise ExportError(
            f"{path}: no export, expected <name>-signature.json, another of its files, their "
            "prefix or a folder"
        )
    signature, contents = read_export(path, files)
    options = {} if signature.format == "onnx" else {"fuse": fuse}
    try:
        return MODELS[signature.format](signature, contents, ctx or mx.cpu(), **options)
    except ExportError as error:
        graph = next(iter(files.graph(signature.format).values()))
        raise ExportError(f"{graph}: {error}") from None
