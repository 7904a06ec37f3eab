"""Joints out of the files that people have: NumPy, CSV, BVH, or one of our data sets."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from gluon_dkpr.data.dataset import RecordDataset, read_info
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.geometry.bvh import load_bvh
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

SUFFIXES = (".npz", ".npy", ".csv", ".bvh", ".json")
# Of an .npz with several arrays the first of these is taken.
ARRAY_NAMES = ("joints", "joints_mm", "joints_px")
# Columns of a .csv that count the frames.
COUNTERS = ("frame", "time")


class JointFileError(DkprError, ValueError):
    """A file of joints cannot be read or does not fit the skeleton; the message names the file."""


@dataclass(frozen=True)
class JointFile:
    """What a file of joints holds.

    Attributes:
        joints: shape (F, J, D) in the skeleton's order, unit and frame of the file; missing
            joints are NaN.
        frame_time: s, if the file says it.
    """

    joints: Array
    frame_time: Optional[float] = None


def read_joints(path, skeleton: Skeleton) -> JointFile:
    """Read the joints of a skeleton.

    ``.npz`` has an array ``joints``, ``joints_mm`` or ``joints_px``, or only one array; it and
    ``.npy`` have shape (F, J, D), or (J, D) for one frame, in the skeleton's order. ``.csv`` has a
    header ``pelvis_x,pelvis_y,...`` in any order, columns ``frame`` and ``time`` are passed over
    and empty cells are missing joints. ``.bvh`` has a joint of every visible joint's name.
    ``.json`` is that of a data set; its splits follow each other.

    Args:
        path: the file, its suffix says what it is.
        skeleton: J visible joints in D dimensions.

    Raises:
        JointFileError, BvhError or RecordError: if it cannot be read, is malformed, has other
            joints than the skeleton or an infinite coordinate.
    """
    path = Path(path)
    readers = {
        ".npz": _read_numpy,
        ".npy": _read_numpy,
        ".csv": _read_csv,
        ".bvh": _read_bvh,
        ".json": _read_record,
    }
    if path.suffix.lower() not in readers:
        raise JointFileError(f"{path}: suffix is '{path.suffix}', expected {', '.join(SUFFIXES)}")
    try:
        found = readers[path.suffix.lower()](path, skeleton)
    except OSError as error:
        raise JointFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    _check(path, skeleton, found.joints)
    return found


def _check(path, skeleton: Skeleton, joints: Array) -> None:
    expected = (skeleton.num_joints, skeleton.dim)
    if joints.ndim != 3 or joints.shape[1:] != expected:
        raise JointFileError(
            f"{path}: joints have shape {joints.shape}, expected (F, {expected[0]}, {expected[1]}) "
            f"for skeleton '{skeleton.name}'"
        )
    if not len(joints):
        raise JointFileError(f"{path}: no frame")
    if np.isinf(joints).any():
        frame, joint, _ = np.argwhere(np.isinf(joints))[0]
        name = skeleton.joint_names[joint]
        raise JointFileError(f"{path}: frame {frame}: '{name}' is infinite; missing ones are NaN")


def _read_numpy(path: Path, skeleton: Skeleton) -> JointFile:
    try:
        with open(path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            if not isinstance(content, np.ndarray):
                names = content.files
                known = [name for name in ARRAY_NAMES if name in names]
                if not known and len(names) != 1:
                    raise JointFileError(
                        f"{path}: arrays {names!s:.120}, expected one of {ARRAY_NAMES}"
                    )
                content = content[(known or names)[0]]
    except (JointFileError, OSError):
        raise
    except Exception as error:  # what NumPy, tokenize and zipfile raise has no common class
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise JointFileError(f"{path}: no NumPy file of numbers: {reason:.120}") from None
    if not isinstance(content, np.ndarray) or content.dtype.kind not in "fiu":
        raise JointFileError(f"{path}: not an array of real numbers")
    joints = content.astype(np.float64)
    return JointFile(joints[None] if joints.ndim == 2 else joints)


def _read_csv(path: Path, skeleton: Skeleton) -> JointFile:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise JointFileError(f"{path}: no CSV file in UTF-8: {error}") from None
    header = [name.strip() for name in rows[0]] if rows else []
    wanted = [f"{name}_{axis}" for name in skeleton.joint_names for axis in "xyz"[: skeleton.dim]]
    for name in wanted:
        if header.count(name) != 1:
            raise JointFileError(f"{path}: {header.count(name)} columns '{name}', expected one")
    for name in header:
        if name not in wanted and name.lower() not in COUNTERS:
            raise JointFileError(
                f"{path}: unknown column {name!r:.60}, expected {wanted[0]}, {wanted[1]}, ..."
            )
    places = [header.index(name) for name in wanted]
    values = np.empty((len(rows) - 1, len(wanted)))
    for i, row in enumerate(rows[1:]):
        if len(row) != len(header):
            raise JointFileError(
                f"{path}: row {i + 2} has {len(row)} cells, expected {len(header)} as the header"
            )
        values[i] = [_cell(path, i + 2, row[place]) for place in places]
    return JointFile(values.reshape(-1, skeleton.num_joints, skeleton.dim))


def _cell(path, row: int, text: str) -> float:
    try:
        return float(text) if text.strip() else math.nan
    except ValueError:
        message = f"{path}: row {row} has {text!r:.60}, expected a number or nothing"
        raise JointFileError(message) from None


def _read_bvh(path: Path, skeleton: Skeleton) -> JointFile:
    source, motion, frame_time = load_bvh(path)
    for name in skeleton.joint_names:
        if name not in source.joint_names:
            raise JointFileError(
                f"{path}: no joint '{name}' of skeleton '{skeleton.name}' among "
                f"{', '.join(source.joint_names):.200}"
            )
    places = [source.joint_names.index(name) for name in skeleton.joint_names]
    return JointFile(forward_kinematics(source, motion)[:, places], frame_time)


def _read_record(path: Path, skeleton: Skeleton) -> JointFile:
    info = read_info(path)
    if info.skeleton.joint_names != skeleton.joint_names:
        raise JointFileError(
            f"{path}: joints of skeleton '{info.skeleton.name}', expected those of "
            f"'{skeleton.name}'"
        )
    parts = []
    for split in info.splits:
        with RecordDataset(path, split) as dataset:
            parts.append(dataset.read_labels(dataset.keys)["joints"].astype(np.float64))
    return JointFile(np.concatenate(parts))
