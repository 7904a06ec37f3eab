"""torch beside our training step: the peer is played by MXNet, which has the same arithmetic."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.benchmark import peer, torch_step, train
from gluon_dkpr.engine.benchmark.bare_step import BareStep
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.benchmark.torch_step import LAYOUTS, TorchSteps
from gluon_dkpr.skeleton import human36m

DATASET = SimpleNamespace(skeleton=human36m(), image_shape=(32, 32, 3))
CONFIG = train.make_config(4, seed=0, backbone="resnet18_v1b")
SECONDS = {"default": 2.0, "channels_last": 1.0}


class Actor:
    """Builds GluonCV's network from the file that the peer is given; wrong in what is asked for."""

    def __init__(self, wrong=""):
        self.wrong, self.built, self.asked = wrong, {}, []

    def ask(self, do, **arguments):
        self.asked.append((do, arguments))
        return getattr(self, do)(**arguments)

    def versions(self):
        return {"torch": "9"}

    def build(self, name, file, layout, rate, momentum, decay):
        config = CONFIG.replace(
            train={
                "learning_rate": rate * (1.1 if self.wrong == "rate" else 1),
                "momentum": 0.5 if self.wrong == "momentum" else momentum,
                "weight_decay": decay,
            }
        )
        step = BareStep(config, DATASET, [mx.cpu()])
        with np.load(file) as arrays:
            step._data = [mx.nd.array(arrays["data"])]
            step._target = [mx.nd.array(arrays["target"] + (self.wrong == "target"))]
            step._net(step._data[0])
            for i, parameter in enumerate(step._net.collect_params().values()):
                parameter.set_data(mx.nd.array(arrays[f"weight{i}"]))
            assert len(arrays.files) == i + 3
        self.built[name] = (step, layout, rate)

    def losses(self, name, steps):
        step, _, _ = self.built[name]
        return [float(step()[0].mean().asscalar()) for _ in range(steps)]

    def time(self, name, steps):
        return SECONDS[self.built[name][1]]


def test_the_faster_layout_races_at_the_whole_rate():
    mx.random.seed(0)
    actor = Actor()
    steps = TorchSteps(actor, CONFIG, DATASET, [mx.cpu()])
    timers = [steps.timer(3) for _ in range(2)]
    assert [timed(5) for timed in timers] == [1.0, 1.0]
    asked = [arguments for do, arguments in actor.asked if do == "time"][-2:]
    assert [arguments["steps"] for arguments in asked] == [15, 15]
    names = {arguments["name"] for arguments in asked}
    assert len(names) == 2  # twins
    for name in names:
        assert actor.built[name][1:] == ("channels_last", CONFIG.train.learning_rate)
    assert {layout for _, layout, _ in actor.built.values()} == set(LAYOUTS)
    assert steps.describe() == {
        "versions": {"torch": "9"},
        "layout": "channels_last",
        "trial_seconds": SECONDS,
    }


@pytest.mark.parametrize("wrong", ["target", "rate", "momentum"])
def test_another_training_is_not_timed(wrong):
    mx.random.seed(0)
    with pytest.raises(BenchmarkError, match="torch's first loss differs from GluonCV's by"):
        TorchSteps(Actor(wrong), CONFIG, DATASET, [mx.cpu()])


@pytest.mark.parametrize(
    "wanted, ctx, backbone, reason",
    [
        (False, "cpu", "resnet50_v1b", "left out by --no-peer"),
        (True, "gpu0", "resnet50_v1b", "one cpu"),
        (True, "cpu", "resnet18_v1b", "with resnet50_v1b"),
    ],
)
def test_where_torch_cannot_be_compared_nothing_is_made(wanted, ctx, backbone, reason, monkeypatch):
    monkeypatch.setattr(torch_step, "make_environment", None)
    with torch_step.joined(wanted, None, ctx, backbone, 1) as found:
        assert found.process is None
        assert reason in found.absent


def test_environment_that_cannot_be_made_leaves_torch_out(monkeypatch, capsys):
    def fail(folder, requirements):
        assert (folder, requirements) == (peer.PEERS, peer.REQUIREMENTS)
        raise BenchmarkError("peers.txt cannot be installed")

    monkeypatch.setattr(torch_step, "make_environment", fail)
    with torch_step.joined(True, None, "cpu", "resnet50_v1b", 1) as found:
        assert found == (None, "peers.txt cannot be installed")
    said = capsys.readouterr().err
    assert said == "torch does not take part: peers.txt cannot be installed, or --no-peer\n"
    assert "Torch did not take part: peers.txt cannot be installed.\n" in train._torch_text(
        {"absent": found.absent}
    )


def test_a_python_that_was_named_must_have_torch(monkeypatch):
    monkeypatch.setattr(torch_step, "make_environment", None)
    ended = pytest.raises(BenchmarkError, match="process ended: ModuleNotFoundError")
    with torch_step.joined(True, sys.executable, "cpu", "resnet50_v1b", 1) as found, ended:
        found.process.ask("versions")
    ended = pytest.raises(BenchmarkError, match=r"the peer's Python /none: No such file")
    with ended, torch_step.joined(True, "/none", "cpu", "resnet50_v1b", 1):
        pass


def test_page_tells_what_torch_was():
    found = {"versions": {"torch": "9"}, "layout": "default", "trial_seconds": SECONDS}
    text = train._torch_text(found)
    assert "torch 9, eager" in text and "format *default*" in text
    assert "default 2000 ms and channels_last 1000 ms" in text


def test_the_environment_is_none_of_ours():
    assert peer.PEERS.name == ".peers"
    assert peer.REQUIREMENTS.is_file()
    assert peer.PEERS not in map(type(peer.PEERS), (sys.prefix, sys.base_prefix))
