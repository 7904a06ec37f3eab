"""tools/make_h36m_record.py: what it prints, one line for a mistake, ended and continued."""

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gluon_dkpr.data import RecordDataset, read_info
from gluon_dkpr.engine.report import HUMAN36M
from gluon_dkpr.presets import PRESETS
from tests.data.h36m.raw_tree import RawTree

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_h36m_record.py"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    tree = RawTree(tmp_path_factory.mktemp("raw"))
    tree.add("S1", "Posing", frames=5, video_frames=7, masks=True)
    tree.add("S5", "Eating 1", frames=5)
    tree.add("S9", "Posing", frames=5)
    return tree.root


@pytest.fixture(scope="module")
def long_raw(tmp_path_factory):
    """Enough frames for a run to be ended in the middle of a video."""
    tree = RawTree(tmp_path_factory.mktemp("raw"))
    for name in ("Posing", "Eating 1"):
        for camera in ("54138969", "55011271"):
            tree.add("S1", name, camera, frames=60, masks=True)
    return tree.root


def start(*arguments, **kwargs):
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**pipes, **kwargs})


def call(*arguments, **kwargs):
    process = start(*arguments, **kwargs)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def data_set(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.stem == "set"}


def test_what_it_prints(raw, tmp_path):
    out = tmp_path / "set"
    status, printed, err = call("--raw", raw, "--out", out, "--every-test", 2, "--workers", 2)
    assert (status, err) == (0, "")
    assert f"{out}.rec, {out}.idx, {out}.json" in printed
    assert "10 train, 3 test" in printed
    assert "boxes: 5 from masks, 8 from joints" in printed
    assert "missing subject: 4\n  S6: no folder of that name\n" in printed
    assert "more video frames than poses: 1\n  S1/Videos/Posing.54138969.mp4: 7 frames" in printed
    assert "s with 2 workers: " in printed
    assert "frames/s and at most" in printed and "MB a worker" in printed
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *("set.idx", "set.json", "set.rec", "set.summary.json")
    ]


def test_help_explains_every_flag():
    status, printed, _ = call("--help")
    assert status == 0
    flags = "raw out frames every every-test seed boxes metadata keep-damaged workers strict fresh"
    for flag in flags.split():
        assert f"--{flag}" in printed
    assert "(default: 1)" in printed


@pytest.mark.parametrize("out", ["data/", "."])
def test_a_folder_is_a_place_for_the_set(raw, tmp_path, out):
    status, _, _ = call("--raw", raw, "--out", out, "--frames", 2, cwd=tmp_path)
    assert status == 0
    assert len(RecordDataset(tmp_path / out / "human36m", "train")) == 2


def test_training_and_report_know_it(raw, tmp_path):
    """The preset looks where the tool writes, and the paper's numbers stand beside its own."""
    assert call("--raw", raw, cwd=tmp_path)[0] == 0
    assert read_info(tmp_path / PRESETS["human36m"].data.record).source["dataset"] == HUMAN36M


def test_a_bar_for_those_who_watch(raw, tmp_path):
    ours, theirs = pty.openpty()
    status, _, _ = call("--raw", raw, "--out", tmp_path / "set", stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert status == 0
    assert "15/15" in shown and "frames/s" in shown


def assert_one_line(result, *expected, printed=""):
    status, out, err = result
    assert (status, out) == (2, printed)
    assert err.count("\n") == 1
    assert err.startswith("make_h36m_record.py: error: ")
    for text in expected:
        assert text in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "arguments are required: --raw"),
        (("--raw", "nowhere"), "nowhere: is no folder"),
        (("--raw", "empty"), "empty: no subject in it, found nothing; expected S1/MyPoseFeatures"),
        (("--raw", "RAW", "--frames", "0"), "frames is 0, expected 1 to"),
        (("--raw", "RAW", "--every", "x"), "invalid int value: 'x'"),
        (("--raw", "RAW", "--workers", "0"), "workers is 0, expected 1 to"),
        (("--raw", "RAW", "--boxes", "none"), "invalid choice: 'none'"),
        (("--raw", "RAW", "--metadata", "nowhere.xml"), "nowhere.xml: cannot be read"),
        (("--raw", "RAW", "--out", "file/set"), "file"),
    ],
)
def test_mistakes_are_one_line(raw, tmp_path, arguments, expected):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    arguments = [str(raw) if text == "RAW" else text for text in arguments]
    assert_one_line(call(*arguments, cwd=tmp_path), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


def test_strict(raw, tmp_path):
    status, out, err = call("--raw", raw, "--out", tmp_path / "set", "--strict")
    assert status == 2
    assert err == (
        "make_h36m_record.py: error: 4 problems and --strict, first missing subject: S6: no folder "
        "of that name\n"
    )
    assert out.startswith("missing subject: 4\n")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line_and_the_run_can_go_on(raw, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = call("--raw", raw, "--out", tmp_path / "set", preexec_fn=limit)
    assert_one_line(result, "File too large")
    assert [path.name for path in tmp_path.iterdir()] == ["set.parts"]
    assert call("--raw", raw, "--out", tmp_path / "set")[0] == 0


def end_while_converting(folder, process, number):
    """Send a signal when the first part is done and another is on its way."""
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        if any(folder.glob("set.parts/S1.*.json")):
            process.send_signal(number)
            break
        time.sleep(0.005)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def whole(long_raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert call("--raw", long_raw, "--out", folder / "set", "--workers", 1)[0] == 0
    return data_set(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_an_ended_run_goes_on_and_gives_the_same_bytes(long_raw, whole, tmp_path, number):
    arguments = ("--raw", long_raw, "--out", tmp_path / "set", "--workers", 2)
    status, out, err = end_while_converting(tmp_path, start(*arguments), number)
    if number == signal.SIGINT:
        assert status == 130
        assert err == "make_h36m_record.py: interrupted\n"
        assert out == f"{tmp_path / 'set'}.parts: the same command goes on from here\n"
    else:
        assert status == -number
    assert [path.name for path in tmp_path.iterdir()] == ["set.parts"]
    done = len(list(tmp_path.glob("set.parts/S1.*.json")))
    assert 1 <= done < 4
    status, out, _ = call(*arguments)
    assert status == 0
    assert data_set(tmp_path) == whole
    assert not (tmp_path / "set.parts").exists()
