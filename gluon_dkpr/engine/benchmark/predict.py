"""Predicting one picture, or a few: our exports against onnxruntime, in one run."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.data import to_network_input
from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.engine.benchmark.harness import BenchmarkError, Contestant
from gluon_dkpr.engine.benchmark.pictures import write_pictures
from gluon_dkpr.engine.export import Calibration, export_model, load_export
from gluon_dkpr.engine.export.onnx_model import import_onnxruntime
from gluon_dkpr.engine.export_run import export_run
from gluon_dkpr.model_zoo import PoseNet, get_model
from gluon_dkpr.skeleton import human36m
from gluon_dkpr.types import Array

BACKBONE, SIZE_PX, METHOD = "resnet50_v1b", 224, "kinematic"
BATCHES = (1, 8)
#: Images that int8 is calibrated on. They are textures: what it costs in joints is not asked here.
CALIBRATION = 32
PEER, PLAIN, FUSED, INT8 = "onnxruntime", "MXNet, as exported", "MXNet, fused", "MXNet, int8"
#: Here it is measured, or that of random weights: nothing is refused.
ANY_LOSS = sys.float_info.max
#: Of float32 contestants from each other, relative to the largest joint.
AGREEMENT = 1e-4

#: From the network's input (B, 3, H, W), float32, to joints (B, J, 3), both NumPy.
Predict = Callable[[Array], Array]


def make_network(backbone: str, size: int, seed: int) -> PoseNet:
    """Return a network of people with random weights, which cost what trained ones do."""
    mx.random.seed(seed)
    net = get_model(backbone, human36m(), METHOD)
    net.initialize()
    net(mx.nd.zeros((1, 3, size, size)))
    return net


def make_predictors(net: PoseNet, folder: Path, size: int, threads: int, seed: int):
    """Export a network in every way into a folder; return the contestants' functions by name."""
    record = folder / "pictures"
    write_pictures(record, CALIBRATION, size, seed, test=CALIBRATION)
    how = Calibration(str(record), CALIBRATION, ANY_LOSS)
    shape = (size, size, 3)
    for kind in ("mxnet", "onnx", "int8"):
        calibration = how if kind == "int8" else None
        export_model(net, folder / kind, "net", shape, kind, calibration=calibration)
    return {
        FUSED: _ours(folder / "mxnet"),
        INT8: _ours(folder / "int8"),
        PLAIN: _ours(folder / "mxnet", fuse=False),
        PEER: _peers(folder / "onnx" / "net.onnx", threads),
    }


def _ours(folder: Path, fuse: bool = True) -> Predict:
    model = load_export(folder, fuse=fuse)
    return lambda images: model(mx.nd.array(images)).joints.asnumpy()


def _peers(path: Path, threads: int) -> Predict:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda images: session.run(["joints"], {"data": images})[0]


def check_agreement(predictors: Dict[str, Predict], images: Array) -> None:
    """Check that all but int8 find the same joints.

    Raises:
        BenchmarkError: when they do not: the times would compare different things.
    """
    expected = predictors[PEER](images)
    for name in (FUSED, PLAIN):
        difference = np.abs(predictors[name](images) - expected).max() / np.abs(expected).max()
        if not difference <= AGREEMENT:
            raise BenchmarkError(
                f"joints of {name} differ from those of {PEER} by {difference:.1e}, expected at "
                f"most {AGREEMENT:.0e}"
            )


def measure(predictors: Dict[str, Predict], size: int, seconds: float, seed: int) -> List[dict]:
    """Return times of every contestant for batches of each size, and ratios to the peer.

    Raises:
        BenchmarkError: if they do not predict the same.
    """
    random = np.random.RandomState(seed)
    found = []
    for batch in BATCHES:
        pictures = random.randint(0, 256, (batch, size, size, 3)).astype(np.uint8)
        images = np.ascontiguousarray(to_network_input(pictures))
        check_agreement(predictors, images)
        contestants: List[Contestant] = [
            harness.repeated(name, lambda predict=predict, images=images: predict(images))
            for name, predict in predictors.items()
        ]
        samples = harness.interleave(contestants, seconds)
        found.append(
            {
                "batch": batch,
                "seconds": {name: harness.spread(times) for name, times in samples.items()},
                "ratio": {
                    name: harness.ratios(times, samples[PEER])
                    for name, times in samples.items()
                    if name != PEER
                },
            }
        )
    return found


