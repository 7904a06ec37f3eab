"""Our training step, with its input pipeline, against bare GluonCV and torch loops in one run."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import numpy as np

from gluon_dkpr.backend import mx, parse_contexts
from gluon_dkpr.config import Config
from gluon_dkpr.data import BatchLoader, RecordDataset
from gluon_dkpr.engine.benchmark import harness, torch_step
from gluon_dkpr.engine.benchmark.bare_step import BareStep
from gluon_dkpr.engine.benchmark.harness import BenchmarkError, Contestant, Row
from gluon_dkpr.engine.benchmark.pipeline import SIZE_PX, describe, opened
from gluon_dkpr.engine.benchmark.torch_step import Joined, TorchSteps
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
BATCH, BACKBONE = 8, torch_step.BACKBONE
OURS, REPEATED, BARE = "ours, with the input pipeline", "ours, one batch in memory", "bare GluonCV"
TORCH = "bare torch"
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


def check_size(dataset: RecordDataset, batch: int) -> None:
    """Raise BenchmarkError for a set so small that only its first epoch would be decoded."""
    if BatchLoader(dataset, batch).cached:
        raise BenchmarkError(
            f"{dataset.path}: {len(dataset)} images are kept decoded in memory, expected more"
        )


def measure(
    config: Config,
    dataset: RecordDataset,
    ctx: List,
    seconds: float,
    peer: Joined,
) -> dict:
    """Return images/s, ours in relation to the others, and the share of the kinematic head.

    Args:
        config: of the training.
        dataset: people.
        ctx: devices.
        seconds: timed seconds of each contestant.
        peer: torch's process, if it takes part.

    Raises:
        BenchmarkError: if torch does not compute the same.
    """
    batch = config.train.batch_size
    builders = {
        OURS: lambda: loop_timer(make_loop(Loop, config, dataset, ctx)),
        REPEATED: lambda: loop_timer(make_loop(RepeatedLoop, config, dataset, ctx)),
        BARE: lambda: _waiting(BareStep(config, dataset, ctx)),
    }
    theirs = None
    if peer.process is not None:
        theirs = TorchSteps(peer.process, config, dataset, ctx)
        builders[TORCH] = lambda: theirs.timer(STEPS)
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
    speeds = {name: batch / np.array(samples[name]) for name in builders}
    return {
        "images_per_second": {name: harness.spread(values) for name, values in speeds.items()},
        "ratio": {
            name: harness.ratios(samples[OURS], samples[name]) for name in builders if name != OURS
        },
        "head": {
            "milliseconds": harness.spread(1000 * np.array(samples[HEAD])),
            "share": harness.spread(np.array(samples[HEAD]) / np.array(samples[OURS])),
        },
        "torch": theirs.describe() if theirs else {"absent": peer.absent},
    }


def summary(result: dict) -> List[Row]:
    """Return the ratios for the table of all benchmarks."""
    what = f"training step with its pipeline, batch {result['batch']}"
    return [Row(what, name, ratio) for name, ratio in result["train"]["ratio"].items()]


def _torch_text(found: dict) -> str:
    """Return the sentence about torch, with an end of line."""
    if "absent" in found:
        return f"\nTorch did not take part: {found['absent']}.\n"
    layouts = " and ".join(f"{k} {1e3 * v:.0f} ms" for k, v in found["trial_seconds"].items())
    return f"""
Bare torch is the same loop in torch {found["versions"]["torch"]}, eager, on the same batch from the
same weights with as many threads: ResNet-50 in memory format *{found["layout"]}*, the faster one
(a step took {layouts}), fused SGD. Its first loss was found equal to GluonCV's to
{torch_step.AGREEMENT:.0e}, and its fall in {torch_step.STEPS} small steps to
{torch_step.FALL_AGREEMENT:.0%}. Only one contestant computes at a time.
"""


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    found, data = result["train"], result["data"]
    rows = [["", "images/s (quartiles)", "ours, with the pipeline, to this (quartiles)"]]
    for name, speed in found["images_per_second"].items():
        ratio = found["ratio"].get(name)
        rows.append([name, harness.cell(speed, ".3g"), harness.cell(ratio, ".1%") if ratio else ""])
    head = found["head"]
    torch = _torch_text(found["torch"])
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
{torch}
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
    peer_python: Optional[str] = None,
    no_peer: bool = False,
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
        peer_python: a Python that has torch; ``None``: one is made in the repository's folder.
        no_peer: leave torch out.

    Raises:
        BackendError: for a device that is not there.
        BenchmarkError: for a set that is too small, a ``peer_python`` without torch, or if torch
            does not compute the same.
        RecordError: for a data set that cannot be used.
    """
    conditions = harness.conditions(command, seed, threads)
    devices = parse_contexts(ctx)
    mx.random.seed(seed)
    with opened(record, PICTURES, SIZE_PX, seed) as dataset:
        check_size(dataset, batch)  # before an environment is made for the peer
        config = make_config(batch, seed, backbone)
        joining = torch_step.joined(not no_peer, peer_python, ctx, backbone, threads)
        with joining as peer:
            found = measure(config, dataset, devices, seconds, peer)
        result = {
            **conditions,
            "ctx": ctx,
            "batch": batch,
            "backbone": backbone,
            "data": {
                **describe(dataset, record),
                "outputs": dataset.skeleton.num_joints * dataset.skeleton.dim,
            },
            "peer_versions": found["torch"].get("versions", {}),
            "train": found,
        }
    text = page(result)
    harness.write_result(out, result, text)
    return text
