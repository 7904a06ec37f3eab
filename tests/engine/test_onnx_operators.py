"""Kinematic layers and the operators of all our graphs: onnxruntime's numbers are MXNet's."""

import json
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.export.onnx_graph import to_onnx
from gluon_dkpr.engine.graph import name_outputs, trace
from gluon_dkpr.engine.signature import ExportError
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.skeleton import hand, human36m, planar
from tests.strategies import chain

WANTED = "needs requirements/onnx.txt: tools/bootstrap.sh onnx"
pytest.importorskip("onnx", reason=WANTED)
onnxruntime = pytest.importorskip("onnxruntime", reason=WANTED)

SYMBOLS = Path(__file__).parents[2] / "symbols"
S = mx.sym
GENERATOR = np.random.default_rng(0)
SHAPES = {"w64": (6, 4), "w46": (4, 6), "w345": (3, 4, 5), "w16": (1, 6)}
PARAMETERS = {name: mx.nd.array(GENERATOR.standard_normal(shape)) for name, shape in SHAPES.items()}
PARAMETERS["index"] = mx.nd.array([2, 0, 5, 1])
W = {name: S.var(name) for name in PARAMETERS}
ONE, TWO = (6,), (6, 4)


def rows(d):
    """Return (6, B, 3) of (B, 3): the batch is not the first axis."""
    return S.stack(*[S.sin(d) * i for i in range(6)], axis=0)


# Name: (shape of the input without the batch, from the input to the output).
CASES = {
    "reshape": (TWO, lambda d: S.reshape(d, shape=(0, 2, 3, 4))),
    "reshape, rest": (TWO, lambda d: S.reshape(d, shape=(-1, 2, 12))),
    "transpose": (TWO, lambda d: S.transpose(d, axes=(0, 2, 1)) * 2),
    "slice_axis": (ONE, lambda d: S.slice_axis(d, axis=1, begin=2, end=5)),
    "slice_axis from the end": (TWO, lambda d: S.slice_axis(d, axis=2, begin=2, end=-1)),
    "take": (ONE, lambda d: S.transpose(S.take(S.transpose(d), W["index"]))),
    "stack": (ONE, lambda d: S.stack(d, S.cos(d), axis=1)),
    "concat": (ONE, lambda d: S.concat(d, S.zeros_like(d), dim=1)),
    "where": (ONE, lambda d: S.where(d >= 0, S.sin(d), -1.0 * d)),
    "greater or equal": (ONE, lambda d: (d >= 0.25) * 2),
    "sum": (TWO, lambda d: S.sum(d, axis=2, keepdims=True)),
    "dot": (ONE, lambda d: S.dot(d, W["w64"])),
    "dot transposed": (ONE, lambda d: S.dot(d, W["w46"], transpose_b=True)),
    "dot, constant first": (ONE, lambda d: S.transpose(S.dot(W["w46"], d, transpose_b=True))),
    "dot, three axes": ((3,), lambda d: S.transpose(S.dot(W["w46"], rows(d)), axes=(1, 0, 2))),
    "batch_dot": ((3, 3), lambda d: S.batch_dot(d, S.sin(d))),
    "batch_dot transposed": ((3, 4), lambda d: S.batch_dot(d, S.sin(d), transpose_a=True)),
    "dense": (ONE, lambda d: S.FullyConnected(d, W["w46"], no_bias=True, num_hidden=4)),
    "dense, rows": (
        (5, 6),
        lambda d: S.FullyConnected(d, W["w46"], no_bias=True, num_hidden=4, flatten=False),
    ),
    "broadcast": (
        ONE,
        lambda d: S.broadcast_div(
            S.broadcast_mul(S.broadcast_sub(d, W["w16"]), W["w16"]),
            S.broadcast_add(S.square(d) + 1, S.abs(W["w16"])),
        ),
    ),
    "of two": (ONE, lambda d: (S.sin(d) + d) * (S.cos(d) - d) / S.sqrt(S.square(d) + 1)),
    "numbers": (ONE, lambda d: S.arctan(S.abs(d) - 0.5) * 3 + 1e-8),
    "passed on": (ONE, lambda d: S.BlockGrad(S.identity(d)) * 2),
    "cast": (ONE, lambda d: S.cast(d, dtype="float32") * 2),
}
# Tested within whole networks, in test_export_onnx.py.
LAYERS = {"Activation", "BatchNorm", "Convolution", "Flatten", "Pooling"}


def assert_same(symbol, arrays, shape, atol):
    """Convert a graph and compare it for several sizes of the batch."""
    model = to_onnx(symbol, arrays, shape, "float32", ["joints"])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(1)
    for batch in (1, 2, 3, 5):
        data = generator.standard_normal((batch, *shape)).astype(np.float32)
        given = {"data": mx.nd.array(data), **arrays}
        expected = symbol.bind(mx.cpu(), given).forward()[0].asnumpy()
        (found,) = session.run(["joints"], {"data": data})
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=atol)


def symbol_of(function):
    return S.identity(function(S.var("data")), name="joints")


@pytest.mark.parametrize("case", CASES)
def test_an_operator_for_any_batch(case, capfd):
    shape, function = CASES[case]
    symbol = symbol_of(function)
    used = {name: PARAMETERS[name] for name in symbol.list_arguments() if name != "data"}
    assert_same(symbol, used, shape, atol=2e-5)
    assert capfd.readouterr().out == ""


def test_no_operator_of_the_golden_graphs_is_left_out():
    golden = {
        node["op"]
        for path in SYMBOLS.glob("*.json")
        for node in json.loads(path.read_text(encoding="utf-8"))["nodes"]
    }
    tested = {
        node["op"]
        for _, function in CASES.values()
        for node in json.loads(symbol_of(function).tojson())["nodes"]
    }
    assert golden - tested == LAYERS


@pytest.mark.parametrize(
    "skeleton", [planar(3), planar(10), hand(), human36m(), chain(20)], ids=lambda s: s.name
)
def test_a_kinematic_layer(skeleton):
    layer = KinematicLayer(skeleton)
    layer.initialize()
    symbol = name_outputs(trace(layer), ["joints"])
    parameters = layer.collect_params()
    names = [name for name in symbol.list_arguments() if name != "data"]
    arrays = {name: parameters[name].data() for name in names}
    extent = float(skeleton.bone_lengths.sum())
    assert_same(symbol, arrays, (skeleton.num_parameters,), atol=1e-6 * extent)


def convert(function, shape):
    return to_onnx(symbol_of(function), {}, shape, "float32", ["joints"])


def test_what_cannot_be_translated_is_named():
    with pytest.raises(ExportError, match="fails: No conversion function .* _np_cumsum"):
        convert(lambda d: S.cumsum(d, axis=1), ONE)


def test_a_shape_that_hangs_on_the_batch_twice():
    with pytest.raises(ExportError, match="depend on the batch"):
        convert(lambda d: S.reshape(S.dot(d, d, transpose_b=True), shape=(-2,)), ONE)
