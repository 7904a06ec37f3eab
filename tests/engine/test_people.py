"""Models measured on people: whose joints count from the root, and whose skeleton is fitted."""

import dataclasses

import numpy as np
import people as small
import pytest

from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine import people
from gluon_dkpr.engine.evaluate import evaluate
from gluon_dkpr.engine.people import (
    compare,
    fit_people,
    frame_step,
    protocol,
    read_truth,
    row_names,
    shows_people,
)
from gluon_dkpr.engine.predictor import EvaluationError
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

# Labels are float32, mm up to 2000.
LABEL_MM = 1e-3
BODY = human36m()
COUNT = 2 * sum(small.TEST_FRAMES.values())


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    return small.make_people_record(tmp_path_factory.mktemp("data") / "people")


@pytest.fixture
def dataset(record):
    return RecordDataset(record, "test")


class TestRootRelative:
    def test_a_predicted_root_elsewhere_costs_nothing(self, dataset):
        report = evaluate(small.Oracle(dataset, joints=[100.0, -50.0, 30.0]), dataset)
        assert report["joint_error"] == pytest.approx(0, abs=LABEL_MM)

    def test_all_joints_but_the_root_being_off_costs_16_of_17(self, dataset):
        error = np.zeros((17, 3))
        error[1:, 2] = 34.0
        report = evaluate(small.Oracle(dataset, joints=error), dataset)
        assert report["joint_error"] == pytest.approx(32.0, abs=LABEL_MM)
        moved = evaluate(small.Oracle(dataset, joints=error + 1000.0), dataset)
        assert moved["joint_error"] == pytest.approx(32.0, abs=LABEL_MM)


class TestTruth:
    def test_holds_the_labels_in_order_and_their_names(self, dataset):
        truth = read_truth(dataset)
        labels = dataset.read_labels(dataset.keys)
        np.testing.assert_array_equal(truth.joints, labels["joints"])
        np.testing.assert_array_equal(truth.motion, labels["motion"])
        assert truth.describe(3) == {
            "subject": "S9",
            "action": "SittingDown",
            "subaction": "1",
            "camera": "60457274",
            "frame": "5",
        }

    def test_reads_a_part_at_a_time(self, dataset, monkeypatch):
        whole = read_truth(dataset)
        monkeypatch.setattr(people, "CHUNK", 3)
        parts = read_truth(dataset)
        np.testing.assert_array_equal(parts.joints, whole.joints)
        np.testing.assert_array_equal(parts.numbers["action"], whole.numbers["action"])

    def test_without_names_numbers_are_shown(self, dataset):
        del dataset.info.source["actions"]
        truth = read_truth(dataset)
        assert truth.names["actions"] == ("0", "1", "2")
        assert truth.describe(0)["action"] == "0"

    def test_a_number_without_a_name(self, dataset):
        dataset.info.source["actions"] = ["Directions", "SittingDown"]
        with pytest.raises(EvaluationError, match="record 11 has number 2 in 'actions', expected"):
            read_truth(dataset)

    def test_a_toy_set_shows_no_people(self, dataset, tmp_path):
        make_toy_record(tmp_path / "toy", train=2, test=2)
        toy = RecordDataset(tmp_path / "toy", "test")
        assert shows_people(dataset)
        assert not shows_people(toy)
        with pytest.raises(EvaluationError, match=r"labels are \['joints', 'motion'\]"):
            read_truth(toy)


