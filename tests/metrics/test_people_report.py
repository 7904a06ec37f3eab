"""The report on people: by action, by hand and against the single metrics."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.metrics import (
    MetricError,
    angle_error,
    auc,
    bone_length_std,
    bone_lengths,
    evaluate_people,
    evaluate_poses,
    mpjpe,
    p_mpjpe,
    pck,
    people,
    root_relative,
    swap_rate,
)
from gluon_dkpr.skeleton import human36m, planar

BODY = human36m()
NAMES = ("Directions", "Eating", "Walking")


def motions(count, seed):
    motion = np.random.RandomState(seed).uniform(-0.6, 0.6, (count, BODY.num_parameters))
    motion[:, ~BODY.is_angle()] = 0
    return motion


def example(count=23, seed=0):
    """Return truth, prediction (with a root that is off), actions and both motions."""
    random = np.random.RandomState(seed)
    motion_true, motion_pred = motions(count, seed), motions(count, seed + 1)
    true = forward_kinematics(BODY, motion_true, np.full(count, 1.04))
    pred = true + random.normal(scale=80, size=true.shape) + [300, -20, 5]
    return true, pred, random.choice([0, 2], count, p=[0.3, 0.7]), motion_true, motion_pred


def test_unbalanced_actions_by_hand():
    """Three frames of an action with 16 mm, one of another with 48 mm at 16 of 17 joints."""
    true = forward_kinematics(BODY, motions(4, 0))
    pred = true.copy()
    pred[:3, 1:, 0] += 17.0
    pred[3, 1:, 1] += 51.0
    report = evaluate_people(BODY, true, pred, [2, 2, 2, 0], NAMES)
    assert list(report["actions"]) == ["Directions", "Walking"], "no frame of Eating"
    assert report["actions"]["Walking"]["mpjpe_mm"] == pytest.approx(16)
    assert report["actions"]["Directions"]["mpjpe_mm"] == pytest.approx(48)
    assert [report["actions"][name]["n"] for name in ("Directions", "Walking")] == [1, 3]
    assert report["mean_of_actions"]["mpjpe_mm"] == pytest.approx((16 + 48) / 2)
    assert report["mean_of_frames"]["mpjpe_mm"] == pytest.approx((3 * 16 + 48) / 4)
    assert report["mean_of_frames"]["n"] == report["mean_of_actions"]["n"] == 4
    assert report["mean_of_frames"]["angle_error_deg"] is None


def test_the_root_counts_as_a_joint_that_is_always_right():
    true = forward_kinematics(BODY, motions(2, 0))
    pred = true.copy()
    pred[:, 1:, 0] += 500.0
    means = evaluate_people(BODY, true, pred, [0, 0], NAMES)["mean_of_frames"]
    assert means["pck_150mm"] == pytest.approx(100 / 17)
    assert means["auc"] == pytest.approx(100 / 17 * 30 / 31)


def test_agrees_with_the_metrics_of_each_action():
    true, pred, action, motion_true, motion_pred = example()
    report = evaluate_people(BODY, true, pred, action, NAMES, motion_true, motion_pred)
    true, pred = root_relative(true), root_relative(pred)

    def expected(some):
        t, p = true[some], pred[some]
        return {
            "n": int(some.sum()),
            "mpjpe_mm": mpjpe(t, p),
            "pa_mpjpe_mm": p_mpjpe(t, p),
            "pck_150mm": pck(t, p, 150.0),
            "auc": auc(t, p),
            "bone_length_error_mm": np.abs(bone_lengths(t, BODY) - bone_lengths(p, BODY)).mean(),
            "swap_rate": swap_rate(t, p, BODY),
            "angle_error_deg": angle_error(motion_true[some], motion_pred[some], BODY),
        }

    rows = {"Directions": expected(action == 0), "Walking": expected(action == 2)}
    for name, row in rows.items():
        assert report["actions"][name] == pytest.approx(row)
    assert report["mean_of_frames"] == pytest.approx(expected(action >= 0))
    for key in set(rows["Walking"]) - {"n"}:
        mean = (rows["Walking"][key] + rows["Directions"][key]) / 2
        assert report["mean_of_actions"][key] == pytest.approx(mean)
    std = bone_length_std(pred, BODY).mean()
    assert report["bone_length_std_mm"] == pytest.approx(std)
    assert report["bone_length_std_percent"] == pytest.approx(100 * std / BODY.bone_lengths.mean())
    limbs = swap_rate(true, pred, BODY, per="limb")
    assert list(report["swap_rate_by_limb"]) == ["hip to ankle", "shoulder to wrist"]
    np.testing.assert_allclose(list(report["swap_rate_by_limb"].values()), limbs)


def test_bones_that_are_exact_at_every_size_do_not_deviate():
    scale = np.linspace(0.9, 1.1, 6)
    joints = forward_kinematics(BODY, motions(6, 0), scale)
    arguments = BODY, joints, joints, np.zeros(6, int), NAMES
    mixed, known = evaluate_people(*arguments), evaluate_people(*arguments, scale=scale)
    rest = BODY.bone_lengths.mean()
    assert mixed["bone_length_std_mm"] == pytest.approx(scale.std() * rest)
    assert known["bone_length_std_mm"] == pytest.approx(0, abs=1e-9)
    assert known["bone_length_std_percent"] == pytest.approx(0, abs=1e-9)
    assert known["mean_of_frames"] == mixed["mean_of_frames"]


def test_mean_over_frames_is_that_of_the_report_on_any_object():
    true, pred, action, *both = example()
    report = evaluate_people(BODY, true, pred, action, NAMES, *both)
    plain = evaluate_poses(BODY, root_relative(true), root_relative(pred), *both)
    assert report["mean_of_frames"]["mpjpe_mm"] == pytest.approx(plain["joint_error"])
    assert report["mean_of_frames"]["angle_error_deg"] == pytest.approx(plain["angle_error_deg"])
    assert report["bone_length_std_mm"] == pytest.approx(plain["bone_length_std"])


def test_does_not_depend_on_how_many_are_taken_at_a_time(monkeypatch):
    true, pred, action, *both = example(23)
    whole = evaluate_people(BODY, true, pred, action, NAMES, *both)
    monkeypatch.setattr(people, "CHUNK", 5)
    parts = evaluate_people(BODY, true, pred, action, NAMES, *both)
    for key in ("mean_of_actions", "mean_of_frames", "swap_rate_by_limb"):
        assert parts[key] == pytest.approx(whole[key])
    assert parts["bone_length_std_mm"] == pytest.approx(whole["bone_length_std_mm"])


def test_where_the_person_stands_does_not_count():
    true, pred, action, *_ = example()
    report = evaluate_people(BODY, true, pred, action, NAMES)
    moved = evaluate_people(BODY, true + [500, 0, 4000], pred - 30, action, NAMES)
    assert moved["mean_of_frames"] == pytest.approx(report["mean_of_frames"])


def test_a_turn_counts_except_for_pa_mpjpe():
    true = forward_kinematics(BODY, motions(6, 0))
    turned = true @ Rotation.from_euler("y", 40, degrees=True).as_matrix()
    report = evaluate_people(BODY, true, turned, np.zeros(6, int), NAMES)["mean_of_actions"]
    assert report["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-6)
    assert report["mpjpe_mm"] > 50
    assert report["bone_length_error_mm"] == pytest.approx(0, abs=1e-9)


def test_goes_through_json():
    true, pred, action, *both = example()
    report = evaluate_people(BODY, true.astype(np.float32), pred, action, NAMES, *both)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": [0, 3]}, r"action\[1\] is 3, expected 0 to 2"),
        ({"action": [0, 0.5]}, r"action\[1\] is 0.5, expected 0 to 2"),
        ({"action": [0]}, r"action has shape \(1,\), expected \(2,\)"),
        ({"action_names": ("a", "a")}, "expected different ones"),
        ({"motion_true": motions(2, 0)}, "expected both or none"),
        (
            {"motion_true": motions(1, 0), "motion_pred": motions(2, 0)},
            "motion_true has 1 samples, joints 2",
        ),
        ({"scale": [1.0]}, r"scale has shape \(1,\), expected \(2,\)"),
        ({"scale": [1.0, 0.0]}, r"scale\[1\] is 0.0, expected finite and above 0"),
        ({"scale": [np.nan, 1.0]}, r"scale\[0\] is nan, expected finite and above 0"),
        ({"joints_pred": np.zeros((1, 17, 3))}, "1 predicted poses, 2 true ones"),
        ({"joints_pred": np.full((2, 17, 3), np.nan)}, r"is \[nan nan nan\], expected finite"),
        ({"skeleton": planar(3)}, "'planar3' is in px, expected mm"),
    ],
)
def test_wrong_input_is_named(change, message):
    true = forward_kinematics(BODY, motions(2, 0))
    arguments = {"skeleton": BODY, "joints_true": true, "joints_pred": true, "action": [0, 1]}
    with pytest.raises(MetricError, match=message):
        evaluate_people(**{**arguments, "action_names": NAMES, **change})
