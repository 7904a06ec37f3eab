"""Whether a run can go on: with this configuration, on this data set, from these files."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np

from gluon_dkpr.config import Config, load_config, to_dict
from gluon_dkpr.data import RecordDataset, record_paths
from gluon_dkpr.engine.run_data import load_run_data
from gluon_dkpr.engine.run_folder import RunFolderError, read_metrics
from gluon_dkpr.skeleton import Skeleton, load_skeleton


def check_config(folder: Path, config: Config) -> None:
    """Raise RunFolderError, with what differs, unless the run has this configuration."""
    before, now = to_dict(load_config(folder / "config.yaml")), to_dict(config)
    differences = []
    for part, values in now.items():
        inner = values if isinstance(values, dict) else {"": values}
        known = before[part] if isinstance(values, dict) else {"": before[part]}
        for name, value in inner.items():
            if known[name] != value:
                key = f"{part}.{name}" if name else part
                differences.append(f"{key} was {known[name]!r}, now {value!r}")
    if differences:
        raise RunFolderError(
            f"{folder}: another configuration: {'; '.join(differences)}; --override goes on with "
            "the new one"
        )


def check_data(folder: Path, dataset: RecordDataset) -> None:
    """Raise RunFolderError unless the run was begun with this skeleton and, if it knows, this data.

    Args:
        folder: of the run.
        dataset: any split of the data set.
    """
    rec_path, _, json_path = record_paths(dataset.path)
    before, now = load_skeleton(folder / "skeleton.yaml"), dataset.skeleton
    if before != now:
        raise RunFolderError(
            f"{folder}: another skeleton in {json_path} than in skeleton.yaml: "
            f"{_difference(before, now)}; --override goes on with the new one"
        )
    data, found = load_run_data(folder), dataset.info.rec_sha256
    if data is not None and data.rec_sha256 != found:
        raise RunFolderError(
            f"{folder}: begun with another {rec_path}: its SHA-256 was {data.rec_sha256:.16}..., "
            f"now {found:.16}...; --override goes on with the new one"
        )


def _difference(before: Skeleton, now: Skeleton) -> str:
    """Return the first thing in which two skeletons differ."""
    for name in ("name", "dim", "length_unit", "joint_names", "parameter_names", "bones"):
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            return f"{name} was {old!r:.120}, now {new!r:.120}"
    wrong = np.flatnonzero(before.bone_lengths != now.bone_lengths)
    if len(wrong):
        bone, unit = " to ".join(now.bones[wrong[0]]), now.length_unit
        lengths = before.bone_lengths[wrong[0]], now.bone_lengths[wrong[0]]
        return "bone {} was {:g} {unit}, now {:g} {unit}".format(bone, *lengths, unit=unit)
    return "offsets, rotations, bounds or pairs of left and right"


def read_rows(folder: Path, config: Config, epoch: int) -> List[dict]:
    """Return the rows of metrics of a run that goes on from an epoch.

    Raises:
        RunFolderError: if they cannot be read, or a finished run has none to tell of.
    """
    rows = read_metrics(folder, epoch)
    if not rows and epoch >= config.train.epochs:
        raise RunFolderError(
            f"{folder / 'metrics.csv'}: not there, or without rows; expected those of the "
            f"{epoch} epochs of a finished run"
        )
    return rows
