"""The NumPy oracle against closed forms, against Eq. 2 written out, and against itself."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as ScipyRotation
from strategies import pose_size, random_motion, skeletons

from gluon_dkpr.geometry import (
    MotionError,
    forward_kinematics,
    kinematic_jacobian,
    rotation_matrix,
)
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, planar

# Two ways to add up some dozen float64 numbers differ in the last two or three digits, relative to
# the largest of them.
SUM_TOLERANCE = 1e-13
# A central difference of step h has an error of h**2 (of the third derivative) and of 1e-16 / h (of
# rounding); both are about 1e-10 at this step.
STEP = 1e-5
DIFFERENCE_TOLERANCE = 1e-8

SEEDS = st.integers(0, 2**32 - 1)


def single(rotations, tip, dim=3, **fields):
    """A skeleton of one bone that leaves a root with these rotations."""
    names = sorted({r.parameter for r in rotations if r.parameter})
    joints = (Joint("root", None, (), tuple(rotations)), Joint("tip", "root", tip))
    parameters = tuple(map(Parameter, names or ["unused"]))
    return Skeleton("single", dim, parameters, joints, **fields)


def tip_of(skeleton, *motion):
    return forward_kinematics(skeleton, [motion])[0, -1]


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0, math.pi, 40.0])
def test_single_bone_about_each_axis(angle):
    """Right-handed: x turns y to z, y turns z to x, z turns x to y."""
    cos, sin = math.cos(angle), math.sin(angle)
    expected = {
        "x": [3, 4 * cos - 5 * sin, 4 * sin + 5 * cos],
        "y": [3 * cos + 5 * sin, 4, 5 * cos - 3 * sin],
        "z": [3 * cos - 4 * sin, 3 * sin + 4 * cos, 5],
    }
    for axis, tip in expected.items():
        skeleton = single([Rotation(axis, "angle")], (3, 4, 5))
        np.testing.assert_allclose(tip_of(skeleton, angle), tip, atol=1e-14)
    flat = single([Rotation("z", "angle")], (3, 4), dim=2)
    np.testing.assert_allclose(tip_of(flat, angle), expected["z"][:2], atol=1e-14)


def test_diagonal_axis_permutes_the_coordinates():
    axis = (1 / math.sqrt(3),) * 3
    skeleton = single([Rotation(axis, "angle")], (3, 4, 5))
    np.testing.assert_allclose(tip_of(skeleton, 2 * math.pi / 3), [5, 3, 4], atol=1e-14)


def test_rotations_act_in_the_written_order():
    """R = R_x R_z: the last one written is the first to turn the bone."""
    quarter = math.pi / 2
    x, z = Rotation("x", "a"), Rotation("z", "a")
    np.testing.assert_allclose(tip_of(single([x, z], (1, 0, 0)), quarter), [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(tip_of(single([z, x], (1, 0, 0)), quarter), [0, 1, 0], atol=1e-15)


def test_two_link_arm():
    shoulder, elbow = 0.4, -1.1
    skeleton = Skeleton(
        name="arm",
        dim=2,
        parameters=(Parameter("elbow"), Parameter("shoulder")),
        joints=(
            Joint("hand", "elbow", (2.0, 0.0)),
            Joint("elbow", "base", (3.0, 0.0), (Rotation("z", "elbow"),)),
            Joint("base", None, (), (Rotation("z", "shoulder"),)),
        ),
    )
    hand, joint, base = forward_kinematics(skeleton, [[elbow, shoulder]])[0]
    upper = 3 * np.array([math.cos(shoulder), math.sin(shoulder)])
    lower = 2 * np.array([math.cos(shoulder + elbow), math.sin(shoulder + elbow)])
    np.testing.assert_allclose(base, [0, 0])
    np.testing.assert_allclose(joint, upper)
    np.testing.assert_allclose(hand, upper + lower)


def test_planar3_by_hand():
    joints = forward_kinematics(planar(3), [[64.0, 30.0, math.pi / 6]])[0]
    drop = 45 * math.sqrt(3) / 2
    np.testing.assert_allclose(joints, [[64, 30], [41.5, 30 + drop], [86.5, 30 + drop]])


def test_equal_turns_make_a_helix():
    """A joint that repeats (turn about z, step forward and up) winds around an axis along z."""
    count, turn, forward, up = 30, 0.3, 1.0, 0.25
    joints = [Joint("joint0", None, (), (Rotation("z", "turn"),))]
    for i in range(1, count):
        bone = (forward, 0.0, up)
        joints.append(Joint(f"joint{i}", f"joint{i - 1}", bone, (Rotation("z", "turn"),)))
    skeleton = Skeleton("helix", 3, (Parameter("turn"),), tuple(joints))
    found = forward_kinematics(skeleton, [[turn]])[0]
    # The sum of a geometric series in the complex plane.
    step = np.exp(1j * turn)
    plane = forward * step * (1 - step ** np.arange(count)) / (1 - step)
    expected = np.stack([plane.real, plane.imag, up * np.arange(count)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    center = forward * step / (1 - step)
    radius = np.hypot(found[:, 0] - center.real, found[:, 1] - center.imag)
    np.testing.assert_allclose(radius, radius[0])


def test_coefficient_rest_and_constant_rotations():
    twice = single([Rotation("z", "angle", -2.0, 0.5)], (1, 0, 0))
    np.testing.assert_allclose(tip_of(twice, 0.3), [math.cos(-0.1), math.sin(-0.1), 0])
    constant = single([Rotation("z", None, 3.0, 0.5)], (1, 0, 0))
    np.testing.assert_allclose(tip_of(constant, 9.9), [math.cos(0.5), math.sin(0.5), 0])


def test_shared_parameter_turns_every_joint_that_names_it():
    joints = [Joint("joint0", None, (), (Rotation("z", "bend"),))]
    for i in range(1, 4):
        joints.append(Joint(f"joint{i}", f"joint{i - 1}", (1, 0), (Rotation("z", "bend"),)))
    square = Skeleton("square", 2, (Parameter("bend"),), tuple(joints))
    found = forward_kinematics(square, [[math.pi / 2]])[0]
    np.testing.assert_allclose(found, [[0, 0], [0, 1], [-1, 1], [-1, 0]], atol=1e-15)


def test_scale_stretches_bones_and_neither_position_nor_origin():
    names = ("x", "y", "z")
    skeleton = Skeleton(
        name="placed",
        dim=3,
        parameters=(*[Parameter(name, "length") for name in names], Parameter("bend")),
        joints=(
            Joint("root", None, (10, 20, 30), (Rotation("z", "bend"),)),
            Joint("tip", "root", (1, 0, 0)),
        ),
        position=names,
    )
    motion = np.tile([1.0, 2.0, 3.0, math.pi / 2], (2, 1))
    root, tip = forward_kinematics(skeleton, motion, [1.0, 5.0]).transpose(1, 0, 2)
    np.testing.assert_allclose(root, [[11, 22, 33]] * 2)
    np.testing.assert_allclose(tip, [[11, 23, 33], [11, 27, 33]])


@given(skeletons(), SEEDS)
def test_equals_equation_2_written_out(skeleton, seed):
    """The product of homogeneous matrices along the way from the root, rotations by SciPy."""
    motion = random_motion(skeleton, 1, seed)
    values = dict(zip(skeleton.parameter_names, motion[0]))
    scale = 0.5 + np.random.RandomState(seed).rand()
    found = forward_kinematics(skeleton, motion, [scale])[0]
    for name, position in zip(skeleton.joint_names, found):
        pose = np.eye(4)
        for joint in way_from_root(skeleton, name):
            step = np.eye(4)
            stretch = 1.0 if joint.parent is None else scale
            step[: skeleton.dim, 3] = np.multiply(joint.offset, stretch)
            pose = pose @ step
            if joint.parent is None:
                pose[: skeleton.dim, 3] += [values[name] for name in skeleton.position] or 0.0
            for rotation in joint.rotations:
                value = values[rotation.parameter] if rotation.parameter else 0.0
                angle = rotation.coefficient * value + rotation.rest
                turn = np.eye(4)
                turn[:3, :3] = ScipyRotation.from_rotvec(
                    angle * np.array(rotation.axis)
                ).as_matrix()
                pose = pose @ turn
        size = pose_size(skeleton, motion, scale)
        np.testing.assert_allclose(
            position, pose[: skeleton.dim, 3], rtol=0, atol=SUM_TOLERANCE * size
        )


def way_from_root(skeleton, name):
    way = [skeleton.joint(name)]
    while way[0].parent is not None:
        way.insert(0, skeleton.joint(way[0].parent))
    return way


@given(skeletons(), SEEDS)
def test_hiding_a_joint_moves_no_other(skeleton, seed):
    motion = random_motion(skeleton, 3, seed)
    joints = [dataclasses.replace(joint, hidden=False) for joint in skeleton.joints]
    shown = dataclasses.replace(skeleton, joints=tuple(joints))
    rows = [shown.joint_names.index(name) for name in skeleton.joint_names]
    everything = forward_kinematics(shown, motion)
    np.testing.assert_array_equal(everything[:, rows], forward_kinematics(skeleton, motion))


@given(skeletons(), SEEDS)
def test_jacobian_equals_central_differences(skeleton, seed):
    motion = random_motion(skeleton, 2, seed)
    scale = 0.5 + np.random.RandomState(seed).rand(2)
    jacobian = kinematic_jacobian(skeleton, motion, scale)
    assert jacobian.shape == (2, skeleton.num_joints, skeleton.dim, skeleton.num_parameters)
    size = pose_size(skeleton, motion, scale)
    for column in range(skeleton.num_parameters):
        step = STEP * np.eye(skeleton.num_parameters)[column]
        ahead = forward_kinematics(skeleton, motion + step, scale)
        behind = forward_kinematics(skeleton, motion - step, scale)
        np.testing.assert_allclose(
            jacobian[..., column],
            (ahead - behind) / (2 * STEP),
            rtol=0,
            # The third derivative of a sum of shared turns grows with their number cubed.
            atol=DIFFERENCE_TOLERANCE * size * 100,
        )


def test_jacobian_without_scale_is_that_of_scale_one():
    motion = random_motion(planar(6), 2, 0)
    without = kinematic_jacobian(planar(6), motion)
    np.testing.assert_array_equal(without, kinematic_jacobian(planar(6), motion, np.ones(2)))


@settings(max_examples=50)
@given(SEEDS)
def test_rotation_matrix_is_that_of_scipy(seed):
    random = np.random.RandomState(seed)
    axis = random.normal(size=3)
    axis /= np.linalg.norm(axis)
    angles = random.uniform(-7, 7, 4)
    expected = ScipyRotation.from_rotvec(angles[:, None] * axis).as_matrix()
    np.testing.assert_allclose(rotation_matrix(axis, angles), expected, atol=1e-14)


@pytest.mark.parametrize(
    "motion, scale, message",
    [
        (np.zeros(3), None, r"motion has shape \(3,\), expected \(B, 3\) .*'planar3'"),
        (np.zeros((2, 4)), None, r"motion has shape \(2, 4\), expected \(B, 3\)"),
        (np.zeros((2, 3, 1)), None, r"motion has shape \(2, 3, 1\)"),
        (np.zeros((2, 3)), np.ones(3), r"scale has shape \(3,\), expected \(2,\)"),
        (np.zeros((2, 3)), np.ones((2, 1)), r"scale has shape \(2, 1\), expected \(2,\)"),
        (np.zeros((2, 3)), 1.0, r"scale has shape \(\), expected \(2,\)"),
    ],
)
@pytest.mark.parametrize("function", [forward_kinematics, kinematic_jacobian])
def test_wrong_shapes_are_refused(function, motion, scale, message):
    with pytest.raises(MotionError, match=message):
        function(planar(3), motion, scale)


def test_empty_batch():
    assert forward_kinematics(planar(3), np.zeros((0, 3))).shape == (0, 3, 2)
    assert kinematic_jacobian(planar(3), np.zeros((0, 3))).shape == (0, 3, 2, 3)
