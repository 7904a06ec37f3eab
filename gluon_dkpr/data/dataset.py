"""Reading a data set: checked when it is opened, and again at every record."""

from __future__ import annotations

import json
import os
import weakref
from pathlib import Path
from typing import Dict, Iterable, Tuple

import numpy as np

from gluon_dkpr.data.layout import LabelLayout
from gluon_dkpr.data.record import RecordInfo, file_sha256, record_paths
from gluon_dkpr.data.recordio import RecordError, parse_index, unframe, unpack
from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# A larger .json is not one of ours; parsing it would take many times its size in memory.
MAX_JSON_BYTES = 16 << 20


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

    Attributes:
        keys: of the split's samples, int64, shape (N,).

    Raises:
        RecordError: if a file is missing or does not fit the others, or there is no such split;
            one line that names file, found and expected.
    """

    def __init__(self, path, split: str):
        self._rec_path, idx_path, json_path = record_paths(path)
        self.split = split
        self.info = read_info(path)
        if split not in self.info.splits:
            raise RecordError(f"{json_path}: no split {split!r}, expected {list(self.info.splits)}")
        self._file = _open_file(self._rec_path)
        self._finalizer = weakref.finalize(self, self._file.close)
        size = os.fstat(self._file.fileno()).st_size
        if size != self.info.rec_bytes:
            raise RecordError(f"{self._rec_path}: {size} bytes, expected {self.info.rec_bytes}")
        index = _read_file(idx_path)
        try:
            self._edges = parse_index(index, self.info.count, size)
        except RecordError as error:
            raise RecordError(f"{idx_path}: {error}") from None
        first, count = self.info.splits[split]
        self.keys = np.arange(first, first + count)

    def __reduce__(self):
        # An open file cannot be sent to another process; it opens its own.
        return RecordDataset, (self._rec_path, self.split)

    def __len__(self) -> int:
        return len(self.keys)

    def __enter__(self) -> RecordDataset:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Close the .rec file, which also happens when the data set is no longer used."""
        self._finalizer()

    @property
    def path(self) -> Path:
        """The .rec file."""
        return self._rec_path

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

    def read(self, keys: Iterable[int]) -> Tuple[Array, Dict[str, Array]]:
        """Return samples in the order of ``keys``.

        Args:
            keys: N keys of this split.

        Returns:
            Images, uint8, shape (N, H, W, C), and for each field of the layout a float32 array,
            shape (N, *field shape): ``joints`` (N, J, D), ``motion`` (N, P), ...

        Raises:
            RecordError: for a key of another split, or a damaged record.
        """
        keys = list(keys)
        images = np.empty((len(keys), *self.image_shape), dtype=np.uint8)
        labels = np.empty((len(keys), self.layout.length), dtype=np.float32)
        for i, key in enumerate(keys):
            labels[i], data = self._record(key)
            try:
                images[i] = self.info.image.decode(data)
            except RecordError as error:
                raise RecordError(f"{self._rec_path}: record {key}: {error}") from None
        return images, self.layout.unpack(labels)

    def read_labels(self, keys: Iterable[int]) -> Dict[str, Array]:
        """Return the labels alone, as :meth:`read` does, without decoding the images."""
        vectors = [self._record(key)[0] for key in keys]
        return self.layout.unpack(
            np.array(vectors, dtype=np.float32).reshape(-1, self.layout.length)
        )

    def verify(self) -> None:
        """Read the whole .rec and compare its SHA-256 with the .json.

        Raises:
            RecordError: if they differ.
        """
        found = file_sha256(self._rec_path)
        if found != self.info.rec_sha256:
            raise RecordError(
                f"{self._rec_path}: SHA-256 is {found}, expected {self.info.rec_sha256}"
            )

    def _record(self, key: int) -> Tuple[Array, bytes]:
        """Return label vector (L,) and encoded image of one sample."""
        first, count = self.info.splits[self.split]
        if not first <= key < first + count:
            raise RecordError(
                f"{self._rec_path}: key {key} is not in split '{self.split}', "
                f"expected {first} to {first + count - 1}"
            )
        begin, end = int(self._edges[key]), int(self._edges[key + 1])
        try:
            blob = os.pread(self._file.fileno(), end - begin, begin)
            return unpack(unframe(blob), int(key), self.layout.length)
        except RecordError as error:
            raise RecordError(f"{self._rec_path}: record {key} is damaged: {error}") from None
        except OSError as error:
            message = f"{self._rec_path}: record {key} cannot be read: {error.strerror}"
            raise RecordError(message) from None


def _open_file(path: Path):
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise RecordError(f"{path}: cannot be opened: {error.strerror}") from None


def _read_file(path: Path, max_bytes: int = -1) -> bytes:
    try:
        with _open_file(path) as file:
            if 0 <= max_bytes < os.fstat(file.fileno()).st_size:
                raise RecordError(f"{path}: larger than {max_bytes} bytes")
            return file.readall()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from None
