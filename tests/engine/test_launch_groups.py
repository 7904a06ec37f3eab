"""Groups that the launcher runs: their workers train nothing, but die, hang and come again."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.engine.group_runs import LIMIT_SECONDS, GroupRun, run_group, wait_for

WORKER = """
import os, signal, subprocess, sys, time
rank = os.environ["DKPR_RANK"]
def note(what):
    with open(f"{what}-{rank}", "w") as file:
        file.write(str(os.getpid()))
"""


def dummy(folder, code):
    (folder / "worker.py").write_text(WORKER + code)
    return [sys.executable, "worker.py"]


def pid_of(folder, what, rank):
    path = folder / f"{what}-{rank}"
    assert wait_for(lambda: path.exists() and path.read_text()), "the worker has not started"
    return int(path.read_text())


SLEEP = "note('started')\ntime.sleep(300)\n"
# Deaf to SIGTERM, and with a child that would hold the output open.
STUBBORN = (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "subprocess.Popen([sys.executable, '-c', 'import signal, time; "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)'])\n" + SLEEP
)


@pytest.mark.parametrize("code", [SLEEP, STUBBORN], ids=["gentle", "stubborn"])
def test_killed_worker_ends_the_group(code, tmp_path):
    with GroupRun(tmp_path, "-n", 3, "--", *dummy(tmp_path, code)) as run:
        pids = [pid_of(tmp_path, "started", rank) for rank in range(3)]
        assert set(pids) < set(run.left())
        begin = time.monotonic()
        os.kill(pids[1], signal.SIGKILL)
        status, _, error = run.finish()
        assert time.monotonic() - begin < LIMIT_SECONDS
        assert status == 128 + signal.SIGKILL
        assert "launch: worker 1 died: killed by SIGKILL\n" in error
        assert error.count("died") == 1
        assert run.left() == []


def test_killed_server_ends_the_group(tmp_path):
    with GroupRun(tmp_path, "-n", 1, "-s", 2, "--", *dummy(tmp_path, SLEEP)) as run:
        pid_of(tmp_path, "started", 0)
        server = next(pid for pid in run.left() if environment(pid).get("DMLC_ROLE") == "server")
        os.kill(server, signal.SIGKILL)
        status, _, error = run.finish(LIMIT_SECONDS)
        assert status == 128 + signal.SIGKILL
        assert "launch: server " in error
        assert "died: killed by SIGKILL" in error
        assert run.left() == []


def environment(pid):
    words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)


@pytest.mark.parametrize("how", ["launcher", "guards"])
def test_nothing_outlives_who_watches(how, tmp_path):
    with GroupRun(tmp_path, "-n", 2, "--", *dummy(tmp_path, STUBBORN)) as run:
        pids = [pid_of(tmp_path, "started", rank) for rank in range(2)]
        if how == "launcher":
            os.kill(run.process.pid, signal.SIGKILL)
            assert run.is_gone()
        else:
            guard = int(Path(f"/proc/{pids[0]}/stat").read_text().split()[3])
            os.kill(guard, signal.SIGKILL)
            status, _, error = run.finish(LIMIT_SECONDS)
            assert status == 128 + signal.SIGKILL
            assert "worker 0 died: killed by SIGKILL" in error
            assert not set(pids) & set(run.left())


INTERRUPTED = """
note('started')
try:
    time.sleep(300)
except KeyboardInterrupt:
    time.sleep(0.5)
    note('saved')
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_are_passed_on(number, tmp_path):
    with GroupRun(tmp_path, "-n", 2, "--", *dummy(tmp_path, INTERRUPTED)) as run:
        for rank in range(2):
            pid_of(tmp_path, "started", rank)
        run.process.send_signal(number)
        status, _, error = run.finish(LIMIT_SECONDS)
        assert status == 128 + number
        assert f"{signal.Signals(number).name}: ending the group" in error
        assert "died" not in error
        assert (tmp_path / "saved-0").exists() == (number == signal.SIGINT)
        assert run.left() == []


def test_users_mistake_is_shown_and_not_tried_again(tmp_path):
    code = """
if rank == "1":
    time.sleep(0.5)
    sys.exit(print("train.py: error: batch is -1", file=sys.stderr) or 2)
print("waiting", os.environ["OMP_NUM_THREADS"])
time.sleep(300)
"""
    command = [*dummy(tmp_path, code), "--out", "run"]
    status, out, error = run_group(tmp_path, "-n", 2, "--restarts", 3, "--", *command)
    assert status == 2
    assert out.startswith("[worker 0] waiting ")
    assert error.splitlines() == [
        "[worker 1] train.py: error: batch is -1",
        "launch: worker 1 died: exit status 2; its last line: train.py: error: batch is -1",
        "launch: ending the others",
    ]


