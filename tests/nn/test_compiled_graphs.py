"""What MXNet's C interface computes: graphs that are compiled for oneDNN as they are bound."""

import numpy as np
import pytest
from strategies import chain, random_motion

from gluon_dkpr.backend import mx
from gluon_dkpr.nn import KinematicLayer, make_head
from gluon_dkpr.skeleton import human36m, planar

BINDINGS = 30  # memory that nobody wrote is right by chance, about 9 times of 10


def blocks():
    """Yield names, blocks and their inputs."""
    random = np.random.RandomState(0)
    for skeleton in (planar(3), planar(10), human36m(), chain(64)):
        yield skeleton.name, KinematicLayer(skeleton), random_motion(skeleton, 2, 0)
    for skeleton in (planar(3), human36m()):
        for method in ("direct", "kinematic", "parameter"):
            head = make_head(method, skeleton)
            yield f"{skeleton.name}-{method}", head, random.normal(size=(2, head.num_inputs))


@pytest.mark.parametrize("name, block, data", [pytest.param(*b, id=b[0]) for b in blocks()])
def test_compiled_graph_computes_the_same(name, block, data, monkeypatch):
    monkeypatch.setenv("MXNET_SUBGRAPH_BACKEND", "MKLDNN")
    block.initialize()
    data = mx.nd.array(data)
    symbol = block(mx.sym.var("data"))
    expected = block(data)
    values = {key: p.data() for key, p in block.collect_params().items()}
    values = {key: values[key] for key in symbol.list_arguments() if key != "data"}
    junk = []
    for number in range(BINDINGS):
        # So that memory that is used again does not hold something sensible.
        junk = [*junk[-4:], mx.nd.full((2 + number % 7, 5), np.nan)]
        executor = symbol.simple_bind(mx.cpu(), data=data.shape, grad_req="null")
        executor.copy_params_from(values, {})
        found = executor.forward(is_train=False, data=data)[0].asnumpy()
        scale = np.abs(expected.asnumpy()).max()
        np.testing.assert_allclose(found, expected.asnumpy(), atol=1e-5 * scale)
