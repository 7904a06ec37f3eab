"""Networks by name: shapes, methods, and poses for every method."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.model_zoo import ModelError, get_model, list_models
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import human36m, planar


@pytest.mark.parametrize("method", METHODS)
def test_toy_network_predicts_poses(method, hybridize, seed):
    skeleton = planar(6)
    net = get_model("toy_cnn", skeleton, method)
    net.initialize()
    # The first prediction is the mean pose; a large bias moves it.
    net.output.bias.set_data(mx.nd.random.normal(shape=net.output.bias.shape))
    if hybridize:
        net.hybridize()
    images = mx.nd.random.uniform(shape=(3, 1, 128, 128))
    output, pose = net(images).asnumpy(), net.predict_pose(images)
    joints = pose.joints.asnumpy()
    assert joints.shape == (3, 5, 2)
    if method == "direct":
        assert pose.motion is None
    else:
        motion = pose.motion.asnumpy()
        expected = forward_kinematics(skeleton, motion)
        np.testing.assert_allclose(joints, expected, atol=1e-3)  # px, float32 of values about 128
    if method == "parameter":
        np.testing.assert_allclose(output * net.motion_units(), motion, rtol=1e-5)
    else:
        np.testing.assert_allclose(output * net.length, joints, rtol=1e-5)


def test_methods_share_everything_but_the_last_layer():
    shapes = []
    for method in METHODS:
        net = get_model("toy_cnn", planar(3), method)
        net.initialize()
        net(mx.nd.zeros((1, 1, 128, 128)))
        trained = {k: p.shape for k, p in net.collect_params().items() if p.grad_req != "null"}
        shapes.append({k: s for k, s in trained.items() if "output" not in k})
    assert shapes[0] == shapes[1] == shapes[2]
    assert len(shapes[0]) == 10


def test_residual_network_ends_in_the_body():
    net = get_model("resnet18_v1b", human36m())
    net.initialize()
    joints = net(mx.nd.zeros((2, 3, 64, 64)))
    assert joints.shape == (2, 17, 3)
    # Untrained it predicts the rest pose: a body of the right proportions.
    thigh = np.linalg.norm((joints[:, 2] - joints[:, 1]).asnumpy(), axis=-1) * net.length
    np.testing.assert_allclose(thigh, 443, rtol=1e-4)


def test_parameters_survive_a_file(tmp_path, seed):
    first = get_model("toy_cnn", planar(3))
    first.initialize()
    images = mx.nd.random.uniform(shape=(2, 1, 128, 128))
    expected = first(images).asnumpy()
    first.save_parameters(str(tmp_path / "net.params"))
    second = get_model("toy_cnn", planar(3))
    second.load_parameters(str(tmp_path / "net.params"))
    np.testing.assert_array_equal(second(images).asnumpy(), expected)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ModelError, match=r"no model 'resnet50'.*did you mean 'resnet50_v1b'"):
        get_model("resnet50", planar(3))
    with pytest.raises(ModelError, match="'toy_cnn'.*depth"):
        get_model("toy_cnn", planar(3), depth=3)
    assert "toy_cnn" in list_models()
