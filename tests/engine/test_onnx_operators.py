"""Every operator that a head may use, one by one: onnxruntime's numbers are MXNet's."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.export.onnx_graph import to_onnx
from gluon_dkpr.engine.signature import ExportError

WANTED = "needs requirements/onnx.txt: tools/bootstrap.sh onnx"
pytest.importorskip("onnx", reason=WANTED)
onnxruntime = pytest.importorskip("onnxruntime", reason=WANTED)

S = mx.sym
GENERATOR = np.random.default_rng(0)
SHAPES = {"w64": (6, 4), "w46": (4, 6), "w345": (3, 4, 5), "w6": (6,), "w16": (1, 6), "w44": (4, 4)}
PARAMETERS = {name: mx.nd.array(GENERATOR.standard_normal(shape)) for name, shape in SHAPES.items()}
PARAMETERS["index"] = mx.nd.array([2, 0, 5, 1])
W = {name: S.var(name) for name in PARAMETERS}
ONE, TWO, SQUARE = (6,), (6, 4), (3, 3)


def first_column(d):
    return S.reshape(S.slice_axis(d, axis=1, begin=0, end=1), shape=(-1,))


def rows(d):
    """Return (6, B, 3) of (B, 3): the batch is not the first axis."""
    return S.stack(*[S.sin(d) * i for i in range(6)], axis=0)


# Name: (shape of the input without the batch, from the input to the output).
RESHAPES = {
    "rest as it is": ((3, 4), lambda d: S.reshape(d, shape=(0, -2))),
    "two into one": (TWO, lambda d: S.reshape(d, shape=(0, -3))),
    "batch into one": ((3, 4), lambda d: S.reshape(S.reshape(d, shape=(-3, 0)), shape=(-1, 12))),
    "one into two": (TWO, lambda d: S.reshape(d, shape=(0, -4, -1, 2, 0))),
    "one into batch": (TWO, lambda d: S.reshape(S.reshape(d, shape=(-3, 4)), shape=(-4, -1, 6, 0))),
    "from the right": (TWO, lambda d: S.reshape(d, shape=(-1, 8), reverse=True)),
    "like another": (TWO, lambda d: S.reshape_like(S.flatten(d), d)),
    "expanded": (ONE, lambda d: S.squeeze(S.expand_dims(-d, axis=1), axis=1)),
    "transposed": (TWO, lambda d: S.swapaxes(S.transpose(d, axes=(0, 2, 1)), 1, 2) * 2),
}
SLICES = {
    "slice_axis to the end": (ONE, lambda d: S.slice_axis(d, axis=1, begin=2, end=None)),
    "slice_axis from the end": (TWO, lambda d: S.slice_axis(d, axis=-1, begin=-3, end=-1)),
    "slice": (TWO, lambda d: S.slice(d, begin=(None, 1, None), end=(None, -1, 3))),
    "slice backwards": (
        TWO,
        lambda d: S.slice(d, begin=(None, 5, 0), end=(None, None, 4), step=(1, -2, 2)),
    ),
    "slice_like": (ONE, lambda d: S.slice_like(d, W["w44"], axes=(1,))),
    "reverse": (TWO, lambda d: S.reverse(d, axis=1)),
    "split": (TWO, lambda d: S.concat(*list(S.split(d, num_outputs=3, axis=1))[::-1], dim=1)),
    "split and squeeze": (
        (3, 4),
        lambda d: S.stack(*S.split(d, num_outputs=3, axis=1, squeeze_axis=True), axis=2),
    ),
    "take": (ONE, lambda d: S.take(d, W["index"], axis=1)),
    "take rows": (ONE, lambda d: S.transpose(S.take(S.transpose(d), W["index"]))),
    "take beyond the end": (ONE, lambda d: S.take(W["w64"], S.abs(S.round(d * 3)))),
    "pick": (ONE, lambda d: S.pick(d, S.abs(S.round(first_column(d) * 4)))),
    "pick and keep": (
        TWO,
        lambda d: S.pick(
            d,
            S.abs(S.round(S.slice_axis(d, axis=1, begin=0, end=1))).reshape((0, -1)),
            axis=1,
            keepdims=True,
        ),
    ),  # fmt: skip
    "where": (ONE, lambda d: S.where(d >= 0, S.sin(d), -d)),
    "where of rows": (ONE, lambda d: S.where(first_column(d) > 0, d, 2 * d)),
    "tile": (ONE, lambda d: S.tile(d, reps=(1, 2))),
    "repeat": (ONE, lambda d: S.repeat(d, repeats=2, axis=1)),
    "embedding": (
        ONE,
        lambda d: S.Embedding(S.abs(S.round(d)), W["w64"], input_dim=6, output_dim=4),
    ),
}
PRODUCTS = {
    "dot": (ONE, lambda d: S.dot(d, W["w64"])),
    "dot transposed": (ONE, lambda d: S.dot(d, W["w46"], transpose_b=True)),
    "dot, constant first": (
        ONE,
        lambda d: S.transpose(S.dot(W["w64"], d, transpose_a=True, transpose_b=True)),
    ),
    "dot of a vector": (ONE, lambda d: S.dot(d, W["w6"])),
    "dot, three axes first": ((5, 6), lambda d: S.dot(d, W["w64"])),
    "dot, three axes second": (
        (3,),
        lambda d: S.transpose(S.dot(W["w46"], rows(d)), axes=(1, 0, 2)),
    ),
    "dot, three axes both": ((2, 3), lambda d: S.dot(d, W["w345"])),
    "batch_dot": (SQUARE, lambda d: S.batch_dot(d, S.sin(d))),
    "batch_dot a": ((3, 4), lambda d: S.batch_dot(d, S.sin(d), transpose_a=True)),
    "batch_dot b": ((3, 4), lambda d: S.batch_dot(d, S.sin(d), transpose_b=True)),
    "batch_dot ab": (SQUARE, lambda d: S.batch_dot(d, S.sin(d), True, True)),
    "gemm2": ((3, 4), lambda d: S.linalg.gemm2(d, S.sin(d), transpose_b=True, alpha=0.5)),
    "dense": (ONE, lambda d: S.FullyConnected(d, W["w46"], no_bias=True, num_hidden=4)),
    "dense of flattened": (
        (2, 3),
        lambda d: S.FullyConnected(d, W["w46"], no_bias=True, num_hidden=4),
    ),
    "dense of the last": (
        (5, 6),
        lambda d: S.FullyConnected(d, W["w46"], no_bias=True, num_hidden=4, flatten=False),
    ),
}
REDUCTIONS = {
    "norm": (TWO, lambda d: S.norm(d, axis=2)),
    "norm of two": (TWO, lambda d: S.norm(d, axis=(1, 2), keepdims=True)),
    "norm 1": (TWO, lambda d: S.norm(d, ord=1, axis=-1)),
    "sum": (TWO, lambda d: S.sum(d, axis=(1, 2), keepdims=True)),
    "sum of all but": (TWO, lambda d: S.sum(d, axis=0, exclude=True)),
    "mean": (TWO, lambda d: S.mean(d, axis=-1, keepdims=True)),
    "max": (TWO, lambda d: S.max(d, axis=1)),
    "min": (TWO, lambda d: S.min(d, axis=1)),
    "prod": (TWO, lambda d: S.prod(d, axis=1)),
    "argmax": (TWO, lambda d: S.argmax(d, axis=1)),
    "unit length": (TWO, lambda d: S.L2Normalization(d)),
    "unit length of channels": (TWO, lambda d: S.L2Normalization(d, mode="channel")),
}
COMPARISONS = {
    name: (ONE, function)
    for name, function in {
        "ge": lambda d: 2.0 * (d >= 0) - 1.0,
        "gt": lambda d: (d > 0.1) * d,
        "le": lambda d: (d <= 0.1) * d,
        "lt": lambda d: (d < 0.1) * 1.0,
        "eq": lambda d: S.round(d) == 0,
        "ne": lambda d: S.round(d) != 0,
        "not": lambda d: S.logical_not(d > 0),
        "ge of two": lambda d: d >= S.abs(d),
        "gt of two": lambda d: d > S.square(d),
        "le of two": lambda d: d <= S.square(d),
        "lt of two": lambda d: d < S.square(d),
        "eq of two": lambda d: d == S.abs(d),
        "ne of two": lambda d: d != S.abs(d),
        "ge of rows": lambda d: S.broadcast_greater_equal(d, W["w16"]),
        "ne of rows": lambda d: S.broadcast_not_equal(S.round(d), S.round(W["w16"])),
    }.items()
}
BROADCASTS = {
    "to": ((6, 1), lambda d: S.broadcast_to(d, shape=(0, 0, 4))),
    "axis": ((6, 1), lambda d: S.broadcast_axis(d, axis=2, size=4)),
    "like": (TWO, lambda d: S.broadcast_like(S.sum(d, axis=2, keepdims=True), d)),
    "like the batch": (
        (1, 6),
        lambda d: S.broadcast_like(S.reshape(W["w16"], shape=(1, 1, 6)), d),
    ),
    **{
        name: (ONE, lambda d, name=name: getattr(S, f"broadcast_{name}")(d, W["w16"]))
        for name in ("add", "sub", "mul", "div", "maximum", "minimum", "hypot")
    },
    "power": (ONE, lambda d: S.broadcast_power(S.abs(d), W["w16"])),
    "mod": (ONE, lambda d: S.broadcast_mod(d, W["w16"])),
    "ones": (ONE, lambda d: S.broadcast_sub(S.ones((1, 6)), d)),
    "full": (ONE, lambda d: S.broadcast_add(d, S.full((1, 6), 2.5))),
    "eye": (SQUARE, lambda d: S.broadcast_add(d, S.expand_dims(S.eye(3), axis=0))),
    "arange": (ONE, lambda d: S.broadcast_add(d, S.expand_dims(S.arange(6), axis=0))),
    "ones_like": (ONE, lambda d: S.ones_like(d) + S.zeros_like(d) + d),
}
SCALARS = {
    name: (ONE, function)
    for name, function in {
        "1 - x": lambda d: 1 - d,
        "x / 3": lambda d: d / 3 + 1 - 2,
        "1 / x": lambda d: 1 / (d + 9),
        "2 ^ x": lambda d: 2**d,
        "x ^ 2": lambda d: (-d) ** 2,
        "mod": lambda d: d % 1.5,
        "maximum": lambda d: S.maximum(S.minimum(d, 0.9), -0.3),
        "of two": lambda d: S.maximum(S.minimum(d, S.sin(3 * d)), -S.sin(5 * d)),
        "hypot": lambda d: S.hypot(d, 2.0) + S.hypot(d, S.sin(d)),
        "smooth_l1": lambda d: S.smooth_l1(d) + S.smooth_l1(d, scalar=1.5),
        "clip": lambda d: S.clip(d, -0.5, 0.5),
        "rounded": lambda d: S.round(d * 3) + S.rint(d * 5) + S.fix(d * 7) + S.trunc(d * 9),
        "roots": lambda d: S.rsqrt(S.square(d) + 1) + S.cbrt(d) + S.rcbrt(S.square(d) + 1),
        "signs": lambda d: S.sign(d) + S.abs(d) + S.floor(d * 3) + S.ceil(d * 5),
        "arcs": lambda d: S.arcsin(S.clip(d, -0.9, 0.9)) + S.arccos(S.clip(d, -0.9, 0.9)),
        "angles": lambda d: S.arctan(d) + S.sin(d) + S.cos(d) + S.degrees(d) + S.radians(d),
        "hyperbolic": lambda d: S.sinh(d) + S.cosh(d) + S.tanh(d) + S.arcsinh(d),
        "arctanh": lambda d: S.arctanh(S.clip(d, -0.9, 0.9)),
        "exponents": lambda d: S.exp(d) + S.expm1(d) + S.log1p(S.abs(d)) + S.log(S.abs(d) + 1),
        "squashed": lambda d: S.erf(d) + S.softsign(d) + S.sigmoid(d) + S.relu(d),
        "passed on": lambda d: S.BlockGrad(S.identity(d)) * 2,
        "added up": lambda d: S.add_n(d, d * 2, S.square(d)),
        "cast": lambda d: S.cast(S.cast(d * 3, dtype="int32"), dtype="float32"),
    }.items()
}
GROUPS = {
    "reshape": RESHAPES,
    "slice": SLICES,
    "product": PRODUCTS,
    "reduce": REDUCTIONS,
    "compare": COMPARISONS,
    "broadcast": BROADCASTS,
    "scalar": SCALARS,
}
CASES = {f"{group}: {name}": v for group, cases in GROUPS.items() for name, v in cases.items()}


def convert(function, shape):
    symbol = S.identity(function(S.var("data")), name="joints")
    used = {name: PARAMETERS[name] for name in symbol.list_arguments() if name != "data"}
    return symbol, used, to_onnx(symbol, used, shape, "float32", ["joints"])


@pytest.mark.parametrize("case", CASES)
def test_an_operator_for_any_batch(case, capfd):
    shape, function = CASES[case]
    symbol, used, model = convert(function, shape)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    generator = np.random.default_rng(1)
    for batch in (1, 2, 3, 5):
        data = generator.standard_normal((batch, *shape)).astype(np.float32)
        given = {"data": mx.nd.array(data), **used}
        expected = symbol.bind(mx.cpu(), given).forward()[0].asnumpy()
        (found,) = session.run(["joints"], {"data": data})
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-5)
    assert capfd.readouterr().out == ""


def test_what_cannot_be_translated_is_named():
    with pytest.raises(ExportError, match="fails: No conversion function .* _np_cumsum"):
        convert(lambda d: S.cumsum(d, axis=1), ONE)


def test_a_shape_that_hangs_on_the_batch_twice():
    with pytest.raises(ExportError, match="depend on the batch"):
        convert(lambda d: S.reshape(S.dot(d, d, transpose_b=True), shape=(-2,)), ONE)
