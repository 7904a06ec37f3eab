"""Backbones filled from files: outputs agree with torchvision's network; wrong files say why."""

import numpy as np
import pytest
from numpy_resnet import features, random_weights
from safetensors.numpy import save_file
from torch_writer import write_state_dict

from gluon_dkpr.backend import import_gluoncv, mx
from gluon_dkpr.model_zoo import WeightsError, get_model, load_pretrained
from gluon_dkpr.skeleton import planar

# Relative to the largest output: float32 over 18 or 50 layers, against float64.
ROUNDING = 1e-5


def network(name="resnet18_v1b", ctx=None, method="direct"):
    net = get_model(name, planar(3), method)
    net.initialize(ctx=ctx or mx.cpu())
    net.hybridize(static_alloc=True)
    return net


def images(size=64):
    return np.random.default_rng(1).random((2, 3, size, size), "float32")


def pooled(net, ctx=None):
    return net.features(mx.nd.array(images(), ctx=ctx or mx.cpu())).asnumpy()


def backbone(net):
    """Return the numbers of a residual network's parameters by their names without prefix."""
    named = {name.split("resnetv1b_")[-1]: p for name, p in net.collect_params("resnetv1b").items()}
    return {name: p.data().asnumpy() for name, p in named.items() if not name.startswith("dense")}


@pytest.fixture(scope="module")
def weights():
    return random_weights(18)


@pytest.fixture(scope="module")
def gluon():
    """Return GluonCV's own network with random weights, run once."""
    net = import_gluoncv().model_zoo.get_model("resnet18_v1b", classes=10)
    net.initialize(mx.init.Xavier())
    net.hybridize()
    net(mx.nd.zeros((1, 3, 64, 64)))
    for name, parameter in net.collect_params(".*(gamma|beta|running).*").items():
        low = 0.5 if name.endswith(("gamma", "var")) else -0.3
        parameter.set_data(mx.nd.random.uniform(low, low + 0.6, shape=parameter.shape))
    return net


@pytest.mark.parametrize(
    "depth, container, used_before",
    [(18, "zip", True), (18, "legacy", False), (50, "zip", False), (50, "safetensors", True)],
)
def test_outputs_agree_with_torchvision(depth, container, used_before, tmp_path):
    """The oracle is torchvision's forward pass in plain NumPy, with its names and mean colours."""
    state = random_weights(depth)
    path = tmp_path / "resnet.weights"
    if container == "safetensors":
        save_file(state, path)
    else:
        write_state_dict(path, state, legacy=container == "legacy")
    name, devices = f"resnet{depth}_v1b", [mx.cpu(0), mx.cpu(1)]
    net = network(name, devices)
    if used_before:
        pooled(net)
    load_pretrained(net, name, str(path))
    expected = features(state, images())
    assert np.abs(expected).max() > 0.1
    for device in devices:
        difference = np.abs(pooled(net, device) - expected).max() / np.abs(expected).max()
        assert difference < ROUNDING


def test_a_difference_would_be_seen(weights):
    """The oracle notices what conversions get wrong: the sense of two parameters, or the stride."""
    expected = features(weights, images(32))
    for one, other in (("bn1.weight", "bn1.bias"), ("bn1.running_mean", "bn1.bias")):
        swapped = {**weights, one: weights[other], other: weights[one]}
        assert np.abs(features(swapped, images(32)) - expected).max() > 0.01


