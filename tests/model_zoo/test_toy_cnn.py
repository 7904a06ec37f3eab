"""The network of [40]: the function of its textbook form, and its layers' shapes."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.model_zoo.toy_cnn import toy_cnn

nn = mx.gluon.nn

SHAPES = {
    "conv0_weight": (8, 1, 5, 5),
    "conv0_bias": (8,),
    "conv1_weight": (8, 8, 5, 5),
    "conv1_bias": (8,),
    "conv2_weight": (8, 8, 3, 3),
    "conv2_bias": (8,),
    "dense0_weight": (1024, 1152),
    "dense0_bias": (1024,),
    "dense1_weight": (1024, 1024),
    "dense1_bias": (1024,),
}


@pytest.fixture
def images():
    # Grey, not binary: no two numbers that are pooled together are equal.
    return mx.nd.array(np.random.RandomState(0).rand(3, 1, 128, 128))


@pytest.fixture
def net(images):
    mx.random.seed(0)
    net = toy_cnn(prefix="toy_")
    net.initialize()
    net(images)
    for name, parameter in net.collect_params().items():
        if name.endswith("bias"):
            parameter.set_data(mx.nd.random.uniform(-0.1, 0.1, parameter.shape))
    return net


def textbook(net):
    """Return the layers as [40] lists them, with the parameters of the network."""
    plain = nn.HybridSequential(prefix="toy_", params=net.collect_params())
    with plain.name_scope():
        plain.add(
            nn.Conv2D(8, 5, activation="relu"),
            nn.MaxPool2D(4, 4, ceil_mode=True),
            nn.Conv2D(8, 5, activation="relu"),
            nn.MaxPool2D(2, 2, ceil_mode=True),
            nn.Conv2D(8, 3, activation="relu"),
            nn.Dense(1024, activation="relu"),
            nn.Dense(1024, activation="relu"),
        )
    return plain


def outputs_and_gradients(net, images):
    with mx.autograd.record():
        outputs = net(images)
        loss = (outputs * mx.nd.arange(1024) / 1024).sum()
    loss.backward()
    gradients = {name: p.grad().asnumpy() for name, p in net.collect_params().items()}
    return outputs.asnumpy(), gradients


def test_equals_the_textbook_network(net, images, hybridize):
    expected, expected_gradients = outputs_and_gradients(textbook(net), images)
    if hybridize:
        net.hybridize(static_alloc=True)
    outputs, gradients = outputs_and_gradients(net, images)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6 * abs(expected).max())
    assert set(gradients) == set(expected_gradients)
    for name, gradient in expected_gradients.items():
        scale = abs(gradient).max()
        assert scale > 0
        np.testing.assert_allclose(
            gradients[name], gradient, rtol=0, atol=2e-5 * scale, err_msg=name
        )


def test_layer_shapes(net, images):
    sizes = []
    for layer in net[:8]:
        images = layer(images)
        sizes.append(images.shape[1:])
    assert sizes[0] == (8, 124, 124)
    assert sizes[2] == (8, 31, 31)
    assert sizes[3] == (8, 27, 27)
    assert sizes[5] == (8, 14, 14)
    assert sizes[6] == (8, 12, 12)
    assert sizes[7] == (1024,)


def test_parameters_are_those_of_the_textbook_network(net):
    shapes = {name[len("toy_") :]: p.shape for name, p in net.collect_params().items()}
    assert shapes == SHAPES


@pytest.mark.parametrize("channels", [2, 3])
def test_refuses_images_of_several_channels(net, channels):
    with pytest.raises(mx.MXNetError):
        net(mx.nd.zeros((1, channels, 128, 128))).wait_to_read()


def test_exports(net, images, tmp_path):
    net.hybridize()
    expected = net(images).asnumpy()
    net.export(str(tmp_path / "toy"))
    files = str(tmp_path / "toy-symbol.json"), ["data"], str(tmp_path / "toy-0000.params")
    outputs = mx.gluon.SymbolBlock.imports(*files)(images[:1]).asnumpy()
    np.testing.assert_allclose(outputs, expected[:1], rtol=1e-5, atol=1e-6 * abs(expected).max())
    assert len(net(mx.sym.var("data")).get_internals()) < 40
