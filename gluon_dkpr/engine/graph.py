"""Graphs as they are written to files: complete, and equal for equal networks, byte for byte."""

from __future__ import annotations

import json
from typing import Mapping, Optional, Sequence, Tuple

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.pictures import LUMA, LUMA_SUM, WHITE_FROM
from gluon_dkpr.model_zoo import PoseNet

INPUT_NAME = "data"
OUTPUT_NAMES = ("joints", "motion")


def trace(block: mx.gluon.HybridBlock, data: Optional[mx.sym.Symbol] = None) -> mx.sym.Symbol:
    """Return a block of one input as a graph.

    Traced with a symbol, not with ``hybridize`` and ``HybridBlock.export``: the block is left as it
    was, in the middle of a training run too.

    Args:
        block: of one input.
        data: what it is given, by default the input itself.
    """
    outputs = block(mx.sym.var(INPUT_NAME) if data is None else data)
    return mx.sym.Group(outputs) if isinstance(outputs, (list, tuple)) else outputs


def trace_network(
    net: PoseNet, channels: int, preprocess: bool = False, grey: bool = False
) -> mx.sym.Symbol:
    """Return the graph of a network's poses, with outputs named ``joints`` and ``motion``.

    Args:
        net: the network.
        channels: of its images.
        preprocess: take uint8 images (B, H, W, 3), see :func:`from_bytes`.
        grey: its images of one channel are more than black and white.
    """
    data = mx.sym.var(INPUT_NAME)
    symbol = trace(net.predictor, from_bytes(data, channels, grey) if preprocess else data)
    return name_outputs(symbol, OUTPUT_NAMES)


def from_bytes(data: mx.sym.Symbol, channels: int, grey: bool = False) -> mx.sym.Symbol:
    """Return the network's input of RGB images (B, H, W, 3), 0 to 255.

    The same as ``to_network_input``; for one channel an image becomes grey and then, without
    ``grey``, black or white, as in ``to_network_image``. All is exact: whole numbers below 2**24.
    """
    values = mx.sym.Cast(data, dtype="float32", name="preprocess_float")
    values = mx.sym.transpose(values, axes=(0, 3, 1, 2), name="preprocess_planes")
    if channels == 3:
        return _divided(values, 255, "scale")
    weighted = []
    for channel, weight in enumerate(LUMA):
        plane = mx.sym.slice_axis(
            values, axis=1, begin=channel, end=channel + 1, name=f"preprocess_plane{channel}"
        )
        weighted.append(
            mx.sym._internal._mul_scalar(plane, scalar=weight, name=f"preprocess_weight{channel}")
        )
    bright = mx.sym.elemwise_add(weighted[0], weighted[1], name="preprocess_add")
    bright = mx.sym.elemwise_add(bright, weighted[2], name="preprocess_grey")
    if not grey:
        return mx.sym._internal._greater_equal_scalar(
            bright, scalar=float(WHITE_FROM), name="preprocess_white"
        )
    # Not ``round``: readers differ in what becomes of a half.
    half = mx.sym._internal._plus_scalar(bright, scalar=LUMA_SUM / 2, name="preprocess_half")
    level = mx.sym.floor(_divided(half, LUMA_SUM, "level"), name="preprocess_whole")
    return _divided(level, 255, "scale")


def _divided(values: mx.sym.Symbol, by: int, name: str) -> mx.sym.Symbol:
    return mx.sym._internal._div_scalar(values, scalar=float(by), name=f"preprocess_{name}")


def name_outputs(symbol: mx.sym.Symbol, names: Sequence[str]) -> mx.sym.Symbol:
    """Return a graph whose outputs' nodes have the first of these names.

    MXNet calls the output of a node ``joints`` ``joints_output``, and other readers ``joints``.
    """
    graph = json.loads(symbol.tojson())
    for (index, _, *_), name in zip(graph["heads"], names):
        graph["nodes"][index]["name"] = name
    return mx.sym.load_json(json.dumps(graph))


def graph_json(
    symbol: mx.sym.Symbol, input_shape: Tuple[int, ...], arrays: Optional[Mapping] = None
) -> str:
    """Return a graph in MXNet's JSON with shape and dtype of every parameter.

    How a parameter was initialised and its learning rate are left out: a constant's initialiser is
    named after its address in memory, so that no two files would be equal, and a reader without
    this package could not make sense of it.

    Args:
        symbol: a graph of one input.
        input_shape: of the input; shapes of parameters may not depend on its first axis.
        arrays: the parameters' values by name, if not all are float32 of the shape that follows.
    """
    if arrays is None:
        shapes = parameter_shapes(symbol, input_shape)
        facts = {name: (0, shape) for name, shape in shapes.items()}
    else:
        facts = {name: (_TYPE_NUMBERS[a.dtype.__name__], a.shape) for name, a in arrays.items()}
    graph = json.loads(symbol.tojson())
    for node in graph["nodes"]:
        for part in node.get("subgraphs", ()):
            for inner in part["nodes"]:
                if inner["op"] == "null":
                    inner.pop("attrs", None)
        if node["op"] == "null":
            node.pop("attrs", None)
            if node["name"] in facts:
                number, shape = facts[node["name"]]
                node["attrs"] = {"__dtype__": str(number), "__shape__": str(tuple(shape))}
    return json.dumps(graph, indent=2) + "\n"


# MXNet's numbers of element types.
_TYPE_NUMBERS = {"float32": 0, "uint8": 3, "int32": 4, "int8": 5}


def parameter_shapes(symbol: mx.sym.Symbol, input_shape: Tuple[int, ...]) -> dict:
    """Return the shape of every argument and auxiliary state but the input, by name."""
    arguments, _, auxiliary = symbol.infer_shape(**{INPUT_NAME: input_shape})
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, arguments + auxiliary))
    del shapes[INPUT_NAME]
    return shapes