class TestProtocol:
    def test_is_read_from_the_labels(self, dataset):
        assert protocol(read_truth(dataset)) == {
            "subjects": {"S9": COUNT // 2, "S11": COUNT // 2},
            "cameras": {"60457274": COUNT},
            "frame_step": small.FRAME_STEP,
            "joints": 17,
            "relative_to": "pelvis",
            "frame": "camera",
            "unit": "mm",
            "scale": 1,
        }

    @pytest.mark.parametrize(
        ("frames", "camera", "step"),
        [
            ([0, 64, 128], [0, 0, 0], 64),
            ([128, 0, 64], [0, 0, 0], 64),
            ([0, 64, 3, 67], [0, 0, 1, 1], 64),
            ([0, 64, 129], [0, 0, 0], None),
            ([7], [0], None),
            ([7, 9], [0, 1], None),
            ([7, 7, 9, 9], [0, 0, 1, 1], None),
        ],
    )
    def test_frame_step(self, frames, camera, step):
        numbers = {kind: np.zeros(len(frames), int) for kind in people.NUMBERS}
        numbers.update(frame=np.array(frames), camera=np.array(camera))
        assert frame_step(numbers) == step


class TestCompare:
    def test_knows_the_error_of_every_model(self, dataset):
        truth = read_truth(dataset)
        error = np.zeros((17, 3))
        error[4] = 0.0, 170.0, 0.0
        turn = np.where(BODY.is_angle(), np.radians(3.0), 0.0)
        predictors = [
            small.Oracle(dataset, "direct", joints=error),
            small.Oracle(dataset, "kinematic", motion=turn),
        ]
        direct, kinematic = compare(["a", "b"], predictors, truth, batch_size=5)
        assert (direct.name, direct.model, direct.epoch) == ("Direct", "a", None)
        assert direct.report["mean_of_actions"]["mpjpe_mm"] == pytest.approx(10, abs=LABEL_MM)
        assert direct.report["mean_of_actions"]["angle_error_deg"] is None
        np.testing.assert_allclose(direct.joints, truth.joints + error, atol=LABEL_MM)
        found = kinematic.report["mean_of_frames"]
        assert found["mpjpe_mm"] == pytest.approx(0, abs=LABEL_MM)
        assert found["angle_error_deg"] == pytest.approx(3.0, abs=1e-3)

    def test_model_fit_is_a_row_after_direct_joint(self, dataset):
        """A rigid error of one joint breaks bones; the fit mends them, at the mean's size."""
        truth = read_truth(dataset)
        noise = np.random.RandomState(0).normal(scale=40, size=(COUNT, 17, 3))
        predictors = [
            small.Oracle(dataset, "kinematic"),
            small.Oracle(dataset, "direct", joints=noise),
        ]
        rows = compare(["k", "d"], predictors, truth, model_fit=True)
        assert [row.name for row in rows] == ["Kinematic", "Direct", "ModelFit"]
        assert [row.model_fit for row in rows] == [False, False, True]
        _, direct, fitted = (row.report for row in rows)
        assert direct["bone_length_std_mm"] > 10
        assert fitted["bone_length_std_mm"] == pytest.approx(0, abs=1e-3)
        assert fitted["mean_of_frames"]["angle_error_deg"] > 0
        lengths = np.linalg.norm(np.diff(rows[2].joints[:, [1, 2]], axis=1), axis=-1)
        np.testing.assert_allclose(lengths, 443.0, atol=1e-2)

    def test_size_known_is_a_row_with_the_subjects_own_bones(self, dataset):
        """The right angles with the right bones are the right joints; with the mean ones, not."""
        truth = read_truth(dataset)
        exact = forward_kinematics(BODY, truth.motion.astype(float))
        error = exact - truth.joints  # the kinematic layer's joints at scale 1
        predictors = [
            small.Oracle(dataset, "direct"),
            small.Oracle(dataset, "kinematic", joints=error),
        ]
        rows = compare(["d", "k"], predictors, truth, model_fit=True, size_known=True)
        names = ["Direct", "ModelFit", "ModelFit, size known"]
        assert [row.name for row in rows] == [*names, "Kinematic", "Kinematic, size known"]
        assert [row.size_known for row in rows] == [False, False, True, False, True]
        errors = [row.report["mean_of_frames"]["mpjpe_mm"] for row in rows]
        assert errors[0] == pytest.approx(0, abs=LABEL_MM)
        assert min(errors[1], errors[3]) > 5  # S9 is 5 % larger, S11 3 % smaller
        assert max(errors[2], errors[4]) < 0.1
        bones = [row.report["mean_of_frames"]["bone_length_error_mm"] for row in rows]
        assert min(bones[1], bones[3]) > 5
        assert max(bones[2], bones[4]) < 0.01
        # Every skeleton is exact, whosever size it has.
        deviations = [row.report["bone_length_std_mm"] for row in rows]
        assert max(deviations[1:]) < 0.01

    def test_sizes_that_nobody_knows(self, dataset):
        truth = dataclasses.replace(read_truth(dataset), scale=None)
        with pytest.raises(EvaluationError, match="tells no scale of the subjects"):
            compare(["k"], [small.Oracle(dataset, "kinematic")], truth, size_known=True)

    def test_a_fit_of_joints_that_the_skeleton_meets_changes_nothing(self, monkeypatch):
        monkeypatch.setattr(people, "CHUNK", 3)
        motion = small.random_motion(7)
        motion[:, :3] = [10.0, -20.0, 30.0]  # the root is not fixed
        joints = forward_kinematics(BODY, motion)
        pose = fit_people(BODY, joints)
        np.testing.assert_allclose(pose.joints, joints, atol=0.1)
        assert pose.motion.shape == motion.shape

    def test_model_fit_wants_direct_joint(self, dataset):
        predictor = small.Oracle(dataset, "kinematic")
        with pytest.raises(EvaluationError, match=r"for direct joint.*only \['kinematic'\]"):
            compare(["k"], [predictor], read_truth(dataset), model_fit=True)

    def test_a_prediction_that_is_no_number(self, dataset):
        predictor = small.Oracle(dataset, joints=np.nan)
        with pytest.raises(EvaluationError, match="joints of record 4 are not finite"):
            compare(["d"], [predictor], read_truth(dataset))

    @pytest.mark.parametrize(
        ("models", "methods", "names"),
        [
            (["runs/a", "runs/b"], ["direct", "kinematic"], ["Direct", "Kinematic"]),
            (
                ["runs/a", "runs/b", "c"],
                ["direct", "direct", "parameter"],
                ["Direct a", "Direct b", "Parameter"],
            ),
            (["x/a", "y/a"], ["direct", "direct"], ["Direct a 1", "Direct a 2"]),
            (
                ["runs/a.1", "runs/b/checkpoint/best.params"],
                ["direct", "direct"],
                ["Direct a.1", "Direct b"],
            ),
        ],
    )
    def test_rows_have_different_names(self, models, methods, names):
        assert row_names(models, methods) == names
