"""A data set on disk: NAME.rec, NAME.idx and NAME.json.

The .rec and .idx files are MXNet RecordIO with keys 0, 1, 2, ...; the .json says what is in them
(:class:`RecordInfo`). Splits are runs of keys. All three are written under temporary names and
renamed, the .json last, so that what opens is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Iterable, Mapping, Tuple

from gluon_dkpr.data.images import ImageFormat
from gluon_dkpr.data.layout import LabelField, LabelLayout
from gluon_dkpr.data.recordio import RecordError, frame, pack
from gluon_dkpr.files import atomic_path, atomic_write, file_sha256, sync
from gluon_dkpr.skeleton import Skeleton, skeleton_from_dict, skeleton_to_dict
from gluon_dkpr.types import Array

SCHEMA = "gluon_dkpr/record/1"
SUFFIXES = (".rec", ".idx", ".json")
# Sums of offsets stay within int64.
MAX_REC_BYTES = 1 << 62


@dataclass(frozen=True)
class RecordInfo:
    """What the .json of a data set says.

    Args:
        skeleton: the object in the images.
        layout: of the labels.
        image: size and encoding of the images.
        splits: for each name its first key and its number of samples; together they are all keys.
        rec_bytes: size of the .rec file.
        rec_sha256: of the .rec file.
        source: who made it and how; plain JSON data.

    Raises:
        RecordError: if layout and skeleton, or the splits, do not fit together.
    """

    skeleton: Skeleton
    layout: LabelLayout
    image: ImageFormat
    splits: Mapping[str, Tuple[int, int]]
    rec_bytes: int
    rec_sha256: str
    source: Mapping

    def __post_init__(self):
        self.layout.check_skeleton(self.skeleton)
        if not 0 <= self.rec_bytes <= MAX_REC_BYTES:
            raise RecordError(f"a .rec of {self.rec_bytes!r:.40} bytes, expected 0 to 2**62")
        expected = 0
        for name, (first, count) in self.splits.items():
            if first != expected or count < 0:
                raise RecordError(
                    f"split '{name:.40}' is {[first, count]!s:.80}, expected to begin at {expected}"
                )
            expected += count
        if not expected:
            raise RecordError(f"splits are {dict(self.splits)!s:.80}, expected one sample or more")

    @property
    def count(self) -> int:
        """Number of samples in all splits."""
        return sum(count for _, count in self.splits.values())

    def to_dict(self) -> dict:
        """Return what is written to the .json."""
        fields = [
            {"name": f.name, "shape": list(f.shape), "unit": f.unit} for f in self.layout.fields
        ]
        return {
            "schema": SCHEMA,
            "skeleton": skeleton_to_dict(self.skeleton),
            "label": {"length": self.layout.length, "fields": fields},
            "image": asdict(self.image),
            "splits": {name: list(run) for name, run in self.splits.items()},
            "count": self.count,
            "rec": {"bytes": self.rec_bytes, "sha256": self.rec_sha256},
            "source": dict(self.source),
        }

    @classmethod
    def from_dict(cls, tree: dict) -> RecordInfo:
        """Build it from what :meth:`to_dict` returns.

        Raises:
            RecordError: for another schema version, a missing entry or one of another kind.
            SkeletonError: for a bad skeleton.
        """
        found = tree.get("schema") if isinstance(tree, dict) else None
        if found != SCHEMA:
            raise RecordError(f"schema is {found!r:.80}, expected '{SCHEMA}'")
        label, rec, image = (_entry(tree, name, dict) for name in ("label", "rec", "image"))
        fields = [
            LabelField(
                _entry(f, "name", str), tuple(_entry(f, "shape", list)), _entry(f, "unit", str)
            )
            for f in _entry(label, "fields", list)
        ]
        sizes = (_entry(image, name, int) for name in ("height", "width", "channels"))
        splits = _entry(tree, "splits", dict)
        for name, run in splits.items():
            if not (isinstance(run, list) and [type(n) for n in run] == [int, int]):
                raise RecordError(f"split '{name:.40}' is {run!r:.80}, expected [first key, count]")
        info = cls(
            skeleton=skeleton_from_dict(tree.get("skeleton")),
            layout=LabelLayout(tuple(fields)),
            image=ImageFormat(*sizes, _entry(image, "encoding", str)),
            splits={name: tuple(run) for name, run in splits.items()},
            rec_bytes=_entry(rec, "bytes", int),
            rec_sha256=_entry(rec, "sha256", str),
            source=_entry(tree, "source", dict),
        )
        sums = {"label length": (_entry(label, "length", int), info.layout.length)}
        sums["count"] = (_entry(tree, "count", int), info.count)
        for what, (stated, summed) in sums.items():
            if stated != summed:
                raise RecordError(
                    f"{what} is {stated!r:.40}, expected {summed} by the entries it sums"
                )
        return info


def record_paths(path) -> Tuple[Path, Path, Path]:
    """Return the .rec, .idx and .json of a data set given by any of them or without suffix."""
    base = os.fspath(path)
    stem, suffix = os.path.splitext(base)
    if suffix in SUFFIXES:
        base = stem
    if not os.path.basename(base):
        raise RecordError(f"{path}: names a folder, expected a data set in it")
    return tuple(Path(base + suffix) for suffix in SUFFIXES)


def write_record(
    path,
    skeleton: Skeleton,
    layout: LabelLayout,
    image: ImageFormat,
    splits: Mapping[str, Iterable[Tuple[bytes, Array]]],
    source: Mapping,
) -> RecordInfo:
    """Write a data set; a failure or Ctrl-C leaves no trace and keeps what was there before.

    Args:
        path: NAME, with or without one of the three suffixes; missing folders are made.
        skeleton, layout, image, source: as in :class:`RecordInfo`.
        splits: for each name its samples, consumed in this order: bytes from ``image.encode`` and
            a label vector from ``layout.pack``, shape (L,).

    Raises:
        RecordError: for a label of another length or an entry that does not fit.
        OSError: if a file cannot be written; it names the file.
    """
    rec_path, idx_path, json_path = record_paths(path)
    for target in (rec_path, idx_path, json_path):
        if target.is_dir():
            raise RecordError(f"{target}: is a folder, expected a file or nothing")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_folder(rec_path.parent))
        # Left in the opposite order, so the .json is renamed last.
        json_file = stack.enter_context(atomic_write(json_path))
        idx_file = stack.enter_context(atomic_write(idx_path))
        rec_name = stack.enter_context(atomic_path(rec_path))
        with open(rec_name, "wb") as rec_file:
            runs = _write_samples(rec_file, idx_file, layout.length, splits)
            sync(rec_file)
        size, digest = rec_name.stat().st_size, file_sha256(rec_name)
        info = RecordInfo(skeleton, layout, image, runs, size, digest, source)
        json.dump(info.to_dict(), json_file, indent=1, allow_nan=False)
        json_file.write("\n")
        # A disk that is too full for them must be met while the old set stands.
        sync(idx_file)
        sync(json_file)
        # From here to the last rename nothing opens: never an old .json beside a new .rec.
        with contextlib.suppress(FileNotFoundError):
            json_path.unlink()
    return info


def _write_samples(rec_file, idx_file, label_length: int, splits) -> dict:
    """Write every sample and return the run of keys of each split."""
    runs, key, offset = {}, 0, 0
    for name, samples in splits.items():
        first = key
        for data, label in samples:
            if label.shape != (label_length,):
                raise RecordError(
                    f"sample {key} of split '{name}': label of shape {label.shape}, "
                    f"expected ({label_length},)"
                )
            blob = frame(pack(key, label, data))
            rec_file.write(blob)
            idx_file.write(f"{key}\t{offset}\n")
            key, offset = key + 1, offset + len(blob)
        runs[name] = (first, key - first)
    return runs


@contextlib.contextmanager
def _folder(folder: Path):
    """Make a folder with its parents; take away what was made if the block raises."""
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in new:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _entry(tree, name: str, kind: type):
    """Return ``tree[name]``; raise RecordError unless it is there and of this very type."""
    found = tree.get(name) if isinstance(tree, dict) else None
    if type(found) is not kind:
        raise RecordError(f"'{name}' is {found!r:.80}, expected {kind.__name__}")
    return found
