"""From what a user names to what predicts poses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional, Tuple

from gluon_dkpr.backend import mx
from gluon_dkpr.config import load_config
from gluon_dkpr.data import RecordDataset, RecordError, read_info
from gluon_dkpr.engine.checkpoint import checkpoint_of
from gluon_dkpr.engine.datasets import open_datasets, record_path
from gluon_dkpr.engine.export import ExportError, find_export, load_export
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.predictor import ImagePredictor, NetworkPredictor
from gluon_dkpr.engine.run_data import NAME, load_run_data
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import planar
from gluon_dkpr.skeleton.planar import IMAGE_SIZE_PX, LEVELS


def load_predictor(path, kind: str = "best", ctx: Optional[mx.Context] = None) -> ImagePredictor:
    """Return what predicts poses: a trained network or an exported graph.

    Args:
        path: a run folder, a checkpoint in one, or an export as
            :func:`~gluon_dkpr.engine.export.load_export` takes it.
        kind: checkpoint of a run folder, ``"best"`` or ``"last"``.
        ctx: device, the CPU by default.

    Raises:
        DkprError: if it is neither, or a file is missing or damaged; names the file.
    """
    run = find_run(path, kind)
    if run is None:
        if find_export(path) is None:
            what = "no run folder, checkpoint or export" if os.path.exists(path) else "not there"
            raise ExportError(f"{path}: {what}; expected what tools/train.py or export.py wrote")
        return load_export(path, ctx)
    folder, kind = run
    net = load_run(folder, kind, ctx)
    return NetworkPredictor(net, *run_images(folder))


def find_run(path, kind: str = "best") -> Optional[Tuple[Path, str]]:
    """Return run folder and checkpoint that ``path`` names, ``None`` if it names none."""
    path = Path(path)
    path, kind = checkpoint_of(path) or (path, kind)
    return (path, kind) if (path / "config.yaml").is_file() else None


def run_images(folder: Path) -> NetworkImages:
    """Return what images the network of a run folder takes.

    The folder says it; of a run from before it did, the data set does, which has to be where the
    configuration names it.

    Raises:
        RunDataError: if what the folder says is damaged.
        RecordError: if it says nothing and the data set is missing or damaged.
    """
    data = load_run_data(folder)
    if data is not None:
        return data.images
    config = load_config(folder / "config.yaml")
    if config.data.source == "toy" and not config.data.record:
        return NetworkImages((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1))
    try:
        return NetworkImages.of(read_info(record_path(config.data)))
    except RecordError as error:
        export = folder / "export"
        without = f"; {export} works without it" if export.is_dir() else ""
        raise RecordError(
            f"{error}; without {folder / NAME} the training data set tells what the network's "
            f"images are, expected where {folder / 'config.yaml'} names it{without}"
        ) from None


def open_split(
    model, predictor: ImagePredictor, record: Optional[str], split: str
) -> RecordDataset:
    """Return the data set on which a model is measured.

    Args:
        model: what :func:`load_predictor` was given.
        predictor: what it returned.
        record: NAME of the data set; without it the run's own, or for an export of a toy network
            the default toy set of its level, made if it is missing.
        split: its name.

    Raises:
        RecordError: if the data set is missing or damaged, or has no such split.
        ExportError: for an export without ``record`` that is not a toy's.
    """
    if record:
        return RecordDataset(record, split)
    run = find_run(model)
    if run is not None:
        config = load_config(run[0] / "config.yaml")
    else:
        levels = [level for level in LEVELS if planar(level) == predictor.skeleton]
        if not levels:
            raise ExportError(
                f"{model}: an export of '{predictor.skeleton.name}' has no data set of its own, "
                "expected --data NAME"
            )
        config = get_preset(f"toy{levels[0]}")
    train, test = open_datasets(config)
    return test if split == test.split else RecordDataset(train.path, split)
