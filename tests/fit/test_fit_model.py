"""fit_model: angles from joints of any skeleton."""

import dataclasses
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from strategies import random_motion, random_skeleton

from gluon_dkpr.errors import DkprError
from gluon_dkpr.fit import FitError, FitWarning, fit_model
from gluon_dkpr.geometry import forward_kinematics, kinematic_jacobian
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m, planar

HUMAN = human36m()
NAMES = HUMAN.parameter_names
# What is asked for of exact joints.
ANGLE_TOLERANCE = 1e-4


def human_motion(count, seed, root=math.pi):
    """Strong poses of a person: any orientation, limbs in wide ranges, hinges clearly bent."""
    random = np.random.RandomState(seed)
    ranges = {"flexion": (-0.8, 2.2), "abduction": (-0.4, 1.3), "twist": (-0.9, 0.9)}
    motion = random.uniform(-0.8, 0.8, (count, 27))
    for i, name in enumerate(NAMES):
        if "knee" in name or "elbow" in name:
            motion[:, i] = random.uniform(0.3, 2.6, count)
        elif name.split("_")[0] in ("left", "right"):
            motion[:, i] = random.uniform(*ranges[name.split("_")[-1]], count)
    motion[:, :3] = random.uniform(-3000, 3000, (count, 3))
    motion[:, 3:6] = random.uniform(-root, root, (count, 3))
    return motion


def distance(a, b):
    return np.linalg.norm(a - b, axis=-1)


def identifiable(skeleton, motion, least):
    """Whether a radian of every direction moves the joints by ``least`` or more."""
    jacobian = kinematic_jacobian(skeleton, motion).reshape(len(motion), -1, motion.shape[1])
    return np.linalg.svd(jacobian, compute_uv=False)[:, -1] >= least


def test_angles_of_exact_joints_come_back():
    motion = human_motion(300, 0, root=1.2)
    motion[:, 4] *= 0.8
    for i, name in enumerate(NAMES):
        if name.endswith(("hip_flexion", "hip_abduction", "shoulder_flexion", "r_abduction")):
            motion[:, i] *= 0.6  # away from the other answer of three angles
    result = fit_model(HUMAN, forward_kinematics(HUMAN, motion))
    assert result.converged.all() and result.valid.all()
    sure = identifiable(HUMAN, motion, 1.0)
    assert sure.mean() > 0.8
    assert np.abs(result.motion - motion)[sure].max() < ANGLE_TOLERANCE
    assert result.error.max() < 1e-3


def test_strong_poses_in_every_orientation():
    joints = forward_kinematics(HUMAN, human_motion(600, 1))
    result = fit_model(HUMAN, joints)
    assert result.converged.all()
    assert result.error.max() < 0.01
    again = forward_kinematics(HUMAN, result.motion)
    np.testing.assert_allclose(result.joints, again, atol=1e-8)
    np.testing.assert_allclose(result.error, distance(again, joints).mean(1), atol=1e-8)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 17)])
def test_same_minimum_as_scipy(weights):
    random = np.random.RandomState(2)
    truth = forward_kinematics(HUMAN, human_motion(8, 2))
    joints = truth + random.normal(0, 20, truth.shape)
    result = fit_model(HUMAN, joints, weights=weights)
    root = np.sqrt(np.ones(17) if weights is None else weights)[:, None]
    for frame, motion in zip(joints, result.motion):

        def residual(m, frame=frame):
            return (root * (forward_kinematics(HUMAN, m[None])[0] - frame)).ravel()

        def jacobian(m):
            return (root[..., None] * kinematic_jacobian(HUMAN, m[None])[0]).reshape(51, 27)

        lower, upper = HUMAN.bounds()
        start = np.clip(motion, lower + 1e-6, upper - 1e-6)
        best = least_squares(residual, start, jacobian, (lower, upper), x_scale="jac")
        ours = 0.5 * (residual(motion) ** 2).sum()
        assert ours <= best.cost * (1 + 1e-4)


def test_fit_removes_noise():
    random = np.random.RandomState(3)
    truth = forward_kinematics(HUMAN, human_motion(400, 3))
    noisy = truth + random.normal(0, 20, truth.shape)
    result = fit_model(HUMAN, noisy)
    assert result.converged.mean() > 0.99
    assert distance(result.joints, truth).mean() < 0.8 * distance(noisy, truth).mean()
    # No frame in a wrong minimum: the residual is that of the noise.
    assert result.error.max() < 40


