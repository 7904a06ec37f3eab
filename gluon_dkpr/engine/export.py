"""Networks as files that work without this package, and the way back.

An export is three files: ``<name>-symbol.json`` and ``<name>-0000.params``, which every MXNet
binding reads, and ``<name>-signature.json``, which says what goes in and what comes out.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr import __version__
from gluon_dkpr.backend import mx
from gluon_dkpr.engine.evaluate import ImagePredictor
from gluon_dkpr.engine.graph import INPUT_NAME, graph_json, parameter_shapes, trace
from gluon_dkpr.engine.signature import (
    ExportError,
    FileStamp,
    Signature,
    load_signature,
    read_bytes,
)
from gluon_dkpr.files import atomic_path
from gluon_dkpr.model_zoo import Pose, PoseNet
from gluon_dkpr.types import Tensor

# What an export may differ from its network, relative to the network's length. On a CPU they are
# equal; cuDNN may choose another algorithm. A wrong parameter is off by far more.
TOLERANCE = 1e-4
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


class ExportPaths(NamedTuple):
    """The three files of an export."""

    symbol: Path
    parameters: Path
    signature: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> ExportPaths:
        """Return the files of an export with this name."""
        suffixes = ("-symbol.json", "-0000.params", "-signature.json")
        return cls(*(Path(folder) / f"{name}{suffix}" for suffix in suffixes))


class ExportedModel(ImagePredictor):
    """An exported graph, ready to predict.

    Args:
        signature: what it takes and gives.
        graph: the graph in MXNet's JSON.
        parameters: bytes of the .params file.
        ctx: device.

    Raises:
        ExportError: if graph, parameters and signature do not fit together.
    """

    def __init__(self, signature: Signature, graph: str, parameters: bytes, ctx: mx.Context):
        super().__init__(signature.skeleton, signature.method, signature.image_shape, ctx)
        self.signature = signature
        symbol, arrays = _parse(signature, graph, parameters)
        self._block = mx.gluon.SymbolBlock(symbol, mx.sym.var(INPUT_NAME, dtype="float32"))
        for name, parameter in self._block.collect_params().items():
            parameter.shape, parameter.grad_req = arrays[name].shape, "null"
            parameter.initialize(mx.init.Zero(), ctx=ctx)
            parameter.set_data(arrays[name])

    def __call__(self, images: Tensor) -> Pose:
        """Return the poses in images (B, C, H, W), float32, 0 to 1, as NDArrays.

        Raises:
            ExportError: for images of another shape or type.
        """
        shape = self.signature.input_shape
        kind = getattr(images, "dtype", type(images).__name__)
        if not isinstance(images, mx.nd.NDArray) or kind != np.float32 or images.shape[1:] != shape:
            raise ExportError(
                f"images are {getattr(kind, '__name__', kind)} {getattr(images, 'shape', '')}, "
                "expected an NDArray of float32 (B, {}, {}, {})".format(*shape)
            )
        outputs = self._block(images)
        return Pose(outputs, None) if self.method == "direct" else Pose(*outputs)


def export_model(net: PoseNet, folder, name: str, image_shape: Tuple[int, int, int]) -> ExportPaths:
    """Write a network as a graph that needs nothing of this package.

    The files are read back and must predict what the network predicts before they get their names;
    what stood there before stays until then.

    Args:
        net: an initialised network.
        folder: made if it is missing.
        name: letters, digits and ``._+-``; the files are called ``<name>-symbol.json`` and so on.
        image_shape: (H, W, C) of its images.

    Raises:
        ExportError: for another name, images that the network does not take, or a difference.
        OSError: if a file cannot be written; it names the file.
    """
    if not _NAME.fullmatch(name):
        raise ExportError(f"export name is {name!r}, expected letters, digits and ._+- only")
    images, expected = _probe(net, image_shape)
    symbol = trace(net.predictor)
    graph = graph_json(symbol, (1, *images.shape[1:]))
    paths = ExportPaths.of(folder, name)
    paths.symbol.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Left in the opposite order, so the signature is renamed last.
        signature_file = stack.enter_context(atomic_path(paths.signature))
        parameters_file = stack.enter_context(atomic_path(paths.parameters))
        symbol_file = stack.enter_context(atomic_path(paths.symbol))
        symbol_file.write_text(graph, encoding="utf-8")
        with _naming(paths.parameters):
            mx.nd.save(str(parameters_file), _parameter_values(net.predictor, symbol))
        written = symbol_file.read_bytes(), parameters_file.read_bytes()
        versions = {"gluon_dkpr": __version__, "mxnet": mx.__version__}
        stamps = (FileStamp.of(data) for data in written)
        signature = Signature(name, net.method, net.skeleton, tuple(image_shape), *stamps, versions)
        text = json.dumps(signature.to_dict(), indent=1, allow_nan=False)
        signature_file.write_text(text + "\n", encoding="utf-8")
        with _naming(paths.parameters):
            model = ExportedModel(signature, written[0].decode("utf-8"), written[1], images.context)
        _check_equal(paths.symbol, expected, model(images), net)
        # From here to the last rename nothing opens: never an old signature beside new files.
        with contextlib.suppress(FileNotFoundError):
            paths.signature.unlink()
    return paths


def load_export(path, ctx: Optional[mx.Context] = None) -> ExportedModel:
    """Read an export.

    Sizes and hashes are compared before MXNet sees a byte: one wrong digit in a graph, such as a
    convolution of 0 groups, can end the process.

    Args:
        path: one of its files, their common prefix, or a folder with one export.
        ctx: device, the CPU by default.

    Raises:
        ExportError: if a file is missing, damaged or of another export; names the file.
    """
    paths = find_export(path)
    if paths is None:
        raise ExportError(f"{path}: no export, expected <name>-symbol.json, its prefix or a folder")
    signature = load_signature(paths.signature)
    contents = []
    for file, stamp in ((paths.symbol, signature.symbol), (paths.parameters, signature.parameters)):
        contents.append(read_bytes(file, stamp.size))
        found = FileStamp.of(contents[-1])
        if found != stamp:
            raise ExportError(
                f"{file}: {found.size} bytes with SHA-256 {found.sha256[:12]}..., expected "
                f"{stamp.size} with {stamp.sha256[:12]}... by {paths.signature.name}"
            )
    try:
        return ExportedModel(signature, contents[0].decode("utf-8"), contents[1], ctx or mx.cpu())
    except ExportError as error:
        raise ExportError(f"{paths.symbol}: {error}") from None


def find_export(path) -> Optional[ExportPaths]:
    """Return the files of the export that ``path`` names, ``None`` if it names none.

    Raises:
        ExportError: for a folder with several exports.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("*-signature.json"))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise ExportError(f"{path}: holds {names}; expected one export, or name one")
        if not found:
            return None
        path = found[0]
    for suffix in ("-symbol.json", "-0000.params", "-signature.json"):
        if path.name.endswith(suffix):
            path = path.with_name(path.name[: -len(suffix)])
    paths = ExportPaths.of(path.parent, path.name)
    return paths if any(file.is_file() for file in paths) else None


