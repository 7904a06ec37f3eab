"""No run is lost: killed, interrupted, and still the same parameters to the last bit."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine.checkpoint import (
    CheckpointError,
    find_last,
    load_arrays,
    load_epoch,
)
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.run_folder import RunFolderError
from gluon_dkpr.engine.train import train
from gluon_dkpr.presets import get_preset

TOOL = Path(__file__).parents[2] / "tools" / "train.py"
EPOCHS, STEPS = 3, 5
# Trains as the tests ask, with a checkpoint after every step, and kills itself.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from gluon_dkpr.backend import mx
from gluon_dkpr.config import load_config
from gluon_dkpr.engine import checkpoint, loop
from gluon_dkpr.engine.train import train

config, folder, where, count = sys.argv[1:5]
count = int(count)

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def dying(function, before):
    calls = [0]
    def wrapped(*args, **kwargs):
        calls[0] += 1
        if before and calls[0] == count:
            kill()
        result = function(*args, **kwargs)
        if not before and calls[0] == count:
            kill()
        return result
    return wrapped

if where == "step":
    loop.Loop._step = dying(loop.Loop._step, False)
elif where == "parameters":  # half of a checkpoint is written
    checkpoint._write_arrays = dying(checkpoint._write_arrays, False)
elif where == "rename":
    os.replace = dying(os.replace, True)
elif where.startswith("best"):  # the count-th time that best.params or its stamp changes
    name, times, replace, unlink = where[5:], [0], os.replace, Path.unlink
    def dies(path):
        times[0] += Path(path).name == name
        if Path(path).name == name and times[0] == count:
            kill()
    def replacing(source, target):
        dies(target)
        replace(source, target)
    def unlinking(path, *args, **kwargs):
        dies(path)
        unlink(path, *args, **kwargs)
    os.replace, Path.unlink = replacing, unlinking
train(load_config(config), Path(folder), [mx.cpu(), mx.cpu(1)][: int(sys.argv[5])],
      resume=Path(folder).exists())
"""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=5 * 32 - 4, test=16)
    return path


def config_of(record, **options):
    """Dropout and an uneven last batch: both have to come again as they were."""
    options = {"epochs": EPOCHS, "batch_size": 32, "checkpoint_minutes": 0.0, **options}
    return get_preset("toy3").replace(
        data={"record": str(record)}, model={"dropout": 0.3}, train=options
    )


def state_of(folder):
    """Everything a run could go on from: parameters, optimiser, where it stands."""
    saved = find_last(folder / "checkpoint")
    net = load_run(folder, "last")
    arrays = {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}
    arrays.update({name: array.asnumpy() for name, array in load_arrays(saved).items()})
    progress = {k: v for k, v in saved.state.items() if k not in ("files", "seconds")}
    return arrays, progress


def assert_same(folder, expected):
    arrays, progress = state_of(folder)
    assert progress == expected[1]
    assert set(arrays) == set(expected[0])
    for name, array in expected[0].items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


@pytest.fixture(scope="module")
def whole(record, tmp_path_factory):
    # In a process of its own, like the others: tests before have changed this one's threads.
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = run_script(record, folder, "nowhere", 0)
    assert done.returncode == 0, done.stderr
    return state_of(folder)


def run_script(record, folder, where, count, devices=1):
    from gluon_dkpr.config import save_config

    path = folder.parent / "config.yaml"
    save_config(config_of(record), path)
    command = [sys.executable, "-c", SCRIPT, path, folder, where, count, devices]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False
    )
    return done


@pytest.mark.parametrize(
    ("where", "count"),
    [("step", 3), ("step", STEPS), ("step", STEPS + 2), ("parameters", 8), ("rename", 9)],
)
def test_killed_and_resumed_run_is_the_whole_one(where, count, record, whole, tmp_path):
    killed = run_script(record, tmp_path / "run", where, count)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run_script(record, tmp_path / "run", "nowhere", 0)
    assert resumed.returncode == 0, resumed.stderr
    assert_same(tmp_path / "run", whole)
    left = {path.name for path in (tmp_path / "run" / "checkpoint").iterdir()}
    assert not [name for name in left if name.startswith(".")], left


