"""Inverse kinematics in the plane, in a network, against trigonometry in NumPy."""

import math

import numpy as np
import pytest
from scipy.optimize import least_squares

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    angles_from_joints,
    forward_kinematics,
    pose_statistics,
    sample_within_bounds,
)
from gluon_dkpr.nn import make_head
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, planar

FLOAT32 = 2e-5
LEVELS = (3, 6, 8, 10)


def scaled(level):
    return planar(level).scaled(1 / 128)


def guided(head, z):
    return [out.asnumpy() for out in head.guided(mx.nd, mx.nd.array(z))]


def three_arms(limit):
    """Return three bones, the outer two at the same angle from the middle one, and how it turns."""
    turns = (Parameter("turn", "radian", -limit, limit), Parameter("open", "radian", 0.2, 1.0))
    joints = [
        Joint("root", rotations=(Rotation("z", "turn"),)),
        Joint("middle", "root", (0.0, 0.3)),
    ]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        swing = (Rotation("z", "open", sign),)
        joints += [
            Joint(f"{side}_swing", "root", (0.0, 0.0), swing, hidden=True),
            Joint(side, f"{side}_swing", (0.0, 0.3)),
        ]
    return Skeleton("three", 2, turns, tuple(joints))


def arm(*bones, rotations=("turn",), bounds=(None, None), offset=(0.0, 0.0)):
    """Return an object with bones at its root, ``(x, y)`` each, all turned by the same angles."""
    turns = tuple(Rotation("z", name) for name in rotations)
    ends = [Joint(f"end{i}", "root", bone) for i, bone in enumerate(bones)]
    parameters = tuple(Parameter(name, "radian", *bounds) for name in rotations)
    return Skeleton("arm", 2, parameters, (Joint("root", offset=offset, rotations=turns), *ends))


def pendulum():
    """Return two bones that hang on a root which does not move."""
    parameters = tuple(Parameter(name, "radian", -1.0, 1.0) for name in ("first", "second"))
    joints = (
        Joint("root", offset=(0.2, 0.1), rotations=(Rotation("z", "first"),)),
        Joint("middle", "root", (0.0, 0.4), (Rotation("z", "second"),)),
        Joint("end", "middle", (0.0, 0.3)),
    )
    return Skeleton("pendulum", 2, parameters, joints)


@pytest.mark.parametrize("level", LEVELS)
def test_joints_of_a_motion_give_it_back(level, seed, hybridize):
    skeleton = scaled(level)
    motion = sample_within_bounds(skeleton, 64)
    statistics = pose_statistics(skeleton, motion)
    joints = forward_kinematics(skeleton, motion)
    head = make_head("kinematic", skeleton, statistics)
    head.initialize()
    if hybridize:
        head.hybridize()
    z = (joints - statistics.joints_mean) / statistics.joints_std
    made, found, guide = guided(head, z.reshape(64, -1))
    np.testing.assert_allclose(found, motion, atol=FLOAT32)
    np.testing.assert_allclose(made, joints, atol=FLOAT32)
    np.testing.assert_allclose(guide, joints, atol=FLOAT32)


# With 3 parameters two bones share an angle, of which the rounds know nothing.
@pytest.mark.parametrize(
    ("skeleton", "left"),
    [(scaled(3), 0.25), (scaled(6), 0.1), (scaled(8), 0.1), (scaled(10), 0.1), (pendulum(), 0.1)],
    ids=["3", "6", "8", "10", "fixed"],
)
def test_joints_of_no_motion_give_a_valid_skeleton_near_them(skeleton, left, seed):
    joints = forward_kinematics(skeleton, sample_within_bounds(skeleton, 64))
    joints += 0.02 * np.random.randn(*joints.shape)
    head = make_head("kinematic", skeleton)
    head.initialize()
    made, found, guide = guided(head, joints.reshape(64, -1))
    np.testing.assert_allclose(guide, joints, atol=FLOAT32)
    np.testing.assert_allclose(made, forward_kinematics(skeleton, found), atol=FLOAT32)
    # Between the directions alone and the nearest valid skeleton there is.
    directions = angles_from_joints(skeleton, joints)
    worst, own, best = (
        squared_distance(skeleton, motion, joints)
        for motion in (directions, found, nearest(skeleton, directions, joints))
    )
    assert best <= own < best + left * (worst - best)


def squared_distance(skeleton, motion, joints):
    return np.square(forward_kinematics(skeleton, motion) - joints).sum()


def nearest(skeleton, begin, joints):
    """Return the motion whose joints are nearest, by SciPy's least squares."""

    def residuals(motion, target):
        return (forward_kinematics(skeleton, motion[None])[0] - target).ravel()

    pairs = zip(begin, joints)
    return np.array([least_squares(residuals, m, args=(j,)).x for m, j in pairs])


