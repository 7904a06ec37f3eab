"""Angles from joints: the inverse of forward kinematics in the plane."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dkpr.geometry import MotionError, angles_from_joints, forward_kinematics
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, planar

SEEDS = st.integers(0, 2**32 - 1)


def turn(parameter, coefficient=1.0, rest=0.0):
    return Rotation("z", parameter, coefficient, rest)


def object_of(joints, angles, position=()):
    parameters = [Parameter(name, "length") for name in position]
    parameters += [a if isinstance(a, Parameter) else Parameter(a) for a in angles]
    return Skeleton("object", 2, tuple(parameters), tuple(joints), position, "px")


def arm(*rotations, angles=("a",)):
    """A root with one bone of length 10 that points down the image."""
    return object_of([Joint("root", rotations=rotations), Joint("end", "root", (0, 10))], angles)


@pytest.mark.parametrize("level", [3, 6, 8, 10])
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_planar_objects_give_back_every_motion_within_the_bounds(level, seed):
    skeleton = planar(level)
    motion = np.random.default_rng(seed).uniform(*skeleton.bounds(), size=(50, level))
    found = angles_from_joints(skeleton, forward_kinematics(skeleton, motion))
    np.testing.assert_allclose(found, motion, atol=1e-9, rtol=0)


@pytest.mark.parametrize("level", [3, 6, 8, 10])
@pytest.mark.parametrize("side", [0, 1])
def test_planar_objects_give_back_the_bounds_themselves(level, side):
    skeleton = planar(level)
    motion = skeleton.bounds()[side][None]
    found = angles_from_joints(skeleton, forward_kinematics(skeleton, motion))
    np.testing.assert_allclose(found, motion, atol=1e-9, rtol=0)


@st.composite
def trees(draw):
    """A planar tree with rests, factors and hidden joints whose angles each move a bone."""
    seed = draw(SEEDS)
    rng = np.random.default_rng(seed)
    joints = [Joint("root", offset=tuple(rng.normal(size=2)), rotations=(turn("a0"),))]
    ends, angles = ["root"], ["a0"]
    for i in range(1, draw(st.integers(2, 6))):
        parent = ends[rng.integers(len(ends))] if i > 1 else "root"
        if i > 1:
            angles.append(f"a{i}")
            swing = (turn(f"a{i}", rng.uniform(0.5, 1.5), rng.normal()), turn(None, 1.0, 0.3))
            joints.append(Joint(f"swing{i}", parent, (0, 0), swing, hidden=True))
            parent = f"swing{i}"
        joints.append(Joint(f"kink{i}", parent, (3, 1), (turn(None, 1.0, 0.7),), hidden=True))
        joints.append(Joint(f"j{i}", f"kink{i}", tuple(rng.normal(size=2) + (5, 0))))
        ends.append(f"j{i}")
    order = rng.permutation(len(joints))
    return object_of([joints[k] for k in order], angles, ("x", "y")), rng


@settings(max_examples=50, deadline=None)
@given(tree=trees())
def test_any_identifiable_tree_gives_back_its_motion(tree):
    skeleton, rng = tree
    # Two angles with factors of up to 1 and 1.5 turn a bone by less than half a turn.
    motion = rng.uniform(-1.2, 1.2, size=(20, skeleton.num_parameters))
    scale = rng.uniform(0.5, 2.0, 20)
    found = angles_from_joints(skeleton, forward_kinematics(skeleton, motion, scale))
    np.testing.assert_allclose(found, motion, atol=1e-9, rtol=0)


def test_theta_of_three_parameters_comes_from_both_bones():
    skeleton = planar(3)
    joints = np.array([[[60, 60], [20, 60], [60, 100]]], dtype=float)  # left 90 degrees, right 0
    motion = angles_from_joints(skeleton, joints)
    np.testing.assert_allclose(motion, [[60, 60, math.radians(45)]])


def test_rigid_bones_vote_for_the_angle_that_turns_them():
    bones = [Joint("b1", "root", (10, 0)), Joint("b2", "b1", (10, 0)), Joint("b3", "b2", (0, 5))]
    skeleton = object_of([Joint("root", rotations=(turn("a"),)), *bones], ["a"])
    angles = np.array([0.1, 0.4, 0.7])
    directions = angles + (0, 0, math.pi / 2)
    steps = np.stack([np.cos(directions), np.sin(directions)], -1)
    joints = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    np.testing.assert_allclose(angles_from_joints(skeleton, joints[None]), [[angles.mean()]])


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_noise_of_joints_moves_angles_by_as_much_as_the_bones_turn(seed):
    skeleton = planar(10)
    rng = np.random.default_rng(seed)
    motion = rng.uniform(*skeleton.bounds(), size=(20, 10))
    joints = forward_kinematics(skeleton, motion)
    noise = rng.uniform(-0.5, 0.5, joints.shape)
    found = angles_from_joints(skeleton, joints + noise)
    # Both ends of a bone of 18 px move by at most 0.71 px; an angle is the difference of two bones.
    limit = 2 * math.asin(2 * math.hypot(0.5, 0.5) / 18)
    assert np.abs(found - motion)[:, skeleton.is_angle()].max() <= limit
    np.testing.assert_allclose(found[:, :2], joints[:, 0] + noise[:, 0])


def test_lengths_of_bones_do_not_matter():
    skeleton = planar(3)
    joints = np.array([[[60, 60], [59, 61], [100, 100]]], dtype=float)
    np.testing.assert_allclose(angles_from_joints(skeleton, joints)[0, 2], math.radians(45))


@pytest.mark.parametrize("angle", [4.0, 5.5, 2.5])
def test_bounds_choose_the_turn(angle):
    skeleton = arm(turn("a"), angles=[Parameter("a", lower=2.0, upper=6.0)])
    joints = forward_kinematics(skeleton, [[angle]])
    np.testing.assert_allclose(angles_from_joints(skeleton, joints), [[angle]])


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [((None, None), -1.0), ((5.0, None), 2 * math.pi - 1.0), ((None, -6.0), -2 * math.pi - 1.0)],
)
def test_without_a_bound_the_turn_nearest_to_zero_is_taken(bounds, expected):
    skeleton = arm(turn("a"), angles=[Parameter("a", lower=bounds[0], upper=bounds[1])])
    joints = forward_kinematics(skeleton, [[-1.0]])
    np.testing.assert_allclose(angles_from_joints(skeleton, joints), [[expected]])


def test_half_a_turn_is_plus_pi():
    joints = np.array([[[0, 0], [0, -10]]], dtype=float)
    assert angles_from_joints(arm(turn("a")), joints)[0, 0] == pytest.approx(math.pi)


def test_a_bone_without_length_points_as_in_the_middle_of_the_bounds():
    skeleton = planar(6)
    motion = np.array([[60, 60, 0.2, 0.9, 0.5, -0.5]])
    joints = forward_kinematics(skeleton, motion)
    left_end = skeleton.joint_names.index("left_2")
    joints[:, left_end] = joints[:, left_end - 1]
    expected = motion.copy()
    expected[0, skeleton.parameter_names.index("left_2")] = 0.0
    np.testing.assert_allclose(angles_from_joints(skeleton, joints), expected, atol=1e-12)


def test_a_joint_at_its_parent_has_no_say():
    joints = [
        Joint("root", rotations=(turn("a"),)),
        Joint("mark", "root", (0, 0), (turn("b"),)),
        Joint("end", "mark", (0, 10)),
        Joint("side", "root", (10, 0)),
    ]
    skeleton = object_of(joints, ["a", "b"])
    motion = np.array([[0.4, -1.1]])
    found = angles_from_joints(skeleton, forward_kinematics(skeleton, motion))
    np.testing.assert_allclose(found, motion)


def test_an_object_without_angles_has_a_position():
    joints = [Joint("root", offset=(3, 4)), Joint("end", "root", (0, 10))]
    skeleton = object_of(joints, [], ("x", "y"))
    found = angles_from_joints(skeleton, forward_kinematics(skeleton, [[5.0, 6.0]]))
    np.testing.assert_allclose(found, [[5.0, 6.0]])


def test_no_poses_give_no_motion():
    assert angles_from_joints(planar(3), np.zeros((0, 3, 2))).shape == (0, 3)


def bent():
    hidden = Joint("elbow", "root", (0, 5), (turn("b"),), hidden=True)
    joints = [Joint("root", rotations=(turn("a"),)), hidden, Joint("end", "elbow", (0, 5))]
    return object_of(joints, ["a", "b"])


def three_dimensional():
    joints = (Joint("root", rotations=(Rotation("z", "a"),)), Joint("end", "root", (0, 1, 0)))
    return Skeleton("solid", 3, (Parameter("a"),), joints)


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        (three_dimensional(), "'solid' has 3 dimensions"),
        (arm(turn("a"), turn("b"), angles=("a", "b")), "do not determine the parameter 'a'"),
        (arm(turn("a"), angles=("a", "b")), "do not determine the parameter 'b'"),
        (arm(turn("a", 0.0)), "do not determine the parameter 'a'"),
        (bent(), "hidden joints bend the bone from 'root' to 'end'"),
        (
            dataclasses.replace(
                arm(turn("a")), parameters=(Parameter("a"), Parameter("l", "length"))
            ),
            "nothing depends on the length 'l'",
        ),
        (object_of([Joint("root", rotations=(turn("a"),))], ["a"]), "do not determine"),
    ],
)
def test_skeletons_whose_angles_do_not_follow_are_refused(skeleton, message):
    with pytest.raises(MotionError, match=message):
        angles_from_joints(skeleton, np.zeros((1, skeleton.num_joints, skeleton.dim)))


def test_wrong_joints_are_named():
    with pytest.raises(MotionError, match=r"shape \(1, 4, 2\), expected \(B, 3, 2\)"):
        angles_from_joints(planar(3), np.zeros((1, 4, 2)))
    joints = np.zeros((2, 3, 2))
    joints[1, 2, 0] = np.nan
    with pytest.raises(MotionError, match=r"joints\[1, 2\]"):
        angles_from_joints(planar(3), joints)
