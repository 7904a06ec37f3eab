"""Evaluation: the right samples, the right numbers, from live networks and from files."""

import json

import numpy as np
import pytest
from hand_set import (
    SHAPE,
    assert_one_line,
    call_tool,
    constant_net,
    load_tool,
    random_images,
    random_net,
    save_run,
)

from gluon_dkpr.backend import mx
from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine.evaluate import evaluate, motion_of, predict_dataset
from gluon_dkpr.engine.export import ExportError, export_model
from gluon_dkpr.engine.load import load_predictor
from gluon_dkpr.engine.predictor import EvaluationError, ImagePredictor, NetworkPredictor
from gluon_dkpr.engine.run_data import RunData, save_run_data
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.metrics import evaluate_poses
from gluon_dkpr.model_zoo import Pose, get_model
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import human36m, planar

COUNT = 21
# Labels are float32, px up to 128.
LABEL_PX = 1e-5


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=5, test=COUNT, seed=3)
    return path


@pytest.fixture
def dataset(record):
    return RecordDataset(record, "test")


class Oracle(ImagePredictor):
    """Knows the labels of a data set, and adds a known error."""

    def __init__(self, dataset, method, joints=0.0, motion=0.0):
        super().__init__(dataset.skeleton, method, dataset.image_shape, mx.cpu())
        self._labels = dataset.read_labels(dataset.keys)
        self._errors, self._next = (joints, motion), 0

    def predict(self, images):
        some = slice(self._next, self._next + len(images))
        self._next = some.stop
        joints = self._labels["joints"][some].astype(float) + self._errors[0]
        motion = self._labels["motion"][some].astype(float) + self._errors[1]
        return Pose(joints, None if self.method == "direct" else motion)


class TestNumbers:
    def test_of_known_errors(self, dataset):
        turn = np.array([0, 0, np.radians(2.0)])
        report = evaluate(Oracle(dataset, "kinematic", joints=(3.0, -4.0), motion=turn), dataset)
        assert (report["n"], report["unit"]) == (COUNT, "px")
        assert report["joint_error"] == pytest.approx(5.0, abs=LABEL_PX)
        assert report["angle_error_deg"] == pytest.approx(2.0, abs=1e-4)
        assert report["bone_length_std"] == pytest.approx(0.0, abs=LABEL_PX)

    def test_angles_of_direct_joint_follow_from_its_joints(self, dataset):
        report = evaluate(Oracle(dataset, "direct", joints=(3.0, -4.0)), dataset)
        assert report["joint_error"] == pytest.approx(5.0, abs=LABEL_PX)
        # A shifted object has the same angles.
        assert report["angle_error_deg"] == pytest.approx(0.0, abs=1e-4)

    def test_joints_in_three_dimensions_tell_no_angles(self):
        joints = np.zeros((2, 17, 3))
        assert motion_of(human36m(), Pose(joints, None)) is None
        motion = np.ones((2, 27))
        assert motion_of(human36m(), Pose(joints, motion)) is motion

    @pytest.mark.parametrize("method", METHODS)
    def test_equal_those_computed_by_hand(self, method, dataset):
        net = random_net(method)
        report = evaluate(NetworkPredictor(net), dataset)
        images, labels = dataset.read(dataset.keys)
        pose = NetworkPredictor(net).predict(images)
        motion = motion_of(net.skeleton, pose)
        expected = evaluate_poses(
            net.skeleton, labels["joints"], pose.joints, labels["motion"], motion
        )
        for key, value in expected.items():
            assert report[key] == pytest.approx(value, rel=1e-5, abs=1e-6)


