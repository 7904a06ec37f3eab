"""ModelFit after direct joint: valid skeletons, joint and angle error before and after."""

import json

import numpy as np
import pytest
from hand_set import call_tool, random_net, save_run

from gluon_dkpr.backend import mx
from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine.evaluate import evaluate_model_fit
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.model_zoo import Pose

COUNT = 60


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy10"
    make_toy_record(path, level=10, train=2, test=COUNT)
    return path


class NoisyTruth(ImagePredictor):
    """Predicts the labels of a data set with Gaussian noise on the joints."""

    def __init__(self, dataset, noise_px):
        super().__init__(dataset.skeleton, "direct", dataset.image_shape, mx.cpu())
        joints = dataset.read_labels(dataset.keys)["joints"]
        self._joints = joints + np.random.RandomState(0).normal(0, noise_px, joints.shape)
        self._next = 0

    def predict(self, images):
        begin, self._next = self._next, self._next + len(images)
        return Pose(self._joints[begin : self._next], None)


def test_fit_mends_noisy_joints(record):
    dataset = RecordDataset(record, "test")
    before, after = evaluate_model_fit(NoisyTruth(dataset, 2.0), dataset, batch_size=16)
    assert before["bone_length_std"] > 1.0
    assert after["bone_length_std"] < 1e-6
    assert after["joint_error"] < before["joint_error"]
    assert after["angle_error_deg"] < before["angle_error_deg"]


def test_fit_leaves_exact_joints(record):
    dataset = RecordDataset(record, "test")
    before, after = evaluate_model_fit(NoisyTruth(dataset, 0.0), dataset)
    assert before["joint_error"] == 0
    assert after["joint_error"] < 1e-3
    assert after["angle_error_deg"] < 1e-2


def test_tool_reports_before_and_after(record, tmp_path):
    save_run(tmp_path / "run", random_net("direct", level=10), record)
    out = tmp_path / "report.json"
    arguments = (tmp_path / "run", "--data", record, "--model-fit", "--out", out)
    status, printed, _ = call_tool("evaluate.py", *arguments)
    assert status == 0
    assert "after ModelFit" in printed
    report = json.loads(out.read_text())
    assert report["bone_length_std"] > report["model_fit"]["bone_length_std"]