FAILS_ONCE = """
path = os.path.join(sys.argv[2], "checkpoint", "last-0001-000000")
print(sys.argv[2:])
if not os.path.exists("tried"):
    if rank == "1":
        if {saves}:
            os.makedirs(path)
        open("tried", "w").close()
        sys.exit(7)
    time.sleep(300)
"""


@pytest.mark.parametrize("saves", [True, False])
def test_restart(saves, tmp_path):
    command = [*dummy(tmp_path, FAILS_ONCE.format(saves=saves)), "--out", "my run"]
    status, out, error = run_group(tmp_path, "-n", 2, "--restarts", 2, "--", *command)
    assert status == 0
    assert error.count("worker 1 died: exit status 7") == 1
    assert ("my run: going on from the last checkpoint" in error) == saves
    assert ("my run: no checkpoint yet" in error) != saves
    second = "['my run', '--resume']" if saves else "['my run']"
    # Before the restart the other worker may not have come to print anything.
    assert sorted(out.splitlines()[-2:]) == [f"[worker {rank}] {second}" for rank in range(2)]


def test_restarts_come_to_an_end(tmp_path):
    command = [*dummy(tmp_path, "sys.exit(int(rank) and 5)"), "--out", "run"]
    status, _, error = run_group(tmp_path, "-n", 2, "--restarts", 2, "--", *command)
    assert status == 5
    assert error.count("worker 1 died: exit status 5") == 3


# -- ssh, by a command of that name that stays on this machine

FAKE_SSH = """#!/bin/sh
# Another machine: another folder, an environment of its own, and nothing on the command line but
# options, the host and one string for its shell.
while [ "${1#-}" != "$1" ]; do
    case "$1" in -o) shift 2 ;; *) shift ;; esac
done
[ $# = 2 ] || exit 99
echo "$1" >>"$(dirname "$0")/hosts"
[ "$1" = down ] && { echo "ssh: connect to host down: No route to host" >&2; exit 255; }
cd / && exec env -i PATH="$PATH" HOME=/ sh -c "$2"
"""


@pytest.fixture
def ssh(tmp_path):
    """A folder for the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssh").write_text(FAKE_SSH)
    (folder / "ssh").chmod(0o755)
    return folder


def path_with(folder):
    return os.pathsep.join([str(folder), os.environ["PATH"]])


def write_hosts(folder, text):
    path = folder / "hosts.txt"
    path.write_text(text)
    return path


HOSTS = "alpha address=127.0.0.1 slots=2\nbeta address=127.0.0.1\n"


def test_workers_behind_ssh(ssh, tmp_path):
    code = """
print(sys.argv[1:], os.getcwd(), os.environ["MXNET_ODD"], os.environ.get("SECRET"))
if rank == "2":
    time.sleep(1)
    sys.exit(3)
time.sleep(300)
"""
    odd = "a b'c\"$HOME`;&"
    command = [*dummy(tmp_path, code), odd, "{rank}/{local_rank}"]
    status, out, error = run_group(
        tmp_path, "-n", 3, "--hosts", write_hosts(tmp_path, HOSTS), "--", *command,
        PATH=path_with(ssh), MXNET_ODD=odd, SECRET="x",
    )  # fmt: skip
    assert status == 3
    assert "launch: worker 2 died: exit status 3" in error
    assert sorted(out.splitlines()) == [
        f"[worker {rank}] {[odd, place]} {tmp_path} {odd} None"
        for rank, place in enumerate(["0/0", "1/1", "2/0"])
    ]
    # The port, scheduler and server, three workers.
    assert sorted((ssh / "hosts").read_text().split()) == ["alpha"] * 5 + ["beta"]


def test_nothing_outlives_the_launcher_behind_ssh(ssh, tmp_path):
    command = dummy(tmp_path, STUBBORN)
    hosts = write_hosts(tmp_path, HOSTS)
    with GroupRun(tmp_path, "-n", 3, "--hosts", hosts, "--", *command, PATH=path_with(ssh)) as run:
        for rank in range(3):
            pid_of(tmp_path, "started", rank)
        os.kill(run.process.pid, signal.SIGKILL)
        assert run.is_gone()


@pytest.mark.parametrize("first", [True, False])
def test_host_that_is_down(first, ssh, tmp_path):
    lines = ["down address=127.0.0.1\n", "up address=127.0.0.1\n"]
    hosts = write_hosts(tmp_path, "".join(lines if first else lines[::-1]))
    status, _, error = run_group(
        tmp_path, "-n", 2, "--hosts", hosts, "--", *dummy(tmp_path, SLEEP), PATH=path_with(ssh)
    )
    if first:
        assert status == 2
        assert error.startswith("launch.py: error: down: Python does not run there as it does here")
        assert error.count("\n") == 1
    else:
        assert status == 255
        assert "worker 1 died: ssh to down ended; its last line: ssh: connect to host" in error
