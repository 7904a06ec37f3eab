"""The steps of a training run: everything that happens to a batch."""

from __future__ import annotations

import math
import time
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from tqdm import tqdm

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config
from gluon_dkpr.data import Batch, BatchLoader, RecordDataset
from gluon_dkpr.engine.distributed import Group
from gluon_dkpr.engine.gradient_norm import gradient_norm
from gluon_dkpr.engine.mixed_precision import LossScale
from gluon_dkpr.engine.objective import Objective, Part
from gluon_dkpr.engine.running_statistics import RunningStatistics
from gluon_dkpr.engine.schedule import decay, learning_rate
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.errors import DkprError
from gluon_dkpr.model_zoo import PoseNet


class TrainingError(DkprError):
    """A run cannot go on."""


class Progress(NamedTuple):
    """Where a run stands; plain numbers, kept in checkpoints.

    Attributes:
        epoch: epochs that are finished and measured.
        step: steps that are finished of the next one.
        best: lowest test joint error so far.
        updates: steps of the optimiser since the start.
        skipped: steps left out since the start, because a number was not finite.
        skipped_in_row: of those, the ones since the last good step.
        loss, error, images: sums over the samples of the unfinished epoch, and their number.
        seconds: spent in the unfinished epoch.
        gradient_norm: largest of the unfinished epoch.
        loss_factor, good_steps: the ``LossScale`` of mixed precision; else as at first.
    """

    epoch: int = 0
    step: int = 0
    best: float = math.inf
    updates: int = 0
    skipped: int = 0
    skipped_in_row: int = 0
    loss: float = 0.0
    error: float = 0.0
    images: int = 0
    seconds: float = 0.0
    gradient_norm: float = 0.0
    loss_factor: float = LossScale().factor
    good_steps: int = LossScale().good_steps

    def next_epoch(self) -> Progress:
        """Return where the run stands when the epoch is finished and measured."""
        kept = ("best", "updates", "skipped", "skipped_in_row", "loss_factor", "good_steps")
        return Progress(epoch=self.epoch + 1, **{name: getattr(self, name) for name in kept})


