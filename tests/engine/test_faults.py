"""What goes wrong in a run costs a step or a checkpoint, not the run."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from steps import poison

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine import checkpoint, saver
from gluon_dkpr.engine.checkpoint import find_last
from gluon_dkpr.engine.loop import Loop, TrainingError
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.train import train
from gluon_dkpr.presets import get_preset

EPOCHS, STEPS = 3, 5


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=STEPS * 32 - 4, test=16)
    return path


def config_of(record, **options):
    options = {"epochs": EPOCHS, "batch_size": 32, "checkpoint_minutes": 0.0, **options}
    return get_preset("toy3").replace(data={"record": str(record)}, train=options)


def test_full_disk_costs_a_checkpoint_not_the_run(record, tmp_path, monkeypatch, capsys):
    write, calls = checkpoint._write_arrays, []

    def full(path, name, function):
        calls.append(path)
        if len(calls) % 3 == 0:
            raise OSError(28, os.strerror(28), str(path))
        write(path, name, function)

    monkeypatch.setattr(checkpoint, "_write_arrays", full)
    train(config_of(record), tmp_path / "run", [mx.cpu()])
    errors = capsys.readouterr().err
    assert "no checkpoint written: No space left on device; training goes on" in errors
    monkeypatch.undo()
    find_last(tmp_path / "run" / "checkpoint")
    assert not list((tmp_path / "run" / "checkpoint").glob(".*"))


def test_step_that_is_not_finite_is_skipped_and_counted(record, tmp_path, monkeypatch):
    poison(monkeypatch, {2, 7})
    result = train(config_of(record), tmp_path / "run", [mx.cpu()])
    assert np.isfinite(result["joint_error"])
    state = find_last(tmp_path / "run" / "checkpoint").state
    assert (state["skipped"], state["updates"]) == (2, EPOCHS * STEPS - 2)
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert rows[-1].split(",")[rows[0].split(",").index("skipped_steps")] == "2"


def test_many_such_steps_end_the_run_with_the_records(record, tmp_path, monkeypatch):
    batches = poison(monkeypatch, range(6, 100))
    with pytest.raises(TrainingError) as error:
        train(config_of(record, max_skipped=3), tmp_path / "run", [mx.cpu()])
    assert "not finite in 3 steps in a row, the last one epoch 2, step 4" in str(error.value)
    assert ", ".join(map(str, batches[-1].keys[:8].tolist())) in str(error.value)
    saved = find_last(tmp_path / "run" / "checkpoint")
    assert saved.state["updates"] == 6
    assert np.isfinite(load_run(tmp_path / "run", "last").output.weight.data().asnumpy()).all()


def test_network_that_is_not_finite_is_not_saved(record, tmp_path, monkeypatch, capsys):
    step, calls = Loop._step, []

    def breaking(loop, *args):
        step(loop, *args)
        calls.append(args)
        if len(calls) == 2:
            loop._net.output.bias.set_data(loop._net.output.bias.data() * np.nan)

    monkeypatch.setattr(Loop, "_step", breaking)
    with pytest.raises(TrainingError, match="not finite in 3 steps in a row"):
        train(config_of(record, max_skipped=3), tmp_path / "run", [mx.cpu()])
    errors = capsys.readouterr().err
    assert "no checkpoint written: parameter 'output.bias' is not finite; training goes" in errors
    assert find_last(tmp_path / "run" / "checkpoint").state["updates"] == 1
    assert np.isfinite(load_run(tmp_path / "run", "last").output.bias.data().asnumpy()).all()


def test_checkpoints_are_few_and_whole(record, tmp_path):
    train(config_of(record, keep=3), tmp_path / "run", [mx.cpu()])
    folders = sorted((tmp_path / "run" / "checkpoint").glob("last-*"))
    assert [path.name for path in folders][-1] == f"last-{EPOCHS:04d}-000000"
    assert len(folders) == 3
    for path in folders:
        state = json.loads((path / "state.json").read_text())
        assert set(state["files"]) == {"network.params", "optimizer.params"}


def test_checkpoints_come_by_the_clock(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(saver.time, "monotonic", lambda: clock[0])
    timed = saver.Saver(Path(), get_preset("toy3"), None, None, [], None)
    assert not timed.is_due()
    clock[0] = 60 * get_preset("toy3").train.checkpoint_minutes
    assert timed.is_due()
