"""Smoothing over time: nearer to the truth, bones exact, no angle swings across a jump."""

import itertools

import numpy as np
import pytest
from prediction_stubs import BODY, Person, picture

from gluon_dkpr.data.mocap import MocapError, read_clip, retarget
from gluon_dkpr.engine.prediction import (
    PredictionError,
    estimate_poses,
    smooth_motion,
    smooth_poses,
)
from gluon_dkpr.fit import fit_model
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.geometry.kinematics import world_rotations
from gluon_dkpr.skeleton import planar

COLUMN = {name: i for i, name in enumerate(BODY.parameter_names)}
SHOULDER = [COLUMN[f"right_shoulder_{name}"] for name in ("flexion", "abduction", "twist")]


def joint_error(motion, other):
    both = forward_kinematics(BODY, motion), forward_kinematics(BODY, other)
    return np.linalg.norm(both[0] - both[1], axis=-1).mean()


def bones(joints):
    pairs = np.array(BODY.bone_indices)
    return np.linalg.norm(joints[:, pairs[:, 0]] - joints[:, pairs[:, 1]], axis=-1)


def swinging(frames):
    """Return a smooth motion of a person who turns round once and moves arms and knees."""
    t = np.linspace(0, 1, frames)
    motion = np.zeros((frames, BODY.num_parameters))
    motion[:, COLUMN["root_yaw"]] = 2 * np.pi * t
    motion[:, COLUMN["left_knee_flexion"]] = 1 + np.sin(5 * t)
    motion[:, SHOULDER] = np.stack([0.8 * np.sin(6 * t), 1 + 0.8 * np.sin(4 * t), t], axis=1)
    return motion


@pytest.fixture(scope="module")
def clip():
    """The motion of a cartwheel, whose limbs pass through every orientation, root at the origin."""
    try:
        motion = retarget(read_clip("cartwheel")).motion[40:100].copy()
    except MocapError as error:
        pytest.skip(str(error))
    motion[:, ~BODY.is_angle()] = 0
    return motion


class TestMocap:
    def test_noise_gets_less_and_bones_stay_exact(self, clip):
        joints = forward_kinematics(BODY, clip)
        noise = np.random.default_rng(0).normal(0, 25, joints.shape)
        # Each frame on its own: angles jump between equal answers, as those of a network may.
        noisy = fit_model(BODY, joints + noise).motion
        smooth = smooth_motion(BODY, noisy, 2.5)
        # 28 and 16 mm. Smoothing the unwrapped angles as numbers gives more than 50.
        assert joint_error(smooth, clip) < 0.75 * joint_error(noisy, clip)
        rest = np.tile(BODY.bone_lengths, (len(clip), 1))
        np.testing.assert_allclose(bones(forward_kinematics(BODY, smooth)), rest, atol=1e-9)

    def test_clean_motion_stays(self, clip):
        # A cartwheel in 2.7 s: it turns by up to 8 degrees a frame.
        assert joint_error(smooth_motion(BODY, clip, 1.5), clip) < 4


class TestRotations:
    def test_a_full_turn_is_no_jump(self):
        motion = swinging(60)
        wrapped = motion.copy()
        yaw = COLUMN["root_yaw"]
        wrapped[:, yaw] = np.remainder(motion[:, yaw] + np.pi, 2 * np.pi) - np.pi
        assert np.abs(np.diff(wrapped[:, yaw])).max() > 6
        smooth = smooth_motion(BODY, wrapped, 2)
        assert joint_error(smooth, motion) < 1
        # And the curve of the angle goes on.
        assert np.abs(np.diff(smooth[:, yaw])).max() < 0.2
        np.testing.assert_allclose(smooth[:, yaw], motion[:, yaw], atol=0.02)

    def test_the_other_answer_of_three_angles_is_the_same(self):
        motion = swinging(40)
        other = motion.copy()
        some = np.random.default_rng(1).random(40) < 0.4
        a, b, c = motion[some][:, SHOULDER].T
        other[np.ix_(some, SHOULDER)] = np.stack([a + np.pi, np.pi - b, c - np.pi], axis=1)
        np.testing.assert_allclose(
            world_rotations(BODY, other), world_rotations(BODY, motion), atol=1e-9
        )
        both = [forward_kinematics(BODY, smooth_motion(BODY, m, 2)) for m in (motion, other)]
        np.testing.assert_allclose(both[1], both[0], atol=1e-6)

    def test_through_gimbal_lock(self):
        # An arm that goes through the pole: its outer angles turn by half a turn in one frame.
        t = np.linspace(-1, 1, 41)
        motion = np.zeros((41, BODY.num_parameters))
        motion[:, SHOULDER[1]] = np.pi / 2 + 0.6 * t
        joints = forward_kinematics(BODY, motion)
        folded = motion.copy()
        past = motion[:, SHOULDER[1]] > np.pi / 2
        a, b, c = motion[past][:, SHOULDER].T
        folded[np.ix_(past, SHOULDER)] = np.stack([a + np.pi, np.pi - b, c + np.pi], axis=1)
        smooth = forward_kinematics(BODY, smooth_motion(BODY, folded, 2))
        assert np.linalg.norm(smooth - joints, axis=-1).max() < 0.5


