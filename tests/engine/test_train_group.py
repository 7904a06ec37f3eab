"""Training by several processes, started by tools/launch.py: the same numbers as by one."""

import ast
import csv
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from group_runs import GroupRun
from steps import interrupt

from gluon_dkpr.backend import mx
from gluon_dkpr.config import save_config
from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine.checkpoint import find_last
from gluon_dkpr.engine.distributed import KVSTORES, Group
from gluon_dkpr.engine.loop import Loop
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.engine.train import make_network, make_trainer, train
from gluon_dkpr.presets import get_preset

COLUMNS = ("train_loss", "images_per_second", "seconds")
# Sums of gradients in another order: rounding in float32, of parameters of about 0.1.
ROUNDING = 1e-6
EPOCH, IMAGES = 5, 65  # steps and samples
# The run ends, once, in worker 1 two steps into the second epoch, or in the leader after its last.
WORKER = """
import os, signal, sys, time
from pathlib import Path
from gluon_dkpr.backend import mx
from gluon_dkpr.config import load_config
from gluon_dkpr.engine import loop
from gluon_dkpr.engine import train as module
from gluon_dkpr.engine.train import train

config, once, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[sys.argv.index("--out") + 1])
step, evaluate, calls, measured = loop.Loop._step, module.evaluate, [0], [0]

def die():
    once.write_text("")
    os.kill(os.getpid(), signal.SIGKILL)

def dying(self, *args):
    step(self, *args)
    calls[0] += 1
    if sys.argv[3] == "step" and calls[0] == 7 and self._group.rank == 1 and not once.exists():
        while not (out / "checkpoint" / "last-0001-000002" / "state.json").exists():
            time.sleep(0.01)
        die()

def dying_evaluate(*args):
    measured[0] += 1
    if sys.argv[3] == "evaluation" and measured[0] == 2 and not once.exists():
        die()
    return evaluate(*args)

loop.Loop._step, module.evaluate = dying, dying_evaluate
train(load_config(config), out, [mx.cpu()], "dist_sync", resume="--resume" in sys.argv)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    # The last batch has one sample: one of the workers gets none.
    make_toy_record(path, train=65, test=16)
    # SGD, because Adam turns the rounding of a gradient near zero into a full step.
    schedule = {"optimizer": "sgd", "learning_rate": 0.01, "batch_size": 16, "epochs": 2}
    return get_preset("toy3").replace(
        data={"record": str(path)}, train={**schedule, "checkpoint_minutes": 0.0}
    )


@pytest.fixture(scope="module")
def alone(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    train(config, folder, [mx.cpu()])
    return folder


def parameters(folder):
    net = load_run(folder, "last")
    return {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}


def column(folder, name):
    with open(folder / "metrics.csv", newline="") as file:
        return np.array([float(row[name]) for row in csv.DictReader(file)])


def run_group(config, folder, *options, dies=""):
    save_config(config, folder / "config.yaml")
    command = ["-n", 2, "-s", 1, *options, "--", sys.executable, "-c", WORKER]
    command += [folder / "config.yaml", folder / "once", dies, "--kvstore", "dist_sync"]
    with GroupRun(folder, *command, "--out", folder / "run") as run:
        done = run.finish(timeout=150)
        assert run.is_gone()
    return done


def assert_equal(folder, alone):
    found = parameters(folder)
    for name, array in parameters(alone).items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=ROUNDING, err_msg=name)


def test_two_workers_equal_one_process(config, alone, tmp_path):
    status, output, error = run_group(config, tmp_path)
    assert status == 0, error
    assert_equal(tmp_path / "run", alone)
    # The leader alone reports, and on all samples of the epoch.
    assert output.count("epoch   2:") == 1
    for name in ("train_loss", "train_joint_error"):
        expected = column(alone, name)
        np.testing.assert_allclose(column(tmp_path / "run", name), expected, rtol=1e-5)
    assert find_last(tmp_path / "run" / "checkpoint").state["epoch"] == 2


@pytest.mark.parametrize(("dies", "worker", "done"), [("step", 1, 2), ("evaluation", 0, 0)])
def test_group_that_lost_a_worker_goes_on_from_its_checkpoint(
    dies, worker, done, config, alone, tmp_path, monkeypatch
):
    status, _, error = run_group(config, tmp_path, "--restarts", 1, dies=dies)
    assert status == 0, error
    assert f"worker {worker} died: killed by SIGKILL" in error
    assert (tmp_path / "once").exists()
    assert_equal(tmp_path / "run", alone)
    # The row of the epoch tells of what all workers did in it after the restart, if they did
    # anything: without the first two batches, or all of it.
    interrupt(monkeypatch, EPOCH + done + 1)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "part", [mx.cpu()])
    before = find_last(tmp_path / "part" / "checkpoint").state
    assert before["images"] == 16 * done
    rest = IMAGES - before["images"]
    found = {name: column(tmp_path / "run", name)[1] for name in COLUMNS}
    assert found["images_per_second"] * found["seconds"] == pytest.approx(rest)
    loss = column(alone, "train_loss")[1] * IMAGES - before["loss"]
    assert found["train_loss"] == pytest.approx(loss / rest, rel=1e-5)


class Twins(Group):
    """A group of two in which the other worker has the same numbers."""

    def sum(self, values):
        return 2 * np.array(values)


@pytest.mark.parametrize(("rank", "share"), [(0, 2), (1, 0)])
def test_sums_are_the_groups_when_the_last_step_is_saved(rank, share, config):
    """A checkpoint after it, whoever asks for that, has all that is told of the epoch."""
    group, ctx = Twins("device", rank, 2), [mx.cpu()]
    train_set = RecordDataset(config.data.record, "train")
    net = make_network(config, train_set, ctx)
    loop = Loop(config, net, make_trainer(config, net, group), train_set, ctx, group)
    images = [loop.snapshot().images for _ in loop.run_epoch(StopRequest())]
    own = sum(len(group.shard(range(size))) for size in (16, 16, 16, 16, 1))
    assert images[:-1] == [8, 16, 24, 32]
    assert images[-1] == share * own


def test_group_without_restarts_ends(config, tmp_path):
    status, _, error = run_group(config, tmp_path, dies="step")
    assert status == 128 + signal.SIGKILL
    assert "worker 1 died: killed by SIGKILL" in error


def test_tool_names_the_kvstores_of_the_engine():
    text = (Path(__file__).parents[2] / "tools" / "train.py").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("KVSTORES = ")]
    assert ast.literal_eval(line.partition(" = ")[2]) == KVSTORES