def test_missing_joints():
    random = np.random.RandomState(4)
    truth = forward_kinematics(HUMAN, human_motion(300, 4))
    joints, weights = truth.copy(), np.ones((300, 17))
    missing = random.rand(300, 17) < 0.15
    joints[missing] = np.nan
    result = fit_model(HUMAN, joints)
    assert result.valid.all() and np.isfinite(result.motion).all()
    assert np.median(result.error) < 0.01 and (result.error < 1.0).mean() > 0.99
    weights[missing] = 0.0
    garbage = np.where(missing[..., None], 1e6, truth)
    same = fit_model(HUMAN, garbage, weights=weights)
    np.testing.assert_array_equal(same.motion, result.motion)


def test_frame_without_joints_is_flagged():
    joints = forward_kinematics(HUMAN, human_motion(3, 5))
    joints[1] = np.nan
    for sequence in (False, True):
        result = fit_model(HUMAN, joints, sequence=sequence)
        assert result.valid.tolist() == [True, False, True]
        assert result.converged.tolist() == [True, False, True]
        assert np.isnan(result.motion[1]).all() and np.isnan(result.joints[1]).all()
        assert np.isnan(result.error[1]) and result.error[[0, 2]].max() < 0.01
    nothing = fit_model(HUMAN, joints[1:2])
    assert not nothing.valid.any()
    assert fit_model(HUMAN, joints[:0]).motion.shape == (0, 27)


def test_scale():
    motion = human_motion(60, 6)
    factor = np.random.RandomState(6).uniform(0.7, 1.4, 60)
    joints = forward_kinematics(HUMAN, motion, factor)
    result = fit_model(HUMAN, joints, scale="estimate")
    np.testing.assert_allclose(result.scale, factor, rtol=1e-6)
    again = forward_kinematics(HUMAN, result.motion, result.scale)
    assert distance(again, joints).max() < 0.01
    assert (fit_model(HUMAN, joints).scale == 1).all()


def test_roll_of_a_straight_arm_stays_at_the_reference():
    motion = np.zeros((3, 27))
    column = NAMES.index("left_shoulder_twist")
    abduction = NAMES.index("left_shoulder_abduction")
    motion[:, abduction], motion[:, column] = 0.7, [0.9, -2.0, 0.0]
    joints = forward_kinematics(HUMAN, motion)
    at_rest = fit_model(HUMAN, joints)
    np.testing.assert_allclose(at_rest.motion[:, column], 0.0, atol=ANGLE_TOLERANCE)
    init = motion.copy()
    init[:, column] = 0.4
    near = fit_model(HUMAN, joints, init=init)
    np.testing.assert_allclose(near.motion[:, column], 0.4, atol=ANGLE_TOLERANCE)
    assert max(at_rest.error.max(), near.error.max()) < 1e-3


def wave(count):
    """A smooth sequence that turns round twice and bends everything."""
    time = np.linspace(0, 1, count)[:, None]
    phase = np.linspace(0, 5, 27)
    motion = 0.35 * np.sin(2 * np.pi * time + phase)
    for i, name in enumerate(NAMES):
        if "knee" in name or "elbow" in name:
            motion[:, i] = 0.9 + 0.5 * np.sin(2 * np.pi * time[:, 0] + i)
    motion[:, 3] = 4 * np.pi * time[:, 0]
    motion[:, NAMES.index("spine_roll")] += 0.5
    return motion


def test_sequence_is_continuous_and_unwrapped():
    motion = wave(120)
    joints = forward_kinematics(HUMAN, motion)
    result = fit_model(HUMAN, joints, sequence=True)
    assert result.error.max() < 0.1
    largest = np.abs(np.diff(motion[:, 3:], axis=0)).max()
    assert np.abs(np.diff(result.motion[:, 3:], axis=0)).max() < 1.5 * largest
    turned = result.motion[-1, 3] - result.motion[0, 3]
    assert abs(turned - 4 * np.pi) < 0.01


def test_noisy_sequence_has_no_jumps():
    motion = wave(120)
    truth = forward_kinematics(HUMAN, motion)
    noisy = truth + np.random.RandomState(8).normal(0, 10, truth.shape)
    apart = fit_model(HUMAN, noisy)
    result = fit_model(HUMAN, noisy, sequence=True)
    steps = np.abs(np.diff(result.motion[:, 3:], axis=0)).max()
    assert steps < 1.0 < np.abs(np.diff(apart.motion[:, 3:], axis=0)).max()
    assert distance(result.joints, truth).mean() < 1.1 * distance(apart.joints, truth).mean()


def test_sequence_with_one_scale():
    joints = 1.2 * forward_kinematics(HUMAN, wave(30))
    result = fit_model(HUMAN, joints, scale="estimate", sequence=True)
    np.testing.assert_allclose(result.scale, 1.2, rtol=1e-6)
    assert result.error.max() < 0.1


