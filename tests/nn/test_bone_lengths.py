"""Joints brought to the lengths of the bones, against the same rounds in NumPy and their limit."""

import math

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import forward_kinematics, sample_within_bounds
from gluon_dkpr.nn.bone_lengths import RELAXATION, ROUNDS, LengthProjection
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, planar

FLOAT32 = 2e-6


def star(count):
    """Return an object with bones of many lengths at its root, that all point nearly one way."""
    parameters = tuple(Parameter(f"a{i}", "radian", -0.5, 0.5) for i in range(count))
    joints = [Joint("root", offset=(0.3, -0.2))]
    for i in range(count):
        turn = Rotation("z", f"a{i}")
        joints.append(Joint(f"turn{i}", "root", (0.0, 0.0), (turn,), hidden=True))
        joints.append(Joint(f"end{i}", f"turn{i}", (0.2 + 0.1 * i, 0.0)))
    return Skeleton("star", 2, parameters, tuple(joints))


def chain(count):
    """Return a row of bones, the second of which has no length."""
    parameters = [Parameter(name, "length") for name in "xy"]
    parameters += [Parameter(f"a{i}", "radian", -1.0, 1.0) for i in range(count)]
    joints = []
    for i in range(count):
        offset, parent = (0.0 if i in (0, 2) else 0.3, 0.0), f"j{i - 1}" if i else None
        joints.append(Joint(f"j{i}", parent, offset, (Rotation("z", f"a{i}"),)))
    return Skeleton("chain", 2, tuple(parameters), tuple(joints), position=("x", "y"))


OBJECTS = [planar(3).scaled(1 / 128), planar(10).scaled(1 / 128), star(12), chain(6)]
NAMES = [skeleton.name for skeleton in OBJECTS]


def disturbed(skeleton, noise):
    motion = sample_within_bounds(skeleton, 32)
    joints = forward_kinematics(skeleton, motion)
    return joints + noise * np.random.randn(*joints.shape)


def projected(skeleton, joints, rounds=ROUNDS):
    block = LengthProjection(skeleton, rounds)
    block.initialize()
    return block(mx.nd.array(joints.reshape(len(joints), -1))).asnumpy().reshape(joints.shape)


def held(skeleton, joints):
    """Return joints with the root in its place, if the object does not move."""
    joints = joints.copy()
    if not skeleton.position:
        joints[:, skeleton.joint_names.index(skeleton.root.name)] = skeleton.root.offset
    return joints


@pytest.mark.parametrize("skeleton", OBJECTS, ids=NAMES)
def test_rounds_are_those_of_one_bone_after_another(skeleton, seed):
    joints = disturbed(skeleton, 0.03)
    expected = held(skeleton, joints)
    for _ in range(ROUNDS):
        before = expected.copy()
        for name, length in zip(skeleton.bones, skeleton.bone_lengths):
            ends = [skeleton.joint_names.index(joint) for joint in name]
            moving = [skeleton.position or name[i] != skeleton.root.name for i in (0, 1)]
            meeting = sum(
                sum(name[i] in bone for bone in skeleton.bones) for i in (0, 1) if moving[i]
            )
            own = before[:, ends[1]] - before[:, ends[0]]
            now = np.linalg.norm(own, axis=1, keepdims=True)
            move = RELAXATION / meeting * (now - length) * own / now
            for i, sign in enumerate((1, -1)):
                expected[:, ends[i]] += sign * move if moving[i] else 0.0
    np.testing.assert_allclose(projected(skeleton, joints), expected, atol=FLOAT32)


@pytest.mark.parametrize("skeleton", OBJECTS, ids=NAMES)
def test_in_the_end_lengths_are_right(skeleton, seed):
    joints = disturbed(skeleton, 0.03)
    found = projected(skeleton, joints, 400)
    parents, children = skeleton.bone_indices.T
    lengths = np.linalg.norm(found[:, children] - found[:, parents], axis=-1)
    expected = np.tile(skeleton.bone_lengths, (len(joints), 1))
    np.testing.assert_allclose(lengths, expected, atol=1e-4)
    if skeleton.position:
        np.testing.assert_allclose(found.mean(axis=1), joints.mean(axis=1), atol=1e-5)
    else:
        np.testing.assert_allclose(found, held(skeleton, found), atol=FLOAT32)


@pytest.mark.parametrize("skeleton", OBJECTS[:3], ids=NAMES[:3])
def test_valid_joints_stay(skeleton, seed):
    joints = disturbed(skeleton, 0.0)
    np.testing.assert_allclose(projected(skeleton, joints), joints, atol=FLOAT32)


def test_bones_without_length_stay_finite():
    block = LengthProjection(OBJECTS[1])
    block.initialize()
    joints = mx.nd.zeros((1, 2 * OBJECTS[1].num_joints))
    joints.attach_grad()
    with mx.autograd.record():
        value = block(joints).sum()
    value.backward()
    assert math.isfinite(value.asscalar()) and np.isfinite(joints.grad.asnumpy()).all()
