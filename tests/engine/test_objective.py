"""Targets, losses and joint error of a batch of people, against NumPy."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.config import TrainConfig
from gluon_dkpr.data import Batch
from gluon_dkpr.data.human import human_layout
from gluon_dkpr.data.layout import pose_layout
from gluon_dkpr.engine.objective import Objective
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.skeleton import Joint, Parameter, Skeleton, hand, human36m

HUMAN = human36m()
COUNT = 5


def batch_of(skeleton, seed=0):
    random = np.random.RandomState(seed)
    motion = np.clip(random.normal(0, 0.5, (COUNT, skeleton.num_parameters)), *skeleton.bounds())
    scale = random.uniform(0.8, 1.2, COUNT)
    labels = {
        "joints": forward_kinematics(skeleton, motion, scale),
        "motion": motion,
        "scale": scale,
        "box_mm": random.uniform(1000, 2500, COUNT),
        "root": random.normal(0, 1000, (COUNT, 3)),
    }
    images = random.randint(0, 256, (COUNT, 32, 32, 3)).astype(np.uint8)
    return Batch(images, labels, np.arange(COUNT))


def objective_of(method, skeleton=HUMAN, ctx=None, **config):
    net = get_model("resnet18_v1b", skeleton, method, with_motion="bound_weight" in config)
    return net, Objective(net, TrainConfig(**config), human_layout(skeleton), ctx or [mx.cpu()])


def whole(arrays):
    return np.concatenate([array.asnumpy() for array in arrays])


def test_parts_are_normalised_and_shared_out():
    batch = batch_of(HUMAN)
    net, objective = objective_of("kinematic", ctx=[mx.cpu(0), mx.cpu(1)], box_target=True)
    parts = objective.split(batch)
    assert [len(part.images) for part in parts] in ([2, 3], [3, 2])
    np.testing.assert_allclose(
        whole(part.images for part in parts), batch.images.transpose(0, 3, 1, 2) / 255, atol=1e-6
    )
    joints = whole(part.joints for part in parts) * net.length
    np.testing.assert_allclose(joints, batch.labels["joints"], atol=1e-2)
    motion = whole(part.motion for part in parts) * net.motion_units()
    np.testing.assert_allclose(motion, batch.labels["motion"], atol=1e-3)
    assert whole(part.scale for part in parts).shape == (COUNT, 1)


@pytest.mark.parametrize("method", ["kinematic", "direct"])
@pytest.mark.parametrize("box_target", [False, True])
def test_loss_of_joints(method, box_target):
    """Eq. 3, in the network's unit or in box sizes."""
    batch = batch_of(HUMAN)
    net, objective = objective_of(method, box_target=box_target)
    (part,) = objective.split(batch)
    predicted = batch.labels["joints"] + np.random.RandomState(1).normal(0, 60, (COUNT, 17, 3))
    loss = objective.loss(mx.nd.array(predicted / net.length), part).asnumpy()
    unit = batch.labels["box_mm"][:, None, None] if box_target else net.length
    expected = (((predicted - batch.labels["joints"]) / unit) ** 2).sum((1, 2)) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


@pytest.mark.parametrize("method", ["kinematic", "direct"])
@pytest.mark.parametrize("joint_loss", ["squares", "distances"])
def test_bones_beside_joints(method, joint_loss):
    """What they add is the same loss of joints, each less the one that it hangs on."""
    batch = batch_of(HUMAN)
    net, objective = objective_of(method, joint_loss=joint_loss, bone_weight=2.0)
    _, plain = objective_of(method, joint_loss=joint_loss)
    (part,) = objective.split(batch)
    error = np.random.RandomState(1).normal(0, 60, (COUNT, 17, 3)) / net.length
    predicted = part.joints + mx.nd.array(error)
    added = (objective.loss(predicted, part) - plain.loss(predicted, part)).asnumpy()
    parents, children = HUMAN.bone_indices.T
    squares = np.square(error[:, children] - error[:, parents]).sum(2)
    expected = squares / 2 if joint_loss == "squares" else np.sqrt(squares)
    np.testing.assert_allclose(added, 2 * expected.sum(1), rtol=1e-3)


def test_object_of_one_joint_has_no_bones():
    point = Skeleton("point", 2, tuple(Parameter(n, "length") for n in "xy"), (Joint("root"),),
                     position=("x", "y"))  # fmt: skip
    net = get_model("resnet18_v1b", point, "kinematic")
    objective = Objective(net, TrainConfig(bone_weight=1.0), pose_layout(point), [mx.cpu()])
    batch = Batch(
        np.zeros((2, 32, 32, 3), np.uint8),
        {"joints": np.ones((2, 1, 2)), "motion": np.ones((2, 2))},
        np.arange(2),
    )
    (part,) = objective.split(batch)
    np.testing.assert_allclose(objective.loss(part.joints, part).asnumpy(), 0.0)


def test_bones_count_relative_to_the_box():
    """At an error that is the same for all, a person in a box of twice the size counts half."""
    batch = batch_of(HUMAN)
    batch.labels["box_mm"][:2] = 1000, 2000
    weights = {"joint_loss": "distances", "bone_weight": 1.0}
    net, objective = objective_of("direct", box_target=True, **weights)
    (part,) = objective.split(batch)
    error = np.random.RandomState(2).normal(0, 60, (17, 3)) / net.length
    loss = objective.loss(part.joints + mx.nd.array(error[None].repeat(COUNT, 0)), part).asnumpy()
    np.testing.assert_allclose(loss[0], 2 * loss[1], rtol=1e-2)


