"""Joints brought to the lengths of the bones, against the same rounds in NumPy and their limit."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import forward_kinematics, planar_bones, sample_within_bounds
from gluon_dkpr.nn.bone_lengths import RELAXATION, LengthProjection
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, planar

FLOAT32 = 2e-6


def star(count):
    """Return an object with bones of many lengths at its root, that all point nearly one way."""
    bounds = -0.5, 0.5
    parameters = tuple(Parameter(f"a{i}", "radian", *bounds) for i in range(count))
    joints = [Joint("root")]
    for i in range(count):
        turn = Rotation("z", f"a{i}")
        joints.append(Joint(f"turn{i}", "root", (0.0, 0.0), (turn,), hidden=True))
        joints.append(Joint(f"end{i}", f"turn{i}", (0.2 + 0.1 * i, 0.0)))
    return Skeleton("star", 2, parameters, tuple(joints))


OBJECTS = [planar(3).scaled(1 / 128), planar(10).scaled(1 / 128), star(12)]
NAMES = [skeleton.name for skeleton in OBJECTS]


def disturbed(skeleton, noise):
    joints = forward_kinematics(skeleton, sample_within_bounds(skeleton, 32))
    return joints + noise * np.random.randn(*joints.shape)


def projected(skeleton, joints, rounds):
    block = LengthProjection(skeleton.num_joints, planar_bones(skeleton), rounds)
    block.initialize()
    return block(mx.nd.array(joints.reshape(len(joints), -1))).asnumpy().reshape(joints.shape)


@pytest.mark.parametrize("skeleton", OBJECTS, ids=NAMES)
def test_rounds_are_those_of_one_bone_after_another(skeleton, seed):
    joints = disturbed(skeleton, 0.03)
    bones = planar_bones(skeleton)
    ends = np.concatenate([bones.parents, bones.children])
    expected = joints.copy()
    for _ in range(3):
        moves = np.zeros_like(expected)
        for parent, child, length in zip(bones.parents, bones.children, bones.lengths):
            own = expected[:, child] - expected[:, parent]
            now = np.linalg.norm(own, axis=1, keepdims=True)
            meeting = np.sum(ends == parent) + np.sum(ends == child)
            move = RELAXATION / meeting * (now - length) * own / now
            moves[:, parent] += move
            moves[:, child] -= move
        expected += moves
    np.testing.assert_allclose(projected(skeleton, joints, 3), expected, atol=FLOAT32)


@pytest.mark.parametrize("skeleton", OBJECTS, ids=NAMES)
def test_in_the_end_lengths_are_right_and_the_centre_where_it_was(skeleton, seed):
    joints = disturbed(skeleton, 0.03)
    found = projected(skeleton, joints, 300)
    bones = planar_bones(skeleton)
    lengths = np.linalg.norm(found[:, bones.children] - found[:, bones.parents], axis=-1)
    np.testing.assert_allclose(lengths, np.tile(bones.lengths, (len(joints), 1)), atol=1e-5)
    np.testing.assert_allclose(found.mean(axis=1), joints.mean(axis=1), atol=1e-5)


def test_valid_joints_stay(seed):
    joints = disturbed(OBJECTS[1], 0.0)
    np.testing.assert_allclose(projected(OBJECTS[1], joints, 3), joints, atol=FLOAT32)


def test_bones_without_length_stay_finite():
    joints = np.zeros((1, OBJECTS[0].num_joints, 2))
    assert np.isfinite(projected(OBJECTS[0], joints, 3)).all()
