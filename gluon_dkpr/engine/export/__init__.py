"""Networks as files that work without this package, and the way back.

An export is a signature, ``<name>-signature.json``, which says what goes in and what comes out, and
the graph beside it: ``<name>-symbol.json`` and ``<name>-0000.params``, which every MXNet binding
reads, in float32 or quantised to int8; or ``<name>.onnx``. docs/export.md tells more.
"""

from gluon_dkpr.engine.export.files import ExportFiles, find_export
from gluon_dkpr.engine.export.int8 import Calibration
from gluon_dkpr.engine.export.model import ExportedModel, MXNetModel
from gluon_dkpr.engine.export.onnx_model import OnnxModel
from gluon_dkpr.engine.export.read import load_export
from gluon_dkpr.engine.export.write import Written, export_model
from gluon_dkpr.engine.signature import ExportError

__all__ = [
    "Calibration",
    "ExportError",
    "ExportFiles",
    "ExportedModel",
    "MXNetModel",
    "OnnxModel",
    "Written",
    "export_model",
    "find_export",
    "load_export",
]
