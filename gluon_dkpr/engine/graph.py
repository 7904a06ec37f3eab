"""Graphs as they are written to files: complete, and equal for equal networks, byte for byte."""

from __future__ import annotations

import json
from typing import Tuple

from gluon_dkpr.backend import mx

INPUT_NAME = "data"


def trace(block: mx.gluon.HybridBlock) -> mx.sym.Symbol:
    """Return a block of one input as a graph.

    Traced with a symbol, not with ``hybridize`` and ``HybridBlock.export``: the block is left as it
    was, in the middle of a training run too.
    """
    outputs = block(mx.sym.var(INPUT_NAME))
    return mx.sym.Group(outputs) if isinstance(outputs, (list, tuple)) else outputs


def graph_json(symbol: mx.sym.Symbol, input_shape: Tuple[int, ...]) -> str:
    """Return a graph in MXNet's JSON with shape and dtype of every parameter.

    How a parameter was initialised and its learning rate are left out: a constant's initialiser is
    named after its address in memory, so that no two files would be equal, and a reader without
    this package could not make sense of it.

    Args:
        symbol: a graph of one input.
        input_shape: of the input; shapes of parameters may not depend on its first axis.
    """
    shapes = parameter_shapes(symbol, input_shape)
    graph = json.loads(symbol.tojson())
    for node in graph["nodes"]:
        if node["op"] == "null":
            node.pop("attrs", None)
            if node["name"] in shapes:
                # MXNet's number of float32 is 0.
                node["attrs"] = {"__dtype__": "0", "__shape__": str(shapes[node["name"]])}
    return json.dumps(graph, indent=2) + "\n"


def parameter_shapes(symbol: mx.sym.Symbol, input_shape: Tuple[int, ...]) -> dict:
    """Return the shape of every argument and auxiliary state but the input, by name."""
    arguments, _, auxiliary = symbol.infer_shape(**{INPUT_NAME: input_shape})
    names = symbol.list_arguments() + symbol.list_auxiliary_states()
    shapes = dict(zip(names, arguments + auxiliary))
    del shapes[INPUT_NAME]
    return shapes
