"""Poses as files: JSON, CSV, NPZ and BVH, written frame by frame.

A writer is a context that gives a function to call with each frame. Its file appears when the block
ends well and not at all otherwise. None of them keeps the frames in memory: what NumPy and BVH want
all at once waits in a file without a name.
"""

from __future__ import annotations

import contextlib
import csv
import json
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from gluon_dkpr.engine.prediction.estimate import PoseEstimate
from gluon_dkpr.files import atomic_path, atomic_write
from gluon_dkpr.geometry import save_bvh
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

FORMAT = "gluon_dkpr/prediction/1"
_DIGITS = 3


class About(NamedTuple):
    """What is the same for all frames of an input.

    Attributes:
        kind: ``"picture"``, ``"video"`` or ``"webcam"``.
        name: of the file.
        height, width: of the picture, px.
        skeleton: the object.
        method: of the model.
        fps: frames in a second; ``None`` for a picture.
        with_motion: whether there is a motion.
        with_root: whether the root's place in space is known.
    """

    kind: str
    name: str
    height: int
    width: int
    skeleton: Skeleton
    method: str
    fps: Optional[float]
    with_motion: bool
    with_root: bool

    @property
    def in_space(self) -> bool:
        """Whether joints have a unit and frame of their own beside px."""
        return self.skeleton.length_unit != "px"

    def time_s(self, frame: int) -> float:
        """Return when a frame is, s from the first."""
        return frame / self.fps if self.fps else 0.0


Write = Callable[[int, PoseEstimate], None]


@contextlib.contextmanager
def json_writer(path: Path, about: About) -> Iterator[Write]:
    """Write JSON: of a picture one object, of a video an object with a list of frames."""
    picture = {"name": about.name, "width": about.width, "height": about.height}
    head = {"format": FORMAT, about.kind: picture}
    model = {"skeleton": about.skeleton.name, "method": about.method}
    with atomic_write(path) as file:
        if about.kind == "picture":

            def write(frame: int, pose: PoseEstimate) -> None:
                json.dump({**head, **model, **_entry(pose)}, file, indent=1, allow_nan=False)
                file.write("\n")

            yield write
            return
        picture["fps"] = round(about.fps, 6)
        file.write(json.dumps({**head, **model})[:-1] + ', "frames": [')
        between = "\n"

        def write(frame: int, pose: PoseEstimate) -> None:
            nonlocal between
            when = {"frame": frame, "time_s": round(about.time_s(frame), 6)}
            file.write(between + json.dumps({**when, **_entry(pose)}, allow_nan=False))
            between = ",\n"

        yield write
        file.write("\n]}\n")


@contextlib.contextmanager
def csv_writer(path: Path, about: About) -> Iterator[Write]:
    """Write CSV: a line of names, and one for each frame."""
    skeleton, unit = about.skeleton, about.skeleton.length_unit
    names = ["frame", "time_s"]
    names += [f"{joint}_{axis}_px" for joint in skeleton.joint_names for axis in "xy"]
    axes = "xyz"[: skeleton.dim]
    if about.in_space:
        names += [f"{joint}_{axis}_{unit}" for joint in skeleton.joint_names for axis in axes]
    if about.with_root:
        names += [f"camera_root_{axis}_{unit}" for axis in "xyz"]
    if about.with_motion:
        names += [f"{p.name}_deg" for p in skeleton.parameters if p.unit == "radian"]
    with atomic_write(path) as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(names)

        def write(frame: int, pose: PoseEstimate) -> None:
            values = [pose.joints_px.ravel()]
            if about.in_space:
                values.append(pose.joints.ravel())
            if about.with_root:
                values.append(pose.root)
            if about.with_motion:
                values.append(list(pose.angles_deg.values()))
            row = np.concatenate(values)
            when = [frame, f"{about.time_s(frame):.6f}"]
            lines.writerow(when + [f"{value:.{_DIGITS}f}" for value in row])

        yield write


