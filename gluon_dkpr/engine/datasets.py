"""From a configuration to the data sets it trains and tests on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Tuple

from tqdm import tqdm

from gluon_dkpr.config import Config, DataConfig
from gluon_dkpr.cores import usable_cores
from gluon_dkpr.data import RecordDataset, RecordError, make_toy_record, record_paths
from gluon_dkpr.data.body.record import make_human_record
from gluon_dkpr.model_zoo import input_channels

# Beside the project when the tools are run from its folder; not kept in version control.
DATA_FOLDER = Path("data")


def open_datasets(config: Config) -> Tuple[RecordDataset, RecordDataset]:
    """Return the training and the test split; a set that can be made is made when it is missing.

    Raises:
        RecordError: if the data set is missing or damaged.
        DkprError: if it cannot be made, such as for want of motion capture.
    """
    data = config.data
    path = record_path(data)
    if not data.record and not record_paths(path)[2].exists():
        total = data.train + data.test
        with tqdm(
            total=total, desc=f"making {path}", unit="image", leave=False, disable=None
        ) as bar:
            _make(path, data, bar.update)
    if not record_paths(path)[2].exists():
        raise RecordError(
            f"{record_paths(path)[2]}: no such data set; tools/make_h36m_record.py makes that of "
            "Human3.6M, tools/make_human_record.py rendered people, --data names another"
        )
    return RecordDataset(path, "train"), RecordDataset(path, "test")


def check_trainable(config: Config, train_set: RecordDataset, test_set: RecordDataset) -> None:
    """Check that a network can be trained on one split of a data set and measured on the other.

    Raises:
        RecordError: if a split has too few samples, or the images other channels than the backbone
            takes; names the .json.
        ModelError: for an unknown backbone.
    """
    path, backbone = record_paths(train_set.path)[2], config.model.backbone
    # The spread of the poses, which scaled outputs are told, takes two.
    least = {"train": 2 if config.model.scaled_outputs else 1, "test": 1}
    for dataset in (train_set, test_set):
        count, expected = len(dataset), least[dataset.split]
        if count < expected:
            raise RecordError(
                f"{path}: split '{dataset.split}' has {count} samples, expected {expected} or more"
            )
    expected = input_channels(backbone)
    if train_set.image_shape[2] != expected:
        raise RecordError(
            f"{path}: images have shape {train_set.image_shape}, expected (H, W, {expected}) by "
            f"backbone '{backbone}'; another --preset may have a backbone for them"
        )


def record_path(data: DataConfig) -> Path:
    """Return where the data set is. Of those that are made, equal names hold equal bytes."""
    if data.record:
        return Path(data.record)
    if data.source == "people":
        kind = "" if data.clothes == "varied" else f"-{data.clothes}"
        return DATA_FOLDER / f"people{kind}{data.size}-{data.train}-{data.test}-seed{data.seed}"
    name = f"toy{data.level}"
    default = DataConfig(level=data.level)
    if dataclasses.replace(data, size=default.size) != default:
        name += f"-{data.train}-{data.test}-seed{data.seed}"
    return DATA_FOLDER / name


def _make(path: Path, data: DataConfig, progress) -> None:
    if data.source == "people":
        numbers = data.train, data.test, data.size, data.seed, usable_cores()
        make_human_record(path, *numbers, progress, clothes=data.clothes)
    else:
        make_toy_record(path, data.level, data.train, data.test, data.seed, progress)
