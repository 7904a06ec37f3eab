"""The launcher: who it would start, what it shows, and what it refuses."""

import io
import os
import time

import pytest

from gluon_dkpr.engine.launch import LaunchError, Request, launch
from gluon_dkpr.engine.launch.hosts import Host, read_hosts
from gluon_dkpr.engine.launch.plan import (
    choose_kvstore,
    option,
    place_workers,
    plan_horovod,
    plan_servers,
    plan_workers,
)
from gluon_dkpr.engine.launch.process import Reader, Writer
from tests.engine.group_runs import TOOL, run_group

ONE = Host("one", "10.0.0.1", 2)
TWO = Host("me@two", "10.0.0.2", 1)


# -- the hosts file


def hosts_file(folder, text):
    path = folder / "hosts.txt"
    path.write_text(text)
    return path


def test_hosts_file(tmp_path):
    text = (
        "# two machines\n\none slots=2 address=10.0.0.1  # the big one\nme@two address=10.0.0.2\n"
    )
    assert read_hosts(hosts_file(tmp_path, text)) == [ONE, TWO]


def test_address_of_a_single_host_is_looked_up(tmp_path):
    (host,) = read_hosts(hosts_file(tmp_path, "localhost slots=3"))
    assert host == Host("localhost", "127.0.0.1", 3)
    assert host.is_local


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no hosts, expected lines"),
        ("one address=10.0.0.1 slots=0", ":1: 'slots=0', expected slots=N"),
        ("one address=10.0.0.1\n\none address=10.0.0.2", ":3: one stands there twice"),
        ("one address=nowhere", ":1: 'address=nowhere', expected"),
        ("one 10.0.0.1", ":1: '10.0.0.1', expected"),
        ("-oProxyCommand=evil", ":1: '-oProxyCommand=evil' is no host name"),
        ("$(evil) address=10.0.0.1", ":1: '$(evil)' is no host name"),
        ("no-such-host.invalid", ":1: no-such-host.invalid has no known address"),
        ("localhost\none address=10.0.0.1", ":1: localhost is 127.0.0.1 here, where no other"),
    ],
)
def test_wrong_hosts_file(text, message, tmp_path):
    path = hosts_file(tmp_path, text)
    with pytest.raises(LaunchError) as caught:
        read_hosts(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_unreadable_hosts_file(tmp_path):
    with pytest.raises(LaunchError, match=r"none\.txt: cannot be read: No such file"):
        read_hosts(tmp_path / "none.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(LaunchError, match="not a text file"):
        read_hosts(tmp_path / "binary")


# -- who is started


def test_option_is_found_as_two_words_or_one():
    assert option(["a", "--out", "x", "--out=y"], "--out") == "y"
    assert option(["a", "--output", "x"], "--out") is None
    assert option(["a", "--out"], "--out") is None


@pytest.mark.parametrize(
    "asked, command, kvstore",
    [
        (None, [], "dist_sync"),
        (None, ["--kvstore=horovod"], "horovod"),
        ("dist_device_sync", [], "dist_device_sync"),
        ("horovod", ["--kvstore", "horovod"], "horovod"),
    ],
)
def test_kvstore_is_the_commands_own(asked, command, kvstore):
    assert choose_kvstore(asked, command) == kvstore


def test_wrong_kvstore():
    with pytest.raises(LaunchError, match="dist_sync, but device in the workers' command"):
        choose_kvstore("dist_sync", ["--kvstore", "device"])
    with pytest.raises(LaunchError, match="says --kvstore device, expected one of dist_sync"):
        choose_kvstore(None, ["--kvstore", "device"])


def test_workers_fill_host_after_host():
    assert place_workers(3, [ONE, TWO]) == [(ONE, 0), (ONE, 1), (TWO, 0)]
    assert place_workers(1, [ONE, TWO]) == [(ONE, 0)]
    with pytest.raises(LaunchError, match="4 workers, but the hosts have 3 slots"):
        place_workers(4, [ONE, TWO])


def test_plan_of_a_parameter_server():
    workers = plan_workers(["run", "--ctx", "gpu{local_rank}", "{rank}"], 3, [ONE, TWO])
    assert [worker.command[2:] for worker in workers] == [
        ("gpu0", "0"),
        ("gpu1", "1"),
        ("gpu0", "2"),
    ]
    members = plan_servers(workers, 3, 9123)
    assert [(member.name, member.host) for member in members] == [
        ("scheduler", ONE),
        *(("server 0", ONE), ("server 1", TWO), ("server 2", ONE)),
        *(("worker 0", ONE), ("worker 1", ONE), ("worker 2", TWO)),
    ]
    for member in members:
        assert member.settings["DMLC_ROLE"] == member.role
        assert member.settings["DMLC_PS_ROOT_URI"] == "10.0.0.1"
        assert member.settings["DMLC_PS_ROOT_PORT"] == "9123"
        assert member.settings["DMLC_NUM_WORKER"] == member.settings["DMLC_NUM_SERVER"] == "3"
        assert member.settings["DMLC_NODE_HOST"] == member.host.address
    assert [worker.settings["DKPR_RANK"] for worker in members[4:]] == ["0", "1", "2"]


def test_plan_of_horovod_is_horovods_own():
    """Against Horovod's assignment of two workers here and one there, written down by hand."""
    members = plan_horovod(plan_workers(["run"], 3, [ONE, TWO]), "10.0.0.9", 1234)
    names = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")
    found = [[int(member.settings[f"HOROVOD_{name}"]) for name in names] for member in members]
    assert found == [[0, 3, 0, 2, 0, 2], [1, 3, 1, 2, 0, 1], [2, 3, 0, 1, 1, 2]]
    assert {member.settings["HOROVOD_GLOO_RENDEZVOUS_PORT"] for member in members} == {"1234"}


@pytest.mark.parametrize("slots, count", [([1, 1], 2), ([3, 1, 2], 6), ([2, 4], 5)])
def test_plan_of_horovod_against_horovod(slots, count):
    hosts = pytest.importorskip(
        "horovod.runner.common.util.hosts", reason="Horovod is not installed"
    )
    machines = [Host(f"h{i}", f"10.0.0.{i + 1}", n) for i, n in enumerate(slots)]
    workers = plan_workers(["run"], count, machines)
    used = [(host.name, sum(worker.host == host for worker in workers)) for host in machines]
    theirs = hosts.get_host_assignments([hosts.HostInfo(*pair) for pair in used], count)
    for slot, member in zip(theirs, plan_horovod(workers, "10.0.0.1", 1)):
        for name in ("rank", "size", "local_rank", "local_size", "cross_rank", "cross_size"):
            assert member.settings[f"HOROVOD_{name.upper()}"] == str(getattr(slot, name)), name


# -- what is shown


def shown(*pieces):
    """Return what comes out when a process writes some pieces, one after the other."""

    class Pipe(io.BytesIO):
        def read1(self, _):
            return next(left, b"")

    left, out = iter(pieces), io.BytesIO()
    reader = Reader(Pipe(), "worker 1", Writer(out))
    reader.run()
    return out.getvalue().decode(), reader.last_line.decode()


def test_every_line_gets_the_name():
    text, last = shown(b"a\nb", b"c\r\n\nend")
    assert text == "[worker 1] a\n[worker 1] bc\n[worker 1] \n[worker 1] end\n"
    assert last == "end"


def test_a_progress_bar_does_not_flood():
    steps = [f"\r{percent}%".encode() for percent in range(100)]
    text, _ = shown(*steps, b"\r100%\n", b"\rdone\r\n")
    # The first, and what was written over no more.
    assert text == "[worker 1] 0%\n[worker 1] \r100%\n[worker 1] \rdone\n".replace("\r", "")


def test_many_returns_take_no_time():
    begin = time.monotonic()
    text, _ = shown(b"a" + b"\r" * 60_000, b"b\r\r\r\nc" + b"\r" * 60_000 + b"\n")
    assert time.monotonic() - begin < 1
    assert text == "[worker 1] a\n[worker 1] b\n[worker 1] c\n"


def test_a_line_without_an_end_is_shown():
    text, _ = shown(*[b"x" * 50000] * 4)
    assert text.count("x") == 200000


def test_nobody_reads():
    class Closed(io.BytesIO):
        def write(self, _):
            raise BrokenPipeError

    writer = Writer(Closed())
    writer.write(b"a")
    assert writer.lost


# -- mistakes


@pytest.mark.parametrize(
    "request_, message",
    [
        (Request((), 2), "no command for the workers"),
        (Request(("x",), 0), "workers is 0, expected 1"),
        (Request(("x",), 1, servers=0), "servers is 0, expected 1"),
        (Request(("x",), 1, port=70000), "port is 70000, expected 0 to 65535"),
        (Request(("x",), 1, restarts=-1), "restarts is -1, expected 0"),
        (Request(("x",), 1, restarts=1), "--out DIR, which is missing"),
        (Request(("x",), 1, servers=1, kvstore="horovod"), "Horovod has none"),
        (Request(("x", "--kvstore", "dist"), 1), "says --kvstore dist, expected one of dist_sync"),
    ],
)
def test_wrong_request(request_, message):
    with pytest.raises(LaunchError, match=message):
        launch(request_)


@pytest.mark.parametrize(
    "arguments", [["-n", "2"], ["--", "x"], ["-n", "1", "--hosts", "none.txt", "--", "x"]]
)
def test_mistake_is_one_line(arguments, tmp_path):
    status, out, error = run_group(tmp_path, *arguments)
    assert (status, out) == (2, "")
    assert error.startswith("launch.py: error: ")
    assert error.count("\n") == 1


def test_horovod_is_missing(tmp_path):
    for name in ("horovod/__init__.py", "horovod/runner.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    path = os.pathsep.join([str(tmp_path), str(TOOL.parents[1])])
    status, _, error = run_group(
        tmp_path, "-n", 1, "--kvstore", "horovod", "--", "x", PYTHONPATH=path
    )
    assert status == 2
    assert "Horovod is not installed" in error
    assert error.count("\n") == 1


def test_command_that_is_not_there(tmp_path):
    status, _, error = run_group(tmp_path, "-n", 1, "--", "./no-such-command")
    assert status == 127
    assert "./no-such-command: cannot be started: No such file or directory" in error
    assert "worker 0 died: exit status 127" in error
