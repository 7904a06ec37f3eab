"""The two operators of our graphs that MXNet's converter to ONNX cannot translate.

They are entered in the converter's own table, for opset 13. Importing this module needs onnx.
"""

from __future__ import annotations

import json
from typing import Callable, List, Tuple

import numpy as np
import onnx
from onnx.helper import make_node

from gluon_dkpr.backend import mx

# The module of the table imports onnx: MXNet comes first, it may be missing with a reason.
MXNetGraph = mx.onnx.mx2onnx._export_onnx.MXNetGraph
_of_mxnet = mx.onnx.mx2onnx._op_translations._op_translations_opset12

OPSET = 13
#: Attribute with the shapes of a node's inputs, then of its output, in JSON; -1 for an axis that
#: depends on the batch.
SHAPES = "__shapes__"
#: Operators whose translation needs it.
NEED_SHAPES = ("dot",)
Translated = Tuple[List[onnx.NodeProto], tuple]


def _register(name: str) -> Callable:
    return MXNetGraph.register(name, OPSET)


@_register("_greater_equal_scalar")
def _greater_equal_scalar(node: dict, **kwargs) -> Translated:
    """Return 0 or 1 as float32."""
    name, (data,), attributes = _of_mxnet.get_inputs(node, kwargs)
    bound, truth = f"{name}/bound", f"{name}/truth"
    nodes = [
        _constant(bound, np.float32(attributes["scalar"])),
        make_node("GreaterOrEqual", [data, bound], [truth], truth),
        make_node("Cast", [truth], [name], name, to=onnx.TensorProto.FLOAT),
    ]
    return nodes, (np.float32,)


@_register("dot")
def _dot(node: dict, **kwargs) -> Translated:
    """Sum over the last axis of the first operand and the first axis of the second.

    ``MatMul`` of ONNX means something else where the second has more than two axes.
    """
    name, (a, b), attributes = _of_mxnet.get_inputs(node, kwargs)
    _, shape_b, target = json.loads(attributes[SHAPES])
    transposed = "True" in (attributes.get("transpose_a"), attributes.get("transpose_b"))
    if len(shape_b) < 3 or transposed:
        return _of_mxnet.convert_dot(node, **kwargs)
    rows, product = f"{name}/rows", f"{name}/product"
    nodes = [
        _constant(f"{rows}/shape", np.array([shape_b[0], -1], np.int64)),
        make_node("Reshape", [b, f"{rows}/shape"], [rows], rows),
        make_node("MatMul", [a, rows], [product], product),
        _constant(f"{name}/shape", np.array(target, np.int64)),
        make_node("Reshape", [product, f"{name}/shape"], [name], name),
    ]
    return nodes, (np.float32,)


def _constant(name: str, value) -> onnx.NodeProto:
    tensor = onnx.numpy_helper.from_array(np.asarray(value), name)
    return make_node("Constant", [], [name], name, value=tensor)
