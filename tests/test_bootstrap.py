"""How tools/bootstrap.sh finds a Python and makes .venv, on machines that only pretend."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

import pytest

from tests.pretend_machine import Machine


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


# -- which Python


def test_find_takes_the_newest_that_will_do(machine):
    machine.add_python("python3", "3.12.1")
    machine.add_python("python3.8", "3.8.18")
    path = machine.add_python("python3.9", "3.9.2")
    assert machine.find().stdout == f"{path} 3.9.2\n"


@pytest.mark.parametrize("version", ["3.8.0", "3.9.18", "3.10.13", "3.11.7"])
def test_find_takes_every_supported_version(machine, version):
    path = machine.add_python("python", version)
    assert machine.find().stdout == f"{path} {version}\n"


def test_find_passes_over_those_that_fail(machine):
    machine.add_program("python3.11", "echo pyenv: python3.11: command not found >&2; exit 127")
    machine.add_python("python3.10", "3.10.4", lacks="ensurepip")
    machine.add_python("python3.9", "3.9.2", bits=32)
    path = machine.add_python("python3", "3.8.10")
    assert machine.find().stdout == f"{path} 3.8.10\n"


def test_find_looks_into_pyenv(machine):
    for version in ("3.8.18", "3.10.13"):
        name = machine.home / ".pyenv" / "versions" / version / "bin" / "python"
        path = machine.add_python(str(name), version)
    assert machine.find().stdout == f"{path} 3.10.13\n"


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="not in a virtual environment")
def test_find_looks_behind_a_virtual_environment(machine):
    """With .venv active its Python is first on the PATH, and must not be asked to remake itself."""
    machine.add_program("python3.11", f'exec "{sys.executable}" "$@"')
    path, _ = machine.find().stdout.rsplit(" ", 1)
    assert path == os.path.realpath(sys.executable)


def test_no_suitable_python_is_one_line_that_says_what_was_found(machine):
    machine.add_program("python3.11", "exit 127")
    machine.add_python("python3.10", "3.10.4", lacks="venv ensurepip")
    machine.add_python("python3.9", "3.9.2", bits=32)
    machine.add_python("python3", "3.12.1")
    machine.add_python("python", "2.7.18")
    done = machine.find()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for found in (
        "python3.11 does not run",
        "python3.10 is Python 3.10.4 without venv and ensurepip",
        "python3.9 is Python 3.9.2 of 32 bits",
        "python3 is Python 3.12.1",
        "python is Python 2.7.18",
        "apt-get install python3-venv",
    ):
        assert found in done.stderr


def test_no_python_at_all(machine):
    done = machine.find()
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "found: none" in done.stderr


def test_a_named_python_is_the_only_one_tried(machine):
    machine.add_python("python3.11", "3.11.7")
    machine.add_python("mine", "3.12.1")
    assert "3.11.7" in machine.find(PYTHON="python3.11").stdout
    for name, found in (("mine", "it is Python 3.12.1"), ("nowhere", "it is not there")):
        done = machine.find(PYTHON=name)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"PYTHON={name} will not do: {found};" in done.stderr
        assert done.stderr.count("\n") == 1


# -- making .venv


def test_second_call_installs_nothing_and_says_nothing(machine):
    machine.add_python("python3.10")
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1
    assert "MXNet build cpu" in done.stderr
    assert machine.count("-m venv") == 1
    assert machine.count("--no-deps") == machine.count(" install ") == 3
    before = machine.calls.read_text()
    again = machine.setup()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert machine.calls.read_text() == before


def test_new_pins_build_or_python_make_it_anew(machine):
    machine.add_python("python3.10")
    machine.add_python("python3.9", "3.9.2")
    machine.setup()
    with (machine.tree / "requirements" / "test.txt").open("a") as lock:
        lock.write("more==1.0\n")
    machine.setup()
    assert machine.count("-m venv") == 2
    machine.setup(BUILD="cu112")
    assert machine.count("-m venv") == 3
    machine.setup()  # the build is kept where none is named
    machine.setup(PYTHON="python3.10")
    assert machine.count("-m venv") == 3
    machine.setup(PYTHON="python3.9")
    assert machine.count("-m venv") == 4


def test_people_are_added_once(machine):
    """The data for rendered people come on demand, without what these packages ask for."""
    machine.add_python("python3.10")
    machine.setup()
    assert machine.count("people.txt") == 0
    done = machine.setup("people")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert machine.count("--no-deps --only-binary :all: -r requirements/people.txt") == 1
    assert machine.setup("people").stderr == ""
    assert machine.count("people.txt") == 1
    with (machine.tree / "requirements" / "people.txt").open("a") as lock:
        lock.write("more==1.0\n")
    machine.setup()
    assert machine.count("people.txt") == 1
    machine.setup("people")
    assert machine.count("people.txt") == 2
    assert machine.count("-m venv") == 1


@pytest.mark.parametrize("what", ["onnx", "cpp", "serve"])
def test_what_some_tools_need_is_added_once(what, machine):
    machine.add_python("python3.10")
    machine.setup("people")
    assert machine.count(f"{what}.txt") == 0
    done = machine.setup(what)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert machine.count(f"--no-deps --only-binary :all: -r requirements/{what}.txt") == 1
    assert machine.setup(what).stderr == machine.setup("people").stderr == ""
    assert (machine.count(f"{what}.txt"), machine.count("people.txt")) == (1, 1)


def test_people_that_cannot_be_had_leave_the_rest(machine):
    machine.add_python("python3.10")
    machine.setup()
    done = machine.setup("people", DURING_PIP="echo no such wheel; exit 1")
    assert done.returncode == 1
    assert "no such wheel" in done.stderr
    assert machine.setup().stderr == ""
    assert machine.count("-m venv") == 1
    assert machine.setup("people").returncode == 0


def test_moved_tree_is_made_anew(machine):
    machine.add_python("python3.10")
    machine.setup()
    machine.tree = machine.tree.rename(machine.tree.with_name("elsewhere"))
    machine.setup()
    assert machine.count("-m venv") == 2


def test_failed_install_shows_the_log_and_is_redone(machine):
    machine.add_python("python3.10")
    done = machine.setup(DURING_PIP="echo no such package; exit 1")
    assert done.returncode == 1
    assert "no such package" in done.stderr
    assert ".venv/install.log" in done.stderr
    assert machine.setup().returncode == 0
    assert machine.count("-m venv") == 2


def test_killed_install_is_redone(machine):
    machine.add_python("python3.10")
    assert machine.setup(DURING_PIP="kill -9 $PPID").returncode == -signal.SIGKILL
    assert machine.setup().returncode == 0
    assert machine.count("-m venv") == 2


@pytest.mark.skipif(shutil.which("flock") is None, reason="the lock needs flock")
def test_two_installs_at_once_are_one(machine):
    machine.add_python("python3.10")
    # The first install starts the second, and goes on when that one waits.
    said = machine.tree / "said"
    second = f"{{ sh '{machine.tree}/tools/bootstrap.sh'; echo ended $?; }} >'{said}' 2>&1 9>&- &"
    waits = f"grep -q 'waiting for an install' '{said}'"
    until = f"i=0; until {waits} || [ $i = 200 ]; do i=$((i + 1)); sleep 0.05; done"
    done = machine.setup(DURING_PIP=f"DURING_PIP= ; {second} {until}")
    assert done.returncode == 0, done.stderr
    deadline = time.monotonic() + 20
    while "ended" not in said.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert said.read_text() == "setup: waiting for an install that is going on\nended 0\n"
    assert machine.count("-m venv") == 1


@pytest.mark.parametrize(
    ("answer", "build"),
    [
        ("echo 8.6", "cu112"),
        ("echo 5.2", "cu112"),
        ("echo 9.0; echo 7.5", "cu112"),
        ("echo 9.0", "cpu"),
        ("echo 12.0", "cpu"),
        ("echo 15.0", "cpu"),
        ("echo 3.7", "cpu"),
        ("echo NVIDIA-SMI has failed; exit 9", "cpu"),
    ],
)
def test_build_follows_the_gpu(machine, answer, build):
    machine.add_python("python3.10")
    machine.add_program("nvidia-smi", answer)
    machine.setup()
    assert machine.count(f"-r requirements/{build}.txt") == 1
    assert machine.count("-r requirements/c") == 1


def test_build_can_be_named(machine):
    machine.add_python("python3.10")
    machine.setup(BUILD="cu112")
    assert machine.count("-r requirements/cu112.txt") == 1
    done = machine.setup(BUILD="cuda")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "setup: BUILD=cuda is not known; expected cpu or cu112"


def test_system_library_that_is_missing_is_said_once_and_checked_again(machine):
    machine.add_python("python3.10")
    module = machine.tree / "gluon_dkpr" / "backend.py"
    module.write_text(
        "from gluon_dkpr.errors import DkprError\nraise DkprError('needs libgomp.so.1')\n"
    )
    for _ in range(2):
        done = machine.setup()
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == "setup: needs libgomp.so.1"
    module.write_text("")
    assert machine.setup().returncode == 0
    assert machine.count("-m venv") == 1
