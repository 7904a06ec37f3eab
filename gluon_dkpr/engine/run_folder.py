"""What a training run leaves behind: its files, their names and their contents."""

from __future__ import annotations

import csv
import datetime
import io
import json
from pathlib import Path
from typing import List, Optional

import numpy as np

from gluon_dkpr.backend import versions
from gluon_dkpr.config import Config, load_config, save_config
from gluon_dkpr.cores import openmp_threads
from gluon_dkpr.data import RecordInfo
from gluon_dkpr.data.human import is_root_relative
from gluon_dkpr.engine.evaluate import root_relative_joints
from gluon_dkpr.engine.run_data import RunData, save_run_data
from gluon_dkpr.engine.run_lock import FolderLock
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write, read_bounded_text
from gluon_dkpr.metrics import mpjpe
from gluon_dkpr.skeleton import save_skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz import PictureError, plot_curve, qualitative_sheet, sample_sheet

COLUMNS = (
    "epoch",
    "learning_rate",
    "train_loss",
    "train_joint_error",
    "test_joint_error",
    "test_angle_error_deg",
    "test_bone_length_std",
    "gradient_norm",
    "skipped_steps",
    "images_per_second",
    "seconds",
)
# Of a million epochs.
MAX_METRICS_BYTES = 256 << 20
# Joint error in px at 3 parameters (section 4.1) and bone length deviation of direct joint.
PAPER_JOINT_ERROR_PX = {"direct": 5.1, "kinematic": 4.9, "parameter": 4.8}
PAPER_BONE_LENGTH_STD_PX = 5.3
SAMPLES = 12
SAMPLES_3D = 6


class RunFolderError(DkprError):
    """The output folder cannot be used."""


def holds_run(folder: Path) -> bool:
    """Tell whether a training run has written into the folder."""
    return any((folder / "checkpoint").glob("last-*")) or (folder / "result.json").exists()


def lock_folder(folder: Path, resume: bool) -> FolderLock:
    """Return the lock of the folder that a new run is to be written to, or that one is resumed in.

    Raises:
        RunFolderError: if it is not writable, in use, holds another run and ``resume`` is not set,
            or holds none and it is.
    """
    if resume and not any((folder / "checkpoint").glob("last-*")):
        raise RunFolderError(f"{folder}: holds no training run to resume")
    lock = _take(folder)
    if lock is None:
        raise RunFolderError(
            f"{folder}: another process is training in it; expected its end, or another --out"
        )
    if holds_run(folder) and not resume:
        lock.release()
        raise RunFolderError(
            f"{folder}: holds a training run already; --resume continues it, "
            "another --out leaves it alone"
        )
    return lock


def lock_free_folder(folder: Path) -> FolderLock:
    """Return the lock of the first of ``folder``, ``folder-2``, ``folder-3``, ... that is free.

    Free is what holds no run and is not in use.

    Raises:
        RunFolderError: if it is not writable.
    """
    number, free = 1, folder
    while True:
        lock = None if holds_run(free) else _take(free)
        # A run may have come to its end since.
        if lock is not None and not holds_run(free):
            return lock
        if lock is not None:
            lock.release()
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")


def _take(folder: Path) -> Optional[FolderLock]:
    try:
        return FolderLock.take(folder)
    except OSError as error:
        raise RunFolderError(f"{folder}: not a writable folder: {error.strerror}") from None


