"""The group of workers: shares, agreement, and the same result as one process alone."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.distributed import DistributedError, Group, open_group
from tests.engine.group_runs import LIMIT_SECONDS, GroupRun, run_group, wait_for
from tests.engine.group_worker import BATCHES, make_net

WORKER = str(Path(__file__).with_name("group_worker.py"))
# Sums of gradients are added in another order; parameters are about 0.1.
SAME = 1e-6

has_horovod = importlib.util.find_spec("horovod") is not None
needs_horovod = pytest.mark.skipif(
    not has_horovod, reason="Horovod is not installed; requirements/horovod.txt says how"
)


@pytest.fixture(autouse=True)
def started_alone(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("DMLC_", "HOROVOD_", "OMPI_", "DKPR_")):
            monkeypatch.delenv(name)


# -- shares


@given(st.integers(0, 200), st.integers(1, 9))
def test_shares_are_even_and_make_the_batch(count, size):
    positions = np.arange(count)
    shares = [Group("dist_sync", rank, size).shard(positions) for rank in range(size)]
    assert np.array_equal(np.concatenate(shares), positions)
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_share_of_a_list_is_a_list():
    assert Group("dist_sync", 1, 2).shard(["a", "b", "c"]) == ["b", "c"]


# -- a group of one


@pytest.mark.parametrize("kvstore", ["device", "local"])
def test_group_of_one(kvstore):
    with open_group(kvstore) as group:
        assert (group.rank, group.size, group.is_leader) == (0, 1, True)
        numbers = [1.0, -0.0, np.inf, 1 / 3, 2.0**60 + 1]
        assert group.gather(numbers).tolist() == [numbers]
        assert group.sum(numbers).tolist() == group.mean(numbers).tolist() == numbers
        assert np.isnan(group.sum([np.nan]))
        assert group.share(b"abc") == b"abc"
        assert group.shard([1, 2]) == [1, 2]
        group.barrier()


def test_an_exception_passes_a_group_of_one():
    with pytest.raises(ValueError, match="mine"), open_group("device"):
        raise ValueError("mine")
    assert signal.alarm(0) == 0  # and the process may go on


def test_zero_gradients_leave_the_weights_to_the_others():
    net = make_net(0, [mx.cpu()])
    group = open_group("device")
    trainer = group.make_trainer(net.collect_params(), "sgd", {"learning_rate": 1.0})
    before = net.output.weight.data().asnumpy()
    with mx.autograd.record():
        net(mx.nd.ones((1, 1, 128, 128))).sum().backward()
    group.zero_gradients(net)
    trainer.step(3)
    assert np.array_equal(net.output.weight.data().asnumpy(), before)


def test_parameters_without_shape_are_refused():
    net = mx.gluon.nn.Dense(3)
    net.initialize()
    with pytest.raises(DistributedError, match="has no shape yet"):
        open_group("device").make_trainer(net.collect_params(), "sgd", {})


# -- groups that cannot be


@pytest.mark.parametrize("kvstore", ["dist", "dist_async", "Device", "nccl", ""])
def test_unknown_kvstore(kvstore):
    with pytest.raises(DistributedError, match="expected one of device, local, dist_sync"):
        open_group(kvstore)


@pytest.mark.parametrize("kvstore", ["dist_sync", "dist_device_sync", "horovod"])
def test_started_alone(kvstore):
    with pytest.raises(DistributedError, match=r"was started alone; start it by tools/launch\.py"):
        open_group(kvstore)


@pytest.mark.parametrize(
    "kvstore, settings, message",
    [
        ("device", {"DMLC_ROLE": "worker", "DMLC_NUM_WORKER": "2"}, "one of 2 workers, but"),
        ("local", {"HOROVOD_SIZE": "3"}, "one of 3 workers, but --kvstore is local"),
        ("horovod", {"DMLC_ROLE": "worker", "DMLC_NUM_WORKER": "2"}, "started for dist_sync"),
        ("dist_sync", {"HOROVOD_SIZE": "2"}, "started for horovod"),
        ("dist_sync", {"DMLC_ROLE": "worker", "DKPR_RANK": "x"}, "DKPR_RANK is 'x'"),
    ],
)
def test_started_for_something_else(kvstore, settings, message, monkeypatch):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DistributedError, match=message):
        open_group(kvstore)


@pytest.mark.skipif(has_horovod, reason="Horovod is installed")
def test_horovod_is_missing(monkeypatch):
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    with pytest.raises(DistributedError, match="Horovod is not installed with support for MXNet"):
        open_group("horovod")


# -- real groups


def train_group(folder, kvstore, *options, workers=2, servers=1):
    """Train in a group; return what its leader wrote."""
    out = folder / "group"
    meeting = [] if kvstore == "horovod" else ["-s", servers]
    status, _, error = run_group(
        folder, "-n", workers, *meeting, "--kvstore", kvstore,
        "--", sys.executable, WORKER, kvstore, out, *options,
    )  # fmt: skip
    assert (status, error) == (0, "")
    return np.load(f"{out}.npz")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return parameters and losses of one process with the whole batches: before and after."""
    folder, results = tmp_path_factory.mktemp("alone"), {}
    for steps in (0, len(BATCHES)):
        out = str(folder / f"{steps}")
        command = [sys.executable, WORKER, "device", out, f"steps={steps}"]
        subprocess.run(command, check=True, capture_output=True)
        results[steps] = np.load(f"{out}.npz")
    return results


