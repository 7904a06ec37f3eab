"""The kinematic layer as a graph: its size, its depth, how it is traced, and where it can live."""

import json
import math
import subprocess
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
from kinematic_programs import DIMS, assert_same_joints, build, each_program, rounded, tensor
from strategies import chain, random_motion, random_skeleton

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.nn.programs import BLOCK
from gluon_dkpr.nn.scan_program import STRAND
from gluon_dkpr.skeleton import human36m, planar

HYBRIDIZATIONS = [{}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}]
BATCH_SIZES = (1, 2, 7, 64, 3)


def graph(layer, scale=False):
    """Return the nodes of the layer's graph, as its JSON holds them."""
    inputs = [mx.sym.var("motion"), *([mx.sym.var("scale")] if scale else [])]
    return json.loads(layer(*inputs).tojson())["nodes"]


def depth(nodes):
    """Return the number of operators on the longest way through a graph."""
    reached = []
    for node in nodes:
        before = max((reached[index] for index, *_ in node["inputs"]), default=0)
        reached.append(before + (node["op"] != "null"))
    return max(reached)


def test_number_of_nodes():
    assert len(graph(KinematicLayer(human36m()), scale=True)) < 80
    assert len(graph(KinematicLayer(chain(64)), scale=True)) < 120
    assert len(graph(KinematicLayer(planar(10)), scale=True)) < 20


@pytest.mark.parametrize("program", ["dense", "scan"])
def test_depth_grows_with_the_logarithm(program):
    """Twice the blocks of a chain are one more round: a gather, a product and a linear map."""
    largest = 64 if program == "dense" else 512
    size = BLOCK if program == "dense" else STRAND
    counts = [size * 2**i + 1 for i in range(1, int(math.log2(largest / size)) + 1)]
    depths = [depth(graph(build(chain(count), program))) for count in counts]
    steps = np.diff(depths)
    assert (steps >= 0).all()
    assert (steps <= 4).all(), dict(zip(counts, depths))
    # A loop over the joints would have at least one operator for each.
    assert depths[-1] <= 10 + 4 * math.log2(largest), dict(zip(counts, depths))


def test_depth_of_a_planar_chain_is_constant():
    depths = {depth(graph(KinematicLayer(chain(count, dim=2)))) for count in (4, 32, 256)}
    assert len(depths) == 1


def test_chosen_program_keeps_the_depth_logarithmic():
    for count in (4, 8, 16, 32, 64, 128, 256, 512):
        assert depth(graph(KinematicLayer(chain(count)))) <= 10 + 4 * math.log2(count)


@each_program
@pytest.mark.parametrize("options", HYBRIDIZATIONS, ids=str)
def test_hybridized_with_and_without_scale(program, options):
    """One layer answers to both numbers of inputs, in any order, at any batch size."""
    skeleton = random_skeleton(DIMS[program], 10, 7)
    layer = build(skeleton, program)
    layer.hybridize(**options)
    for number, batch in enumerate(BATCH_SIZES):
        motion = rounded(random_motion(skeleton, batch, number))
        scale = rounded(0.5 + np.random.RandomState(number).rand(batch))
        data, factor = tensor(motion), tensor(scale[:, None])
        plain = forward_kinematics(skeleton, motion)
        scaled = forward_kinematics(skeleton, motion, scale)
        for inputs, expected, seen in (
            ((data,), plain, None),
            ((data, factor), scaled, scale),
            ((data,), plain, None),
        ):
            assert_same_joints(layer(*inputs), expected, skeleton, motion, seen)


def test_hybridized_scale_of_none_is_no_scale():
    skeleton = planar(3)
    layer = KinematicLayer(skeleton)
    layer.hybridize()
    motion = rounded(random_motion(skeleton, 2, 0))
    layer(tensor(motion), mx.nd.ones((2, 1)))
    expected = forward_kinematics(skeleton, motion)
    assert_same_joints(layer(tensor(motion), None), expected, skeleton, motion)


@each_program
def test_traced_once_for_all_batch_sizes(program):
    skeleton = random_skeleton(DIMS[program], 10, 7)
    layer = build(skeleton, program)
    layer.hybridize(static_alloc=True)
    original = KinematicLayer.hybrid_forward
    with mock.patch.object(KinematicLayer, "hybrid_forward", autospec=True) as traced:
        traced.side_effect = original
        for batch in BATCH_SIZES * 2:
            motion = rounded(random_motion(skeleton, batch, batch))
            expected = forward_kinematics(skeleton, motion)
            assert_same_joints(layer(tensor(motion)), expected, skeleton, motion)
    assert traced.call_count == 1


def test_nothing_is_trainable(seed):
    """A trainer leaves the constants alone, and weight decay too."""
    layer = KinematicLayer(human36m())
    layer(tensor(np.zeros((1, 27))))
    constants = layer.collect_params()
    assert {p.grad_req for p in constants.values()} == {"null"}
    before = {name: p.data().asnumpy() for name, p in constants.items()}
    trainer = mx.gluon.Trainer(constants, "sgd", {"learning_rate": 1.0, "wd": 1.0})
    motion = tensor(np.random.randn(4, 27))
    motion.attach_grad()
    with mx.autograd.record():
        loss = layer(motion).square().sum()
    loss.backward()
    trainer.step(4)
    assert np.abs(motion.grad.asnumpy()).max() > 0
    for name, p in constants.items():
        np.testing.assert_array_equal(p.data().asnumpy(), before[name])