def open_run_folder(folder: Path, config: Config, info: RecordInfo) -> None:
    """Write the resolved configuration, and what the data set is, into a folder.

    Raises:
        RunFolderError: if it is not writable.
    """
    try:
        (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
        save_config(config, folder / "config.yaml")
        save_skeleton(info.skeleton, folder / "skeleton.yaml")
        save_run_data(folder, RunData.of(info))
    except OSError as error:
        raise RunFolderError(f"{folder}: not a writable folder: {error.strerror}") from None


def read_metrics(folder: Path, epochs: int) -> List[dict]:
    """Return the rows of metrics.csv up to an epoch, as texts; none if there is no such file.

    Raises:
        RunFolderError: if it is not what :func:`write_metrics` wrote, such as one that a
            spreadsheet has saved with other separators.
    """
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    # A spreadsheet's byte order mark does no harm.
    text = read_bounded_text(path, MAX_METRICS_BYTES, RunFolderError, "utf-8-sig")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names, rows = reader.fieldnames or [], list(reader)
    except csv.Error as error:
        raise RunFolderError(f"{path}: not a table of commas: {error}") from None
    if sorted(names) != sorted(COLUMNS):
        raise RunFolderError(
            f"{path}: columns are {','.join(names)!r:.200}, expected {','.join(COLUMNS)!r}"
        )
    for number, row in enumerate(rows, start=1):
        _check_row(row, f"{path}: row {number}")
    return [row for row in rows if int(row["epoch"]) <= epochs]


def _check_row(row: dict, where: str) -> None:
    """Raise RunFolderError unless a row of metrics.csv has a number in every column."""
    if None in row:
        raise RunFolderError(f"{where} has more than the expected {len(COLUMNS)} columns")
    for name in COLUMNS:
        value = row[name]
        if value == "" and name == "test_angle_error_deg":
            continue  # direct joint in space has none
        try:
            (int if name == "epoch" else float)(value)
        except (TypeError, ValueError):
            raise RunFolderError(f"{where}: {name} is {value!r:.60}, expected a number") from None


def write_metrics(folder: Path, rows: List[dict]) -> None:
    """Write one row an epoch."""
    with atomic_write(folder / "metrics.csv") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_result(folder: Path, result: dict) -> None:
    """Write result.json, with the date and what the numbers depend on."""
    with atomic_write(folder / "result.json") as file:
        json.dump({**result, **stamp()}, file, indent=2)


def stamp() -> dict:
    """Return the date, and of machine and software what numbers depend on."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "threads": openmp_threads(),
        "versions": versions(),
    }


def write_curve(folder: Path, config: Config, rows: List[dict], unit: str) -> None:
    """Draw curve.png. A run that diverged has nothing to plot: then there is none."""
    reference = None
    if _is_papers(config):
        reference = (PAPER_JOINT_ERROR_PX[config.model.method], "paper")
    try:
        plot_curve(rows, folder / "curve.png", reference, unit)
    except PictureError:
        print(f"{folder}: no finite error or loss, so no curve.png")


def write_samples(folder: Path, dataset, predictor) -> Path:
    """Draw samples.png, truth and prediction over test images evenly spread over the set.

    Returns:
        The picture.
    """
    skeleton = dataset.skeleton
    count = min(SAMPLES if skeleton.dim == 2 else SAMPLES_3D, len(dataset))
    keys = dataset.keys[np.linspace(0, len(dataset) - 1, count).astype(int)]
    images, labels = dataset.read(keys)
    joints: Array = predictor.predict(images).joints
    truth, sheet = labels["joints"], folder / "samples.png"
    if is_root_relative(dataset.layout):
        truth, joints = (root_relative_joints(skeleton, some) for some in (truth, joints))
    errors = mpjpe(truth, joints, per="sample")
    if skeleton.dim == 2:
        sample_sheet(images, skeleton, truth, joints, errors, sheet)
    else:
        captions = [(f"record {key}", "") for key in keys]
        found, distances = {predictor.method: joints}, {predictor.method: errors}
        qualitative_sheet(skeleton, images, captions, truth, found, distances, sheet)
    return sheet


def _is_papers(config: Config) -> bool:
    """Tell whether the paper has numbers of what was trained: its object, not the user's own."""
    return config.preset == "toy3" and not config.data.record


def summary(result: dict, folder: Path) -> str:
    """Return a small table of a result, beside the paper's where it has one, and the files."""
    unit = result["unit"]
    rows = [("mean joint error", f"{result['joint_error']:.2f} {unit}", "joint_error")]
    if result["angle_error_deg"] is not None:
        rows.append(("mean angle error", f"{result['angle_error_deg']:.2f} deg", ""))
    rows.append(("bone length deviation", f"{result['bone_length_std']:.4f} {unit}", "bones"))
    paper, config = {}, load_config(folder / "config.yaml")
    if _is_papers(config):
        paper["joint_error"] = f"{PAPER_JOINT_ERROR_PX[result['method']]} px"
        if result["method"] == "direct":
            paper["bones"] = f"{PAPER_BONE_LENGTH_STD_PX} px"
    title = f"{config.subject}, {result['method']}, {result['epochs']} epochs"
    lines = ["", f"{title:32s} {'ours':>12s} {'paper':>8s}"]
    lines += [f"{name:32s} {ours:>12s} {paper.get(key, '-'):>8s}" for name, ours, key in rows]
    lines.append("")
    for name in ("curve.png", "samples.png", "result.json", "export"):
        if (folder / name).exists():
            lines.append(f"{name:12s} {folder / name}")
    return "\n".join(lines)