class TestParabola:
    @pytest.mark.parametrize("frames", [0.7, 2.0, 30.0])
    def test_single_angles_and_lengths_that_follow_one_are_kept(self, frames):
        # Lengths and a shared angle are filtered as numbers: exact, up to both ends.
        skeleton = planar(3)
        t = np.arange(12.0)
        motion = np.stack([3 + 2 * t - 0.1 * t**2, 5 - t, 0.2 + 0.05 * t + 0.01 * t**2], axis=1)
        np.testing.assert_allclose(smooth_motion(skeleton, motion, frames), motion, atol=1e-9)

    def test_one_and_two_frames(self):
        motion = swinging(40)
        for count in (1, 2):
            smooth = smooth_motion(BODY, motion[5 : 5 + count], 3)
            assert joint_error(smooth, motion[5 : 5 + count]) < 1e-6

    def test_nothing_at_0_and_no_frames(self):
        motion = swinging(3)
        np.testing.assert_array_equal(smooth_motion(BODY, motion, 0), motion)
        assert smooth_motion(BODY, motion[:0], 2).shape == (0, 27)

    @pytest.mark.parametrize("frames", [-1, np.nan, np.inf, 1e308])
    def test_bad_width(self, frames):
        with pytest.raises(PredictionError, match=r"expected 0 to 1e\+09"):
            smooth_motion(BODY, swinging(3), frames)

    def test_extreme_widths(self):
        motion = swinging(5)
        np.testing.assert_allclose(smooth_motion(BODY, motion, 1e-308), motion, atol=1e-9)
        wide = smooth_motion(BODY, motion, 1e9)
        np.testing.assert_allclose(wide, smooth_motion(BODY, motion, 1e3), atol=1e-3)

    def test_bad_shape(self):
        with pytest.raises(PredictionError, match=r"\(F, 27\)"):
            smooth_motion(BODY, np.zeros((3, 4)), 1)


class TestPoses:
    def test_joints_motion_and_overlay_belong_together(self):
        noisy = swinging(20) + np.random.default_rng(0).normal(0, 0.05, (20, 27))
        camera = [100.0, 100.0, 50.0, 40.0]
        poses = estimate_poses(Person(noisy), [picture()] * 20, camera=camera)
        smooth = list(smooth_poses(poses, 2))
        assert len(smooth) == 20
        depth = [[pose.root[2] for pose in some] for some in (poses, smooth)]
        assert np.std(np.diff(depth[1])) < 0.7 * np.std(np.diff(depth[0]))
        for pose in smooth:
            again = forward_kinematics(BODY, pose.motion[None])[0]
            np.testing.assert_allclose(pose.joints, again, atol=1e-9)
            np.testing.assert_allclose(pose.joints[0], 0, atol=1e-9)
            seen = pose.joints + pose.root
            pixels = seen[:, :2] / seen[:, 2:] * 100 + [50, 40]
            np.testing.assert_allclose(pose.joints_px, pixels, atol=1e-9)

    def test_is_lazy_and_keeps_only_its_window(self):
        (pose,) = estimate_poses(Person(swinging(1)), [picture()])
        read = itertools.count()
        endless = (pose for _ in read)
        smooth = smooth_poses(endless, 2)
        for _ in range(30):
            next(smooth)
        assert next(read) == 30 + 6

    def test_direct_joint_has_no_motion_to_smooth(self):
        poses = estimate_poses(Person(swinging(3), "direct"), [picture()] * 3)
        with pytest.raises(PredictionError, match="no motion to be smoothed"):
            list(smooth_poses(poses, 1))
        assert list(smooth_poses(poses, 0)) == poses
        assert list(smooth_poses([], 1)) == []