def test_object_that_goes_all_the_way_round():
    skeleton = arm((0.5, 0.0))
    head = make_head("kinematic", skeleton)
    head.initialize()
    for degrees in range(-180, 181, 15):
        joints = forward_kinematics(skeleton, [[math.radians(degrees)]])
        made, found, _ = guided(head, joints.reshape(1, -1))
        np.testing.assert_allclose(made, joints, atol=FLOAT32)
        assert math.cos(found[0, 0] - math.radians(degrees)) == pytest.approx(1.0)


def test_root_away_from_the_origin():
    skeleton = Skeleton(
        "placed",
        2,
        (Parameter("x", "length"), Parameter("y", "length"), Parameter("a", "radian", -1.0, 2.0)),
        (
            Joint("root", offset=(0.25, -0.5), rotations=(Rotation("z", "a", -1.0, 0.3),)),
            Joint("end", "root", (0.3, 0.4)),
        ),
        position=("x", "y"),
    )
    motion = np.array([[0.1, 0.2, 1.1], [-0.3, 0.0, -0.7]])
    head = make_head("kinematic", skeleton)
    head.initialize()
    found = guided(head, forward_kinematics(skeleton, motion).reshape(2, -1))[1]
    np.testing.assert_allclose(found, motion, atol=FLOAT32)


@pytest.mark.parametrize(
    ("skeleton", "closed"),
    [
        (arm((0.5, 0.0)), True),
        (arm((0.5, 0.0), (0.0, 0.3)), False),  # where one bone has gone round, the other has not
        (arm((0.5, 0.0), (0.0, 0.3), bounds=(-1.0, 1.0)), True),
        (arm((0.5, 0.0), (0.0, 0.3), bounds=(-np.pi, np.pi)), False),
        (three_arms(2.0), True),
        (three_arms(2.8), False),
        (arm((0.5, 0.0), rotations=("turn", "bend"), bounds=(-1.0, 1.0)), False),
        (arm((0.0, 0.0)), False),  # a bone without a length points nowhere
    ],
    ids=[
        "free",
        "free-twice-told",
        "bounded-twice-told",
        "round-twice-told",
        "three",
        "three-round",
        "two-in-one",
        "no-bone",
    ],
)
def test_which_objects_have_a_closed_form(skeleton, closed):
    head = make_head("kinematic", skeleton)
    assert head.has_guide == closed
    head.initialize()
    assert head(mx.nd.ones((2, head.num_inputs))).shape == (2, skeleton.num_joints, 2)


@pytest.mark.parametrize("skeleton", [scaled(3), scaled(10), three_arms(2.0)], ids=["3", "10", "t"])
def test_scale_stretches_guide_and_joints_about_the_root(skeleton):
    """So both can be right: the joints of a subject of another size come back."""
    motion, scale = sample_within_bounds(skeleton, 16), np.linspace(0.7, 1.4, 16)
    joints = forward_kinematics(skeleton, motion)
    head = make_head("kinematic", skeleton)
    head.initialize()
    z, factor = mx.nd.array(joints.reshape(16, -1)), mx.nd.array(scale[:, None])
    made, _, guide = (out.asnumpy() for out in head.guided(mx.nd, z, factor))
    expected = forward_kinematics(skeleton, motion, scale)
    np.testing.assert_allclose(made, expected, atol=FLOAT32)
    np.testing.assert_allclose(guide, expected, atol=FLOAT32)


def test_gradient_is_that_of_differences(seed):
    skeleton = scaled(8)
    statistics = pose_statistics(skeleton, sample_within_bounds(skeleton, 100))
    head = make_head("kinematic", skeleton, statistics)
    head.initialize()
    head.cast("float64")
    z = mx.nd.array(0.5 * np.random.randn(3, head.num_inputs), dtype="float64")
    weight = mx.nd.array(np.random.randn(3, skeleton.num_joints, 2), dtype="float64")
    z.attach_grad()
    with mx.autograd.record():
        value = (head(z) * weight).sum()
    value.backward()
    step = 1e-6 * np.random.randn(*z.shape)
    ends = [
        (head(z + sign * mx.nd.array(step, dtype="float64")) * weight).sum() for sign in (1, -1)
    ]
    expected = (ends[0] - ends[1]).asscalar() / 2
    np.testing.assert_allclose((z.grad.asnumpy() * step).sum(), expected, rtol=1e-6)


def test_bones_without_length_have_a_finite_gradient():
    head = make_head("kinematic", scaled(6))
    head.initialize()
    z = mx.nd.zeros((1, head.num_inputs))
    z.attach_grad()
    with mx.autograd.record():
        value = head(z).square().sum()
    value.backward()
    assert np.isfinite(value.asscalar()) and np.isfinite(z.grad.asnumpy()).all()
