"""Graphs in 8-bit integers, by MXNet's quantisation with oneDNN.

The features are quantised. Pre-processing, the last dense layer and the head stay in float32: with
that layer in integers a toy network's error grows by 4 % instead of 0.2 %, and it costs no time.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from typing import Dict, List, NamedTuple, Optional

from gluon_dkpr.backend import mx
from gluon_dkpr.data import BatchLoader, RecordDataset
from gluon_dkpr.engine.evaluate import check_fits, evaluate
from gluon_dkpr.engine.export.model import graph_input
from gluon_dkpr.engine.graph import INPUT_NAME
from gluon_dkpr.engine.predictor import ImagePredictor, NetworkPredictor
from gluon_dkpr.engine.signature import ExportError, Signature
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.types import Tensor

# Ranges from the least to the greatest value. By entropy a toy network fails altogether (its images
# are almost all black, so the white is cut off), and a human one loses five times as much.
MODE = "naive"
MAX_LOSS_PERCENT = 5.0
_BATCH = 32
# Fuses convolution, normalisation and rectifier; these units are quantised, as a whole.
_BACKEND = "MKLDNN_QUANTIZE"
_TYPE = "auto"


class Calibration(NamedTuple):
    """How a graph is quantised, and what that may cost.

    Attributes:
        record: NAME of the data set. The ranges of all values are measured on its training split,
            the error on its test split.
        samples: images of the training split.
        max_loss_percent: how much the joint error may grow.
    """

    record: Optional[str]
    samples: int = 256
    max_loss_percent: float = MAX_LOSS_PERCENT

    def check(self) -> None:
        """Raise ExportError for a number out of range."""
        if self.samples < 1:
            raise ExportError(f"{self.samples} samples to calibrate on, expected 1 or more")
        if not 0 <= self.max_loss_percent < math.inf:
            raise ExportError(f"largest loss is {self.max_loss_percent} %, expected 0 or more")


class QuantizedGraph(NamedTuple):
    """A graph of int8.

    Attributes:
        symbol: the graph.
        arrays: its parameters by name.
        samples: images that it was calibrated on.
        integer_nodes: how many of its nodes compute in integers.
    """

    symbol: mx.sym.Symbol
    arrays: Dict[str, Tensor]
    samples: int
    integer_nodes: int


def quantize(
    graph: mx.sym.Symbol,
    arrays: Dict[str, Tensor],
    net: PoseNet,
    signature: Signature,
    how: Calibration,
) -> QuantizedGraph:
    """Return a graph in int8.

    Args:
        graph: in float32.
        arrays: its parameters by name, on the CPU.
        net: that the graph is of.
        signature: tells what the graph takes.
        how: to calibrate.

    Raises:
        ExportError: for a bad calibration.
        DkprError: if the data set is missing, damaged, or of another object.
    """
    how.check()
    dataset = RecordDataset(how.record, "train")
    check_fits(NetworkPredictor(net, signature.image_shape), dataset)
    auxiliary = {name: arrays[name] for name in graph.list_auxiliary_states()}
    arguments = {name: array for name, array in arrays.items() if name not in auxiliary}
    fused = graph.get_backend_symbol(_BACKEND)
    quantized, _, _, collector = mx.contrib.quantization.quantize_graph(
        *(fused, arguments, auxiliary),
        excluded_sym_names=_kept_in_float(fused, net.output.weight.name),
        calib_mode=MODE,
        quantized_dtype=_TYPE,
        quantize_mode="smart",
    )
    samples = _observe(fused, arguments, auxiliary, collector, signature, dataset, how.samples)
    quantized, arguments, auxiliary = mx.contrib.quantization.calib_graph(
        *(quantized, arguments, auxiliary, collector, MODE, _TYPE), logger=None
    )
    # Once more: now what follows an integer convolution is fused with it.
    quantized = quantized.get_backend_symbol(_BACKEND)
    used = set(quantized.list_arguments() + quantized.list_auxiliary_states())
    values = {name: a for name, a in {**arguments, **auxiliary}.items() if name in used}
    return QuantizedGraph(quantized, values, samples, _count_integer_nodes(quantized))


def _kept_in_float(fused: mx.sym.Symbol, last_weight: str) -> List[str]:
    """Return the nodes from the last dense layer on, and those that weights are not parameters of.

    The toy network's first convolution makes its weights of others, which MXNet cannot quantise.
    """
    nodes = json.loads(fused.tojson())["nodes"]
    kept = {index for index, node in enumerate(nodes) if node["name"] == last_weight}
    names = []
    for index, node in enumerate(nodes):
        inputs = [source for source, *_ in node["inputs"]]
        weighted = re.search("(?i)conv|fully_?connected", node["op"])
        computed = weighted and nodes[inputs[1]]["op"] != "null"
        if kept.intersection(inputs):
            kept.add(index)
        if (index in kept and node["op"] != "null") or computed:
            names.append(node["name"])
    return names


def _observe(fused, arguments, auxiliary, collector, signature, dataset, count: int) -> int:
    """Show the graph ``count`` images of a data set, or all; return how many those are."""
    batch = min(_BATCH, count, len(dataset.keys))
    loader = BatchLoader(dataset, batch, cache="never")
    executor, shown = None, 0
    for images in itertools.islice(loader.epoch(0), -(-count // batch)):
        values = graph_input(signature, images.images[: count - shown])
        data = mx.nd.array(values, dtype=values.dtype)
        if executor is None or executor.arg_dict[INPUT_NAME].shape != data.shape:
            given = {**arguments, INPUT_NAME: data}
            executor = fused.bind(mx.cpu(), given, aux_states=auxiliary, grad_req="null")
            executor.set_monitor_callback(collector.collect, monitor_all=True)
        executor.forward(is_train=False, **{INPUT_NAME: data})
        executor.outputs[0].wait_to_read()
        shown += len(data)
    return shown


def _count_integer_nodes(symbol: mx.sym.Symbol) -> int:
    nodes = json.loads(symbol.tojson())["nodes"]
    return sum(
        node["op"].startswith("_contrib_quantized_")
        or node.get("attrs", {}).get("quantized") == "true"
        for node in nodes
    )


def measure_loss(
    net: PoseNet, model: ImagePredictor, graph: QuantizedGraph, how: Calibration
) -> dict:
    """Return what a signature says of quantisation: the calibration, and the error with it.

    Args:
        net: in float32.
        model: the export, read back.
        graph: that it holds.
        how: it was calibrated.

    Raises:
        ExportError: if the error grew by more than it may.
        DkprError: if the data set is damaged, or of another object.
    """
    dataset = RecordDataset(how.record, "test")
    before, after = (evaluate(p, dataset) for p in (NetworkPredictor(net), model))
    growth = after["joint_error"] - before["joint_error"]
    loss = 100 * growth / before["joint_error"] if before["joint_error"] else math.inf
    numbers = f"{before['joint_error']:.3f} to {after['joint_error']:.3f} {before['unit']}"
    # Also true for NaN.
    if not loss <= how.max_loss_percent:
        raise ExportError(
            f"in int8 the joint error on {dataset.path} grows from {numbers}, by {loss:.2f} %; "
            f"expected {how.max_loss_percent:g} % at most"
        )
    return {
        "calibration": {
            "record": dataset.path.name,
            "sha256": dataset.info.rec_sha256,
            "split": "train",
            "samples": graph.samples,
            "mode": MODE,
        },
        "integer_nodes": graph.integer_nodes,
        "error": {
            "split": "test",
            "images": before["n"],
            "unit": before["unit"],
            "float32": before["joint_error"],
            "int8": after["joint_error"],
            "loss_percent": loss,
            "max_loss_percent": how.max_loss_percent,
        },
    }
