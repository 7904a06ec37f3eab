"""Joints of the kinematic layer against the NumPy oracle, in every program and dtype."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic_programs import (
    DIMS,
    FLOAT32_TOLERANCE,
    assert_same_joints,
    build,
    each_program,
    rounded,
    tensor,
)
from strategies import chain, pose_size, random_motion, random_skeleton

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.nn.programs import DenseProgram, PlanarProgram
from gluon_dkpr.nn.scan_program import ScanProgram
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m, planar

SEEDS = st.integers(0, 2**32 - 1)
# Bones come out as differences of joints, which float32 knows to 6e-8 of the pose's size, and the
# shortest bone of the body is a tenth of it. Angles of a hundred turns lose digits themselves.
LENGTH_TOLERANCE = 1e-5


@each_program
@settings(max_examples=150)
@given(count=st.integers(2, 14), seed=SEEDS)
def test_random_trees(program, count, seed):
    """450 examples, of which 300 differ; see ``strategies`` for what they are made of."""
    skeleton = random_skeleton(DIMS[program], count, seed)
    layer = build(skeleton, program)
    exact = random_motion(skeleton, 3, seed)
    scale = 0.5 + np.random.RandomState(seed).rand(3)
    for dtype in ("float32", "float64"):
        layer.cast(dtype)
        motion, factor = rounded(exact, dtype), rounded(scale, dtype)
        data = tensor(motion, dtype)
        expected = forward_kinematics(skeleton, motion)
        assert_same_joints(layer(data), expected, skeleton, motion, None, dtype)
        scaled = layer(data, tensor(factor[:, None], dtype))
        expected = forward_kinematics(skeleton, motion, factor)
        assert_same_joints(scaled, expected, skeleton, motion, factor, dtype)


@each_program
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9, 31, 33])
def test_chains(program, length):
    """Lengths around the powers of 2 and the blocks of 3 that the programs cut a chain into."""
    skeleton = chain(length, DIMS[program])
    motion = random_motion(skeleton, 2, length)
    joints = build(skeleton, program, "float64")(tensor(motion, "float64"))
    expected = forward_kinematics(skeleton, motion)
    assert_same_joints(joints, expected, skeleton, motion, dtype="float64")


@pytest.mark.parametrize(
    "skeleton, program",
    [
        (planar(3), PlanarProgram),
        (planar(10), PlanarProgram),
        (human36m(), DenseProgram),
        (chain(64), ScanProgram),
        (chain(200, dim=2), PlanarProgram),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_skeletons_in_use_choose_their_program(skeleton, program):
    layer = KinematicLayer(skeleton)
    assert type(layer._program) is program
    assert layer.skeleton is skeleton
    motion = rounded(random_motion(skeleton, 5, 0))
    expected = forward_kinematics(skeleton, motion)
    assert_same_joints(layer(tensor(motion)), expected, skeleton, motion)


def fixed(**fields):
    """Two joints and a parameter that turns nothing that shows."""
    joints = (
        Joint("base", None, (1, 2, 3), (Rotation("x", None, 1.0, 0.5),)),
        Joint("tip", "base", (0, 1, 0), (Rotation("z", "bend"),)),
    )
    return Skeleton("fixed", 3, fields.pop("parameters", (Parameter("bend"),)), joints, **fields)


def test_object_without_a_turning_bone():
    """A constant, which still depends on the scale and has the batch's size."""
    layer = KinematicLayer(fixed())
    assert layer._program is None
    motion, scale = np.array([[0.3], [9.0]]), np.array([1.0, 3.0])
    expected = forward_kinematics(fixed(), motion, scale)
    joints = layer(tensor(motion), tensor(scale[:, None]))
    assert_same_joints(joints, expected, fixed(), motion, scale)


def test_single_joint_that_moves():
    names = ("x", "y", "z")
    point = Skeleton(
        "point", 3, tuple(Parameter(n, "length") for n in names), (Joint("root"),), names
    )
    motion = tensor([[1.0, 2.0, 3.0]])
    for joints in (KinematicLayer(point)(motion), KinematicLayer(point)(motion, tensor([[7.0]]))):
        assert joints.asnumpy().tolist() == [[[1.0, 2.0, 3.0]]]


def test_scale_moves_neither_root_nor_origin():
    skeleton = human36m()
    motion = rounded(random_motion(skeleton, 4, 1))
    scale = np.array([0.5, 1.0, 1.5, 4.0])
    joints = KinematicLayer(skeleton)(tensor(motion), tensor(scale[:, None])).asnumpy()
    np.testing.assert_allclose(joints[:, 0], motion[:, :3], atol=1e-5)


@pytest.mark.parametrize("program", ["dense", "scan"])
@pytest.mark.parametrize("largest_angle", [0.1, np.pi, 30.0])
def test_human_bones_keep_their_length(program, largest_angle, seed):
    skeleton = human36m()
    motion = random_motion(skeleton, 1000, seed, largest_angle)
    joints = build(skeleton, program)(tensor(motion)).asnumpy()
    assert worst_length(skeleton, joints) < LENGTH_TOLERANCE


@pytest.mark.parametrize("level", [3, 6, 8, 10])
def test_planar_bones_keep_their_length(level, seed):
    skeleton = planar(level)
    motion = random_motion(skeleton, 1000, seed, 30.0)
    assert worst_length(skeleton, KinematicLayer(skeleton)(tensor(motion)).asnumpy()) < 1e-5


def worst_length(skeleton, joints):
    """Return the largest relative error of a bone."""
    start, end = skeleton.bone_indices.T
    lengths = np.linalg.norm(joints[:, end].astype(float) - joints[:, start], axis=-1)
    return np.abs(lengths / skeleton.bone_lengths - 1).max()


@each_program
def test_large_batch(program):
    skeleton = random_skeleton(DIMS[program], 12, 3)
    motion = rounded(random_motion(skeleton, 20_000, 0))
    layer = build(skeleton, program)
    layer.hybridize(static_alloc=True)
    joints = layer(tensor(motion))
    assert joints.shape == (20_000, skeleton.num_joints, skeleton.dim)
    expected = forward_kinematics(skeleton, motion)
    assert_same_joints(joints, expected, skeleton, motion)


@each_program
def test_cast_back_and_forth(program):
    """Constants are rounded from float64 anew: a way through float16 or float32 loses nothing."""
    skeleton = random_skeleton(DIMS[program], 12, 5)
    motion = random_motion(skeleton, 3, 5)
    layer = build(skeleton, program)
    layer(tensor(motion))
    for dtype in ("float64", "float32", "float64", "float32"):
        layer.cast(dtype)
        seen = rounded(motion, dtype)
        expected = forward_kinematics(skeleton, seen)
        assert_same_joints(layer(tensor(seen, dtype)), expected, skeleton, seen, None, dtype)


def test_a_sign_would_show():
    """The comparison itself can fail: a mirrored bone is far outside the tolerance."""
    skeleton = human36m()
    motion = rounded(random_motion(skeleton, 3, 0))
    wrong = -forward_kinematics(skeleton, motion)
    with pytest.raises(AssertionError, match="joints differ"):
        assert_same_joints(mx.nd.array(wrong), -wrong, skeleton, motion)
    size = pose_size(skeleton, motion)
    near = -wrong + 2 * FLOAT32_TOLERANCE * size
    with pytest.raises(AssertionError, match="joints differ"):
        assert_same_joints(mx.nd.array(near), -wrong, skeleton, motion)
