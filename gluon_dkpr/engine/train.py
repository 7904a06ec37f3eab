"""Training, from the configuration to the result, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from collections import deque
from pathlib import Path
from typing import List, NamedTuple, Optional

import numpy as np
from tqdm import tqdm

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config
from gluon_dkpr.data import BatchLoader, RecordDataset, to_network_input
from gluon_dkpr.engine import run_folder
from gluon_dkpr.engine.checkpoint import (
    build_network,
    load_parameters,
    load_state,
    save_checkpoint,
)
from gluon_dkpr.engine.datasets import open_datasets
from gluon_dkpr.engine.evaluate import NetworkPredictor, evaluate
from gluon_dkpr.engine.export import export_model
from gluon_dkpr.engine.schedule import learning_rate
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import pose_statistics
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.nn import JointLoss, KinematicLayer, ParameterLoss

# Steps that may be queued before the loop waits: enough to keep a device busy, few enough to keep
# the memory of their inputs small.
QUEUED_STEPS = 2


class TrainingError(DkprError):
    """A run cannot go on."""


class Progress(NamedTuple):
    """Where a run stands.

    Attributes:
        epoch: epochs that are finished.
        step: steps that are finished of the next one.
        best: lowest test joint error so far.
    """

    epoch: int = 0
    step: int = 0
    best: float = math.inf


def train(config: Config, folder: Path, ctx: List, kvstore: str = "device", resume: bool = False):
    """Train a network and write everything about it into a folder.

    Args:
        config: what to do.
        folder: where config.yaml, metrics.csv, result.json, pictures, checkpoint/ and export/ go.
        ctx: devices; the batch is split over them.
        kvstore: ``"device"`` or ``"local"``: where gradients are summed.
        resume: continue the run in ``folder`` from its last checkpoint.

    Returns:
        What result.json holds, but for the date and the versions.

    Raises:
        DkprError: for data, folder or checkpoint that cannot be used, or a loss that is not finite.
    """
    np.random.seed(config.train.seed)
    mx.random.seed(config.train.seed)
    train_set, test_set = open_datasets(config)
    net = make_network(config, train_set, ctx)
    trainer = make_trainer(config, net, kvstore)
    run_folder.open_run_folder(folder, config, train_set.skeleton, resume)
    progress, rows = Progress(), []
    if resume:
        progress = restore(folder, net, trainer, ctx)
        rows = run_folder.read_metrics(folder, progress.epoch)
    else:
        save_checkpoint(folder / "checkpoint", "last", net, progress._asdict(), trainer)
    loop = Loop(config, net, trainer, train_set, ctx)
    predictor = NetworkPredictor(net)
    try:
        while progress.epoch < config.train.epochs:
            progress, row = loop.run_epoch(progress)
            report = evaluate(predictor, test_set)
            rows.append({**row, **_test_columns(report)})
            run_folder.write_metrics(folder, rows)
            progress = keep(folder, net, trainer, progress, report["joint_error"])
            print(describe_epoch(rows[-1], report["unit"]))
    except KeyboardInterrupt:
        # Between epochs the last checkpoint stands: an epoch that was not measured is done again.
        if loop.progress.step:
            save_checkpoint(folder / "checkpoint", "last", net, loop.progress._asdict(), trainer)
        raise
    return finish(config, folder, net, rows, test_set, ctx)


def make_network(config: Config, train_set: RecordDataset, ctx: List) -> PoseNet:
    """Return an initialised, hybridized network whose head knows the training poses."""
    skeleton = train_set.skeleton
    statistics = None
    net = build_network(config, skeleton)
    if config.model.scaled_outputs:
        motion = train_set.read_labels(train_set.keys)["motion"] / net.motion_units()
        statistics = pose_statistics(skeleton.scaled(1.0 / net.length), motion)
        net = build_network(config, skeleton, statistics)
    net.initialize(ctx=ctx)
    # static_shape would make BatchNorm's running statistics depend on timing on several devices.
    net.hybridize(static_alloc=True)
    height, width, channels = train_set.image_shape
    for device in ctx:  # fixes the shapes of all parameters
        net(mx.nd.zeros((1, channels, height, width), ctx=device)).wait_to_read()
    return net


def make_trainer(config: Config, net: PoseNet, kvstore: str) -> mx.gluon.Trainer:
    """Return the optimiser of a configuration."""
    options = {"learning_rate": config.train.learning_rate, "wd": config.train.weight_decay}
    if config.train.optimizer == "sgd":
        options["momentum"] = config.train.momentum
    parameters = net.collect_params()
    return mx.gluon.Trainer(parameters, config.train.optimizer, options, kvstore=kvstore)


def restore(folder: Path, net: PoseNet, trainer, ctx: List) -> Progress:
    """Fill network and optimiser from the last checkpoint; return where it stood."""
    state = load_state(folder / "checkpoint")
    load_parameters(net, folder / "checkpoint" / "last.params", ctx)
    trainer.load_states(str(folder / "checkpoint" / "last.states"))
    return Progress(**state)


class Loop:
    """The steps of a run: everything that happens to a batch."""

    def __init__(self, config: Config, net: PoseNet, trainer, train_set: RecordDataset, ctx: List):
        self._config, self._net, self._trainer, self._ctx = config.train, net, trainer, ctx
        self._loader = BatchLoader(train_set, config.train.batch_size, config.train.seed)
        by_parameter = net.method == "parameter"
        self._loss = ParameterLoss() if by_parameter else JointLoss()
        self._loss.hybridize(static_alloc=True)
        self._kinematic = None
        if by_parameter:
            self._kinematic = KinematicLayer(net.skeleton.scaled(1.0 / net.length))
            self._kinematic.initialize(ctx=ctx)
            self._kinematic.hybridize(static_alloc=True)
        self.progress = Progress()

    def run_epoch(self, progress: Progress):
        """Train for the rest of an epoch; return the progress after it and its row of metrics."""
        self.progress = progress
        steps, begin = len(self._loader), time.perf_counter()
        sums, images, rate = RunningSums(), 0, 0.0
        queued = deque()
        batches = self._loader.epoch(progress.epoch, progress.step)
        title = f"epoch {progress.epoch + 1}/{self._config.epochs}"
        bar = tqdm(
            batches, title, steps, initial=progress.step, unit="batch", leave=False, disable=None
        )
        for step, batch in enumerate(bar, start=progress.step):
            done = (progress.epoch + step / steps) / self._config.epochs
            rate = learning_rate(self._config, done)
            self._trainer.set_learning_rate(rate)
            queued.append(self._step(batch, sums))
            images += len(batch)
            if len(queued) > QUEUED_STEPS:
                queued.popleft().wait_to_read()
            self.progress = progress._replace(step=step + 1)
            if (step + 1) % self._config.log_interval == 0:
                self._show(bar, sums, images, begin)
        loss, error = sums.means()
        self._check_finite(loss)
        seconds = time.perf_counter() - begin
        self.progress = progress._replace(epoch=progress.epoch + 1, step=0)
        row = {
            "epoch": self.progress.epoch,
            "learning_rate": rate,
            "train_loss": loss,
            "train_joint_error": error * self._net.length,
            "images_per_second": images / seconds,
            "seconds": seconds,
        }
        return self.progress, row

    def _step(self, batch, sums):
        """Do one step of the optimiser; return an array that is ready when the step is done."""
        images = self._split(to_network_input(batch.images))
        joints = self._split(batch.labels["joints"] / self._net.length)
        motions = self._split(batch.labels["motion"] / self._net.motion_units())
        losses, outputs = [], []
        with mx.autograd.record():
            for image, joint, motion in zip(images, joints, motions):
                outputs.append(self._net(image))
                target = joint if self._kinematic is None else motion
                losses.append(self._loss(outputs[-1], target))
        mx.autograd.backward(losses)
        self._trainer.step(len(batch))
        for output, joint, loss in zip(outputs, joints, losses):
            predicted = output if self._kinematic is None else self._kinematic(output)
            distance = mx.nd.sqrt(mx.nd.square(predicted - joint).sum(axis=-1))
            sums.add(loss.sum(), distance.mean(axis=1).sum(), len(loss))
        return losses[0]

    def _split(self, array):
        """Return the rows of an array as evenly as possible over the devices."""
        return mx.gluon.utils.split_and_load(
            mx.nd.array(array, dtype="float32"), self._ctx, even_split=False
        )

    def _show(self, bar, sums, images: int, begin: float) -> None:
        loss, error = sums.means()
        self._check_finite(loss)
        speed = images / (time.perf_counter() - begin)
        unit = self._net.skeleton.length_unit
        joint_error = f"{error * self._net.length:.2f} {unit}"
        bar.set_postfix_str(f"loss {loss:.5f}, joint error {joint_error}, {speed:.0f} images/s")

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} in epoch {self.progress.epoch + 1}, step "
                f"{self.progress.step}; a lower --learning-rate may help"
            )


class RunningSums:
    """Sums of loss and joint error that stay on their devices until they are asked for."""

    def __init__(self):
        self._sums = {}
        self._count = 0

    def add(self, loss, error, count: int) -> None:
        """Add sums over ``count`` samples of one device, without waiting for them."""
        pair = mx.nd.stack(loss, error)
        known = self._sums.get(pair.context)
        self._sums[pair.context] = pair if known is None else known + pair
        self._count += count

    def means(self):
        """Return mean loss and mean joint error of all samples so far; waits for the devices."""
        total = sum(pair.asnumpy().astype(np.float64) for pair in self._sums.values())
        return tuple(float(value) for value in total / self._count)


def keep(folder: Path, net: PoseNet, trainer, progress: Progress, error: float) -> Progress:
    """Write the checkpoints after an epoch; return the progress with the best error."""
    better = error < progress.best
    progress = progress._replace(best=min(error, progress.best))
    if better:
        save_checkpoint(folder / "checkpoint", "best", net, progress._asdict())
    save_checkpoint(folder / "checkpoint", "last", net, progress._asdict(), trainer)
    return progress


def finish(config: Config, folder: Path, net: PoseNet, rows, test_set, ctx) -> dict:
    """Evaluate the best checkpoint and write result, pictures and export."""
    load_parameters(net, folder / "checkpoint" / "best.params", ctx)
    predictor = NetworkPredictor(net)
    report = evaluate(predictor, test_set)
    seconds = sum(float(row["seconds"]) for row in rows)
    speeds = [float(row["images_per_second"]) for row in rows]
    result = {
        "preset": config.preset,
        "method": config.model.method,
        "epochs": len(rows),
        **report,
        "train_joint_error": float(rows[-1]["train_joint_error"]),
        "images_per_second": float(np.median(speeds)),
        "seconds": seconds,
        "seed": config.train.seed,
    }
    name = f"{config.preset}-{config.model.method}"
    export_model(net, folder / "export", name, test_set.image_shape)
    run_folder.write_pictures(folder, config, rows, test_set, predictor)
    run_folder.write_result(folder, result)
    return result


def describe_epoch(row: dict, unit: str) -> str:
    """Return one line about an epoch."""
    return (
        f"epoch {row['epoch']:3d}: loss {row['train_loss']:.5f}, joint error "
        f"{row['train_joint_error']:.2f} {unit} in training, "
        f"{row['test_joint_error']:.2f} {unit} on the test set, "
        f"{row['images_per_second']:.0f} images/s"
    )


def _test_columns(report) -> dict:
    angle: Optional[float] = report["angle_error_deg"]
    return {
        "test_joint_error": report["joint_error"],
        "test_angle_error_deg": "" if angle is None else angle,
        "test_bone_length_std": report["bone_length_std"],
    }