class Loop:
    """The steps of a run.

    Args:
        config: of the run.
        net: initialised on ``ctx``.
        trainer: with ``update_on_kvstore=False``.
        train_set: what to train on.
        ctx: devices.
        group: of workers; each does its share of every batch.

    Attributes:
        progress: where the run stands; right whenever no step is being made. Its sums are those of
            this worker; at the end of an epoch the leader has the group's, the others have none.
    """

    def __init__(
        self,
        config: Config,
        net: PoseNet,
        trainer,
        train_set: RecordDataset,
        ctx: List,
        group: Group,
    ):
        self._config, self._net, self._trainer = config.train, net, trainer
        self._group, self._count = group, len(train_set)
        self._loader = BatchLoader(
            train_set,
            config.train.batch_size,
            config.train.seed,
            on_damage="skip",
            share=group.shard,
        )
        self._objective = Objective(net, config.train, train_set.layout, ctx)
        self._gradients = [
            parameter for parameter in net.collect_params().values() if parameter.grad_req != "null"
        ]
        self._statistics = RunningStatistics(net)
        self.progress, self._sums = Progress(), RunningSums(Progress())

    def run_epoch(self, stop: StopRequest) -> Iterator[None]:
        """Do the rest of an epoch; yield after each step, when :meth:`snapshot` may be taken.

        After the last step all workers meet. In a group that was resumed in the middle of an epoch,
        sums and seconds are those of the rest of it.

        Args:
            stop: asked after each step.

        Raises:
            TrainingError: when too many steps in a row had numbers that are not finite.
        """
        steps = len(self._loader)
        if self._group.size > 1 and self.progress.step < steps:
            # A checkpoint within an epoch has the sums of the leader alone.
            self.progress = self.progress._replace(loss=0.0, error=0.0, images=0, seconds=0.0)
        begin = self.progress
        batches = self._loader.epoch(begin.epoch, begin.step)
        title = f"epoch {begin.epoch + 1}/{self._config.epochs}"
        hidden = None if self._group.is_leader else True
        bar = tqdm(
            total=steps, desc=title, initial=begin.step, unit="batch", leave=False, disable=hidden
        )
        self._sums, started = RunningSums(begin), time.perf_counter()
        with bar:
            for step, (batch, parts) in enumerate(self._ahead(batches), start=begin.step):
                part_done = (begin.epoch + step / steps) / self._config.epochs
                self._trainer.set_learning_rate(learning_rate(self._config, part_done))
                self._seed(begin.epoch, step)
                whole = min(self._config.batch_size, self._count - step * self._config.batch_size)
                self._step(batch, parts, whole, decay(self._config, part_done))
                seconds = begin.seconds + time.perf_counter() - started
                self.progress = self.progress._replace(step=step + 1, seconds=seconds)
                bar.update()
                if (step + 1) % self._config.log_interval == 0:
                    self._show(bar, started)
                if step + 1 == steps:
                    self._collect()
                yield
                stop.check(self._group)

    def snapshot(self) -> Progress:
        """Return the progress with the sums of the unfinished epoch; waits for the devices."""
        loss, error, images = self._sums.fetch()
        self.progress = self.progress._replace(loss=loss, error=error, images=images)
        return self.progress

    def _collect(self) -> None:
        """Give the leader the sums of all workers, so that its checkpoint has them."""
        own = self.snapshot()
        loss, error, images = self._group.sum([own.loss, own.error, own.images])
        if not self._group.is_leader:
            loss, error, images = 0.0, 0.0, 0
        self.progress = own._replace(loss=float(loss), error=float(error), images=int(images))
        self._sums = RunningSums(self.progress)

    def summary(self) -> dict:
        """Return the row of metrics of an epoch whose steps are finished; right in the leader."""
        progress = self.progress
        # All steps may have been left out.
        images = max(1, progress.images)
        last = (progress.epoch + 1 - 1 / len(self._loader)) / self._config.epochs
        return {
            "epoch": progress.epoch + 1,
            "learning_rate": learning_rate(self._config, last),
            "train_loss": progress.loss / images,
            "train_joint_error": progress.error / images * self._net.length,
            "gradient_norm": progress.gradient_norm,
            "skipped_steps": progress.skipped,
            "images_per_second": images / progress.seconds if progress.seconds else 0.0,
            "seconds": progress.seconds,
        }

    def _ahead(self, batches: Iterator[Batch]) -> Iterator[Tuple[Batch, List[Part]]]:
        """Yield batches with their parts, copied to the devices while these are still busy."""
        waiting: Optional[Tuple[Batch, List[Part]]] = None
        for batch in batches:
            # Of a batch smaller than the group some workers have no part.
            prepared = batch, self._objective.split(batch) if len(batch) else []
            if waiting is not None:
                yield waiting
            waiting = prepared
        if waiting is not None:
            yield waiting

    def _seed(self, epoch: int, step: int) -> None:
        """Make dropout a function of the step, so that a resumed run has the same."""
        # A rank of 0 at the end is no rank: dropout in the leader is that of a process alone.
        rank = [self._group.rank] if self._group.rank else []
        sequence = np.random.SeedSequence([self._config.seed, epoch, step, *rank])
        mx.random.seed(int(sequence.generate_state(1)[0] >> 1))

    def _step(self, batch: Batch, parts: List[Part], whole: int, decayed: float) -> None:
        """Do one step of the optimiser, or leave it out if a gradient is not finite."""
        self._statistics.keep()
        if not parts:
            self._group.zero_gradients(self._net)
        with mx.autograd.record():
            outputs = [self._objective.outputs(part) for part in parts]
            losses = [self._objective.loss(*pair, decayed) for pair in zip(outputs, parts)]
            # A device without a sample takes part in the sum of gradients with nothing.
            terms = [0 * loss if part.idle else loss for loss, part in zip(losses, parts)]
            if self._config.amp:
                terms = [self.progress.loss_factor * term for term in terms]
        if terms:
            mx.autograd.backward(terms)
        self._trainer.allreduce_grads()
        # The same number in every worker: all of them leave the step out, or none.
        gradients = [parameter.list_grad()[0] for parameter in self._gradients]
        divisor = whole * (self.progress.loss_factor if self._config.amp else 1)
        norm = gradient_norm(gradients) / divisor
        if not math.isfinite(norm):
            self._skip(batch, norm)
            return
        self._trainer.update(divisor)
        for output, part, loss in zip(outputs, parts, losses):
            if not part.idle:
                error = self._objective.joint_error(output, part)
                self._sums.add(loss.sum(), error.sum(), len(loss))
        self._adapt(norm)
        self.progress = self.progress._replace(
            updates=self.progress.updates + 1,
            skipped_in_row=0,
            gradient_norm=max(self.progress.gradient_norm, norm),
        )

    def _skip(self, batch: Batch, norm: float) -> None:
        """Leave the network as it was and count the step; end the run when nothing can help."""
        self._statistics.put_back()
        in_row = self.progress.skipped_in_row + 1
        self.progress = self.progress._replace(
            skipped=self.progress.skipped + 1, skipped_in_row=in_row
        )
        hopeless = not self._config.amp or self._loss_scale().is_least
        self._adapt(norm)
        if hopeless and in_row >= self._config.max_skipped:
            raise TrainingError(self._not_finite(batch))

    def _loss_scale(self) -> LossScale:
        return LossScale(self.progress.loss_factor, self.progress.good_steps)

    def _adapt(self, norm: float) -> None:
        """Let the factor of the loss follow the norm of a step's gradient."""
        if self._config.amp:
            factor, good_steps = self._loss_scale().after(norm)
            self.progress = self.progress._replace(loss_factor=factor, good_steps=good_steps)

    def _not_finite(self, batch: Batch) -> str:
        count, keys = self.progress.skipped_in_row, batch.keys.tolist()
        shown = ", ".join(map(str, keys[:8])) + (", ..." if len(keys) > 8 else "")
        return (
            f"the gradient is not finite in {count} steps in a row, the last one epoch "
            f"{self.progress.epoch + 1}, step {self.progress.step + 1}, records {shown}; the last "
            "good checkpoint stands; a lower --learning-rate may help"
        )

    def _show(self, bar, started: float) -> None:
        loss, error, images = self._sums.fetch()
        speed = (images - self._sums.begin) / (time.perf_counter() - started)
        unit = self._net.skeleton.length_unit
        joint_error = f"{error / max(1, images) * self._net.length:.2f} {unit}"
        bar.set_postfix_str(
            f"loss {loss / max(1, images):.5f}, joint error {joint_error}, {speed:.0f} images/s"
        )


class RunningSums:
    """Sums of loss and joint error that stay on their devices until they are asked for.

    Args:
        progress: whose sums they go on from.
    """

    def __init__(self, progress: Progress):
        self._known = np.array([progress.loss, progress.error])
        self._waiting = []
        self._images = self.begin = progress.images

    def add(self, loss, error, count: int) -> None:
        """Add sums over ``count`` samples of one device, without waiting for them."""
        self._waiting.append(mx.nd.stack(loss, error))
        self._images += count

    def fetch(self) -> Tuple[float, float, int]:
        """Return the sums of loss and joint error and their number of samples; waits."""
        # One after the other: a resumed run adds the same numbers in the same order.
        for pair in self._waiting:
            self._known = self._known + pair.asnumpy().ravel().astype(np.float64)
        self._waiting = []
        return float(self._known[0]), float(self._known[1]), self._images
