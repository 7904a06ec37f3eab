"""Operators that MXNet's converter to ONNX does not know, or translates wrongly.

They are entered in the converter's own table, for opset 13. Importing this module needs onnx.
"""

from __future__ import annotations

import ast
import json
from typing import Callable, List

import numpy as np
import onnx

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.signature import ExportError

# The module of the table imports onnx: MXNet comes first, it may be missing with a reason.
MXNetGraph = mx.onnx.mx2onnx._export_onnx.MXNetGraph
_get_inputs = mx.onnx.mx2onnx._op_translations._op_translations_opset12.get_inputs

OPSET = 13
#: Operators whose translation asks for shapes, see :attr:`Nodes.shapes`.
NEED_SHAPES = (
    *("where", "pick", "dot", "FullyConnected", "L2Normalization", "broadcast_to", "norm"),
)
_FAR = np.iinfo(np.int64).max


class Nodes:
    """What one node of MXNet becomes.

    Attributes:
        inputs: names of the node's inputs.
        done: the nodes of ONNX so far.
    """

    def __init__(self, node: dict, kwargs: dict):
        self._name, self.inputs, self._attributes = _get_inputs(node, kwargs)
        self.done: List[onnx.NodeProto] = []

    @property
    def shapes(self) -> List[list]:
        """Shapes of the inputs, then of the output; -1 for an axis that depends on the batch."""
        return json.loads(self._attributes["__shapes__"])

    def attribute(self, name: str, default=None):
        """Return an attribute of the node as a Python value."""
        text = self._attributes.get(name)
        return default if text is None else ast.literal_eval(text)

    def __call__(self, kind: str, *inputs: str, **attributes) -> str:
        """Add a node of ONNX; return the name of its output."""
        name = f"{self._name}/{len(self.done)}"
        self.done.append(onnx.helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def number(self, value: float) -> str:
        """Add a float32 number; return its name."""
        return self._constant(np.array(value, np.float32))

    def numbers(self, values) -> str:
        """Add whole numbers, such as a shape; return their name."""
        return self._constant(np.array(values, np.int64))

    def array(self, values) -> str:
        """Add a float32 array; return its name."""
        return self._constant(np.asarray(values, np.float32))

    def _constant(self, array: np.ndarray) -> str:
        return self("Constant", value=onnx.numpy_helper.from_array(array))

    def to_float(self, name: str) -> str:
        """Return truth values as 0 and 1."""
        return self("Cast", name, to=onnx.TensorProto.FLOAT)

    def to_bool(self, name: str) -> str:
        """Return numbers as truth values."""
        return self("Cast", name, to=onnx.TensorProto.BOOL)

    def finish(self, result: str) -> List[onnx.NodeProto]:
        """Give the result the name of MXNet's node; return all nodes."""
        self.done.append(onnx.helper.make_node("Identity", [result], [self._name], self._name))
        return self.done


def register(*names: str):
    """Enter a function from :class:`Nodes` to the name of its result for operators of MXNet."""

    def enter(function: Callable[[Nodes], str]):
        def convert(node, **kwargs):
            nodes = Nodes(node, kwargs)
            return nodes.finish(function(nodes)), (np.float32,)

        for name in names:
            MXNetGraph.register(name, OPSET)(convert)
        return function

    return enter


def _second(n: Nodes) -> str:
    """Return the second operand, an input or the attribute ``scalar``."""
    return n.inputs[1] if len(n.inputs) > 1 else n.number(n.attribute("scalar", 0.0))


def _forms(name: str) -> tuple:
    return f"_{name}", f"broadcast_{name}", f"_{name}_scalar"


# -- two operands


def _compare(kind: str, negate: bool = False):
    def function(n: Nodes) -> str:
        truth = n(kind, n.inputs[0], _second(n))
        return n.to_float(n("Not", truth) if negate else truth)

    return function


for _name, _kind in (
    ("greater", "Greater"),
    ("greater_equal", "GreaterOrEqual"),
    ("lesser", "Less"),
    ("lesser_equal", "LessOrEqual"),
    ("equal", "Equal"),
):
    register(*_forms(_name))(_compare(_kind))
register(*_forms("not_equal"))(_compare("Equal", negate=True))
register(*_forms("maximum"))(lambda n: n("Max", n.inputs[0], _second(n)))
register(*_forms("minimum"))(lambda n: n("Min", n.inputs[0], _second(n)))
# MXNet's own of these two print to standard output.
register("_rminus_scalar")(lambda n: n("Sub", _second(n), n.inputs[0]))
register("_rdiv_scalar")(lambda n: n("Div", _second(n), n.inputs[0]))
register("_rpower_scalar")(lambda n: n("Pow", _second(n), n.inputs[0]))


@register(*_forms("hypot"))
def _hypot(n: Nodes) -> str:
    squares = [n("Mul", name, name) for name in (n.inputs[0], _second(n))]
    return n("Sqrt", n("Add", *squares))


@register("_mod", "broadcast_mod", "_mod_scalar")
def _mod(n: Nodes) -> str:
    x, y = n.inputs[0], _second(n)
    return n("Sub", x, n("Mul", y, n("Floor", n("Div", x, y))))


# -- one operand

for _name, _kind in (
    *(("sign", "Sign"), ("erf", "Erf"), ("rint", "Round"), ("softsign", "Softsign")),
    *(("sinh", "Sinh"), ("cosh", "Cosh")),
    *(("arcsinh", "Asinh"), ("arccosh", "Acosh"), ("arctanh", "Atanh")),
):
    register(_name)(lambda n, kind=_kind: n(kind, n.inputs[0]))

register("rsqrt")(lambda n: n("Reciprocal", n("Sqrt", n.inputs[0])))
register("expm1")(lambda n: n("Sub", n("Exp", n.inputs[0]), n.number(1.0)))
register("log1p")(lambda n: n("Log", n("Add", n.inputs[0], n.number(1.0))))
register("degrees")(lambda n: n("Mul", n.inputs[0], n.number(180 / np.pi)))
register("radians")(lambda n: n("Mul", n.inputs[0], n.number(np.pi / 180)))


def _signed(n: Nodes, size: str) -> str:
    return n("Mul", n("Sign", n.inputs[0]), size)


def _cube_root(n: Nodes) -> str:
    return _signed(n, n("Pow", n("Abs", n.inputs[0]), n.number(1 / 3)))


register("cbrt")(_cube_root)
register("rcbrt")(lambda n: n("Reciprocal", _cube_root(n)))
register("fix", "trunc")(lambda n: _signed(n, n("Floor", n("Abs", n.inputs[0]))))
# Halves go away from zero.
register("round")(lambda n: _signed(n, n("Floor", n("Add", n("Abs", n.inputs[0]), n.number(0.5)))))


@register("smooth_l1")
def _smooth_l1(n: Nodes) -> str:
    """``0.5 (s x)^2`` where ``|x| < 1 / s^2``, else ``|x| - 0.5 / s^2``."""
    x, square = n("Abs", n.inputs[0]), float(n.attribute("scalar", 1.0)) ** 2
    near = n("Mul", n("Mul", x, x), n.number(0.5 * square))
    far = n("Sub", x, n.number(0.5 / square))
    return n("Where", n("Less", x, n.number(1 / square)), near, far)


# -- choosing


@register("where")
def _where(n: Nodes) -> str:
    """The condition has the shape of the others, or one value for each row."""
    condition, x, y = n.inputs
    ranks = [len(shape) for shape in n.shapes]
    if ranks[0] < ranks[1]:
        condition = n("Reshape", condition, n.numbers([-1] + [1] * (ranks[1] - 1)))
    return n("Where", n.to_bool(condition), x, y)


@register("pick")
def _pick(n: Nodes) -> str:
    """Indices beyond the end are those of the end."""
    data, index = n.inputs
    shape, index_shape, _ = n.shapes
    axis = n.attribute("axis", -1) % len(shape)
    if shape[axis] < 0:
        raise ExportError("pick along an axis that depends on the batch")
    last = n.number(shape[axis] - 1)
    index = n("Cast", n("Clip", index, n.number(0), last), to=onnx.TensorProto.INT64)
    if len(index_shape) < len(shape):
        index = n("Unsqueeze", index, n.numbers([axis]))
    picked = n("GatherElements", data, index, axis=axis)
    return picked if n.attribute("keepdims", False) else n("Squeeze", picked, n.numbers([axis]))


@register("slice")
def _slice(n: Nodes) -> str:
    begins, ends = n.attribute("begin"), n.attribute("end")
    steps = [step or 1 for step in n.attribute("step", ()) or (1,) * len(begins)]
    begins = [
        (0 if step > 0 else _FAR) if begin is None else begin for begin, step in zip(begins, steps)
    ]
    ends = [(_FAR if step > 0 else -_FAR) if end is None else end for end, step in zip(ends, steps)]
    numbers = [n.numbers(v) for v in (begins, ends, list(range(len(begins))), steps)]
    return n("Slice", n.inputs[0], *numbers)


@register("reverse")
def _reverse(n: Nodes) -> str:
    axes = np.atleast_1d(n.attribute("axis"))
    ones = np.ones_like(axes)
    return n("Slice", n.inputs[0], *(n.numbers(v) for v in (-ones, -_FAR * ones, axes, -ones)))


# -- products and shapes


@register("dot")
def _dot(n: Nodes) -> str:
    """Sum over the last axis of the first operand and the first axis of the second.

    ``MatMul`` of ONNX means something else for more than two axes.
    """
    (a, b), (shape_a, shape_b, target) = n.inputs, n.shapes
    if n.attribute("transpose_a", False):
        a, shape_a = _rolled(n, a, shape_a, -1)
    if n.attribute("transpose_b", False):
        b, shape_b = _rolled(n, b, shape_b, 1)
    if len(shape_b) > 2:
        b = n("Reshape", b, n.numbers([shape_b[0], -1]))
    product = n("MatMul", a, b)
    return n("Reshape", product, n.numbers(target)) if len(shape_b) > 2 else product


def _rolled(n: Nodes, name: str, shape: list, by: int):
    """Return a tensor whose first axis became the last (-1), or the last the first (1)."""
    axes = [(axis - by) % len(shape) for axis in range(len(shape))]
    return n("Transpose", name, perm=axes), [shape[axis] for axis in axes]


@register("FullyConnected")
def _fully_connected(n: Nodes) -> str:
    data, weight, *bias = n.inputs
    if n.attribute("flatten", True):
        rank = len(n.shapes[0])
        rows = n("Flatten", data, axis=1) if rank != 2 else data
        return n("Gemm", rows, weight, *bias, transB=1)
    product = n("MatMul", data, n("Transpose", weight, perm=[1, 0]))
    return n("Add", product, bias[0]) if bias else product


@register("L2Normalization")
def _l2_normalization(n: Nodes) -> str:
    mode = n._attributes.get("mode", "instance")
    rank = len(n.shapes[0])
    axes = {"instance": range(1, rank), "channel": [1], "spatial": range(2, rank)}[mode]
    x = n.inputs[0]
    total = n("ReduceSum", n("Mul", x, x), n.numbers(list(axes)), keepdims=1)
    return n("Div", x, n("Sqrt", n("Add", total, n.number(n.attribute("eps", 1e-10)))))


@register("broadcast_to")
def _broadcast_to(n: Nodes) -> str:
    shape, target = n.shapes
    if any(old == 1 and new < 0 for old, new in zip(shape, target)):
        raise ExportError("broadcast_to the size of the batch; broadcast_like does it")
    return n("Expand", n.inputs[0], n.numbers([max(size, 1) for size in target]))


@register("_eye")
def _eye(n: Nodes) -> str:
    rows, columns = n.attribute("N"), n.attribute("M", 0)
    return n.array(np.eye(rows, columns or rows, n.attribute("k", 0)))


@register("_full")
def _full(n: Nodes) -> str:
    return n.array(np.full(n.attribute("shape"), n.attribute("value")))
