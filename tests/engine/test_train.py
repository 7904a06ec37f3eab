"""Training as a user sees it: files, numbers, devices, mistakes and interruptions."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record, read_info
from gluon_dkpr.engine import train as train_module
from gluon_dkpr.engine.checkpoint import CheckpointError
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.objective import Objective
from gluon_dkpr.engine.run_data import RunData, load_run_data
from gluon_dkpr.engine.run_folder import RunFolderError, lock_free_folder
from gluon_dkpr.engine.train import train
from gluon_dkpr.nn import METHODS
from gluon_dkpr.presets import get_preset, with_paper_schedule

TOOL = Path(__file__).parents[2] / "tools" / "train.py"
# Sums of gradients are added in another order on two devices.
TWO_DEVICES = 2e-4


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=192, test=32)
    return path


def small(record, method="kinematic", epochs=2, **options):
    options = {"epochs": epochs, "batch_size": 48, "log_interval": 2, **options}
    return get_preset("toy3").replace(
        data={"record": str(record)}, model={"method": method}, train=options
    )


def parameters(folder, kind="last"):
    net = load_run(folder, kind)
    return {name: p.data().asnumpy() for name, p in net.collect_params().items()}


def run_tool(*arguments, cwd):
    command = [sys.executable, str(TOOL), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def contents(folder):
    """Return {path: (bytes, time of the last change)} of all files under a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_guide_gives_way_as_the_rate_falls(record, tmp_path, monkeypatch):
    loss, told = Objective.loss, []

    def listening(objective, outputs, part, decay):
        told.append(decay)
        return loss(objective, outputs, part, decay)

    monkeypatch.setattr(Objective, "loss", listening)
    train(small(record, schedule="cosine"), tmp_path / "run", [mx.cpu()])
    steps = np.arange(len(told)) / len(told)
    np.testing.assert_allclose(told, (1 + np.cos(np.pi * steps)) / 2, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_run_leaves_what_it_promises(method, record, tmp_path):
    result = train(small(record, method), tmp_path / "run", [mx.cpu()])
    folder = tmp_path / "run"
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    name = f"toy3-{method}"
    assert files >= {
        *("config.yaml", "skeleton.yaml", "metrics.csv", "result.json", "curve.png"),
        *(
            "data.json",
            "samples.png",
            "checkpoint/best.params",
            "checkpoint/last-0002-000000/state.json",
        ),
        *(f"export/{name}-symbol.json", f"export/{name}-0000.params"),
    }
    assert load_run_data(folder) == RunData.of(read_info(record))
    with open(folder / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    written = json.loads((folder / "result.json").read_text())
    assert written["joint_error"] == result["joint_error"] > 0
    assert written["unit"] == "px"
    assert written["seed"] == 0
    assert set(written) >= {"preset", "angle_error_deg", "images_per_second", "seconds", "versions"}
    if method != "direct":
        assert result["bone_length_std"] < 1e-3
    best = min(float(row["test_joint_error"]) for row in rows)
    assert result["joint_error"] == pytest.approx(best, rel=1e-6)


def test_the_paper_s_unit_is_half_the_image(record, tmp_path):
    config = with_paper_schedule(small(record), epochs=1).replace(train={"batch_size": 48})
    train(config, tmp_path / "run", [mx.cpu()])
    net = load_run(tmp_path / "run")
    assert net.length == 64.0
    # What leaves the network is in px all the same.
    joints = net.predict_pose(mx.nd.zeros((2, 1, 128, 128))).joints.asnumpy()
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, :1], axis=2)
    np.testing.assert_allclose(lengths, 45.0, rtol=1e-5)


def test_training_learns(record, tmp_path):
    config = small(record, epochs=12, batch_size=16)
    train(config, tmp_path / "run", [mx.cpu()])
    with open(tmp_path / "run" / "metrics.csv", newline="") as file:
        errors = [float(row["train_joint_error"]) for row in csv.DictReader(file)]
    assert errors[-1] < errors[0] / 3


def test_same_seed_same_numbers(record, tmp_path):
    runs = [train(small(record), tmp_path / name, [mx.cpu()]) for name in "ab"]
    other = train(small(record, seed=1), tmp_path / "c", [mx.cpu()])
    for result in (*runs, other):
        result.pop("seconds"), result.pop("images_per_second")
    assert runs[0] == runs[1]
    assert other["joint_error"] != runs[0]["joint_error"]
    first, second = parameters(tmp_path / "a"), parameters(tmp_path / "b")
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_two_devices_equal_one(record, tmp_path):
    # 192 samples in batches of 50 leave an uneven last batch. SGD, because Adam turns the rounding
    # of a gradient near zero into a full step.
    config = small(record, batch_size=50, optimizer="sgd", learning_rate=0.01)
    train(config, tmp_path / "one", [mx.cpu()])
    train(config, tmp_path / "two", [mx.cpu(0), mx.cpu(1)], kvstore="local")
    one, two = parameters(tmp_path / "one"), parameters(tmp_path / "two")
    for name in one:
        scale = np.abs(one[name]).max()
        np.testing.assert_allclose(two[name], one[name], atol=TWO_DEVICES * scale)


