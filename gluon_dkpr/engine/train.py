"""Training, from the configuration to the result, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config
from gluon_dkpr.data import RecordDataset
from gluon_dkpr.engine import run_folder, run_resume
from gluon_dkpr.engine.checkpoint import load_parameters, tidy
from gluon_dkpr.engine.datasets import check_trainable, open_datasets
from gluon_dkpr.engine.distributed import Group, open_group
from gluon_dkpr.engine.evaluate import evaluate
from gluon_dkpr.engine.event_log import EventLog
from gluon_dkpr.engine.export import export_model
from gluon_dkpr.engine.loop import Loop
from gluon_dkpr.engine.mixed_precision import require_float16
from gluon_dkpr.engine.network import build_network
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.engine.saver import Saver
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.geometry import pose_statistics
from gluon_dkpr.model_zoo import ModelError, PoseNet, load_pretrained

# More poses than these do not change what the head is told about them.
STATISTICS_POSES = 20000


def train(
    config: Config,
    folder: Path,
    ctx: List,
    kvstore: str = "device",
    resume: bool = False,
    override: bool = False,
):
    """Train a network and write everything about it into a folder.

    Args:
        config: what to do.
        folder: where config.yaml, skeleton.yaml, data.json, metrics.csv, result.json, pictures,
            events/, checkpoint/ and export/ go.
        ctx: devices; the batch is split over them.
        kvstore: where gradients are summed: ``"device"`` or ``"local"``, or of several processes
            one of ``engine.distributed.KVSTORES``.
        resume: continue the run in ``folder`` from its last checkpoint, to the same parameters, bit
            by bit, as if it had never been interrupted.
        override: continue it even with another configuration or data set.

    Returns:
        What result.json holds, but for the date and the versions; ``None`` in a worker that is not
        its group's leader.

    Raises:
        DkprError: for data, folder or checkpoint that cannot be used, or gradients that stay not
            finite. A run that is refused to be resumed stays as it was.
    """
    _require_devices(config, ctx)
    with open_group(kvstore) as group, contextlib.ExitStack() as stack:
        if group.is_leader:  # before anything else: two runs in one folder would spoil both
            stack.enter_context(run_folder.lock_folder(folder, resume))
        return _train(config, folder, ctx, group, resume, override)


def train_new(
    config: Config, folder: Path, ctx: List, kvstore: str = "device"
) -> Tuple[Path, Optional[dict]]:
    """Train in ``folder``, or in the first of ``folder-2``, ``folder-3``, ... that is free.

    Args:
        config, ctx, kvstore: as in :func:`train`.
        folder: left alone if it holds a run or another process trains in it.

    Returns:
        The folder, and what :func:`train` returns.

    Raises:
        As :func:`train`.
    """
    _require_devices(config, ctx)
    with open_group(kvstore) as group, contextlib.ExitStack() as stack:
        if group.is_leader:
            folder = stack.enter_context(run_folder.lock_free_folder(folder)).folder
        return folder, _train(config, folder, ctx, group)


def _require_devices(config: Config, ctx: List) -> None:
    if config.train.amp:
        require_float16(ctx)


def _train(
    config: Config,
    folder: Path,
    ctx: List,
    group: Group,
    resume: bool = False,
    override: bool = False,
):
    """Do what :func:`train` says, as one worker of a group; its leader alone writes."""
    np.random.seed(config.train.seed)
    mx.random.seed(config.train.seed)
    if resume and group.is_leader and not override:
        run_resume.check_config(folder, config)
    train_set, test_set = _open_datasets(config, group)
    if resume and group.is_leader and not override:
        run_resume.check_data(folder, train_set)
    net = make_network(config, train_set, ctx, pretrained=group.is_leader and not resume)
    trainer = make_trainer(config, net, group)
    loop = Loop(config, net, trainer, train_set, ctx, group)
    saver = Saver(folder / "checkpoint", config, net, trainer, ctx, group)
    rows = _begin(config, folder, loop, saver, train_set, group, resume)
    if not group.is_leader:
        with StopRequest() as stop:
            while loop.progress.epoch < config.train.epochs:
                train_epoch(loop, saver, stop)
                loop.progress = loop.progress.next_epoch()
        return None
    predictor = NetworkPredictor(net)
    with StopRequest() as stop, EventLog(folder / "events", loop.progress.updates) as events:
        while loop.progress.epoch < config.train.epochs:
            train_epoch(loop, saver, stop)
            row = loop.summary()
            with stop.at_once():
                report = evaluate(predictor, test_set)
            rows.append({**row, **_test_columns(report)})
            run_folder.write_metrics(folder, rows)
            loop.progress = saver.keep(loop.progress.next_epoch(), report["joint_error"])
            events.add_epoch(rows[-1], loop.progress.updates)
            samples = run_folder.write_samples(folder, test_set, predictor)
            events.add_picture("samples/last", samples, loop.progress.updates)
            print(describe_epoch(rows[-1], report["unit"]))
        result = finish(config, folder, net, rows, test_set, ctx)
        events.add_picture("samples/best", folder / "samples.png", loop.progress.updates)
    return result


def _begin(
    config: Config, folder: Path, loop: Loop, saver: Saver, train_set, group: Group, resume: bool
) -> List[dict]:
    """Begin a run or go on with one; return its rows of metrics so far.

    What is resumed is written to when all of it could be read, not before.
    """
    rows = []
    if resume:
        loop.progress = saver.restore()
        if group.is_leader:
            rows = run_resume.read_rows(folder, config, loop.progress.epoch)
    if group.is_leader:
        run_folder.open_run_folder(folder, config, train_set.info)
        tidy(folder / "checkpoint")
    if not resume:
        loop.progress = saver.begin()
    return rows


def _open_datasets(config: Config, group: Group):
    """Return training and test split; what has to be made first, the leader makes."""
    datasets = open_datasets(config) if group.is_leader else None
    group.barrier()
    datasets = datasets or open_datasets(config)
    check_trainable(config, *datasets)
    return datasets


def train_epoch(loop: Loop, saver: Saver, stop: StopRequest) -> None:
    """Do the steps of an epoch; at their end, in between and when asked to stop, save them."""
    try:
        for _ in loop.run_epoch(stop):
            if saver.is_due():
                saver.save(loop.snapshot())
    except KeyboardInterrupt:
        saver.save(loop.snapshot())
        raise
    saver.save(loop.snapshot())


def make_network(
    config: Config, train_set: RecordDataset, ctx: List, pretrained: bool = True
) -> PoseNet:
    """Return an initialised, hybridized network whose head knows the training poses.

    Args:
        config: of the run.
        train_set: what it will be trained on.
        ctx: devices.
        pretrained: fill it with the configuration's weights.

    Raises:
        ModelError: for images that the backbone cannot take, such as small ones.
        DkprError: for weights that cannot be used.
    """
    skeleton = train_set.skeleton
    statistics = None
    net = build_network(config, skeleton)
    if config.model.scaled_outputs:
        stride = -(-len(train_set) // STATISTICS_POSES)
        motion = train_set.read_labels(train_set.keys[::stride])["motion"] / net.motion_units()
        statistics = pose_statistics(skeleton.scaled(1.0 / net.length), motion)
        net = build_network(config, skeleton, statistics)
    net.initialize(ctx=ctx)
    # static_shape would make BatchNorm's running statistics depend on timing on several devices.
    net.hybridize(static_alloc=True)
    _fix_shapes(config, net, train_set, ctx)
    if pretrained:
        load_pretrained(net, config.model.backbone, config.model.pretrained)
    return net


def _fix_shapes(config: Config, net: PoseNet, train_set: RecordDataset, ctx: List) -> None:
    """Call a network once on every device, which fixes the shapes of all parameters."""
    height, width, channels = train_set.image_shape
    scaled = config.model.method == "kinematic" and "scale" in train_set.layout.names
    try:
        # MXNet prints the arguments of what it cannot infer.
        with contextlib.redirect_stdout(io.StringIO()):
            for device in ctx:
                scale = (mx.nd.ones((1, 1), ctx=device),) if scaled else ()
                net(mx.nd.zeros((1, channels, height, width), ctx=device), *scale)
            mx.nd.waitall()
    except (mx.MXNetError, ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ModelError(
            f"{train_set.path}: images have shape {train_set.image_shape}, expected some that "
            f"backbone '{config.model.backbone}' can take; are they too small? "
            f"{reason}"
        ) from None


def make_trainer(config: Config, net: PoseNet, group: Group) -> mx.gluon.Trainer:
    """Return the optimiser of a configuration; every device updates its own parameters."""
    options = {"learning_rate": config.train.learning_rate, "wd": config.train.weight_decay}
    if config.train.optimizer == "sgd":
        options["momentum"] = config.train.momentum
    return group.make_trainer(net.collect_params(), config.train.optimizer, options)


def finish(config: Config, folder: Path, net: PoseNet, rows, test_set, ctx) -> dict:
    """Evaluate the best checkpoint and write result, pictures and export."""
    best = folder / "checkpoint" / "best.params"
    if best.is_file():  # there is none if every test error was not finite, or the disk was full
        load_parameters(net, best, ctx)
    predictor = NetworkPredictor(net)
    report = evaluate(predictor, test_set)
    seconds = sum(float(row["seconds"]) for row in rows)
    speeds = [float(row["images_per_second"]) for row in rows]
    result = {
        "preset": config.preset,
        "method": config.model.method,
        "epochs": int(rows[-1]["epoch"]),
        **report,
        "train_joint_error": float(rows[-1]["train_joint_error"]),
        "images_per_second": float(np.median(speeds)),
        "seconds": seconds,
        "seed": config.train.seed,
    }
    images = NetworkImages.of(test_set.info)
    kind = {"margin": images.margin, "grey": images.grey}
    export_model(net, folder / "export", config.name, images.shape, **kind)
    run_folder.write_curve(folder, config, rows, test_set.skeleton.length_unit)
    run_folder.write_samples(folder, test_set, predictor)
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
