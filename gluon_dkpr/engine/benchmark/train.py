"""Our training step, with its input pipeline, against a bare GluonCV ResNet-50 loop in one run."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import numpy as np

from gluon_dkpr.backend import import_gluoncv, mx, parse_contexts
from gluon_dkpr.config import Config
from gluon_dkpr.data import BatchLoader, RecordDataset
from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.engine.benchmark.harness import BenchmarkError, Contestant
from gluon_dkpr.engine.benchmark.pipeline import SIZE_PX, describe, opened
from gluon_dkpr.engine.distributed import open_group
from gluon_dkpr.engine.loop import Loop
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.engine.train import make_network, make_trainer
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.presets import get_preset

#: More than a loader keeps decoded in memory.
PICTURES = 4000
#: Of each of two sets of contestants, and steps that follow each other in a timed call.
ROUNDS, STEPS = 7, 3
BATCH, BACKBONE = 8, "resnet50_v1b"
OURS, REPEATED, BARE = "ours, with the input pipeline", "ours, one batch in memory", "bare GluonCV"
HEAD = "kinematic head alone"


class RepeatedLoop(Loop):
    """A training loop that is fed one batch, already on its devices, again and again."""

    _first = None

    def _ahead(self, batches) -> Iterator:
        self._first = self._first or next(super()._ahead(batches))
        return itertools.repeat(self._first, len(self._loader))


def make_config(batch: int, seed: int, backbone: str) -> Config:
    """Return the paper's training of people (section 4.2), without pretrained weights."""
    return get_preset("human36m").replace(
        model={"backbone": backbone, "pretrained": "none"},
        train={"batch_size": batch, "seed": seed},
    )


def make_loop(kind: type, config: Config, dataset: RecordDataset, ctx: List) -> Loop:
    """Return a loop, as ``train`` makes it, with a network of its own."""
    group = open_group("device")
    net = make_network(config, dataset, ctx)
    return kind(config, net, make_trainer(config, net, group), dataset, ctx, group)


def loop_timer(loop: Loop) -> Callable[[int], float]:
    """Return a timer of the steps of a loop, one epoch after the other."""
    stop = StopRequest()

    def steps() -> Iterator[None]:
        while True:
            yield from loop.run_epoch(stop)
            loop.progress = loop.progress.next_epoch()

    running = steps()
    return _waiting(lambda: next(running))


def bare_timer(config: Config, dataset: RecordDataset, ctx: List) -> Callable[[int], float]:
    """Return a timer of what anybody would write: GluonCV's network, L2 loss, one batch.

    Hybridization, optimiser, batch and images are ours; it has no head, no metric, no scale of the
    subjects, looks at no gradient and reads nothing.
    """
    outputs = dataset.skeleton.num_joints * dataset.skeleton.dim
    net = import_gluoncv().model_zoo.get_model(
        config.model.backbone, pretrained=False, classes=outputs
    )
    net.initialize(mx.init.Xavier(), ctx=ctx)
    net.hybridize(static_alloc=True)
    loss_function = mx.gluon.loss.L2Loss()
    loss_function.hybridize(static_alloc=True)
    rates = config.train.learning_rate, config.train.momentum, config.train.weight_decay
    options = dict(zip(("learning_rate", "momentum", "wd"), rates))
    trainer = mx.gluon.Trainer(net.collect_params(), config.train.optimizer, options)
    batch = config.train.batch_size
    height, width, channels = dataset.image_shape
    random = np.random.RandomState(config.train.seed)
    shapes = (batch, channels, height, width), (batch, outputs)
    data, target = (
        mx.gluon.utils.split_and_load(mx.nd.array(random.rand(*shape)), ctx, even_split=False)
        for shape in shapes
    )

    def step():
        with mx.autograd.record():
            losses = [loss_function(net(x), y) for x, y in zip(data, target)]
        mx.autograd.backward(losses)
        trainer.step(batch)

    return _waiting(step)


def head_timer(net: PoseNet, batch: int, device) -> Callable[[int], float]:
    """Return a timer of the kinematic head alone, forward and backward."""
    z = mx.nd.random.normal(shape=(batch, net.head.num_inputs), ctx=device)
    scale = mx.nd.ones((batch, 1), ctx=device)
    z.attach_grad()

    def step():
        with mx.autograd.record():
            joints = net.head(z, scale)
        joints.backward()
        z.grad.wait_to_read()  # inside a step it would overlap with others: at most this much

    return _waiting(step)