def test_interrupted_evaluation_is_made_up_for(record, tmp_path, monkeypatch):
    whole = train(small(record), tmp_path / "whole", [mx.cpu()])
    evaluate = train_module.evaluate

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(small(record), tmp_path / "cut", [mx.cpu()])
    assert load_run(tmp_path / "cut", "last").method == "kinematic"
    monkeypatch.setattr(train_module, "evaluate", evaluate)
    resumed = train(small(record), tmp_path / "cut", [mx.cpu()], resume=True)
    assert resumed["joint_error"] == whole["joint_error"]
    assert resumed["epochs"] == 2


def test_finished_run_is_not_overwritten(record, tmp_path):
    train(small(record, epochs=1), tmp_path / "run", [mx.cpu()])
    before = (tmp_path / "run" / "result.json").read_bytes()
    with pytest.raises(RunFolderError, match="holds a training run already"):
        train(small(record, epochs=1), tmp_path / "run", [mx.cpu()])
    assert (tmp_path / "run" / "result.json").read_bytes() == before
    with lock_free_folder(tmp_path / "run") as lock:
        assert lock.folder == tmp_path / "run-2"
    with pytest.raises(RunFolderError, match="no training run to resume"):
        train(small(record, epochs=1), tmp_path / "other", [mx.cpu()], resume=True)


@pytest.mark.parametrize("deleted", [False, True])
def test_resumed_with_metrics_that_were_edited_or_deleted(deleted, record, tmp_path):
    train(small(record, epochs=1), tmp_path / "run", [mx.cpu()])
    path = tmp_path / "run" / "metrics.csv"
    text = path.read_text().replace(",", ";")
    path.unlink() if deleted else path.write_text(text)
    before = contents(tmp_path / "run")
    done = run_tool("--resume", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(path) in done.stderr
    assert "expected" in done.stderr
    assert contents(tmp_path / "run") == before


def test_damaged_checkpoint_is_named(record, tmp_path):
    train(small(record, epochs=1), tmp_path / "run", [mx.cpu()])
    path = tmp_path / "run" / "checkpoint" / "best.params"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"best\.params: "):
        load_run(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"no config\.yaml"):
        load_run(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "toy4"], "invalid choice: 'toy4'"),
        (["--method", "angles"], "invalid choice: 'angles'"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
        (["--epochs", "0"], "train.epochs is 0, expected 1 or more"),
        (["--ctx", "gpu0"], "gpu0"),
        (["--ctx", "tpu"], "'tpu'"),
        (["--amp"], "--amp computes in float16, which MXNet's matrix products do on GPUs alone"),
        (["--data", "nowhere"], "nowhere.json"),
        (["--resume", "--out", "nowhere"], "no training run to resume"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, message, tmp_path, record):
    if "--data" not in arguments:
        arguments = [*arguments, "--data", record]
    if arguments[:2] == ["--ctx", "gpu0"] and mx.context.num_gpus():
        pytest.skip("this machine has a GPU")
    done = run_tool(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_truncated_record_and_unwritable_folder(record, tmp_path):
    copy = tmp_path / "cut"
    for suffix in (".rec", ".idx", ".json"):
        data = record.with_suffix(suffix).read_bytes()
        copy.with_suffix(suffix).write_bytes(data[:-100] if suffix == ".rec" else data)
    done = run_tool("--data", copy, cwd=tmp_path)
    assert done.returncode == 2
    assert "cut.rec" in done.stderr
    (tmp_path / "file").write_text("")
    done = run_tool("--data", record, "--out", tmp_path / "file" / "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "not a writable folder" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads memory from /proc")
def test_memory_stays_flat(record, tmp_path):
    script = (
        "import sys; from pathlib import Path; from gluon_dkpr.backend import mx\n"
        "from gluon_dkpr.presets import get_preset; from gluon_dkpr.engine import train as t\n"
        "c = get_preset('toy3').replace(data={'record': sys.argv[1]},"
        " train={'epochs': 8, 'batch_size': 16})\n"
        "rss = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20\n"
        "describe = t.describe_epoch\n"
        "t.describe_epoch = lambda *a: f'RSS {rss()}\\n' + describe(*a)\n"
        "t.train(c, Path(sys.argv[2]), [mx.cpu()])\n"
    )
    command = [sys.executable, "-c", script, str(record), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    rss = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("RSS")]
    assert len(rss) == 8
    assert rss[-1] < 2000
    # The first epochs fill the allocator's pools.
    assert rss[-1] <= rss[3] * 1.03