class TestPredictor:
    @pytest.mark.parametrize("batch_size", [1, 8, 64])
    def test_samples_keep_their_order_in_any_batches(self, batch_size, dataset):
        predictor = NetworkPredictor(random_net())
        pose = predict_dataset(predictor, dataset, batch_size)
        images, _ = dataset.read(dataset.keys)
        assert pose.joints.shape == (COUNT, 3, 2)
        for i in (0, 7, COUNT - 1):
            alone = predictor.predict(images[i : i + 1])
            np.testing.assert_allclose(pose.joints[i], alone.joints[0], atol=1e-4)
            np.testing.assert_allclose(pose.motion[i], alone.motion[0], atol=1e-4)

    def test_a_known_motion_gives_its_joints(self):
        motion = np.array([40.0, 50.0, 0.5])
        expected = forward_kinematics(planar(3), motion[None])[0]
        for method, output in (
            ("kinematic", motion),
            ("parameter", motion),
            ("direct", expected),
        ):
            pose = NetworkPredictor(constant_net(method, output)).predict(random_images(2))
            np.testing.assert_allclose(pose.joints, [expected] * 2, atol=1e-4)
            if method == "direct":
                assert pose.motion is None
            else:
                np.testing.assert_allclose(pose.motion, [motion] * 2, atol=1e-4)

    @pytest.mark.parametrize("hybrid", [False, True])
    def test_follows_the_parameters_of_a_live_network(self, hybrid):
        net = constant_net("direct", np.full((3, 2), 10.0))
        if hybrid:
            net.hybridize(static_alloc=True)
        predictor = NetworkPredictor(net, SHAPE)
        images = random_images(3)
        first = predictor.predict(images)
        trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
        with mx.autograd.record():
            loss = net(mx.nd.zeros((1, 1, 128, 128))).sum()
        loss.backward()
        trainer.step(1)
        second = predictor.predict(images)
        # The gradient of every normalised coordinate by its bias is 1.
        np.testing.assert_allclose(first.joints, np.full((3, 3, 2), 10.0), atol=1e-4)
        np.testing.assert_allclose(second.joints, first.joints - 128.0, atol=1e-3)

    def test_runs_on_the_first_of_several_devices(self):
        net = random_net()
        expected = NetworkPredictor(net).predict(random_images(2)).joints
        net.collect_params().reset_ctx([mx.cpu(1), mx.cpu(0)])
        net.predictor.collect_params().reset_ctx([mx.cpu(1), mx.cpu(0)])
        predictor = NetworkPredictor(net)
        assert predictor.ctx == mx.cpu(1)
        np.testing.assert_array_equal(predictor.predict(random_images(2)).joints, expected)


class TestMistakes:
    @pytest.mark.parametrize(
        "images",
        [
            np.zeros((2, 128, 128, 1), np.float32),
            np.zeros((128, 128, 1), np.uint8),
            np.zeros((2, 1, 128, 128), np.uint8),
            np.zeros((0, 128, 128, 1), np.uint8),
        ],
    )
    def test_images_of_another_shape_or_type(self, images):
        predictor = NetworkPredictor(random_net(), SHAPE)
        with pytest.raises(EvaluationError, match=r"expected uint8 \(B, 128, 128, 1\)"):
            predictor.predict(images)

    def test_a_data_set_of_another_object(self, dataset):
        predictor = NetworkPredictor(random_net(level=6))
        with pytest.raises(EvaluationError, match="skeleton 'planar3', expected 'planar6'"):
            evaluate(predictor, dataset)

    def test_a_data_set_of_another_image_size(self, dataset):
        predictor = NetworkPredictor(random_net(), (64, 64, 1))
        with pytest.raises(EvaluationError, match=r"\(128, 128, 1\), expected \(64, 64, 1\)"):
            evaluate(predictor, dataset)

    @pytest.mark.parametrize("name", ["joints", "motion"])
    def test_a_prediction_that_is_no_number(self, name, dataset):
        error = {name: np.nan}
        with pytest.raises(EvaluationError, match=f"{name} of record 5 are not finite"):
            evaluate(Oracle(dataset, "kinematic", **error), dataset)