def measure_cost(model: str, folder: Path) -> dict:
    """Return what int8 costs a trained network in joints, on the test split of its own data."""
    how = Calibration(None, max_loss_percent=ANY_LOSS)
    written = export_run(model, folder=folder, format="int8", calibration=how)
    return {"name": written.signature.name, **written.signature.quantization}


def _cost_text(found: Optional[dict]) -> str:
    if not found:
        return ""
    how, error = found["calibration"], found["error"]
    unit = error["unit"]
    return f"""What int8 costs: `{found["name"]}`, calibrated on {how["samples"]} training images of
{how["record"]}, has a joint error of {error["float32"]:.2f} {unit} in float32 and of
{error["int8"]:.2f} {unit} in int8 ({error["loss_percent"]:+.2f} %) on the {error["images"]} test
images.

"""


def summary(result: dict) -> List[harness.Row]:
    """Return the ratios for the table of all benchmarks."""
    return [
        harness.Row(f"prediction by {name}, batch {group['batch']}", PEER, found)
        for group in result["batches"]
        for name, found in group["ratio"].items()
    ]


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    rows = [["", "batch", "ms", "images/s", f"times as fast as {PEER}"]]
    for group in result["batches"]:
        for name, times in group["seconds"].items():
            speed = f"{group['batch'] / times['median']:.3g}"
            ratio = group["ratio"].get(name)
            cells = [harness.cell(times, ".3g", 1e3), speed]
            cells.append(harness.cell(ratio, ".2f") if ratio else "")
            rows.append([name, str(group["batch"]), *cells])
    size, peer = result["size"], f"{PEER} {result['peer_versions'][PEER]}. "
    return f"""# Prediction

{result["backbone"]} with kinematic head on `human36m()`, random weights, images of {size} x {size}
px as float32 in, joints out, both as NumPy arrays. *As exported* is MXNet without anything more;
*fused* is what `load_export` makes of the same files on a CPU, convolution, normalisation and
rectifier in one; *int8* is that format of an export; {PEER} runs the ONNX export of the
same network. Joints of the float32 ones were found equal to {AGREEMENT:.0e} before. Median
(quartiles) of {harness.ROUNDS} rounds that take turns in one run; a ratio is that of two
neighbours.

{harness.markdown_table(rows)}

{_cost_text(result["int8"])}{harness.footer(result, peer)}"""


def run(
    out: Path,
    command: str,
    seconds: float,
    threads: int,
    seed: int,
    model: Optional[str] = None,
    backbone: str = BACKBONE,
    size: int = SIZE_PX,
) -> str:
    """Measure, write ``out`` and the page beside it; return the page.

    Args:
        out: the JSON file.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each number.
        threads: of each contestant; MXNet's are set by OMP_NUM_THREADS before it is imported.
        seed: of weights and images.
        model: run folder of a trained network, of which int8's error is told.
        backbone: a residual network.
        size: height and width of the images, px.

    Raises:
        BenchmarkError: if the contestants do not predict the same.
        ExportError: without the extra ``onnx``, or for another ``model``.
    """
    conditions = harness.conditions(command, seed, threads)
    with tempfile.TemporaryDirectory(prefix="gluon_dkpr-") as folder:
        # First: if it is no run, nothing that took minutes is lost.
        cost = measure_cost(model, Path(folder) / "trained") if model else None
        net = make_network(backbone, size, seed)
        predictors = make_predictors(net, Path(folder), size, threads, seed)
        batches = measure(predictors, size, seconds, seed)
    result = {
        **conditions,
        "backbone": backbone,
        "size": size,
        "peer_versions": {PEER: import_onnxruntime().__version__},
        "batches": batches,
        "int8": cost,
    }
    text = page(result)
    harness.write_result(out, result, text)
    return text