@pytest.mark.parametrize("level", [3, 6, 8, 10])
def test_planar_objects(level):
    skeleton = planar(level)
    lower, upper = skeleton.bounds()
    motion = np.random.RandomState(9).uniform(lower, upper, (100, level))
    result = fit_model(skeleton, forward_kinematics(skeleton, motion))
    np.testing.assert_allclose(result.motion, motion, atol=ANGLE_TOLERANCE)


@given(st.sampled_from([2, 3]), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_near_start_finds_exact_joints_of_any_skeleton(dim, count, seed):
    skeleton = random_skeleton(dim, count, seed)
    lower, upper = skeleton.bounds()
    motion = np.clip(random_motion(skeleton, 3, seed), lower, upper)
    joints = forward_kinematics(skeleton, motion)
    init = motion + np.random.RandomState(seed).uniform(-1e-3, 1e-3, motion.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)  # hidden joints may fold a bone to nothing
        result = fit_model(skeleton, joints, init=init)
    assert result.valid.all()
    size = 1 + sum(np.linalg.norm(joint.offset) for joint in skeleton.joints)
    assert result.error.max() < 1e-5 * size
    assert (result.motion >= lower - 1e-12).all() and (result.motion <= upper + 1e-12).all()


def test_gradient_descent_comes_near():
    random = np.random.RandomState(11)
    truth = forward_kinematics(HUMAN, human_motion(4, 11))
    noisy = truth + random.normal(0, 20, truth.shape)
    best, descent = fit_model(HUMAN, noisy), fit_model(HUMAN, noisy, solver="gd")
    assert (descent.iterations > best.iterations).all()
    assert descent.error.mean() < best.error.mean() + 3.0


def test_restart_leaves_a_bad_init():
    motion = human_motion(40, 12)
    upside_down = motion.copy()
    upside_down[:, 3:] *= -1
    result = fit_model(HUMAN, forward_kinematics(HUMAN, motion), init=upside_down)
    assert result.error.max() < 1.0


def test_fixed_root_and_shared_parameters():
    """A pair of scissors, whose pivot cannot move and whose blades share an angle."""
    joints = [Joint("pivot"), Joint("left", "pivot", (0, 0), (Rotation("z", "open"),), True)]
    joints += [Joint("right", "pivot", (0, 0), (Rotation("z", "open", -1.0),), True)]
    joints += [Joint("left_tip", "left", (3.0, 0)), Joint("right_tip", "right", (3.0, 0))]
    scissors = Skeleton("scissors", 2, (Parameter("open", lower=0, upper=1.5),), tuple(joints))
    motion = np.linspace(0.1, 1.4, 5)[:, None]
    result = fit_model(scissors, forward_kinematics(scissors, motion))
    np.testing.assert_allclose(result.motion, motion, atol=1e-8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": np.zeros((2, 16, 3))}, "shape (2, 16, 3), expected (N, 17, 3)"),
        ({"joints": np.zeros((2, 17, 2))}, "expected (N, 17, 3)"),
        ({"joints": np.zeros((17, 3))}, "expected (N, 17, 3)"),
        ({"joints": np.full((2, 17, 3), np.inf)}, "joints[0, 0] is [inf inf inf]"),
        ({"joints": "abc"}, "array of numbers"),
        ({"weights": -np.ones((2, 17))}, "at least 0"),
        ({"weights": np.full((2, 17), np.nan)}, "finite"),
        ({"weights": np.ones((3, 17))}, "expected (2, 17)"),
        ({"init": np.zeros((2, 26))}, "init has shape (2, 26)"),
        ({"init": np.full(27, np.nan)}, "init must be finite"),
        ({"scale": "free"}, "'fixed', 'estimate'"),
        ({"solver": "adam"}, "'lm', 'gd'"),
    ],
)
def test_bad_input(change, message):
    arguments = {"joints": forward_kinematics(HUMAN, np.zeros((2, 27))), **change}
    with pytest.raises(FitError) as caught:
        fit_model(HUMAN, **arguments)
    assert message in str(caught.value)
    assert isinstance(caught.value, DkprError)


def test_other_units_are_named():
    joints = forward_kinematics(HUMAN, np.zeros((2, 27)))
    with pytest.warns(FitWarning, match="joints look like m, skeleton 'human36m' is in mm"):
        fit_model(HUMAN, joints / 1000)
    with pytest.warns(FitWarning, match="look like cm"):
        fit_model(HUMAN, joints / 10)
    metres = dataclasses.replace(HUMAN.scaled(1e-3), length_unit="m")
    with pytest.warns(FitWarning, match="look like mm"):
        fit_model(metres, joints)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_model(metres, joints / 1000)
