"""Training by several processes, started by tools/launch.py: the same numbers as by one."""

import ast
import csv
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from group_runs import GroupRun

from gluon_dkpr.backend import mx
from gluon_dkpr.config import save_config
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine.checkpoint import find_last, load_run
from gluon_dkpr.engine.distributed import KVSTORES
from gluon_dkpr.engine.train import train
from gluon_dkpr.presets import get_preset

# Sums of gradients in another order: rounding in float32, of parameters of about 0.1.
ROUNDING = 1e-6
WORKER = """
import os, signal, sys
from pathlib import Path
from gluon_dkpr.backend import mx
from gluon_dkpr.config import load_config
from gluon_dkpr.engine import loop
from gluon_dkpr.engine.train import train

config, once, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[sys.argv.index("--out") + 1])
step, calls = loop.Loop._step, [0]

def dying(self, *args):
    step(self, *args)
    calls[0] += 1
    if calls[0] == 7 and self._group.rank == 1 and not once.exists():
        once.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)

loop.Loop._step = dying
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


def train_losses(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


def run_group(config, folder, *options, dies):
    save_config(config, folder / "config.yaml")
    if not dies:
        (folder / "once").write_text("")
    command = ["-n", 2, "-s", 1, *options, "--", sys.executable, "-c", WORKER]
    command += [folder / "config.yaml", folder / "once", "--kvstore", "dist_sync"]
    with GroupRun(folder, *command, "--out", folder / "run") as run:
        done = run.finish(timeout=150)
        assert run.is_gone()
    return done


def assert_equal(folder, alone):
    found = parameters(folder)
    for name, array in parameters(alone).items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=ROUNDING, err_msg=name)


def test_two_workers_equal_one_process(config, alone, tmp_path):
    status, output, error = run_group(config, tmp_path, dies=False)
    assert status == 0, error
    assert_equal(tmp_path / "run", alone)
    # The leader alone reports, and on all samples of the epoch.
    assert output.count("epoch   2:") == 1
    np.testing.assert_allclose(train_losses(tmp_path / "run"), train_losses(alone), rtol=1e-5)
    assert find_last(tmp_path / "run" / "checkpoint").state["epoch"] == 2


def test_group_that_lost_a_worker_goes_on_from_its_checkpoint(config, alone, tmp_path):
    status, _, error = run_group(config, tmp_path, "--restarts", 1, dies=True)
    assert status == 0, error
    assert "worker 1 died: killed by SIGKILL" in error
    assert (tmp_path / "once").exists()
    assert_equal(tmp_path / "run", alone)


def test_group_without_restarts_ends(config, tmp_path):
    status, _, error = run_group(config, tmp_path, dies=True)
    assert status == 128 + signal.SIGKILL
    assert "worker 1 died: killed by SIGKILL" in error


def test_tool_names_the_kvstores_of_the_engine():
    text = (Path(__file__).parents[2] / "tools" / "train.py").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("KVSTORES = ")]
    assert ast.literal_eval(line.partition(" = ")[2]) == KVSTORES
