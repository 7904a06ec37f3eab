"""Writing exports: made under temporary names, read back, compared, and only then renamed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr import __version__
from gluon_dkpr.backend import mx
from gluon_dkpr.data import to_network_input
from gluon_dkpr.engine.export.files import ExportFiles
from gluon_dkpr.engine.export.int8 import Calibration, QuantizedGraph, measure_loss, quantize
from gluon_dkpr.engine.export.model import ExportedModel
from gluon_dkpr.engine.export.onnx_graph import import_onnx, to_onnx
from gluon_dkpr.engine.export.onnx_model import import_onnxruntime
from gluon_dkpr.engine.export.read import MODELS
from gluon_dkpr.engine.graph import INPUT_NAME, OUTPUT_NAMES, graph_json, trace_network
from gluon_dkpr.engine.pictures import to_channels
from gluon_dkpr.engine.signature import (
    SUFFIXES,
    ExportError,
    FileStamp,
    Signature,
    load_signature,
)
from gluon_dkpr.files import atomic_path
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.model_zoo import ModelError, Pose, PoseNet, input_statistics
from gluon_dkpr.types import Array, Tensor

# What an export may differ from its network, in units of the network's length. On a CPU MXNet's own
# are equal; cuDNN and onnxruntime add in another order. A wrong parameter is off by far more.
TOLERANCE = 1e-4
# Batches of several sizes: a graph may be right for the one it was made with.
_BATCHES = (3, 1, 2)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


class Written(NamedTuple):
    """What :func:`export_model` wrote.

    Attributes:
        paths: of the files, by what they hold; ``signature`` is the last.
        signature: what stands in it.
        difference: from the network, the most of all joints and of the joints that the motions
            make, in units of the network's length; ``None`` for int8, whose error is in its
            signature.
    """

    paths: Dict[str, Path]
    signature: Signature
    difference: Optional[float]


def export_model(
    net: PoseNet,
    folder,
    name: str,
    image_shape: Tuple[int, int, int],
    format: str = "mxnet",
    preprocess: bool = False,
    margin: float = 0.0,
    calibration: Optional[Calibration] = None,
    grey: bool = False,
) -> Written:
    """Write a network as a graph that needs nothing of this package.

    The files are read back and must predict what the network predicts before they get their names;
    what stood there before stays until then.

    Args:
        net: an initialised network.
        folder: made if it is missing.
        name: letters, digits and ``._+-``; the files are called ``<name>-signature.json`` and so
            on.
        image_shape: (H, W, C) of its images.
        format: ``"mxnet"``, ``"onnx"`` or ``"int8"``.
        preprocess: the graph takes bytes, uint8 (B, H, W, 3), red, green, blue.
        margin: of the crops that the network was trained on.
        calibration: for ``"int8"``, which needs it.
        grey: its images of one channel are more than black and white.

    Raises:
        ExportError: for another name or format, images that the network does not take, a difference
            or loss that is too large, or an extra that is missing.
        OSError: if a file cannot be written; it names the file.
    """
    files = ExportFiles(Path(folder), name)
    _check_arguments(files, format, calibration)
    try:
        statistics = input_statistics(net, image_shape[2])
    except ModelError as error:
        raise ExportError(
            f"the network takes no images of shape {tuple(image_shape)}: {error}"
        ) from None
    signature = Signature(
        *(name, net.method, net.skeleton, tuple(image_shape), {}, _versions(format)),
        *(format, preprocess, *statistics, margin, grey),
        quantization={} if format == "int8" else None,
    )
    probe = _Probe(net, signature)
    made = _make_graph(net, signature, calibration)
    with _staged(files, format) as temporary:
        model = _write_graph(signature, made, files, temporary, probe.ctx)
        signature, difference = model.signature, None
        if made.quantized is None:
            difference = probe.difference(model, files)
        else:
            loss = measure_loss(net, model, made.quantized, calibration)
            signature = dataclasses.replace(signature, quantization=loss)
        _write_signature(signature, temporary["signature"])
    return Written({**files.graph(format), "signature": files.signature}, signature, difference)


def _check_arguments(files: ExportFiles, kind: str, calibration: Optional[Calibration]) -> None:
    if not _NAME.fullmatch(files.name):
        raise ExportError(f"export name is {files.name!r}, expected letters, digits and ._+- only")
    if kind not in SUFFIXES:
        raise ExportError(f"format is {kind!r}, expected one of {list(SUFFIXES)}")
    if (kind == "int8") != (calibration is not None):
        raise ExportError(f"format '{kind}': a calibration is needed for int8, and for it alone")
    try:
        found = load_signature(files.signature).format
    except ExportError:
        return  # none there, or none that anybody could use
    if SUFFIXES[found] != SUFFIXES[kind]:
        raise ExportError(
            f"{files.signature}: belongs to an export of format '{found}', expected another name "
            f"or folder for format '{kind}'"
        )


def _versions(kind: str) -> dict:
    versions = {"gluon_dkpr": __version__, "mxnet": mx.__version__}
    if kind == "onnx":
        onnx, _ = import_onnx()
        versions.update(onnx=onnx.__version__, onnxruntime=import_onnxruntime().__version__)
    return versions


class _Made(NamedTuple):
    """A graph, its parameters by name, and what quantising it has found."""

    graph: mx.sym.Symbol
    arrays: Dict[str, Tensor]
    quantized: Optional[QuantizedGraph] = None


def _make_graph(net: PoseNet, signature: Signature, calibration: Optional[Calibration]) -> _Made:
    graph = trace_network(net, signature.image_shape[2], signature.preprocess, signature.grey)
    arrays = _parameter_values(net, graph)
    if calibration is None:
        return _Made(graph, arrays)
    quantized = quantize(graph, arrays, net, signature, calibration)
    return _Made(quantized.symbol, quantized.arrays, quantized)


@contextlib.contextmanager
def _staged(files: ExportFiles, kind: str):
    """Yield temporary paths by what they hold; they get their names when all went well."""
    files.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Left in the opposite order, so the signature is renamed last.
        paths = {"signature": files.signature, **files.graph(kind)}
        yield {key: stack.enter_context(atomic_path(path)) for key, path in paths.items()}
        # From here to the last rename nothing opens: never an old signature beside new files.
        with contextlib.suppress(FileNotFoundError):
            files.signature.unlink()


def _write_graph(
    signature: Signature, made: _Made, files: ExportFiles, temporary: dict, ctx: mx.Context
) -> ExportedModel:
    """Write the graph's files under their temporary names; return what is read back from them."""
    paths = files.graph(signature.format)
    if signature.format == "onnx":
        names = OUTPUT_NAMES[: len(signature.output_shapes)]
        shape, dtype = signature.input_shape, signature.input_dtype
        model = to_onnx(made.graph, made.arrays, shape, dtype, names)
        temporary["model"].write_bytes(model)
    else:
        values = made.arrays if signature.format == "int8" else None
        text = graph_json(made.graph, (1, *signature.input_shape), values)
        temporary["symbol"].write_text(text, encoding="utf-8")
        auxiliary = set(made.graph.list_auxiliary_states())
        prefixed = {f"{'aux' if n in auxiliary else 'arg'}:{n}": a for n, a in made.arrays.items()}
        with _naming(paths["parameters"]):
            mx.nd.save(str(temporary["parameters"]), prefixed)
    contents = {key: temporary[key].read_bytes() for key in paths}
    stamps = {key: FileStamp.of(data) for key, data in contents.items()}
    with _naming(next(reversed(paths.values()))):
        return MODELS[signature.format](dataclasses.replace(signature, files=stamps), contents, ctx)


