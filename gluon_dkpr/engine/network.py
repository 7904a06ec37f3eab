"""The network of a configuration, with the parameters of a run or without any."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config, ConfigError, load_config
from gluon_dkpr.engine.checkpoint import (
    KINDS,
    PARAMETERS,
    CheckpointError,
    find_last,
    load_parameters,
)
from gluon_dkpr.geometry import PoseStatistics
from gluon_dkpr.model_zoo import ModelError, PoseNet, get_model
from gluon_dkpr.nn import MethodError
from gluon_dkpr.skeleton import Skeleton, load_skeleton


def load_run(folder, kind: str = "best", ctx=None) -> PoseNet:
    """Return the network of a finished or interrupted run, hybridized.

    Args:
        folder: what ``tools/train.py --out`` wrote.
        kind: ``"best"`` or ``"last"`` checkpoint, or the name of one of the last ones; ``best``
            falls back to ``last`` in a run that was interrupted before its first evaluation.
        ctx: device or list of devices, the CPU by default.

    Raises:
        CheckpointError, ConfigError, SkeletonError: for a missing or damaged file.
    """
    folder = Path(folder)
    if not (folder / "config.yaml").is_file():
        raise CheckpointError(f"{folder}: no config.yaml, expected the folder of a training run")
    config = load_config(folder / "config.yaml")
    skeleton = load_skeleton(folder / "skeleton.yaml")
    try:
        net = build_network(config, skeleton)
    except (MethodError, ModelError) as error:
        raise ConfigError(f"{folder / 'config.yaml'}: {error}") from None
    path = folder / "checkpoint" / "best.params"
    if kind not in KINDS:
        path = folder / "checkpoint" / kind / PARAMETERS
    elif kind == "last" or not path.is_file():
        path = find_last(folder / "checkpoint").folder / PARAMETERS
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
    options["length"] = config.model.length or None
    options["with_motion"] = config.train.bound_weight > 0
    options["with_guide"] = config.train.guide_weight > 0
    options["raw_outputs"] = not config.model.scaled_outputs
    return get_model(config.model.backbone, skeleton, config.model.method, statistics, **options)