def check_group(found, alone, workers):
    """The group has done what one process does, and all workers have the same."""
    before, after = alone[0]["parameters"], alone[len(BATCHES)]["parameters"]
    # The test can fail: training has moved the parameters far more than they may differ.
    assert np.abs(after - before).max() > 1000 * SAME
    assert found["size"] == workers
    assert np.abs(found["parameters"] - after).max() < SAME
    assert np.abs(found["losses"] - alone[len(BATCHES)]["losses"]).max() < SAME
    # gather: the parameters' sum, their first, and the rank.
    assert found["every"].shape == (workers, 3)
    assert np.all(found["every"][:, :2] == found["every"][0, :2])
    assert found["every"][:, 2].tolist() == list(range(workers))
    assert found["means"].tolist() == [(workers - 1) / 2, np.inf, 1 / 3]
    assert found["text"].tobytes() == b"from 0 " * 70000


@pytest.mark.parametrize("kvstore", ["dist_sync", pytest.param("horovod", marks=needs_horovod)])
def test_two_workers_equal_one_process(kvstore, alone, tmp_path):
    check_group(train_group(tmp_path, kvstore), alone, 2)


@pytest.mark.slow
def test_three_workers_of_two_devices_and_two_servers(alone, tmp_path):
    found = train_group(tmp_path, "dist_device_sync", "ctx=cpu0,cpu1", workers=3, servers=2)
    check_group(found, alone, 3)


@pytest.mark.parametrize("kvstore", ["dist_sync", pytest.param("horovod", marks=needs_horovod)])
def test_worker_that_fails_ends_the_group(kvstore, tmp_path):
    command = [sys.executable, WORKER, kvstore, tmp_path / "x", "fail=1", "steps=100000"]
    begin = time.monotonic()
    status, _, error = run_group(tmp_path, "-n", 2, "--kvstore", kvstore, "--", *command)
    assert status == 2
    assert "launch: worker 1 died: exit status 2; its last line: group_worker.py: error: " in error
    assert time.monotonic() - begin < 30 + LIMIT_SECONDS  # three steps, then the end
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("kvstore", ["dist_sync", pytest.param("horovod", marks=needs_horovod)])
def test_worker_that_is_killed_ends_the_group(kvstore, tmp_path):
    command = [sys.executable, WORKER, kvstore, tmp_path / "x", "steps=100000", f"pids={tmp_path}"]
    with GroupRun(tmp_path, "-n", 2, "--kvstore", kvstore, "--", *command) as run:
        training = [tmp_path / f"training-{rank}" for rank in range(2)]
        assert wait_for(lambda: all(path.exists() for path in training))
        begin = time.monotonic()
        os.kill(int(training[1].read_text()), signal.SIGKILL)
        status, _, error = run.finish(LIMIT_SECONDS)
        assert time.monotonic() - begin < LIMIT_SECONDS
        assert status == 128 + signal.SIGKILL
        assert "launch: worker 1 died: killed by SIGKILL" in error
        assert run.left() == []


@pytest.mark.slow
def test_a_rank_that_is_taken_twice(tmp_path):
    command = ["env", "DKPR_RANK=0", sys.executable, WORKER, "dist_sync", tmp_path / "x"]
    status, _, error = run_group(tmp_path, "-n", 2, "--kvstore", "dist_sync", "--", *command)
    assert status == 2
    assert "the ranks 0 to 1 are taken [2, 0] times, expected once each" in error
