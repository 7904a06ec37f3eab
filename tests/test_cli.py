"""A user's mistake is one line on standard error and exit status 2; a bug keeps its traceback."""

import errno
import os
import subprocess
import sys

import pytest

from gluon_dkpr.cli import EXIT_INTERRUPTED, EXIT_USER_ERROR, Parser, command_line, run
from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import load_skeleton


def raising(error):
    def main():
        raise error

    return main


def exit_of(main, capsys):
    """Return (status, standard error) of a run."""
    with pytest.raises(SystemExit) as caught:
        run(main)
    return caught.value.code, capsys.readouterr().err


@pytest.fixture(autouse=True)
def program(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/tool.py"])


@pytest.mark.parametrize("result, status", [(None, 0), (0, 0), (3, 3)])
def test_status_of_a_good_run(result, status, capsys):
    assert exit_of(lambda: result, capsys) == (status, "")


@pytest.mark.parametrize(
    "error, line",
    [
        (DkprError("a.yaml: batch is\n  -1, expected more"), "a.yaml: batch is -1, expected more"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.rec"), "a.rec: No such file"),
        (PermissionError(errno.EACCES, "Permission denied", "b"), "b: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_mistake_is_one_line(error, line, capsys):
    assert exit_of(raising(error), capsys) == (EXIT_USER_ERROR, f"tool.py: error: {line}\n")


def test_errors_of_the_package_are_mistakes(tmp_path, capsys):
    path = tmp_path / "none.yaml"
    status, text = exit_of(lambda: load_skeleton(path), capsys)
    assert status == EXIT_USER_ERROR
    assert text.startswith(f"tool.py: error: {path}: cannot be read")
    assert text.count("\n") == 1


def test_interrupt(capsys):
    status, text = exit_of(raising(KeyboardInterrupt()), capsys)
    assert (status, text) == (EXIT_INTERRUPTED, "tool.py: interrupted\n")


@pytest.mark.parametrize(
    "error", [ValueError("x"), OSError("x"), OSError(errno.EIO, "x"), KeyError]
)
def test_bug_keeps_its_traceback(error):
    kind = error if isinstance(error, type) else type(error)
    with pytest.raises(kind):
        run(raising(error))


def test_exit_of_the_program_itself_passes(capsys):
    assert exit_of(raising(SystemExit(7)), capsys) == (7, "")


def make_parser():
    parser = Parser(description="Try.", prog="tool.py")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the data")
    return parser


@pytest.mark.parametrize(
    "arguments, word",
    [(["--epochs", "x"], "invalid int"), (["--nothing"], "--nothing"), (["--epo", "3"], "--epo")],
)
def test_wrong_flag_is_one_line(arguments, word, capsys):
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(arguments)
    text = capsys.readouterr().err
    assert caught.value.code == EXIT_USER_ERROR
    assert text.startswith("tool.py: error: ")
    assert text.count("\n") == 1
    assert word in text
    assert "--help" in text


def test_help_shows_defaults(capsys):
    with pytest.raises(SystemExit) as caught:
        make_parser().parse_args(["--help"])
    assert caught.value.code == 0
    assert "(default: 3)" in capsys.readouterr().out


def test_reader_that_goes_away_is_no_traceback():
    """As in ``tool.py | head -1``."""
    code = """
from gluon_dkpr.cli import run
def main():
    for i in range(200_000):
        print(i)
run(main)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        text = process.stderr.read()
    assert text == ""
    assert process.returncode == 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_any_name_of_a_file_can_be_printed(encoding):
    code = """
import sys
from gluon_dkpr.cli import run
def main():
    for stream in (sys.stdout, sys.stderr):
        print('caf\\udce9 \\u00e9', file=stream)
run(main)
"""
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    line = "caf\\udce9 \u00e9\n".encode(encoding, "backslashreplace")
    assert (done.returncode, done.stdout, done.stderr) == (0, line, line)


def test_command_line_can_be_typed_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/tool.py", "my runs", "--seed", "1"])
    assert command_line("tools/tool.py") == "python tools/tool.py 'my runs' --seed 1"
    assert command_line("tools/tool.py", ["a"]) == "python tools/tool.py a"
