"""What a run can be continued from, written so that an interruption never spoils it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config, load_config
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_path, atomic_write
from gluon_dkpr.geometry import PoseStatistics
from gluon_dkpr.model_zoo import PoseNet, get_model
from gluon_dkpr.skeleton import Skeleton, load_skeleton

KINDS = ("best", "last")


class CheckpointError(DkprError):
    """A checkpoint is missing or does not fit the network."""


def save_checkpoint(folder: Path, kind: str, net: PoseNet, state: dict, trainer=None) -> None:
    """Write parameters, optimiser state and progress; the progress last: it tells they are whole.

    Args:
        folder: the run's ``checkpoint`` folder.
        kind: ``"best"`` or ``"last"``.
        net: the network.
        state: progress (plain numbers): epoch, step, best error.
        trainer: its optimiser's state is kept if given.

    Raises:
        CheckpointError, OSError: if it cannot be written; what stood there stays.
    """
    writers = {"params": net.save_parameters}
    if trainer is not None:
        writers["states"] = trainer.save_states
    for suffix, write in writers.items():
        path = folder / f"{kind}.{suffix}"
        with atomic_path(path) as temporary:
            try:
                write(str(temporary))
            except mx.MXNetError as error:
                # MXNet does not tell why; a full disk is the usual reason.
                reason = str(error).strip().splitlines()[-1]
                raise CheckpointError(f"{path}: cannot be written: {reason}") from None
    with atomic_write(folder / f"{kind}.json") as file:
        json.dump(state, file, indent=2)


def load_state(folder: Path, kind: str = "last") -> dict:
    """Return the progress that was saved with a checkpoint."""
    path = folder / f"{kind}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise CheckpointError(f"{path}: not valid JSON, expected the progress of a run") from None


def load_parameters(net: PoseNet, path: Path, ctx) -> None:
    """Fill a network from a file.

    Raises:
        CheckpointError: if the file is missing, damaged or of another network.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected the parameters of a run")
    try:
        net.load_parameters(str(path), ctx=ctx)
    except (mx.MXNetError, AssertionError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise CheckpointError(f"{path}: not the parameters of this network: {reason}") from None


def load_run(folder, kind: str = "best", ctx=None) -> PoseNet:
    """Return the network of a finished or interrupted run, hybridized.

    Args:
        folder: what ``tools/train.py --out`` wrote.
        kind: ``"best"`` or ``"last"`` checkpoint; ``best`` falls back to ``last`` in a run that
            was interrupted before its first evaluation.
        ctx: device or list of devices, the CPU by default.

    Raises:
        CheckpointError, ConfigError, SkeletonError: for a missing or damaged file.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise CheckpointError(f"{folder}: no config.yaml, expected the folder of a training run")
    config = load_config(folder / "config.yaml")
    net = build_network(config, load_skeleton(folder / "skeleton.yaml"))
    path = folder / "checkpoint" / f"{kind}.params"
    if kind == "best" and not path.is_file():
        path = path.with_name("last.params")
    load_parameters(net, path, ctx or mx.cpu())
    net.hybridize(static_alloc=True)
    return net


def build_network(
    config: Config, skeleton: Skeleton, statistics: Optional[PoseStatistics] = None
) -> PoseNet:
    """Return the network of a configuration, without parameters."""
    options = {}
    if config.model.backbone == "toy_cnn":
        options = {"dropout": config.model.dropout, "hidden_sigma": config.model.hidden_sigma}
    return get_model(config.model.backbone, skeleton, config.model.method, statistics, **options)
