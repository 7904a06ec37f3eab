"""The benchmark of prediction, on a network that takes seconds."""

import json

import numpy as np
import pytest
from hand_set import random_net, save_run

from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine.benchmark import harness, predict
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.evaluate import evaluate
from gluon_dkpr.engine.export import ExportError
from gluon_dkpr.engine.load import load_predictor

pytest.importorskip("onnxruntime", reason='wants the extra "onnx"')


def test_all_contestants_are_timed_on_the_same_network(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "ROUNDS", 2)
    monkeypatch.setattr(predict, "BATCHES", (1, 3))
    monkeypatch.setattr(predict, "CALIBRATION", 4)
    make_toy_record(tmp_path / "toy3", 3, 40, 30)
    trained = save_run(tmp_path / "trained", random_net(), tmp_path / "toy3")
    small = {"backbone": "resnet18_v1b", "size": 64}
    text = predict.run(
        tmp_path / "p.json", "the command", 0.01, 1, seed=0, model=str(trained), **small
    )
    result = json.loads((tmp_path / "p.json").read_text())
    assert (result["command"], result["threads"], result["size"]) == ("the command", 1, 64)
    assert [group["batch"] for group in result["batches"]] == [1, 3]
    for group in result["batches"]:
        assert set(group["seconds"]) == {"onnxruntime", *group["ratio"]}
        assert set(group["ratio"]) == {"MXNet, as exported", "MXNet, fused", "MXNet, int8"}
        assert all(times["median"] > 0 for times in group["seconds"].values())
    assert text.count("| MXNet, fused |") == 2
    cost = result["int8"]["error"]
    assert cost["images"] == 30
    expected = evaluate(load_predictor(trained), RecordDataset(tmp_path / "toy3", "test"))
    assert cost["float32"] == pytest.approx(expected["joint_error"], rel=1e-4)
    assert f"{cost['int8']:.2f} px in int8 ({cost['loss_percent']:+.2f} %) on the 30 test" in text
    assert (tmp_path / "p.md").read_text() == text


def test_a_model_that_is_none_is_told_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(predict, "make_network", None)
    with pytest.raises(ExportError, match="typo: no run folder or checkpoint"):
        predict.run(tmp_path / "p.json", "c", 0.01, 1, seed=0, model=str(tmp_path / "typo"))


def test_others_joints_are_not_timed():
    images = np.zeros((1, 3, 8, 8), np.float32)
    right = np.ones((1, 17, 3))
    found = {predict.PEER: lambda x: right, predict.FUSED: lambda x: right}
    found[predict.PLAIN] = lambda x: right * 1.001
    with pytest.raises(BenchmarkError, match="MXNet, as exported differ.* by 1.0e-03"):
        predict.check_agreement(found, images)
    found[predict.PLAIN] = lambda x: right * np.nan
    with pytest.raises(BenchmarkError):
        predict.check_agreement(found, images)
