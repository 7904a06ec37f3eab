"""A step that is left out leaves the averages of batch normalisation alone, too."""

import functools

import numpy as np
import pytest
from steps import poison

from gluon_dkpr.backend import mx
from gluon_dkpr.data import RecordDataset, make_toy_record
from gluon_dkpr.engine import objective
from gluon_dkpr.engine.distributed import Group
from gluon_dkpr.engine.loop import Loop
from gluon_dkpr.engine.mixed_precision import mixed_network
from gluon_dkpr.engine.running_statistics import RunningStatistics
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.engine.train import make_trainer
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import planar

STEPS = 4


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, train=STEPS * 8, test=4)
    return path


def network(ctx):
    nn = mx.gluon.nn
    features = nn.HybridSequential()
    features.add(nn.Conv2D(4, 5, strides=4), nn.BatchNorm(), nn.Activation("relu"), nn.Flatten())
    net = PoseNet(features, planar(3), "direct", length=128)
    net.initialize(ctx=ctx)
    net.hybridize(static_alloc=True)
    for device in ctx:
        net(mx.nd.zeros((1, 1, 128, 128), ctx=device))
    return net


def loop_of(net, record, ctx, amp=False):
    options = {"batch_size": 8, "epochs": 1, "amp": amp}
    config = get_preset("toy3").replace(data={"record": str(record)}, train=options)
    group = Group("device")
    trainer = make_trainer(config, net, group)
    return Loop(config, net, trainer, RecordDataset(record, "train"), ctx, group)


def arrays_of(net):
    """Return everything in a network, of every device, by name."""
    mx.nd.waitall()
    return {
        (name, device): array.asnumpy()
        for name, parameter in net._collect_params_with_prefix().items()
        for device, array in enumerate(parameter.list_data())
    }


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("what", ["images", "joints"])
def test_a_step_left_out_changes_nothing(what, devices, amp, record, monkeypatch):
    # CPUs multiply no float16, but bfloat16.
    other = functools.partial(mixed_network, dtype="bfloat16")
    monkeypatch.setattr(objective, "mixed_network", other)
    poison(monkeypatch, {1}, what)
    ctx = [mx.cpu(i) for i in range(devices)]
    net = network(ctx)
    loop, after = loop_of(net, record, ctx, amp), [arrays_of(net)]
    for _ in loop.run_epoch(StopRequest()):
        after.append(arrays_of(net))
    assert (loop.progress.skipped, loop.progress.updates) == (1, STEPS - 1)
    changed = [
        {key[0] for key in now if not np.array_equal(before[key], now[key])}
        for before, now in zip(after, after[1:])
    ]
    averages = {"features.1.running_mean", "features.1.running_var"}
    assert changed[1] == set()
    assert averages < changed[0] == changed[2] == changed[3]
    assert all(np.isfinite(array).all() for array in after[-1].values())


def test_constants_and_weights_are_not_copied():
    net = network([mx.cpu()])
    statistics = RunningStatistics(net)
    statistics.keep()
    before = arrays_of(net)
    for parameter in net.collect_params().values():
        parameter.set_data(parameter.data() + 1)
    statistics.put_back()
    after = arrays_of(net)
    back = {key[0] for key in before if np.array_equal(before[key], after[key])}
    assert back == {"features.1.running_mean", "features.1.running_var"}
