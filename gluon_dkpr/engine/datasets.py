"""From a configuration to the data sets it trains and tests on."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

from tqdm import tqdm

from gluon_dkpr.config import Config, DataConfig
from gluon_dkpr.data import RecordDataset, make_toy_record, record_paths

# Beside the project when the tools are run from its folder; not kept in version control.
DATA_FOLDER = Path("data")


def open_datasets(config: Config) -> Tuple[RecordDataset, RecordDataset]:
    """Return the training and the test split; a toy set that is missing is made first.

    Raises:
        RecordError: if the data set is missing or damaged.
    """
    data = config.data
    path = Path(data.record) if data.record else toy_record_path(data)
    if not data.record and not record_paths(path)[2].exists():
        total = data.train + data.test
        with tqdm(
            total=total, desc=f"making {path}", unit="image", leave=False, disable=None
        ) as bar:
            make_toy_record(path, data.level, data.train, data.test, data.seed, bar.update)
    return RecordDataset(path, "train"), RecordDataset(path, "test")


def toy_record_path(data: DataConfig) -> Path:
    """Return where the toy set of these arguments lives: equal names hold equal bytes."""
    name = f"toy{data.level}"
    default = DataConfig(level=data.level)
    if data != default:
        name += f"-{data.train}-{data.test}-seed{data.seed}"
    return DATA_FOLDER / name