class TestTool:
    def test_run_checkpoint_and_export_give_the_numbers_of_the_network(self, record, tmp_path):
        net = random_net()
        run = save_run(tmp_path / "run", net, record)
        export_model(net, run / "export", "toy", SHAPE)
        expected = evaluate(NetworkPredictor(net), RecordDataset(record, "test"))
        main = load_tool("evaluate.py").main
        for model, *options in (
            (run,),
            (run / "checkpoint" / "best.params", "--batch-size", "4"),
            (run / "export", "--data", str(record)),
        ):
            main([str(model), *options, "--out", str(tmp_path / "report.json")])
            report = json.loads((tmp_path / "report.json").read_text())
            assert (report["model"], report["split"]) == (str(model), "test")
            for key, value in expected.items():
                # Deviations of exact bones are rounding alone.
                assert report[key] == pytest.approx(value, rel=1e-5, abs=1e-5)

    def test_an_export_finds_the_toy_set_of_its_level(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        make_toy_record("data/toy6", level=6, train=2, test=3)
        export_model(random_net(level=6), tmp_path, "toy", SHAPE)
        main = load_tool("evaluate.py").main
        main(["toy"])
        assert "split 'test', 3 images" in capsys.readouterr().out
        main(["toy", "--split", "train"])
        out = capsys.readouterr().out
        assert "split 'train', 2 images" in out
        assert "mean joint error" in out
        assert " px" in out

    def test_an_export_of_another_object_wants_a_data_set(self, tmp_path):
        net = get_model("toy_cnn", planar(3).scaled(0.5))
        net.initialize()
        export_model(net, tmp_path, "toy", SHAPE)
        with pytest.raises(ExportError, match="has no data set of its own, expected --data NAME"):
            load_tool("evaluate.py").main([str(tmp_path)])

    def test_mistakes(self, record, tmp_path, capsys):
        run = save_run(tmp_path / "run", random_net(), tmp_path / "gone")
        assert_one_line(call_tool("evaluate.py", run), "gone.json", "cannot be opened")
        # One that knows what its images are still has nothing to be measured on.
        save_run_data(run, RunData(NetworkImages(SHAPE), ""))
        assert_one_line(call_tool("evaluate.py", run), "gone.json", "no such data set")
        main = load_tool("evaluate.py").main
        with pytest.raises(SystemExit) as exit_:
            main([str(run), "--out", str(tmp_path / "no" / "report.json")])
        assert exit_.value.code == 2
        assert f"no folder {tmp_path / 'no'}" in capsys.readouterr().err
        with pytest.raises(DkprError, match=r"no split 'exam', expected \['train', 'test'\]"):
            main([str(run), "--data", str(record), "--split", "exam"])

    def test_a_folder_in_the_place_of_the_file(self, tmp_path, capsys):
        """Found before anything is measured, or even looked for."""
        with pytest.raises(SystemExit) as exit_:
            load_tool("evaluate.py").main(["no-run", "--out", str(tmp_path)])
        assert exit_.value.code == 2
        assert f"--out {tmp_path}: is a folder, expected a file" in capsys.readouterr().err

    def test_flags_that_would_have_no_effect(self, record, tmp_path):
        run = save_run(tmp_path / "run", random_net(), record)
        export_model(random_net(), run / "export", "toy", SHAPE)
        main = load_tool("evaluate.py").main
        with pytest.raises(
            EvaluationError, match=r"toy3\.rec: shows no people, which --size-known"
        ):
            main([str(run), "--size-known"])
        with pytest.raises(EvaluationError, match="a table of 2 models"):
            main([str(run), str(run)])
        for model in (run / "export", run / "checkpoint" / "best.params"):
            for tool, *rest in (("evaluate.py", "--data", record), ("predict.py", "a.png")):
                with pytest.raises(
                    EvaluationError,
                    match=f"{model}: is no run folder, which --checkpoint last is for",
                ):
                    load_tool(tool).main([str(model), *map(str, rest), "--checkpoint", "last"])


def test_load_predictor_keeps_the_device(tmp_path):
    run = save_run(tmp_path / "run", random_net())
    assert load_predictor(run, ctx=mx.cpu(1)).ctx == mx.cpu(1)
