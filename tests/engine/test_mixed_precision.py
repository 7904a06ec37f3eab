"""Mixed precision, as far as a CPU can tell: the graph, its parameters, the factor of the loss.

MXNet multiplies no float16 matrices on a CPU. What a test trains here computes in bfloat16, which
CPUs have: the same graph with another number format.
"""

import functools
import json
import math

import numpy as np
import pytest
from steps import interrupt, poison

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine import mixed_precision, objective
from gluon_dkpr.engine import train as train_module
from gluon_dkpr.engine.checkpoint import find_last
from gluon_dkpr.engine.loop import TrainingError
from gluon_dkpr.engine.mixed_precision import (
    LARGEST_FACTOR,
    LossScale,
    MixedPrecisionError,
    mixed_network,
    require_float16,
)
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.train import train
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import human36m, planar

HEAVY = {"Convolution", "FullyConnected"}


def network(name):
    """Return a network, images for it, and the more that it takes."""
    mx.random.seed(3)
    skeleton = planar(3) if name == "toy_cnn" else human36m()
    net = get_model(name, skeleton, "kinematic")
    net.initialize(mx.init.Xavier())
    net.hybridize(static_alloc=True)
    if name == "toy_cnn":
        inputs = [mx.nd.random.uniform(shape=(8, 1, 128, 128))]
    else:
        inputs = [mx.nd.random.uniform(shape=(8, 3, 64, 64)), mx.nd.ones((8, 1)) * 1.1]
    net(*inputs)
    return net, inputs


def graph_of(block, count):
    return block(*[mx.sym.var(name, dtype="float32") for name in ("data", "scale")[:count]])


def node_types(symbol):
    """Return {name: (operator, type of its output)} of a graph whose inputs are float32."""
    inner = symbol.get_internals()
    inputs = [name for name in symbol.list_arguments() if name in ("data", "scale")]
    _, types, _ = inner.infer_type(**dict.fromkeys(inputs, "float32"))
    outputs = dict(zip(inner.list_outputs(), types))
    nodes = json.loads(symbol.tojson())["nodes"]
    found = {}
    for node in nodes:
        name = next((n for n in (f"{node['name']}_output", node["name"]) if n in outputs), None)
        if name is not None:
            found[node["name"]] = node["op"], np.dtype(outputs[name])
    return found


def outputs_and_gradients(block, net, inputs, factor=1.0):
    with mx.autograd.record():
        joints = block(*inputs)
        loss = factor * mx.nd.square(joints - 0.3).sum()
    loss.backward()
    gradients = {
        name: parameter.grad().asnumpy() / factor
        for name, parameter in net.collect_params().items()
        if parameter.grad_req != "null"
    }
    return joints.asnumpy(), gradients


@pytest.mark.parametrize("name", ["toy_cnn", "resnet18_v1b"])
def test_backbone_is_float16_and_the_rest_float32(name):
    net, inputs = network(name)
    types = node_types(graph_of(mixed_network(net, len(inputs) > 1), len(inputs)))
    heavy = {node: dtype for node, (op, dtype) in types.items() if op in HEAVY}
    whole = {
        node for node, (op, _) in node_types(graph_of(net, len(inputs))).items() if op in HEAVY
    }
    assert set(heavy) == whole
    (last,) = [node for node in heavy if node.startswith(net.output.prefix)]
    head = [node for node in types if node.startswith(net.head.prefix)]
    backbone = set(heavy).difference([last, *head])
    assert len(backbone) > 3
    assert {heavy[node] for node in backbone} == {np.dtype("float16")}
    assert len(head) > 5
    assert {types[node][1] for node in [last, *head]} == {np.dtype("float32")}
    variables = {dtype for op, dtype in types.values() if op == "null"}
    assert variables == {np.dtype("float32")}


@pytest.mark.parametrize("name", ["toy_cnn", "resnet18_v1b"])
def test_graph_is_the_networks_but_for_the_casts(name):
    """With casts to float32 in place of those to float16 nothing differs in the last bit."""
    net, inputs = network(name)
    symbol = graph_of(mixed_network(net, len(inputs) > 1), len(inputs))
    text = symbol.tojson(remove_amp_cast=False)
    assert '"dtype": "float16"' in text
    symbol = mx.sym.load_json(text.replace('"dtype": "float16"', '"dtype": "float32"'))
    variables = [mx.sym.var(n, dtype="float32") for n in ("data", "scale")[: len(inputs)]]
    twin = mx.gluon.SymbolBlock(symbol, variables, params=net.collect_params())
    twin.hybridize(static_alloc=True)
    expected, gradients = outputs_and_gradients(net, net, inputs)
    found, others = outputs_and_gradients(twin, net, inputs)
    np.testing.assert_array_equal(found, expected)
    for key, gradient in gradients.items():
        np.testing.assert_allclose(
            others[key], gradient, rtol=0, atol=1e-6 * np.abs(gradient).max()
        )