def network(skeleton):
    """Return a dense layer that predicts the motion, and the kinematic layer behind it."""
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(skeleton.num_parameters, in_units=5), KinematicLayer(skeleton))
    return net


def test_inside_a_network_on_two_contexts(seed, hybridize):
    """Joints and gradients of a batch split in two are those of the whole batch on one device."""
    skeleton = human36m()
    net, whole = network(skeleton), network(skeleton)
    contexts = [mx.cpu(0), mx.cpu(1)]
    net.initialize(mx.init.Normal(0.5), ctx=contexts)
    whole.initialize(ctx=mx.cpu())
    whole[0].weight.set_data(net[0].weight.data(contexts[0]))
    whole[0].bias.set_data(net[0].bias.data(contexts[0]))
    if hybridize:
        net.hybridize(static_alloc=True)
    data = np.random.randn(8, 5)
    parts = mx.gluon.utils.split_and_load(tensor(data), contexts)
    with mx.autograd.record():
        joints = [net(part) for part in parts]
        losses = [part.square().mean() for part in joints]
        expected = whole(tensor(data))
        loss = expected.square().mean()
    mx.autograd.backward(losses)
    loss.backward()
    assert [part.context for part in joints] == contexts
    found = np.concatenate([part.asnumpy() for part in joints])
    np.testing.assert_allclose(found, expected.asnumpy(), atol=1e-2)
    by_weight = sum(net[0].weight.grad(context).asnumpy() for context in contexts) / 2
    reference = whole[0].weight.grad().asnumpy()
    np.testing.assert_allclose(by_weight, reference, atol=1e-5 * np.abs(reference).max())


def test_parameters_can_be_saved_and_loaded(tmp_path, seed):
    skeleton = planar(6)
    net, other = network(skeleton), network(skeleton)
    net.initialize(mx.init.Normal(0.5))
    data = tensor(np.random.randn(3, 5))
    expected = net(data).asnumpy()
    net.save_parameters(str(tmp_path / "net.params"))
    other.load_parameters(str(tmp_path / "net.params"))
    np.testing.assert_array_equal(other(data).asnumpy(), expected)


def test_initializes_itself_silently_and_once():
    layer = KinematicLayer(human36m())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        layer(tensor(np.zeros((1, 27))))
        layer(tensor(np.zeros((2, 27))))
    assert layer.collect_params().list_ctx() == [mx.cpu(0)]
    elsewhere = KinematicLayer(human36m())
    joints = elsewhere(mx.nd.zeros((1, 27), ctx=mx.cpu(1)))
    assert joints.context == mx.cpu(1)


@each_program
def test_symbol_survives_json(program):
    skeleton = random_skeleton(DIMS[program], 10, 11)
    layer = build(skeleton, program)
    motion = rounded(random_motion(skeleton, 3, 0))
    expected = layer(tensor(motion)).asnumpy()
    symbol = mx.sym.load_json(layer(mx.sym.var("motion")).tojson())
    values = {name: p.data() for name, p in layer.collect_params().items()}
    (joints,) = symbol.eval(motion=tensor(motion), **values)
    np.testing.assert_array_equal(joints.asnumpy(), expected)


# What a user of an exported graph has: MXNet, two files and no gluon_dkpr.
IMPORTER = """
import sys
import mxnet as mx
import numpy as np

for name in sys.argv[1:]:
    data = np.load(name + ".npz")
    inputs = ["data"] if "scale" not in data else ["data0", "data1"]
    layer = mx.gluon.SymbolBlock.imports(name + "-symbol.json", inputs, name + "-0000.params")
    arrays = [mx.nd.array(data[key]) for key in ("motion", "scale") if key in data]
    for array in arrays:
        array.attach_grad()
    with mx.autograd.record():
        joints = layer(*arrays)
        loss = joints.square().mean()
    loss.backward()
    np.savez(name + "-found.npz", joints=joints.asnumpy(), gradient=arrays[0].grad.asnumpy())
assert not [module for module in sys.modules if module.split(".")[0] == "gluon_dkpr"]
"""


def test_exported_graphs_are_complete_in_themselves(tmp_path):
    """One fresh process imports all three programs, with and without scale, and differentiates."""
    expected = {}
    for program in DIMS:
        skeleton = random_skeleton(DIMS[program], 10, 13)
        motion = rounded(random_motion(skeleton, 3, 0))
        scale = np.array([[0.5], [1.0], [2.0]])
        for suffix, extra in (("", {}), ("-scaled", {"scale": scale})):
            name = f"{program}{suffix}"
            layer = build(skeleton, program)
            layer.hybridize()
            inputs = [tensor(motion), *map(tensor, extra.values())]
            inputs[0].attach_grad()
            with mx.autograd.record():
                joints = layer(*inputs)
                loss = joints.square().mean()
            loss.backward()
            layer.export(str(tmp_path / name))
            np.savez(tmp_path / f"{name}.npz", motion=motion, **extra)
            expected[name] = {"joints": joints, "gradient": inputs[0].grad}
    subprocess.run([sys.executable, "-c", IMPORTER, *expected], cwd=tmp_path, check=True)
    for name, arrays in expected.items():
        found = np.load(tmp_path / f"{name}-found.npz")
        for key, array in arrays.items():
            np.testing.assert_allclose(found[key], array.asnumpy(), rtol=1e-6, atol=1e-6)
