"""Angles as directions of points: right everywhere, smooth round the circle."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    forward_kinematics,
    orientation_parameters,
    pose_statistics,
    sample_within_bounds,
)
from gluon_dkpr.nn import make_head
from gluon_dkpr.nn.motion import direction_angle
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, hand, human36m, planar


def geared(skeleton):
    """Return the skeleton with knees that turn twice as far: no parts, so no inverse kinematics."""
    joints = [
        dataclasses.replace(
            joint,
            rotations=tuple(
                dataclasses.replace(r, coefficient=2 * r.coefficient)
                if joint.name.endswith("knee")
                else r
                for r in joint.rotations
            ),
        )
        for joint in skeleton.joints
    ]
    return dataclasses.replace(skeleton, joints=tuple(joints))


HUMAN = geared(human36m().scaled(1e-3))
ROUND = [HUMAN.parameter_names.index(f"root_{name}") for name in ("yaw", "roll", "pitch")]


def angle_and_gradient(x, y):
    x, y = mx.nd.array(x), mx.nd.array(y)
    x.attach_grad(), y.attach_grad()
    with mx.autograd.record():
        angle = direction_angle(mx.nd, x, y)
    angle.backward()
    return angle.asnumpy(), np.stack([x.grad.asnumpy(), y.grad.asnumpy()], -1)


@given(
    st.lists(
        st.tuples(st.floats(-3, 3, width=32), st.floats(-3, 3, width=32)), min_size=1, max_size=20
    )
)
def test_angle_is_the_arctangent(points):
    x, y = np.array(points).T
    radius = np.hypot(x, y)
    found, gradient = angle_and_gradient(x, y)
    assert np.isfinite(found).all() and np.isfinite(gradient).all()
    clear = radius > 1e-3
    difference = found - np.arctan2(y, x)
    # On the negative x axis both ends of the range are right.
    difference = np.remainder(difference + np.pi, 2 * np.pi) - np.pi
    assert np.abs(difference[clear]).max(initial=0) < 1e-5


def test_gradient_goes_round_without_a_jump():
    """It is the tangent of the circle over the radius, at the cut of the range too."""
    turn = np.linspace(-np.pi, np.pi, 721)
    _, gradient = angle_and_gradient(2 * np.cos(turn), 2 * np.sin(turn))
    expected = np.stack([-np.sin(turn), np.cos(turn)], -1) / 2
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_nothing_blows_up_at_the_origin():
    angle, gradient = angle_and_gradient([0.0], [0.0])
    assert np.isfinite(angle).all() and np.isfinite(gradient).all()


def test_which_angles_go_round():
    for skeleton, expected in ((HUMAN, ROUND), (planar(6), []), (planar(3), [])):
        assert np.flatnonzero(orientation_parameters(skeleton)).tolist() == expected
    for limit, expected in ((3.0, []), (np.pi, [0])):
        bounds = Parameter("turn", "radian", -limit, limit)
        turn = Joint("root", rotations=(Rotation("z", "turn"),))
        skeleton = Skeleton("disc", 2, (bounds,), (turn, Joint("rim", "root", (1.0, 0.0))))
        assert np.flatnonzero(orientation_parameters(skeleton)).tolist() == expected
    names = np.array(hand().parameter_names)[orientation_parameters(hand())]
    assert set(names) == {"root_yaw", "root_roll", "root_pitch"}


def motions(count=200):
    random = np.random.RandomState(0)
    motion = sample_within_bounds(HUMAN, count)
    motion[:, ROUND[0]] = random.uniform(-np.pi, np.pi, count)
    return motion


@pytest.mark.parametrize("with_statistics", [False, True])
def test_every_orientation_is_reached(with_statistics, hybridize):
    """For any motion there is a z, found by hand, whose joints are those of the motion."""
    motion = motions(30)
    statistics = pose_statistics(HUMAN, motions()) if with_statistics else None
    head = make_head("kinematic", HUMAN, statistics)
    head.initialize()
    if hybridize:
        head.hybridize()
    assert head.num_inputs == 30
    mean, matrix = (p.data().asnumpy() for p in (head.motion.mean, head.motion.matrix))
    shape = [i for i in range(27) if i not in ROUND]
    wanted = np.concatenate(
        [np.where(np.isin(range(27), ROUND), 0, motion)]
        + [3 * f(motion[:, ROUND]) for f in (np.cos, np.sin)],
        axis=1,
    )
    z = np.linalg.lstsq(matrix.astype(float), (wanted - mean).T, rcond=None)[0].T
    joints, found = (a.asnumpy() for a in head.pose(mx.nd, mx.nd.array(z)))
    np.testing.assert_allclose(found[:, shape], motion[:, shape], atol=1e-3)
    np.testing.assert_allclose(joints, forward_kinematics(HUMAN, motion), atol=2e-3)


def test_zero_is_the_middle_of_the_poses():
    """The first prediction: mean angles, and the mean direction of those that go round."""
    motion = motions()
    motion[:, ROUND[0]] = np.remainder(3.0 + 0.4 * np.random.RandomState(1).randn(200), 2 * np.pi)
    head = make_head("kinematic", HUMAN, pose_statistics(HUMAN, motion))
    head.initialize()
    _, found = head.pose(mx.nd, mx.nd.zeros((1, 30)))
    middle = motion.mean(0)
    # Not the mean of numbers near 0 and near a whole turn, which would face the other way.
    middle[ROUND] = np.arctan2(np.sin(motion).mean(0), np.cos(motion).mean(0))[ROUND]
    np.testing.assert_allclose(found.asnumpy()[0], middle, atol=1e-4)


def test_raw_outputs_know_no_directions(hybridize):
    head = make_head("kinematic", HUMAN, raw_outputs=True)
    head.initialize()
    assert head.num_inputs == 27
    z = motions(5)
    np.testing.assert_allclose(
        head(mx.nd.array(z)).asnumpy(), forward_kinematics(HUMAN, z), atol=1e-4
    )


@pytest.mark.parametrize(
    ("lower", "upper"), [(0.0, 2 * np.pi), (5.0, 13.0), (2.0, None), (None, -4.0)]
)
@pytest.mark.parametrize("with_statistics", [False, True])
def test_angles_that_go_round_stay_within_their_bounds(lower, upper, with_statistics):
    """Two rims tell of one angle: such an object has no inverse kinematics."""
    turn = Joint("root", rotations=(Rotation("z", "turn"),))
    rims = [Joint(f"rim{i}", "root", offset) for i, offset in enumerate([(1.0, 0.0), (0.0, 1.0)])]
    disc = Skeleton("disc", 2, (Parameter("turn", "radian", lower, upper),), (turn, *rims))
    begin = lower if lower is not None else upper - 7
    motion = np.random.RandomState(0).uniform(begin, begin + 1, (50, 1))
    head = make_head("kinematic", disc, pose_statistics(disc, motion) if with_statistics else None)
    head.initialize()
    assert head.num_inputs == 2 and not head.has_guide
    angle = np.linspace(-3.1, 3.1, 30)
    away = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = head.pose(mx.nd, mx.nd.array(away))[1].asnumpy()
    assert np.ptp(found) > 4
    assert (found > (-np.inf if lower is None else lower) - 1e-5).all()
    assert (found < (np.inf if upper is None else upper) + 1e-5).all()
    if with_statistics:
        at_first = head.pose(mx.nd, mx.nd.zeros((1, 2)))[1].asnumpy()[0, 0] - motion.mean()
        assert np.cos(at_first) > 0.999
