"""Trainings of the toy section in processes of their own."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from gluon_dkpr.engine import reproduce, reproduce_jobs
from gluon_dkpr.engine.reproduce import ReproductionError
from gluon_dkpr.engine.stop import Terminated

# Stands for the tool: says that it is there, waits for as many as shall be, and is done.
WORKER = """
import json, os, pathlib, sys, time
flags = dict(zip(sys.argv[1:], sys.argv[2:]))
name = f"toy{flags['--levels']}-{flags['--methods']}-seed{flags['--seeds']}"
pathlib.Path("threads-" + name).write_text(os.environ["OMP_NUM_THREADS"])
pathlib.Path("here-" + name).touch()
while len(list(pathlib.Path().glob("here-*"))) < int(os.environ["TOGETHER"]):
    time.sleep(0.01)
if name == os.environ.get("FAILS"):
    sys.exit("tool: error: no such device")
path = pathlib.Path("results", name + ".json")
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps({"joint_error": 1.5, "seconds": 60}))
"""


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    sizes = {"data": {"train": 8, "test": 2}, "train": {"epochs": 1}}
    monkeypatch.setattr(reproduce, "QUICK", sizes)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "worker.py").write_text(WORKER)
    monkeypatch.setattr(reproduce_jobs, "TOOL", tmp_path / "worker.py")
    monkeypatch.setattr(reproduce_jobs, "POLL_SECONDS", 0.02)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("TOGETHER", "2")
    return tmp_path


def run(cells, jobs=2):
    reproduce_jobs.run_cells(cells, Path("runs"), Path("results"), jobs, quick=True)


def test_several_at_a_time(stand_in, monkeypatch, capsys):
    monkeypatch.setattr(reproduce_jobs, "default_jobs", lambda: 5)
    cells = reproduce.plan([3], [0])
    run(cells)
    assert all((stand_in / "results" / f"{cell.name}.json").exists() for cell in cells)
    assert {path.read_text() for path in stand_in.glob("threads-*")} == {"2"}  # 5 cores, 2 jobs
    assert "toy3-direct-seed0: 1.50 px after 1.0 min" in capsys.readouterr().out


def test_what_exists_is_not_trained_again(stand_in, monkeypatch, capsys):
    cells = reproduce.plan([3], [0], ["kinematic", "direct"])
    (stand_in / "results").mkdir()
    (stand_in / "results" / f"{cells[0].name}.json").write_text("{}")
    monkeypatch.setenv("TOGETHER", "1")
    run(cells)
    assert cells[0].name not in capsys.readouterr().out
    assert json.loads((stand_in / "results" / f"{cells[1].name}.json").read_text())


def test_one_that_fails_is_named_when_the_others_are_done(stand_in, monkeypatch):
    monkeypatch.setenv("FAILS", "toy3-direct-seed0")
    with pytest.raises(ReproductionError, match=r"toy3-direct-seed0 \(tool: error: no such device"):
        run(reproduce.plan([3], [0]))
    assert {path.stem for path in (stand_in / "results").iterdir()} == {
        "toy3-kinematic-seed0", "toy3-parameter-seed0"
    }  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all(stand_in, monkeypatch, number):
    monkeypatch.setenv("TOGETHER", "99")

    def send():
        while len(list(stand_in.glob("here-*"))) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
    expected = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    with pytest.raises(expected):
        run(reproduce.plan([3], [0]))
    assert not (stand_in / "results").exists()


@pytest.mark.slow
def test_the_tool_itself(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    cells = reproduce.plan([3], [0], ["kinematic", "direct"])
    reproduce_jobs.run_cells(cells, Path("runs"), Path("runs/quick/results/toy"), 2, quick=True)
    for cell in cells:
        assert reproduce.read_result(Path(f"runs/quick/results/toy/{cell.name}.json"))["n"] == 200