@pytest.mark.parametrize(
    ("where", "count"),
    # The second best network: its old stamp goes, its parameters come, its stamp comes.
    [("best best.json", 3), ("best best.params", 2), ("best best.json", 4)],
)
def test_killed_at_any_step_of_the_best_it_loads_and_goes_on(where, count, record, whole, tmp_path):
    folder = tmp_path / "run"
    killed = run_script(record, folder, where, count)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    load_run(folder, "best")
    # Whose they are is known only where the stamp stands.
    stamped = (folder / "checkpoint" / "best.json").exists()
    assert load_epoch(folder / "checkpoint", "best") == (1 if stamped else None)
    assert run_script(record, folder, "nowhere", 0).returncode == 0
    assert_same(folder, whole)
    assert load_epoch(folder / "checkpoint", "best") == EPOCHS
    assert not list((folder / "checkpoint").glob(".*"))


@pytest.mark.slow
def test_killed_at_any_step(record, whole, tmp_path):
    random = np.random.default_rng()
    for number in range(12):
        where = ["step", "parameters", "rename"][number % 3]
        count = int(random.integers(1, EPOCHS * STEPS if where == "step" else 30))
        folder = tmp_path / str(number) / "run"
        folder.parent.mkdir()
        killed = run_script(record, folder, where, count)
        assert killed.returncode == -signal.SIGKILL, (where, count, killed.stderr)
        if not any((folder / "checkpoint").glob("last-*")):
            continue  # killed before the first checkpoint: nothing to resume
        resumed = run_script(record, folder, "nowhere", 0)
        assert resumed.returncode == 0, (where, count, resumed.stderr)
        assert_same(folder, whole)


def test_two_devices_resume_to_the_same_bits(record, tmp_path):
    folders = [tmp_path / name / "run" for name in ("whole", "cut")]
    for folder in folders:
        folder.parent.mkdir()
    assert run_script(record, folders[0], "nowhere", 0, devices=2).returncode == 0
    assert run_script(record, folders[1], "step", 7, devices=2).returncode == -signal.SIGKILL
    assert run_script(record, folders[1], "nowhere", 0, devices=2).returncode == 0
    assert_same(folders[1], state_of(folders[0]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_in_good_order(number, record, tmp_path):
    command = [sys.executable, TOOL, "--data", record, "--out", tmp_path / "run"]
    command += ["--epochs", 200, "--batch-size", 8]
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (tmp_path / "run" / "metrics.csv").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == "train.py: interrupted"
    saved = find_last(tmp_path / "run" / "checkpoint")
    assert saved.state["epoch"] >= 1
    # It goes on from there without being told its configuration again.
    again = [sys.executable, str(TOOL), "--resume", "--out", str(tmp_path / "run"), "--epochs", "1"]
    done = subprocess.run(again, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    expected = f"{tmp_path / 'run'}: another configuration: train.epochs was 200, now 1; --override"
    assert expected in done.stderr


def test_damaged_newest_checkpoint_falls_back(record, whole, tmp_path):
    folder = tmp_path / "run"
    assert run_script(record, folder, "step", STEPS + 3).returncode == -signal.SIGKILL
    newest = find_last(folder / "checkpoint").folder
    data = bytearray((newest / "network.params").read_bytes())
    data[len(data) // 2] ^= 1
    (newest / "network.params").write_bytes(data)
    resumed = run_script(record, folder, "nowhere", 0)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{newest}" in resumed.stderr
    assert_same(folder, whole)


def test_nothing_whole_to_resume(record, tmp_path):
    train(config_of(record, epochs=1), tmp_path / "run", [mx.cpu()])
    for path in (tmp_path / "run" / "checkpoint").glob("last-*"):
        (path / "state.json").write_text("{")
    with pytest.raises(CheckpointError, match="none of its 2 checkpoints is whole"):
        train(config_of(record, epochs=1), tmp_path / "run", [mx.cpu()], resume=True)


def test_checkpoint_that_does_not_say_where_it_stood(record, tmp_path):
    train(config_of(record, epochs=1), tmp_path / "run", [mx.cpu()])
    for path in (tmp_path / "run" / "checkpoint").glob("last-*/state.json"):
        state = json.loads(path.read_text())
        del state["updates"]
        path.write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="does not say where the run stood"):
        train(config_of(record, epochs=1), tmp_path / "run", [mx.cpu()], resume=True)


def test_another_configuration_is_refused_with_the_difference(record, tmp_path):
    train(config_of(record, epochs=1), tmp_path / "run", [mx.cpu()])
    other = config_of(record, epochs=2, learning_rate=0.001)
    with pytest.raises(RunFolderError) as error:
        train(other, tmp_path / "run", [mx.cpu()], resume=True)
    assert "train.epochs was 1, now 2; train.learning_rate was 0.0005, now 0.001" in str(
        error.value
    )
    result = train(other, tmp_path / "run", [mx.cpu()], resume=True, override=True)
    assert result["epochs"] == 2
