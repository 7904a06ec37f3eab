"""ResNet-50's training step in torch, in the peer's environment: a contestant of ``train``."""

from __future__ import annotations

import contextlib
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple, Optional

import numpy as np

from gluon_dkpr.config import Config
from gluon_dkpr.data import RecordDataset
from gluon_dkpr.engine.benchmark.bare_step import BareStep
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.benchmark.peer import PEERS, REQUIREMENTS, PeerProcess, make_environment

PROGRAM = Path(__file__).with_name("peer_train.py")
BACKBONE = "resnet50_v1b"
#: What torch is tried with; the faster one races.
LAYOUTS = ("default", "channels_last")
TRIALS = 3
#: Steps whose losses are compared, and the part of the learning rate with which they are made: at
#: the whole rate a loss of random weights falls so steeply that rounding is soon seen.
STEPS, SLOWLY = 3, 1e-4
#: Of the first loss, and of how far it falls, which tells of gradients and optimiser; relative.
AGREEMENT, FALL_AGREEMENT = 1e-4, 0.02


class Joined(NamedTuple):
    """The peer's process, or the reason why there is none."""

    process: Optional[PeerProcess]
    absent: str = ""


@contextlib.contextmanager
def joined(
    wanted: bool, python: Optional[str], ctx: str, backbone: str, threads: int
) -> Iterator[Joined]:
    """Start the peer for the block, if it is wanted and can be had.

    An environment that cannot be made costs the others nothing: one line on standard error tells.

    Args:
        wanted: by the user.
        python: one that the user says has torch; ``None``: one is made in the repository's folder.
        ctx: devices of the others. Torch trains on one CPU.
        backbone: of the others.
        threads: of torch.

    Raises:
        BenchmarkError: if the Python that the user named has no torch.
    """
    absent = ""
    if not wanted:
        absent = "it was left out by --no-peer"
    elif (ctx, backbone) != ("cpu", BACKBONE):
        absent = f"it is compared on one cpu with {BACKBONE}"
    elif python is None:
        try:
            python = str(make_environment(PEERS, REQUIREMENTS))
        except BenchmarkError as error:
            absent = str(error)
            print(f"torch does not take part: {error}, or --no-peer", file=sys.stderr)
    if absent:
        yield Joined(None, absent)
        return
    with PeerProcess(python, PROGRAM, str(threads)) as process:
        yield Joined(process)


class TorchSteps:
    """Training steps of torch on the weights and the batch of a bare step.

    Args:
        process: the peer's.
        config: of the training.
        dataset: as for a bare step.
        ctx: devices.

    Raises:
        BenchmarkError: if torch does not compute what GluonCV does.
    """

    def __init__(self, process: PeerProcess, config: Config, dataset: RecordDataset, ctx: List):
        self._process, self._train = process, config.train
        rate = SLOWLY * config.train.learning_rate
        bare = BareStep(config.replace(train={"learning_rate": rate}), dataset, ctx)
        self._names = map(str, itertools.count())
        with tempfile.TemporaryDirectory(prefix="gluon_dkpr-") as folder:
            self._file = Path(folder) / "start.npz"
            bare.save(self._file)
            self._check(self._build(LAYOUTS[0], rate), bare)
            trials = {layout: self._build(layout) for layout in LAYOUTS}
            #: Seconds of a step of each layout, and the faster one.
            self.seconds = {layout: self._fastest(name) for layout, name in trials.items()}
            self.layout = min(LAYOUTS, key=self.seconds.get)
            # Built now, while the file is there; twins.
            self._ready = [self._build(self.layout) for _ in range(2)]

    def _build(self, layout: str, rate: Optional[float] = None) -> str:
        name, train = next(self._names), self._train
        self._process.ask(
            "build",
            name=name,
            file=str(self._file),
            layout=layout,
            rate=rate or train.learning_rate,
            momentum=train.momentum,
            decay=train.weight_decay,
        )
        return name

    def _fastest(self, name: str) -> float:
        self._process.ask("time", name=name, steps=1)
        return min(self._process.ask("time", name=name, steps=1) for _ in range(TRIALS))

    def _check(self, name: str, bare: BareStep) -> None:
        theirs = np.array(self._process.ask("losses", name=name, steps=STEPS))
        ours = np.array([float(bare()[0].mean().asscalar()) for _ in range(STEPS)])
        first = abs(theirs[0] / ours[0] - 1)
        fall = np.abs((theirs - theirs[0])[1:] / (ours - ours[0])[1:] - 1).max()
        if not (first <= AGREEMENT and fall <= FALL_AGREEMENT):
            raise BenchmarkError(
                f"torch's first loss differs from GluonCV's by {first:.1e} and its fall in {STEPS} "
                f"steps by {fall:.1e}, expected at most {AGREEMENT:.0e} and {FALL_AGREEMENT:g}"
            )

    def timer(self, steps: int) -> Callable[[int], float]:
        """Return a timer of a step, the mean of ``steps`` of them for each call; twice at most."""
        name = self._ready.pop()
        return lambda calls: self._process.ask("time", name=name, steps=steps * calls)

    def describe(self) -> dict:
        """Return versions and layouts, for the result."""
        versions = self._process.ask("versions")
        return {"versions": versions, "layout": self.layout, "trial_seconds": self.seconds}