@contextlib.contextmanager
def npz_writer(path: Path, about: About) -> Iterator[Write]:
    """Write NPZ: arrays of all frames, and the names that their columns have."""
    skeleton = about.skeleton
    shapes = {"frame": (), "joints_px": (skeleton.num_joints, 2), "crop": (4,)}
    if about.in_space:
        shapes[f"joints_{skeleton.length_unit}"] = (skeleton.num_joints, skeleton.dim)
    if about.with_motion:
        shapes["motion"] = (skeleton.num_parameters,)
    if about.with_root:
        shapes[f"camera_root_{skeleton.length_unit}"] = (3,)
    with atomic_path(path) as temporary, _Spool(path.parent, list(shapes.values())) as spool:

        def write(frame: int, pose: PoseEstimate) -> None:
            crop = pose.crop
            values = [frame, pose.joints_px, (crop.left, crop.top, crop.side, crop.size)]
            values += [pose.joints] if about.in_space else []
            values += [pose.motion] if about.with_motion else []
            values += [pose.root] if about.with_root else []
            spool.add(values)

        yield write
        arrays = dict(zip(shapes, spool.arrays()))
        number = arrays["frame"]
        arrays["time_s"] = number / about.fps if about.fps else 0.0 * number
        arrays["joint_names"] = np.array(skeleton.joint_names)
        arrays["bones"] = np.array(skeleton.bone_indices, dtype=np.int64)
        if about.with_motion:
            arrays["parameter_names"] = np.array(skeleton.parameter_names)
        with open(temporary, "wb") as file:
            np.savez(file, **arrays)


@contextlib.contextmanager
def bvh_writer(path: Path, about: About) -> Iterator[Write]:
    """Write BVH, upright; the root moves if the camera is known."""
    skeleton = about.skeleton
    columns = [skeleton.parameter_names.index(name) for name in skeleton.position]
    with _Spool(path.parent, [(skeleton.num_parameters,)]) as spool:

        def write(frame: int, pose: PoseEstimate) -> None:
            motion = pose.motion
            if pose.root is not None and columns:
                motion = motion.copy()
                motion[columns] += pose.root
            spool.add([motion])

        yield write
        save_bvh(path, skeleton, spool.arrays()[0], 1 / (about.fps or 1.0), y_up=True)


#: Writers by the suffix of what they write.
WRITERS: Dict[str, Callable] = {
    "json": json_writer,
    "csv": csv_writer,
    "npz": npz_writer,
    "bvh": bvh_writer,
}


def _entry(pose: PoseEstimate) -> dict:
    """Return a pose as plain JSON data."""
    skeleton = pose.skeleton
    entry = {"joints_px": _by_name(skeleton.joint_names, pose.joints_px)}
    if skeleton.length_unit != "px":
        unit = skeleton.length_unit
        entry[f"joints_{unit}"] = _by_name(skeleton.joint_names, pose.joints)
        if pose.root is not None:
            entry[f"camera_root_{unit}"] = _rounded(pose.root)
    degrees = pose.angles_deg
    if degrees is not None:
        entry["angles_deg"] = {name: round(value, _DIGITS) for name, value in degrees.items()}
    crop = pose.crop
    sides = (("left", crop.left), ("top", crop.top), ("side", crop.side))
    entry["crop"] = {**{name: _number(value) for name, value in sides}, "size": int(crop.size)}
    return entry


def _by_name(names: Sequence[str], points: Array) -> Dict[str, list]:
    return {name: _rounded(point) for name, point in zip(names, points)}


def _rounded(values: Array) -> List[float]:
    return [round(float(value), _DIGITS) for value in values]


def _number(value: float) -> float:
    """Return whole numbers as such."""
    return int(value) if value == int(value) else round(float(value), _DIGITS)


class _Spool:
    """Rows of numbers that wait on disk, in the folder where their file will be.

    Args:
        folder: with room for them.
        shapes: of the arrays that make a row.
    """

    def __init__(self, folder: Path, shapes: Sequence[tuple]):
        self._folder, self._shapes = folder, shapes
        self._sizes = [int(np.prod(shape)) for shape in shapes]

    def __enter__(self) -> _Spool:
        self._file = tempfile.TemporaryFile(dir=self._folder)
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def add(self, values: Sequence) -> None:
        """Append a row: one array for each shape."""
        row = np.concatenate([np.ravel(value) for value in values])
        self._file.write(row.astype(np.float64).tobytes())

    def arrays(self) -> List[Array]:
        """Return the arrays of all rows, (F, ...), which are read from the file as needed."""
        self._file.flush()
        width = sum(self._sizes)
        count = self._file.tell() // (8 * width)
        table = np.empty((0, width))
        if count:
            table = np.memmap(self._file, np.float64, "r", shape=(count, width))
        parts = np.split(table, np.cumsum(self._sizes)[:-1], axis=1)
        return [part.reshape(count, *shape) for part, shape in zip(parts, self._shapes)]
