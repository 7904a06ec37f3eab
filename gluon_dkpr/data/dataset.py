"""Reading a data set: checked when it is opened, and again at every record."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Dict, Iterable, Optional, Tuple

import numpy as np

from gluon_dkpr.data.images import check_out
from gluon_dkpr.data.layout import LabelLayout
from gluon_dkpr.data.record import RecordInfo, record_paths
from gluon_dkpr.data.record_file import ON_DAMAGE, RecordFile, check_damage, open_file
from gluon_dkpr.data.recordio import DamagedRecordError, RecordError, parse_index
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import file_sha256
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# A larger .json is not one of ours; parsing it would take many times its size in memory.
MAX_JSON_BYTES = 16 << 20
# A split within both is looked through when it is opened, which takes less than a second.
SCAN_BYTES = 512 << 20
SCAN_RECORDS = 50_000


def read_info(path) -> RecordInfo:
    """Return what the .json of a data set says.

    Args:
        path: NAME, with or without ``.rec``, ``.idx`` or ``.json``.

    Raises:
        RecordError: if it is missing or wrong; names the file.
    """
    json_path = record_paths(path)[2]
    text = _read_file(json_path, MAX_JSON_BYTES)
    try:
        return RecordInfo.from_dict(json.loads(text.decode("utf-8")))
    except UnicodeDecodeError:
        raise RecordError(f"{json_path}: not a text file in UTF-8") from None
    except DkprError as error:
        raise RecordError(f"{json_path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{json_path}: not valid JSON: {error}") from None


class RecordDataset:
    """One split of a data set on disk.

    Safe to read from several threads and after a fork: every read gives its own position.

    Args:
        path: NAME, with or without ``.rec``, ``.idx`` or ``.json``.
        split: name of the split.
        on_damage: ``"raise"`` refuses a .rec that was cut off. ``"skip"`` opens it, and looks for
            damaged records at once where the split is small; :meth:`find_damaged` does so for
            any. A .rec that is too long is refused in any case.

    Attributes:
        keys: of the split's samples, damaged or not, int64, shape (N,).
        damaged: what is known of damaged records: key -> what is wrong.

    Raises:
        RecordError: if a file is missing or does not fit the others, there is no such split, or too
            many records are damaged; one line that names file, found and expected.
    """

    def __init__(self, path, split: str, on_damage: str = "raise"):
        rec_path, idx_path, json_path = record_paths(path)
        if on_damage not in ON_DAMAGE:
            raise RecordError(f"on_damage is {on_damage!r}, expected one of {ON_DAMAGE}")
        self.split = split
        self.info = read_info(path)
        if split not in self.info.splits:
            raise RecordError(f"{json_path}: no split {split!r}, expected {list(self.info.splits)}")
        index = _read_file(idx_path)
        try:
            edges = parse_index(index, self.info.count, self.info.rec_bytes)
        except RecordError as error:
            raise RecordError(f"{idx_path}: {error}") from None
        self._file = RecordFile(rec_path, edges, self.info.layout.length)
        first, count = self.info.splits[split]
        self.keys = np.arange(first, first + count)
        self.damaged: Dict[int, str] = {}
        self._searched = False
        self._check_size(on_damage)
        small = count <= SCAN_RECORDS and self._file.bytes_of(first, count) <= SCAN_BYTES
        if on_damage == "skip" and small:
            self.find_damaged()

    def __len__(self) -> int:
        return len(self.keys)

    def __enter__(self) -> RecordDataset:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the .rec file, which also happens when the data set is no longer used."""
        self._file.close()

    @property
    def path(self) -> Path:
        """The .rec file."""
        return self._file.path

    @property
    def skeleton(self) -> Skeleton:
        """The object in the images."""
        return self.info.skeleton

    @property
    def layout(self) -> LabelLayout:
        """Fields of the labels."""
        return self.info.layout

    @property
    def image_shape(self) -> Tuple[int, int, int]:
        """(H, W, C) of every image."""
        return self.info.image.shape

    def read(
        self, keys: Iterable[int], out: Optional[Array] = None
    ) -> Tuple[Array, Dict[str, Array]]:
        """Return samples in the order of ``keys``.

        Args:
            keys: N keys of this split.
            out: contiguous array for the images; without it a new one.

        Returns:
            Images, uint8, shape (N, H, W, C), and for each field of the layout a float32 array,
            shape (N, ...): ``joints`` (N, J, D), ``motion`` (N, P), ...

        Raises:
            DamagedRecordError: for a damaged record.
            RecordError: for a key of another split, or an ``out`` of another shape or type.
        """
        keys = self._checked(keys)
        images = check_out(out, (len(keys), *self.image_shape))
        labels = np.empty((len(keys), self.layout.length), dtype=np.float32)
        for i, key in enumerate(keys.tolist()):
            labels[i], data = self._file.record(key)
            try:
                self.info.image.decode_into(data, images[i])
            except RecordError as error:
                raise DamagedRecordError(self.path, key, str(error)) from None
        return images, self.layout.unpack(labels)

    def read_labels(self, keys: Iterable[int], on_damage: str = "raise") -> Dict[str, Array]:
        """Return the labels alone, as :meth:`read` does, without decoding the images.

        Args:
            keys: N keys of this split. Neighbours are read together, so that rising keys pass
                through the file once.
            on_damage: ``"skip"`` leaves damaged records out.

        Raises:
            DamagedRecordError, RecordError: as :meth:`read`.
        """
        keys = self._checked(keys)
        labels = np.empty((len(keys), self.layout.length), dtype=np.float32)
        count = 0
        for key, record in self._file.records(keys):
            if isinstance(record, DamagedRecordError):
                if on_damage == "raise":
                    raise record
                self.damaged[key] = record.reason
            else:
                labels[count] = record[0]
                count += 1
        return self.layout.unpack(labels[:count])

    def find_damaged(self) -> Dict[int, str]:
        """Check every record of the split against its checksum, in one pass through the file.

        Returns:
            The attribute ``damaged``, completed: key -> what is wrong.

        Raises:
            RecordError: if more are damaged than can be left out.
        """
        if not self._searched:
            unknown = self.keys[~np.isin(self.keys, list(self.damaged))]
            for key, record in self._file.records(unknown):
                if isinstance(record, DamagedRecordError):
                    self.damaged[key] = record.reason
            self._searched = True
        # A view's own keys are fewer: the damaged ones are not among them.
        check_damage(self.path, self.damaged, self.info.splits[self.split][1])
        return self.damaged

    def readable(self) -> RecordDataset:
        """Return the data set without its damaged records, which it looks for.

        Raises:
            RecordError: if there are too many of them.
        """
        view = copy.copy(self)
        view.keys = self.keys[~np.isin(self.keys, list(self.find_damaged()))]
        return view

    def verify(self) -> None:
        """Read the whole .rec and compare its SHA-256 with the .json.

        Raises:
            RecordError: if they differ.
        """
        found = file_sha256(self.path)
        if found != self.info.rec_sha256:
            raise RecordError(f"{self.path}: SHA-256 is {found}, expected {self.info.rec_sha256}")

    def _checked(self, keys: Iterable[int]) -> Array:
        """Return keys as int64 (N,); raise RecordError for one of another split."""
        keys = np.asarray(keys if isinstance(keys, np.ndarray) else list(keys), dtype=np.int64)
        first, count = self.info.splits[self.split]
        wrong = keys[(keys < first) | (keys >= first + count)]
        if len(wrong):
            raise RecordError(
                f"{self.path}: key {wrong[0]} is not in split '{self.split}', "
                f"expected {first} to {first + count - 1}"
            )
        return keys

    def _check_size(self, on_damage: str) -> None:
        """Check that the .rec has the size it should; with "skip", note what it is too short for.

        Raises:
            RecordError: if it has another.
        """
        size, expected = self._file.size, self.info.rec_bytes
        if size > expected or (size < expected and on_damage == "raise"):
            raise RecordError(f"{self.path}: {size} bytes, expected {expected}")
        lost = self.keys[self.keys >= self._file.whole_records()]
        if len(lost):
            reason = f"the file ends at byte {size}, expected {expected}"
            self.damaged.update(dict.fromkeys(lost.tolist(), reason))
            check_damage(self.path, self.damaged, len(self.keys))


def _read_file(path: Path, max_bytes: int = -1) -> bytes:
    try:
        with open_file(path) as file:
            if 0 <= max_bytes < os.fstat(file.fileno()).st_size:
                raise RecordError(f"{path}: larger than {max_bytes} bytes")
            return file.readall()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
