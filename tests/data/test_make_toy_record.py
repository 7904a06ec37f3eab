"""The command line of the toy data."""

import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gluon_dkpr.data import RecordDataset, RecordError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "make_toy_record.py"


def start(*arguments, **kwargs):
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **kwargs)


def call(*arguments, **kwargs):
    process = start(*arguments, **kwargs)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_arguments_give_equal_files(tmp_path):
    for name in ("a", "b"):
        status, out, err = call(
            "--level", 6, "--train", 30, "--test", 4, "--seed", 5, "--out", tmp_path / name / "toy"
        )
        assert (status, err) == (0, "")
        assert str(tmp_path / name / "toy.rec") in out
        assert "30 train, 4 test" in out
        assert "images/s" in out
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == ["toy.idx", "toy.json", "toy.rec"]


def test_every_flag_has_a_default(tmp_path):
    status, out, _ = call("--help")
    assert status == 0
    for flag, default in (("level", 3), ("train", 16000), ("test", 1000), ("seed", 0)):
        assert f"--{flag}" in out
        assert f"(default: {default})" in " ".join(out.split())
    status, _, _ = call("--train", 2, "--test", 1, cwd=tmp_path)
    assert status == 0
    assert len(RecordDataset(tmp_path / "data" / "toy3", "train")) == 2


def assert_one_line(result, *expected):
    status, out, err = result
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("make_toy_record.py: error: ")
    for text in expected:
        assert text in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--level", 5), "invalid choice: 5"),
        (("--train", -3), "train is -3, expected 0 or more"),
        (("--test", "many"), "invalid int value: 'many'"),
        (("--train", 0, "--test", 0), "train and test are both 0"),
        (("--seed", -1), "seed is -1"),
        (("--tests", 3), "unrecognized arguments"),
    ],
)
def test_wrong_flag_is_one_line(tmp_path, arguments, expected):
    assert_one_line(call(*arguments, cwd=tmp_path), expected)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    assert_one_line(call("--out", tmp_path / "file" / "toy"), str(tmp_path / "file"))
    (tmp_path / "toy.rec").mkdir()
    assert_one_line(call("--out", tmp_path / "toy"), "toy.rec: is a folder")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "toy.rec"]


def test_full_disk_is_one_line_and_keeps_the_old_set(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    assert call("--train", 5, "--test", 1, "--out", tmp_path / "toy")[0] == 0
    before = contents(tmp_path)
    result = call("--train", 2000, "--out", tmp_path / "toy", preexec_fn=limit)
    assert_one_line(result, f"{tmp_path / 'toy.rec'}: File too large")
    assert contents(tmp_path) == before


def started_writing(folder, process):
    """Wait until the temporary .rec holds something; return whether the tool still runs."""
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        if any(path.stat().st_size for path in folder.glob("**/.toy-*.rec")):
            return True
        time.sleep(0.01)
    return False


def test_interrupt_leaves_nothing(tmp_path):
    process = start("--train", 2_000_000, "--out", tmp_path / "new" / "toy")
    assert started_writing(tmp_path, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "make_toy_record.py: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_killed_run_leaves_nothing_that_opens(tmp_path):
    process = start("--train", 2_000_000, "--out", tmp_path / "toy")
    assert started_writing(tmp_path, process)
    process.kill()
    process.communicate(timeout=30)
    with pytest.raises(RecordError, match=r"toy\.json: cannot be opened"):
        RecordDataset(tmp_path / "toy", "train")
