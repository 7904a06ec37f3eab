"""The benchmarks of the input pipeline and of training, on sizes that take seconds."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import gluon_dkpr
from gluon_dkpr.backend import mx
from gluon_dkpr.data import RecordDataset, RecordError, loader
from gluon_dkpr.engine.benchmark import harness, pictures, pipeline, train
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.benchmark.torch_step import Joined
from gluon_dkpr.engine.loop import Loop
from gluon_dkpr.geometry import forward_kinematics

ROOT = Path(gluon_dkpr.__file__).parent.parent


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "set"
    pictures.write_pictures(path, 24, 32, seed=1)
    return path


@pytest.fixture
def short(monkeypatch):
    """Two rounds of small batches, and no set is small enough to be kept decoded."""
    monkeypatch.setattr(harness, "ROUNDS", 2)
    monkeypatch.setattr(train, "ROUNDS", 1)
    monkeypatch.setattr(train, "STEPS", 1)
    monkeypatch.setattr(pipeline, "BATCH", 4)
    monkeypatch.setattr(pipeline, "UNIT", 2)
    monkeypatch.setattr(loader, "CACHE_SAMPLES", 0)


def test_pictures_cost_what_photographs_do(tmp_path):
    pictures.write_pictures(tmp_path / "large", 3, 224, seed=0)
    dataset = RecordDataset(tmp_path / "large", "train")
    assert dataset.image_shape == (224, 224, 3)
    assert 18_000 < dataset.info.rec_bytes / 3 < 26_000
    images, labels = dataset.read(dataset.keys)
    assert images.std() > 30
    expected = forward_kinematics(dataset.skeleton, labels["motion"].astype(np.float64))
    np.testing.assert_allclose(labels["joints"], expected, atol=1e-2)
    assert labels["frame"].tolist() == [0, 1, 2]
    assert not np.array_equal(images[0], images[1])


def test_pipeline_is_measured_against_a_peer_that_reads_the_same(record, short, tmp_path):
    text = pipeline.run(tmp_path / "p.json", "command", 0.01, threads=2, seed=0, record=str(record))
    found = json.loads((tmp_path / "p.json").read_text())["pipeline"]
    names = [
        f"{name}, {threads}"
        for threads in ("1 thread", "2 threads")
        for name in (pipeline.BYTES, pipeline.FLOATS, pipeline.PEER)
    ]
    assert list(found["images_per_second"]) == names
    assert list(found["ratio"]) == [name for name in names if pipeline.PEER not in name]
    assert all(speed["median"] > 0 for speed in found["images_per_second"].values())
    assert text == (tmp_path / "p.md").read_text()
    assert f"| {pipeline.PEER}, 2 threads | " in text
    assert "24 JPEG images of 32 x 32 px" in text


@pytest.mark.parametrize("what", ["images", "labels"])
def test_a_peer_that_reads_something_else_is_not_timed(record, what, monkeypatch):
    real = pipeline.peer_iterator

    class Other:
        def __init__(self, batch):
            self.data = [batch.data[0] + (what == "images") * 1e-3]
            self.label = [batch.label[0] + (what == "labels") * 1e-3]

        def next(self):
            return self

    monkeypatch.setattr(pipeline, "peer_iterator", lambda *a: Other(real(*a).next()))
    differ = pytest.raises(BenchmarkError, match=f"set.rec: {what} of ImageRecordIter differ from")
    with RecordDataset(record, "train") as dataset, differ:
        pipeline.check_agreement(dataset, 4)


def test_peer_agrees_on_every_picture(record):
    with RecordDataset(record, "train") as dataset:
        pipeline.check_agreement(dataset, len(dataset))


def test_training_is_measured(record, short, tmp_path):
    text = train.run(
        tmp_path / "t.json",
        "command",
        0.01,
        threads=2,
        seed=0,
        record=str(record),
        batch=2,
        backbone="resnet18_v1b",
    )
    result = json.loads((tmp_path / "t.json").read_text())
    found = result["train"]
    assert list(found["images_per_second"]) == [train.OURS, train.REPEATED, train.BARE]
    assert list(found["ratio"]) == [train.REPEATED, train.BARE]
    assert 0 < found["head"]["share"]["median"] < 1
    assert result["data"]["outputs"] == 51
    assert "resnet18_v1b, batches of 2 images of\n32 x 32 px (set) on cpu" in text
    assert "Torch did not take part: it is compared on one cpu with resnet50_v1b." in text
    rows = train.summary(result)
    assert [(row.against, row.ratio) for row in rows] == list(found["ratio"].items())


def test_contestants_have_twins_in_opposite_order(record, short, monkeypatch):
    seen = []

    def interleave(contestants, seconds, rounds):
        seen.extend(contestant.name for contestant in contestants)
        # The second of each pair of twins takes three times as long.
        return {name: [3.0 if name.endswith(", 1") else 1.0] * rounds for name in seen}

    monkeypatch.setattr(harness, "interleave", interleave)
    monkeypatch.setattr(train, "ROUNDS", 5)
    config = train.make_config(2, seed=0, backbone="resnet18_v1b")
    with RecordDataset(record, "train") as dataset:
        found = train.measure(config, dataset, [mx.cpu()], 1.0, Joined(None, ""))
    names = [train.OURS, train.REPEATED, train.BARE]
    assert seen == [f"{n}, 0" for n in names] + [f"{n}, 1" for n in names[::-1]] + [train.HEAD]
    for speed in found["images_per_second"].values():
        assert (speed["quartile1"], speed["quartile3"]) == pytest.approx((2 / 3, 2.0))
    # Each is compared with its neighbour in the same half.
    assert all(ratio["quartile1"] == ratio["quartile3"] == 1 for ratio in found["ratio"].values())


def test_loops_are_fed_as_the_table_says(record, monkeypatch):
    """The pipeline brings new batches in the loader's order; the other loop sees one for ever."""
    monkeypatch.setattr(train, "STEPS", 1)
    config = train.make_config(4, seed=0, backbone="resnet18_v1b")
    fed = {}
    with RecordDataset(record, "train") as dataset:
        for kind in (Loop, train.RepeatedLoop):
            keys = fed.setdefault(kind, [])
            spy = type("Spy", (kind,), {"_step": lambda self, b, *_, k=keys: k.append(b.keys)})
            looping = train.make_loop(spy, config, dataset, [mx.cpu()])
            # More steps than an epoch has.
            train.loop_timer(looping)(8)
        order = [
            loader.BatchLoader(dataset, 4, seed=0).order(epoch).reshape(-1, 4) for epoch in (0, 1)
        ]
    expected = np.concatenate(order)[:8]
    np.testing.assert_array_equal(fed[Loop], expected)
    np.testing.assert_array_equal(fed[train.RepeatedLoop], expected[:1].repeat(8, axis=0))


def test_set_that_is_too_small_is_refused(record, tmp_path, monkeypatch):
    monkeypatch.setattr(train.torch_step, "joined", None)  # nor is torch fetched for it
    with pytest.raises(BenchmarkError, match=r"set\.rec: 24 images, expected more than 52"):
        pipeline.run(tmp_path / "p.json", "", 0.01, 1, 0, record=str(record))
    with pytest.raises(BenchmarkError, match=r"set\.rec: 24 images are kept decoded in memory"):
        train.run(tmp_path / "t.json", "", 0.01, 1, 0, record=str(record), batch=2)
    assert list(tmp_path.iterdir()) == []


def load_tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_wrong_flags(capsys):
    for arguments in (["train", "--batch-size", "0"], ["pipeline", "--batch-size", "3"]):
        with pytest.raises(SystemExit) as caught:
            load_tool().main(arguments)
        assert caught.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_missing_data_set_is_named(tmp_path):
    for name in ("pipeline", "train"):
        with pytest.raises(RecordError, match=r"none\.json: cannot be opened"):
            load_tool().main([name, "--data", str(tmp_path / "none")])
