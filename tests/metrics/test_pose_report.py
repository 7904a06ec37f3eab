"""Angle errors, bone lengths and the report that bundles them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as SciPyRotation

from gluon_dkpr.geometry import angles_from_joints, forward_kinematics
from gluon_dkpr.metrics import (
    MetricError,
    angle_error,
    bone_length_std,
    bone_lengths,
    evaluate_poses,
    mpjpe,
)
from gluon_dkpr.skeleton import Joint, Parameter, Skeleton, planar

TOY = planar(3)
ANGLES = st.floats(-50, 50)


def motions(skeleton, count=40, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(*skeleton.bounds(), size=(count, skeleton.num_parameters))


class TestAngleError:
    @settings(max_examples=100, deadline=None)
    @given(first=ANGLES, second=ANGLES)
    def test_is_the_shorter_way_round(self, first, second):
        turns = SciPyRotation.from_euler("z", [first, second])
        expected = np.degrees((turns[0].inv() * turns[1]).magnitude())
        error = angle_error([[0, 0, first]], [[9, 9, second]], TOY)
        assert error == pytest.approx(expected, abs=1e-5)

    @settings(max_examples=100, deadline=None)
    @given(angle=ANGLES, turns=st.integers(-5, 5))
    def test_whole_turns_do_not_count(self, angle, turns):
        other = angle + 2 * math.pi * turns
        assert angle_error([[0, 0, angle]], [[0, 0, other]], TOY) == pytest.approx(0, abs=1e-9)

    def test_half_a_turn_is_180_degrees(self):
        assert angle_error([[0, 0, 0]], [[0, 0, math.pi]], TOY) == pytest.approx(180)
        assert angle_error([[0, 0, 0]], [[0, 0, -math.pi]], TOY) == pytest.approx(180)

    def test_per_parameter_leaves_lengths_out(self):
        skeleton = planar(6)  # x, y, orientation, theta, left_2, right_2
        true = np.zeros((2, 6))
        pred = np.radians([[1000, 1000, 10, -20, 350, 0], [1000, 1000, 30, 0, 0, 0]])
        found = angle_error(true, pred, skeleton, per="parameter")
        np.testing.assert_allclose(found, [20, 10, 5, 0], atol=1e-12)
        np.testing.assert_allclose(angle_error(true, pred, skeleton, per="sample"), [10, 7.5])
        assert angle_error(true, pred, skeleton) == pytest.approx(8.75)

    @pytest.mark.parametrize(
        ("true", "pred", "message"),
        [
            (np.zeros((2, 4)), np.zeros((2, 3)), r"motion_true has shape \(2, 4\)"),
            (np.zeros((2, 3)), np.zeros((1, 3)), "motion_pred has 1 samples, motion_true 2"),
            (np.zeros((0, 3)), np.zeros((0, 3)), "motion_true has no sample"),
            (np.zeros((1, 3)), np.full((1, 3), np.nan), r"motion_pred\[0, 0\] is nan"),
        ],
    )
    def test_wrong_input_is_named(self, true, pred, message):
        with pytest.raises(MetricError, match=message):
            angle_error(true, pred, TOY)

    def test_a_skeleton_without_angles_is_refused(self):
        point = Skeleton(
            "point", 2, [Parameter(name, "length") for name in "xy"], [Joint("root")], ("x", "y")
        )
        with pytest.raises(MetricError, match="'point' has no parameter in radians"):
            angle_error([[0, 0]], [[1, 1]], point)


class TestBoneLengths:
    def test_are_distances_of_joined_joints(self):
        joints = np.array([[[0, 0], [3, 4], [0, -12]]], dtype=float)
        np.testing.assert_allclose(bone_lengths(joints, TOY), [[5, 12]])

    @pytest.mark.parametrize("level", [3, 6, 8, 10])
    def test_kinematics_keeps_them(self, level):
        skeleton = planar(level)
        joints = forward_kinematics(skeleton, motions(skeleton))
        lengths = bone_lengths(joints, skeleton)
        np.testing.assert_allclose(lengths, np.tile(skeleton.bone_lengths, (40, 1)), rtol=1e-12)
        np.testing.assert_allclose(bone_length_std(joints, skeleton), 0, atol=1e-12)

    def test_std_is_over_samples_bone_by_bone(self):
        joints = np.zeros((2, 3, 2))
        joints[:, 1, 0] = 40, 50
        joints[:, 2, 1] = 45
        np.testing.assert_allclose(bone_length_std(joints, TOY), [5, 0])

    def test_std_agrees_with_its_definition_on_noise(self):
        """Noise of sigma at both ends makes the length of a long bone vary by sqrt(2) sigma."""
        rng = np.random.default_rng(1)
        joints = forward_kinematics(TOY, motions(TOY, 20000))
        noisy = joints + rng.normal(scale=0.5, size=joints.shape)
        np.testing.assert_allclose(bone_length_std(noisy, TOY), 0.5 * math.sqrt(2), rtol=0.02)

    def test_joints_of_another_skeleton_are_refused(self):
        with pytest.raises(MetricError, match=r"shape \(1, 5, 2\), expected \(N, 3, 2\)"):
            bone_lengths(np.zeros((1, 5, 2)), TOY)
        with pytest.raises(MetricError, match=r"joints\[0, 0\]"):
            bone_lengths(np.full((1, 3, 2), np.nan), TOY)


class TestEvaluatePoses:
    def test_the_truth_has_no_error(self):
        skeleton = planar(8)
        motion = motions(skeleton)
        joints = forward_kinematics(skeleton, motion)
        report = evaluate_poses(
            skeleton, joints, joints, motion, angles_from_joints(skeleton, joints)
        )
        assert report["n"] == 40
        assert report["unit"] == "px"
        assert report["joint_error"] == 0
        assert report["angle_error_deg"] == pytest.approx(0, abs=1e-9)
        assert report["bone_length_std"] == pytest.approx(0, abs=1e-12)

    def test_bundles_the_metrics(self):
        true_motion, pred_motion = motions(TOY, seed=1), motions(TOY, seed=2)
        true = forward_kinematics(TOY, true_motion)
        pred = true + np.random.default_rng(3).normal(size=true.shape)
        report = evaluate_poses(TOY, true, pred, true_motion, pred_motion)
        std = bone_length_std(pred, TOY).mean()
        assert report == {
            "n": 40,
            "unit": "px",
            "joint_error": mpjpe(true, pred),
            "angle_error_deg": angle_error(true_motion, pred_motion, TOY),
            "bone_length_std": pytest.approx(std),
            "bone_length_std_percent": pytest.approx(std / 45 * 100),
        }

    def test_the_papers_deviation_of_5_3_px_is_11_8_percent(self):
        joints = np.zeros((2, 3, 2))
        joints[:, 1, 0] = joints[:, 2, 1] = 45 - 5.3, 45 + 5.3
        report = evaluate_poses(TOY, joints, joints)
        assert report["bone_length_std"] == pytest.approx(5.3)
        assert round(report["bone_length_std_percent"], 1) == 11.8

    def test_goes_through_json(self):
        joints = forward_kinematics(TOY, motions(TOY)).astype(np.float32)
        report = evaluate_poses(TOY, joints, joints)
        assert report["angle_error_deg"] is None
        assert json.loads(json.dumps(report)) == report

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"motion_true": np.zeros((2, 3))}, "expected both or none"),
            (
                {"motion_true": np.zeros((1, 3)), "motion_pred": np.zeros((1, 3))},
                "motion has 1 samples, joints 2",
            ),
            ({"joints_true": np.zeros((2, 4, 2))}, "joints_pred has shape"),
        ],
    )
    def test_wrong_input_is_named(self, arguments, message):
        joints = {"joints_true": np.zeros((2, 3, 2)), "joints_pred": np.zeros((2, 3, 2))}
        with pytest.raises(MetricError, match=message):
            evaluate_poses(TOY, **{**joints, **arguments})

    def test_a_skeleton_without_bones_is_refused(self):
        point = Skeleton("point", 2, (Parameter("a"),), (Joint("root"),))
        with pytest.raises(MetricError, match="'point' has no bone"):
            evaluate_poses(point, np.zeros((1, 1, 2)), np.zeros((1, 1, 2)))