def _probe(net: PoseNet, image_shape: Tuple[int, int, int]) -> Tuple[Tensor, Pose]:
    """Return two images of noise and the network's poses; fixes the shapes of all parameters."""
    height, width, channels = image_shape
    ctx = net.output.weight.list_ctx()[0]
    noise = np.random.Generator(np.random.PCG64(0)).random((2, channels, height, width))
    images = mx.nd.array(noise, ctx=ctx, dtype="float32")
    try:
        pose = net.predict_pose(images)
        pose.joints.wait_to_read()
    except (mx.MXNetError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1]
        shape = tuple(image_shape)
        raise ExportError(f"the network takes no images of shape {shape}: {reason}") from None
    return images, pose


@contextlib.contextmanager
def _naming(path: Path):
    """Turn what comes of a file that MXNet could not write whole into an error that names it.

    MXNet notices a full disk in the middle of an array, but not at the end of the file.
    """
    try:
        yield
    except (mx.MXNetError, ExportError):
        raise ExportError(f"{path}: not written whole; is the disk full?") from None


def _parameter_values(block: mx.gluon.HybridBlock, symbol: mx.sym.Symbol) -> Dict[str, Tensor]:
    """Return the values of a graph's parameters under the names of MXNet's .params files."""
    parameters = block.collect_params()
    names = [("arg", name) for name in symbol.list_arguments() if name != INPUT_NAME]
    names += [("aux", name) for name in symbol.list_auxiliary_states()]
    values = {}
    for kind, name in names:
        # Copies on several devices are equal, but for BatchNorm's running statistics.
        copies = [array.as_in_context(mx.cpu()) for array in parameters[name].list_data()]
        values[f"{kind}:{name}"] = sum(copies[1:], copies[0]) / len(copies)
    return values


def _parse(signature: Signature, graph: str, parameters: bytes):
    """Return symbol and arrays (name to NDArray) that are known to fit each other."""
    try:
        symbol = mx.sym.load_json(graph)
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
    return symbol, arrays


def _check_equal(path: Path, expected: Pose, found: Pose, net: PoseNet) -> None:
    """Raise ExportError unless an export predicts what its network predicts."""
    for name in ("joints", "motion"):
        if getattr(expected, name) is None:
            continue
        pair = (getattr(pose, name).asnumpy() for pose in (expected, found))
        difference = float(np.max(np.abs(np.subtract(*pair))))
        # Also false for NaN.
        if not difference <= TOLERANCE * net.length:
            raise ExportError(f"{path}: {name} differ by {difference:.2g} from the network's")