def _waiting(step: Callable[[], object]) -> Callable[[int], float]:
    """Return a timer of a step, the mean of ``STEPS`` of them, all finished at its end."""

    def timed(calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(STEPS * calls):
            step()
        mx.nd.waitall()
        return (time.perf_counter() - begin) / (STEPS * calls)

    return timed


def measure(config: Config, dataset: RecordDataset, ctx: List, seconds: float) -> dict:
    """Return images/s, ours in relation to the others, and the share of the kinematic head.

    Args:
        config: of the training.
        dataset: people.
        ctx: devices.
        seconds: timed seconds of each contestant.

    Raises:
        BenchmarkError: for a set so small that only its first epoch would be read and decoded.
    """
    batch = config.train.batch_size
    if BatchLoader(dataset, batch).cached:
        raise BenchmarkError(
            f"{dataset.path}: {len(dataset)} images are kept decoded in memory, expected more"
        )
    builders = {
        OURS: lambda: loop_timer(make_loop(Loop, config, dataset, ctx)),
        REPEATED: lambda: loop_timer(make_loop(RepeatedLoop, config, dataset, ctx)),
        BARE: lambda: bare_timer(config, dataset, ctx),
    }
    # The same network is up to 4 % slower depending on where its memory lies. So every contestant
    # has two, which are made and timed in opposite order.
    contestants = [
        Contestant(f"{name}, {i}", builders[name]())
        for i, names in enumerate((list(builders), list(builders)[::-1]))
        for name in names
    ]
    head = make_network(config, dataset, ctx[:1])
    contestants.append(Contestant(HEAD, head_timer(head, -(-batch // len(ctx)), ctx[0])))
    found = harness.interleave(contestants, seconds, ROUNDS)
    samples = {name: found[f"{name}, 0"] + found[f"{name}, 1"] for name in builders}
    samples[HEAD] = found[HEAD] * 2
    speeds = {name: batch / np.array(samples[name]) for name in (OURS, REPEATED, BARE)}
    return {
        "images_per_second": {name: harness.spread(values) for name, values in speeds.items()},
        "ratio": {name: harness.ratios(samples[OURS], samples[name]) for name in (REPEATED, BARE)},
        "head": {
            "milliseconds": harness.spread(1000 * np.array(samples[HEAD])),
            "share": harness.spread(np.array(samples[HEAD]) / np.array(samples[OURS])),
        },
    }


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    found, data = result["train"], result["data"]
    rows = [["", "images/s (quartiles)", "ours, with the pipeline, to this (quartiles)"]]
    for name, speed in found["images_per_second"].items():
        ratio = found["ratio"].get(name)
        rows.append([name, harness.cell(speed, ".3g"), harness.cell(ratio, ".1%") if ratio else ""])
    head = found["head"]
    return f"""# Training step

Method kinematic on `human36m()`, {result["backbone"]}, batches of {result["batch"]} images of
{data["size"]} x {data["size"]} px ({data["origin"]}) on {result["ctx"]}. Ours is the loop of
`tools/train.py`: batches out of {data["pictures"]} images, read, checked, decoded and converted;
network with kinematic head and subject's scale, loss on the joints, check of the gradient's norm,
optimiser, sums of loss and joint error. The bare loop is GluonCV's network with {data["outputs"]}
outputs, Gluon's `L2Loss`, the same optimiser and hybridization, on one batch in memory. Median
(quartiles) of {2 * ROUNDS} rounds that take turns in one run; a ratio is that of two
neighbours.

{harness.markdown_table(rows)}

The kinematic head, forward and backward alone on the same batch, takes
{harness.cell(head["milliseconds"], ".2f")} ms: {harness.cell(head["share"], ".2%")} of a step.

{harness.footer(result)}"""


def run(
    out: Path,
    command: str,
    seconds: float,
    threads: int,
    seed: int,
    record: Optional[str] = None,
    ctx: str = "cpu",
    batch: int = BATCH,
    backbone: str = BACKBONE,
) -> str:
    """Measure, write ``out`` and the page beside it; return the page.

    Args:
        out: the JSON file.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each contestant.
        threads: of MXNet, set by OMP_NUM_THREADS before it is imported.
        seed: of pictures, weights and order.
        record: NAME of a data set of people to train on instead of textures.
        ctx: devices, such as ``cpu`` or ``gpu0,gpu1``.
        batch: images of a batch, over all devices.
        backbone: a residual network.

    Raises:
        BackendError: for a device that is not there.
        BenchmarkError: for a set that is too small.
        RecordError: for a data set that cannot be used.
    """
    conditions = harness.conditions(command, seed, threads)
    devices = parse_contexts(ctx)
    mx.random.seed(seed)
    with opened(record, PICTURES, SIZE_PX, seed) as dataset:
        config = make_config(batch, seed, backbone)
        result = {
            **conditions,
            "ctx": ctx,
            "batch": batch,
            "backbone": backbone,
            "data": {
                **describe(dataset, record),
                "outputs": dataset.skeleton.num_joints * dataset.skeleton.dim,
            },
            "train": measure(config, dataset, devices, seconds),
        }
    text = page(result)
    harness.write_result(out, result, text)
    return text