def _write_signature(signature: Signature, path: Path) -> None:
    text = json.dumps(signature.to_dict(), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


@contextlib.contextmanager
def _naming(path: Path):
    """Turn what comes of a file that MXNet could not write whole into an error that names it.

    MXNet notices a full disk in the middle of an array, but not at the end of the file.
    """
    try:
        yield
    except (mx.MXNetError, ExportError):
        raise ExportError(f"{path}: not written whole; is the disk full?") from None


def _parameter_values(net: PoseNet, symbol: mx.sym.Symbol) -> Dict[str, Tensor]:
    """Return the values of a graph's parameters by name."""
    parameters = net.predictor.collect_params()
    names = [name for name in symbol.list_arguments() if name != INPUT_NAME]
    values = {}
    for name in names + symbol.list_auxiliary_states():
        # Copies on several devices are equal, but for BatchNorm's running statistics.
        copies = [array.as_in_context(mx.cpu()) for array in parameters[name].list_data()]
        values[name] = sum(copies[1:], copies[0]) / len(copies)
    return values


class _Probe:
    """Images of noise and the network's poses of them; fixes the shapes of all parameters."""

    def __init__(self, net: PoseNet, signature: Signature):
        self.ctx = net.output.weight.list_ctx()[0]
        self._net = net
        self._images, plain = _noise(signature)
        try:
            pose = net.predict_pose(mx.nd.array(plain, ctx=self.ctx, dtype="float32"))
            pose.joints.wait_to_read()
        except (mx.MXNetError, ValueError, AssertionError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ExportError(
                f"the network takes no images of shape {signature.image_shape}: {reason}"
            ) from None
        self._expected = Pose(*(None if a is None else a.asnumpy() for a in pose))

    def difference(self, model: ExportedModel, files: ExportFiles) -> float:
        """Return how far an export is from the network.

        Raises:
            ExportError: if that is more than ``TOLERANCE``; names the graph's file.
        """
        path = next(iter(files.graph(model.signature.format).values()))
        largest = 0.0
        for count in _BATCHES:
            images = self._images[:count]
            pose = model(mx.nd.array(images, ctx=self.ctx, dtype=images.dtype))
            for name, expected in self._expected._asdict().items():
                if expected is None:
                    continue
                found = getattr(pose, name).asnumpy()
                difference = self._relative(name, found, expected[:count])
                # Also false for NaN.
                if not difference <= TOLERANCE:
                    raise ExportError(
                        f"{path}: {name} differ by {difference:.2g} from the network's, expected "
                        f"{TOLERANCE:g} at most, in units of {self._net.length:g} "
                        f"{self._net.skeleton.length_unit}"
                    )
                largest = max(largest, difference)
        return largest

    def _relative(self, name: str, *pair: Array) -> float:
        """Return how far two outputs are apart.

        Motions by the joints that they make: where an angle means little, as that of a bone that
        points along its axis, the last digit of the weights may turn it by any amount.
        """
        if name == "motion":
            pair = tuple(forward_kinematics(self._net.skeleton, motion) for motion in pair)
        return float(np.max(np.abs(np.subtract(*pair)))) / self._net.length


def _noise(signature: Signature) -> Tuple[Array, Array]:
    """Return the input of an export, and the same as the network takes it."""
    height, width, channels = signature.image_shape
    generator = np.random.Generator(np.random.PCG64(0))
    if not signature.preprocess:
        noise = generator.random((max(_BATCHES), channels, height, width)).astype(np.float32)
        return noise, noise
    pictures = generator.integers(0, 256, (max(_BATCHES), height, width, 3), dtype=np.uint8)
    images = to_channels(pictures, channels, signature.grey)
    return pictures, to_network_input(images)