@pytest.mark.parametrize("form", ["structure", "prefix", "stripped", "export"])
def test_params_of_gluoncv(form, gluon, tmp_path):
    path = tmp_path / "some.params"
    if form == "structure":
        gluon.save_parameters(str(path))
    elif form == "export":
        gluon.export(str(tmp_path / "net"))
        path = tmp_path / "net-0000.params"
    else:
        strip = gluon.prefix if form == "stripped" else ""
        gluon.collect_params().save(str(path), strip_prefix=strip)
    net = network()
    load_pretrained(net, "resnet18_v1b", str(path))
    net(mx.nd.zeros((1, 3, 64, 64)))
    found = backbone(net)
    assert len(found) == 100
    expected = backbone(gluon)
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("exported", [False, True], ids=["checkpoint", "export"])
def test_checkpoint_of_a_run(exported, tmp_path, seed):
    """Another method's: only the features are taken, the last layer and the head stay."""
    first, second = network(method="kinematic"), network()
    for net in (first, second):
        net(mx.nd.zeros((1, 3, 64, 64)))
    expected = pooled(first)
    path = tmp_path / "net-0000.params"
    if exported:
        first.export(str(tmp_path / "net"))
    else:
        first.save_parameters(str(path))
    assert np.abs(pooled(second) - expected).max() > 1e-3
    last = second.output.weight.data().asnumpy()
    load_pretrained(second, "resnet18_v1b", str(path))
    np.testing.assert_array_equal(pooled(second), expected)
    np.testing.assert_array_equal(second.output.weight.data().asnumpy(), last)


def test_checkpoint_of_another_run(tmp_path):
    other = network("resnet34_v1b")
    other(mx.nd.zeros((1, 3, 64, 64)))
    other.save_parameters(str(tmp_path / "best.params"))
    with pytest.raises(WeightsError, match=r"80 parameters are unknown .* holds resnet34_v1b$"):
        load_pretrained(network(), "resnet18_v1b", str(tmp_path / "best.params"))
    toy = get_model("toy_cnn", planar(3))
    toy.initialize()
    toy(mx.nd.zeros((1, 1, 128, 128)))
    toy.save_parameters(str(tmp_path / "toy.params"))
    with pytest.raises(WeightsError, match="parameters are missing .* no residual network"):
        load_pretrained(network(), "resnet18_v1b", str(tmp_path / "toy.params"))


def test_none_changes_nothing():
    toy = get_model("toy_cnn", planar(3))
    load_pretrained(toy, "toy_cnn", "none")
    with pytest.raises(WeightsError, match=r"no pretrained weights fit 'toy_cnn'.*resnet18_v1b"):
        load_pretrained(toy, "toy_cnn", "imagenet")


def without(*names):
    return lambda weights: {n: a for n, a in weights.items() if n not in names}


def replaced(name, change):
    return lambda weights: {**weights, name: change(weights[name])}


@pytest.mark.parametrize(
    "change, reason",
    [
        (
            without("layer2.0.bn1.running_var", "conv1.weight"),
            "2 parameters are missing (conv1.weight, layer2.0.bn1.running_var)",
        ),
        (
            lambda w: {**w, "layer1.0.se.weight": np.zeros(1, "float32")},
            "1 parameters are unknown (layer1.0.se.weight)",
        ),
        (
            replaced("layer4.1.conv2.weight", lambda a: a[:, :16].copy()),
            "layer4.1.conv2.weight has shape (512, 16, 3, 3), expected (512, 512, 3, 3)",
        ),
        (
            replaced("bn1.bias", lambda a: np.full_like(a, np.nan)),
            "bn1.beta has values that are not finite",
        ),
        (
            lambda w: {f"backbone.{name}": array for name, array in w.items()},
            "100 parameters are missing (conv1.weight, bn1.gamma, bn1.beta, ...); 102",
        ),
        (lambda w: {}, "it holds no residual network of GluonCV or torchvision"),
        (lambda w: random_weights(50), "by its names it holds resnet50_v1b"),
    ],
    ids=["missing", "unknown", "shape", "not finite", "wrapped", "empty", "resnet50"],
)
def test_what_does_not_fit_is_named_and_changes_nothing(change, reason, weights, tmp_path):
    path = tmp_path / "resnet.pth"
    write_state_dict(path, change(weights))
    net = network()
    pooled(net)
    before = {name: p.data().asnumpy() for name, p in net.features.collect_params().items()}
    with pytest.raises(WeightsError) as info:
        load_pretrained(net, "resnet18_v1b", str(path))
    message = str(info.value)
    assert reason in message
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 500 + len(str(path))
    for name, parameter in net.features.collect_params().items():
        np.testing.assert_array_equal(parameter.data().asnumpy(), before[name])