def test_guide_counts_in_a_weighted_mean():
    """Twice the right joints for one, the right ones for the other: a share of Eq. 3."""
    batch = batch_of(HUMAN)
    net = get_model("resnet18_v1b", HUMAN, "kinematic", with_guide=True)
    assert net.output_names == ("joints", "guide")
    right = mx.nd.array(batch.labels["joints"] / net.length)
    alone = (batch.labels["joints"] / net.length).reshape(COUNT, -1)
    alone = np.square(alone).sum(1) / 2
    for weight in (1.0, 3.0):
        objective = Objective(
            net, TrainConfig(guide_weight=weight), human_layout(HUMAN), [mx.cpu()]
        )
        (part,) = objective.split(batch)
        found = [
            objective.loss(pair, part).asnumpy()
            for pair in ((2 * right, right), (right, 2 * right))
        ]
        np.testing.assert_allclose(found[0], alone / (1 + weight), rtol=1e-3)
        np.testing.assert_allclose(found[1], alone * weight / (1 + weight), rtol=1e-3)
        # With the learning rate at zero Eq. 3 of the skeleton's joints is left, of those alone.
        np.testing.assert_allclose(
            objective.loss((2 * right, right), part, decay=0.0).asnumpy(), alone, rtol=1e-3
        )
        assert np.abs(objective.loss((right, 2 * right), part, decay=0.0).asnumpy()).max() < 1e-6


@pytest.mark.parametrize("method", ["kinematic", "direct"])
def test_joint_error_is_measured_from_the_root(method):
    batch = batch_of(HUMAN)
    net, objective = objective_of(method)
    (part,) = objective.split(batch)
    predicted = batch.labels["joints"] + np.random.RandomState(2).normal(0, 60, (COUNT, 17, 3))
    error = objective.joint_error(mx.nd.array(predicted / net.length), part).asnumpy()
    relative = [joints - joints[:, :1] for joints in (predicted, batch.labels["joints"])]
    expected = np.linalg.norm(relative[0] - relative[1], axis=-1).mean(1)
    np.testing.assert_allclose(error * net.length, expected, rtol=1e-4)


def test_direct_parameter_has_the_subjects_size():
    """Its loss is on angles; its joints are those of a subject of this scale."""
    batch = batch_of(HUMAN)
    net, objective = objective_of("parameter")
    (part,) = objective.split(batch)
    motion = batch.labels["motion"] + np.random.RandomState(3).normal(0, 0.1, (COUNT, 27))
    outputs = mx.nd.array(motion / net.motion_units())
    scaled = (motion - batch.labels["motion"]) / net.motion_units()
    expected = (scaled**2).sum(1) / 2
    np.testing.assert_allclose(objective.loss(outputs, part).asnumpy(), expected, rtol=1e-3)
    joints = forward_kinematics(HUMAN, motion, batch.labels["scale"])
    joints = joints - joints[:, :1]
    truth = batch.labels["joints"] - batch.labels["joints"][:, :1]
    distance = np.linalg.norm(joints - truth, axis=-1).mean(1)
    error = objective.joint_error(outputs, part).asnumpy() * net.length
    np.testing.assert_allclose(error, distance, rtol=1e-3)


@pytest.mark.parametrize("method", ["kinematic", "parameter"])
def test_soft_joint_limits_of_the_hand(method):
    """Section 2 of [40]: squared violations of the bounds, with a weight."""
    skeleton = hand()
    batch = batch_of(skeleton)
    net, objective = objective_of(method, skeleton, bound_weight=2.0)
    _, free = objective_of(method, skeleton)
    (part,) = objective.split(batch)
    lower, upper = skeleton.bounds()
    motion = batch.labels["motion"] + np.random.RandomState(4).normal(0, 0.5, (COUNT, 26))
    outputs = mx.nd.array(motion / net.motion_units())
    if method == "kinematic":
        outputs = (mx.nd.array(batch.labels["joints"] / net.length), outputs)
    both = objective.loss(outputs, part).asnumpy()
    alone = free.loss(outputs[0] if method == "kinematic" else outputs, part).asnumpy()
    violation = np.maximum(lower - motion, 0) + np.maximum(motion - upper, 0)
    assert (violation > 0).any(1).all()
    np.testing.assert_allclose(both - alone, 2 * (violation**2).sum(1), rtol=1e-3)


def test_network_outputs_motion_for_the_limits():
    net, objective = objective_of("kinematic", hand(), bound_weight=1.0)
    net.initialize()
    net.hybridize()
    (part,) = objective.split(batch_of(hand()))
    joints, motion = objective.outputs(part)
    assert joints.shape == (COUNT, 21, 3) and motion.shape == (COUNT, 26)
    assert np.isfinite(objective.loss((joints, motion), part).asnumpy()).all()


def test_scale_of_the_subject_scales_the_bones():
    net, objective = objective_of("kinematic")
    net.initialize()
    net.hybridize()
    batch = batch_of(HUMAN)
    (part,) = objective.split(batch)
    joints = objective.outputs(part).asnumpy() * net.length
    parents, children = HUMAN.bone_indices.T
    lengths = np.linalg.norm(joints[:, children] - joints[:, parents], axis=-1)
    expected = batch.labels["scale"][:, None] * HUMAN.bone_lengths
    np.testing.assert_allclose(lengths, expected, rtol=1e-4)
