"""The norm of a gradient: NumPy's and MXNet's way, in a memory that does not grow."""

import math
import os

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.gradient_norm import gradient_norm

SHAPES = ((3,), (5, 7), (2, 3, 4, 4), (1,))


def gradients(seed=0):
    random = np.random.RandomState(seed)
    return [mx.nd.array(random.normal(size=shape)) for shape in SHAPES]


@pytest.fixture(params=["numpy", "mxnet"])
def way(request, monkeypatch):
    if request.param == "mxnet":
        monkeypatch.delattr(np, "from_dlpack")


def test_norm_is_that_of_all_numbers_together(way):
    found = gradients()
    together = np.concatenate([one.asnumpy().ravel() for one in found]).astype(np.float64)
    assert gradient_norm(found) == pytest.approx(np.linalg.norm(together), rel=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_noticed(way, value):
    found = gradients()
    found[2][1, 0, 3, 2] = value
    assert not math.isfinite(gradient_norm(found))


def test_norm_waits_for_what_is_still_being_computed(way):
    weight = mx.nd.ones((400, 400))
    weight.attach_grad()
    data = mx.nd.ones((400, 400))
    for factor in (1.0, 3.0):  # the second time the memory holds the first gradient
        with mx.autograd.record():
            loss = factor * mx.nd.dot(data, weight)
        loss.backward()
        assert gradient_norm([weight.grad]) == pytest.approx(400 * factor * 400, rel=1e-3)


def test_array_in_a_layout_of_onednn_is_read_too(way):
    convolution = mx.gluon.nn.Conv2D(32, 3, in_channels=32, use_bias=False)
    convolution.initialize()
    weight = convolution.weight.data()
    expected = np.linalg.norm(weight.asnumpy())
    convolution.hybridize(static_alloc=True)
    for _ in range(3):  # inference keeps the weights as oneDNN wants them
        convolution(mx.nd.ones((8, 32, 32, 32))).wait_to_read()
    assert gradient_norm([weight]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads memory from /proc")
def test_norm_keeps_no_memory():
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    found = [mx.nd.ones((1 << 20,))] * 4
    gradient_norm(found)
    before = resident()
    for _ in range(300):
        gradient_norm(found)
    assert resident() - before < 8 << 20