def test_gradients_arrive_in_the_networks_own_parameters():
    net, inputs = network("toy_cnn")
    block = mixed_network(net, dtype="bfloat16")
    shared = block.collect_params()
    assert all(shared[name] is parameter for name, parameter in net.collect_params().items())
    joints, expected = outputs_and_gradients(net, net, inputs)
    found_joints, found = outputs_and_gradients(block, net, inputs, factor=2.0**16)
    # bfloat16 has 8 bits.
    np.testing.assert_allclose(found_joints, joints, atol=0.02 * np.abs(joints).max())
    assert not np.array_equal(found_joints, joints)
    for name, gradient in expected.items():
        cosine = np.vdot(gradient, found[name]) / np.linalg.norm(gradient)
        assert cosine / np.linalg.norm(found[name]) > 0.98, name


def test_motion_comes_too_where_the_loss_asks_for_it():
    net = get_model("toy_cnn", planar(3), "kinematic", with_motion=True)
    net.initialize(mx.init.Xavier())
    images = mx.nd.random.uniform(shape=(4, 1, 128, 128))
    expected = net(images)
    found = mixed_network(net, dtype="bfloat16")(images)
    for one, other in zip(expected, found):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(other.asnumpy(), one.asnumpy(), atol=0.05)
    assert len(found) == len(expected) == 2


def test_running_statistics_are_the_networks_own():
    net, inputs = network("resnet18_v1b")
    statistics = [p for n, p in net.collect_params().items() if n.endswith("running_mean")]
    before = [parameter.data().asnumpy() for parameter in statistics]
    block = mixed_network(net, True, dtype="bfloat16")
    outputs_and_gradients(block, net, inputs)
    for parameter, array in zip(statistics, before):
        assert not np.array_equal(parameter.data().asnumpy(), array), parameter.name
        assert parameter.data().dtype == np.float32


def test_cpus_are_refused():
    with pytest.raises(MixedPrecisionError, match=r"float16.*found device cpu\(0\), cpu\(1\)"):
        require_float16([mx.cpu(0), mx.cpu(1)])
    require_float16([mx.gpu(0), mx.gpu(1)])


def test_factor_falls_and_rises(monkeypatch):
    monkeypatch.setattr(mixed_precision, "GOOD_STEPS", 3)
    scale, factors = LossScale(), []
    for norm in (1.0, math.inf, 1.0, math.nan, 1.0, 1.0, 1.0, 1.0):
        scale = scale.after(norm)
        factors.append(math.log2(scale.factor))
    # An overflow starts the count of good steps again.
    assert factors == [16, 15, 15, 14, 14, 14, 15, 15]


def test_factor_stays_within_its_limits(monkeypatch):
    monkeypatch.setattr(mixed_precision, "GOOD_STEPS", 1)
    scale = LossScale()
    for _ in range(20):
        scale = scale.after(1.0)
    assert scale.factor == LARGEST_FACTOR
    for _ in range(40):
        assert not scale.is_least or scale.factor == 1
        scale = scale.after(math.inf)
    assert scale.is_least
    assert scale.factor == 1


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=64, test=16)
    return path


@pytest.fixture
def on_cpu(monkeypatch):
    """Let a CPU train, in bfloat16."""
    monkeypatch.setattr(train_module, "require_float16", lambda ctx: None)
    other = functools.partial(mixed_network, dtype="bfloat16")
    monkeypatch.setattr(objective, "mixed_network", other)
    monkeypatch.setattr(mixed_precision, "GOOD_STEPS", 4)


def config_of(record, **options):
    options = {"epochs": 2, "batch_size": 16, "amp": True, "checkpoint_minutes": 0.0, **options}
    return get_preset("toy3").replace(data={"record": str(record)}, train=options)


def state_of(folder):
    net = load_run(folder, "last")
    arrays = {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}
    return find_last(folder / "checkpoint").state, arrays


@pytest.mark.parametrize("devices", [1, 2])
def test_run_goes_on_with_its_factor(devices, record, on_cpu, tmp_path, monkeypatch):
    ctx = [mx.cpu(i) for i in range(devices)]
    poison(monkeypatch, {1, 9})  # the second step of both runs
    train(config_of(record), tmp_path / "whole", ctx)
    state, arrays = state_of(tmp_path / "whole")
    # Of 8 steps the second is left out; 4 good ones double the factor again, 2 more follow.
    assert (state["skipped"], state["updates"]) == (1, 7)
    assert (state["loss_factor"], state["good_steps"]) == (2.0**16, 2)
    assert all(array.dtype == np.float32 for array in arrays.values())

    interrupt(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        train(config_of(record), tmp_path / "cut", ctx)
    state = find_last(tmp_path / "cut" / "checkpoint").state
    assert (state["step"], state["loss_factor"], state["good_steps"]) == (3, 2.0**15, 1)
    train(config_of(record), tmp_path / "cut", ctx, resume=True)
    resumed, others = state_of(tmp_path / "cut")
    assert (resumed["loss_factor"], resumed["good_steps"]) == (2.0**16, 2)
    for name, array in arrays.items():
        np.testing.assert_array_equal(others[name], array, err_msg=name)


def test_run_ends_when_no_factor_helps(record, on_cpu, tmp_path, monkeypatch):
    poison(monkeypatch, range(100))
    with pytest.raises(TrainingError, match="not finite in 17 steps in a row"):
        train(config_of(record, max_skipped=3, batch_size=4), tmp_path / "run", [mx.cpu()])
