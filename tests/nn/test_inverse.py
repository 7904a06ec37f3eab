"""Inverse kinematics in the kinematic head: from points to motion, and back to exact joints."""

import numpy as np
import pytest
from inverse_points import HAND, HUMAN, poses, ready_head, right_points

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    forward_kinematics,
    skeleton_parts,
)
from gluon_dkpr.nn import make_head
from gluon_dkpr.skeleton import Joint, Rotation, Skeleton


@pytest.mark.parametrize("skeleton", [HUMAN, HAND], ids=["human", "hand"])
def test_right_points_give_the_right_joints(skeleton, hybridize):
    motion = poses(skeleton)
    head, statistics = ready_head(skeleton, motion, hybridize)
    z = right_points(head, skeleton, motion, statistics)
    assert z.shape[1] == head.num_inputs
    joints, found, guide = (a.asnumpy() for a in head.guided(mx.nd, mx.nd.array(z)))
    expected = forward_kinematics(skeleton, motion)
    size = np.abs(expected - expected[:, :1]).max()
    assert np.abs(guide - expected).max() < 1e-4 * size
    assert np.linalg.norm(joints - expected, axis=-1).max() < 1e-4 * size
    # Joints are those of the motion that is told, whatever the points.
    again = forward_kinematics(skeleton, found.astype(float))
    assert np.abs(joints - again).max() < 1e-4 * size


@pytest.mark.parametrize("skeleton", [HUMAN, HAND], ids=["human", "hand"])
def test_bones_are_exact_and_gradients_finite_whatever_z(skeleton, seed):
    head, _ = ready_head(skeleton, poses(skeleton))
    z = np.random.randn(40, head.num_inputs) * np.logspace(-3, 1, 40)[:, None]
    z[0] = 0
    z = mx.nd.array(z)
    z.attach_grad()
    with mx.autograd.record():
        joints, _, guide = head.guided(mx.nd, z)
        loss = joints.square().sum() + guide.square().sum()
    loss.backward()
    assert np.isfinite(z.grad.asnumpy()).all()
    parent, child = skeleton.bone_indices.T
    joints = joints.asnumpy()
    lengths = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
    expected = np.broadcast_to(skeleton.bone_lengths, lengths.shape)
    np.testing.assert_allclose(lengths, expected, atol=1e-5)


def test_gradient_is_that_of_finite_differences(seed):
    head, _ = ready_head(HUMAN, poses(HUMAN))
    z = 0.7 * np.random.randn(3, head.num_inputs)
    weight = np.random.randn(3, 17, 3)

    def value(array):
        return (head(mx.nd.array(array)).asnumpy().astype(float) * weight).sum(axis=(1, 2))

    variable = mx.nd.array(z)
    variable.attach_grad()
    with mx.autograd.record():
        loss = (head(variable) * mx.nd.array(weight)).sum()
    loss.backward()
    step = 2e-3
    for i in range(0, head.num_inputs, 5):
        move = np.zeros_like(z)
        move[:, i] = step
        numeric = (value(z + move) - value(z - move)) / (2 * step)
        np.testing.assert_allclose(variable.grad.asnumpy()[:, i], numeric, rtol=0.02, atol=0.02)


def test_descent_on_z_with_the_guide_reaches_any_pose():
    """As in training, but without a network."""
    motion = poses(HUMAN, 30)
    target = mx.nd.array(forward_kinematics(HUMAN, motion))
    head, _ = ready_head(HUMAN, motion, hybridize=True)
    z = mx.gluon.Parameter("z", shape=(30, head.num_inputs))
    z.initialize(mx.init.Zero())
    trainer = mx.gluon.Trainer([z], "adam", {"learning_rate": 0.05})
    for _ in range(300):
        with mx.autograd.record():
            joints, _, guide = head.guided(mx.nd, z.data())
            loss = (joints - target).square().sum() + 3 * (guide - target).square().sum()
        loss.backward()
        trainer.step(1)
    error = np.linalg.norm(head(z.data()).asnumpy() - target.asnumpy(), axis=-1)
    assert np.median(error.mean(axis=1)) < 0.01, error.mean(axis=1)


def test_scale_stretches_joints_and_guide_alike():
    head, _ = ready_head(HUMAN, poses(HUMAN))
    z, scale = (
        mx.nd.random.normal(shape=(4, head.num_inputs)),
        mx.nd.array([[0.8], [1], [1.1], [2]]),
    )
    z[:, -3:] = 0
    plain, stretched = head.guided(mx.nd, z), head.guided(mx.nd, z, scale)
    factor = scale.asnumpy()[:, :, None]
    root = plain[0].asnumpy()[:, :1]
    expected = (plain[0].asnumpy() - root) * factor + root
    np.testing.assert_allclose(stretched[0].asnumpy(), expected, atol=1e-5)
    guide = plain[2].asnumpy()
    expected = (guide - guide[:, :1]) * factor + guide[:, :1]
    np.testing.assert_allclose(stretched[2].asnumpy(), expected, atol=1e-5)


def _replaced(skeleton, name, rotations):
    joints = [
        Joint(j.name, j.parent, j.offset if j.parent else (0.0, 0.0, 0.0), rotations, j.hidden)
        if j.name == name
        else j
        for j in skeleton.joints
    ]
    names = {r.parameter for joint in joints for r in joint.rotations} | set(skeleton.position)
    parameters = tuple(p for p in skeleton.parameters if p.name in names)
    return Skeleton("changed", 3, parameters, tuple(joints), skeleton.position)


@pytest.mark.parametrize(
    "rotations",
    [
        (Rotation("x", "right_knee_flexion", 0.5),),
        (Rotation("x", "left_knee_flexion"),),
        (Rotation((0.6, 0.8, 0.0), "right_knee_flexion"), Rotation("x", "right_hip_twist")),
        (Rotation("x", "right_knee_flexion"), Rotation("y", None, 1.0, 0.3)),
        (Rotation("y", None, 1.0, 0.3),),
    ],
    ids=["geared", "shared", "shared-and-oblique", "constant-last", "constant-alone"],
)
def test_skeletons_without_a_closed_form_get_another_head(rotations):
    changed = _replaced(HUMAN, "right_knee", rotations)
    assert skeleton_parts(HUMAN) is not None and skeleton_parts(changed) is None
    head = make_head("kinematic", changed)
    assert not head.has_guide and make_head("kinematic", HUMAN).has_guide
    head.initialize()
    z = mx.nd.zeros((2, head.num_inputs))
    assert head(z).shape == (2, 17, 3) and head.guided(mx.nd, z)[2] is None


def test_raw_outputs_have_no_guide():
    assert not make_head("kinematic", HUMAN, raw_outputs=True).has_guide
