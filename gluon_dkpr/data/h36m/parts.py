"""The folder NAME.parts, in which a run that was ended goes on.

It has a ``manifest.json`` of all that the result depends on, and for each converted video its
samples, ``VIDEO.part``, and what there is to report, ``VIDEO.json``. The latter is written last:
a video that has it is done.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import struct
from pathlib import Path
from typing import BinaryIO, Iterator, Optional, Tuple

from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.data.recordio import RecordError, pack, unpack
from gluon_dkpr.files import atomic_write
from gluon_dkpr.types import Array

SCHEMA = "gluon_dkpr/h36m-parts/1"
LOCK = "lock"
_SUFFIXES = (".part", ".json")
# What every report has.
_REPORTED = ("samples", "problems", "bytes")
_LENGTH = struct.Struct("<I")
# Two hundred times a sample.
_MAX_SAMPLE_BYTES = 4 << 20


@contextlib.contextmanager
def open_parts(folder: Path, manifest: dict, fresh: bool) -> Iterator[None]:
    """Make the folder or check that it fits; no other run can have it while the block runs.

    Args:
        folder: NAME.parts.
        manifest: JSON data, what the result depends on.
        fresh: throw away what an earlier run left.

    Raises:
        H36mError: if the folder belongs to another manifest or a run that is going on.
        OSError: if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_dir() or not (path.suffix in _SUFFIXES or path.name == LOCK):
            raise H36mError(f"{path}: not of an unfinished run; choose another name")
    with open(folder / LOCK, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise H36mError(f"{folder}: another run is converting into it") from None
        manifest = json.loads(json.dumps({"schema": SCHEMA, **manifest}))
        path = folder / "manifest.json"
        if fresh or not path.exists():
            # Before the rest: no run may go on with what a half emptied folder still has.
            path.unlink(missing_ok=True)
            for old in folder.glob("*.*"):
                old.unlink()
            with atomic_write(path) as file:
                json.dump(manifest, file, indent=1)
        else:
            _check_manifest(folder, _read_json(path), manifest)
        # What a killed run was about to write.
        for left in folder.glob(".*"):
            left.unlink()
        yield


def remove_parts(folder: Path) -> None:
    """Remove the folder with all that is in it."""
    shutil.rmtree(folder)


def write_part(folder: Path, name: str, samples: Iterator[Tuple[Array, bytes]], report):
    """Write the samples of a video, then its report.

    Args:
        folder: NAME.parts.
        name: of the video.
        samples: label (L,) and encoded image of each.
        report: returns JSON data when the samples are all made.

    Returns:
        What ``report`` returned.
    """
    path = folder / f"{name}.part"
    try:
        with atomic_write(path, "wb") as file:
            for number, (label, image) in enumerate(samples):
                blob = pack(number, label, image)
                file.write(_LENGTH.pack(len(blob)) + blob)
            size = file.tell()
    except OSError as error:
        # A full disk does not say which file it was.
        error.filename = error.filename or str(path)
        raise
    found = {**report(), "bytes": size}
    with atomic_write(folder / f"{name}.json") as file:
        json.dump(found, file, allow_nan=False)
    return found


def read_report(folder: Path, name: str) -> Optional[dict]:
    """Return the report of a video, ``None`` if it is not done.

    Raises:
        H36mError: if the file is not as it was written.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    found = _read_json(path)
    for key in _REPORTED:
        if key not in found:
            raise H36mError(f"{path}: damaged: no {key!r}; --fresh starts anew")
    return found


def read_part(
    folder: Path, name: str, count: int, label_length: int
) -> Iterator[Tuple[bytes, Array]]:
    """Yield the encoded image and the label (L,) of each of the ``count`` samples of a video.

    Raises:
        H36mError: if the file is not as it was written.
    """
    path = folder / f"{name}.part"
    try:
        with open(path, "rb") as file:
            for number in range(count):
                label, image = unpack(_next_blob(file), number, label_length)
                yield image, label
            if file.read(1):
                raise RecordError(f"more than {count} samples")
    except RecordError as error:
        raise H36mError(f"{path}: damaged: {error}; --fresh starts anew") from None


def _next_blob(file: BinaryIO) -> bytes:
    head = file.read(_LENGTH.size)
    length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
    blob = file.read(length) if 0 < length <= _MAX_SAMPLE_BYTES else b""
    if not blob or len(blob) != length:
        raise RecordError("it ends before its last sample")
    return blob


def _read_json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise H36mError(f"{path}: damaged; --fresh starts anew")
    return found


def _check_manifest(folder: Path, found: dict, wanted: dict) -> None:
    for name in sorted(set(found) | set(wanted)):
        was, now = found.get(name), wanted.get(name)
        if was == now:
            continue
        if isinstance(was, dict) and isinstance(now, dict):
            key = next(k for k in sorted(set(was) | set(now)) if was.get(k) != now.get(k))
            name, was, now = f"{name}: {key}", was.get(key), now.get(key)
        raise H36mError(
            f"{folder}: an unfinished run had other arguments: {name} was {was!r:.60}, is now "
            f"{now!r:.60}; repeat that run's command to finish it, or add --fresh to start anew"
        )
