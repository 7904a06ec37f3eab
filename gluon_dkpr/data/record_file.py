"""The records of a .rec file: one by one, or many in large sequential reads."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Dict, Iterable, Iterator, Tuple, Union

import numpy as np

from gluon_dkpr.data.recordio import Buffer, DamagedRecordError, RecordError, unframe, unpack
from gluon_dkpr.types import Array

ON_DAMAGE = ("raise", "skip")
# More than this is no accident that one may pass over. Small sets may lose a few all the same.
MAX_DAMAGED_SHARE = 0.01
MAX_DAMAGED_FEW = 10
# Bytes of one read of neighbouring records: a disk's full speed, and nothing in memory.
BLOCK_BYTES = 4 << 20
_NAMED = 10

Record = Tuple[Array, Buffer]


class RecordFile:
    """Reads the records of a .rec file, which it never holds in memory.

    Safe to use from several threads and after a fork: every read gives its own position.

    Args:
        path: the .rec file.
        edges: where each record begins and, last, where the file should end: int64, (N + 1,).
        label_length: L, of every record.

    Raises:
        RecordError: if it cannot be opened.
    """

    def __init__(self, path: Path, edges: Array, label_length: int):
        self.path = path
        self._edges, self._label_length = edges, label_length
        self._file = open_file(path)
        self._finalizer = weakref.finalize(self, self._file.close)

    def __reduce__(self):
        # An open file cannot be sent to another process; it opens its own.
        return RecordFile, (self.path, self._edges, self._label_length)

    def close(self) -> None:
        """Close the file, which also happens when it is no longer used."""
        self._finalizer()

    @property
    def size(self) -> int:
        """Bytes of the file as it is now."""
        return os.fstat(self._file.fileno()).st_size

    def bytes_of(self, first: int, count: int) -> int:
        """Return how many bytes the records ``first`` to ``first + count - 1`` have."""
        return int(self._edges[first + count] - self._edges[first])

    def whole_records(self) -> int:
        """Return how many records the file is long enough for, as it is now."""
        return int(np.searchsorted(self._edges[1:], self.size, side="right"))

    def record(self, key: int) -> Record:
        """Return the label (L,), float32, and the encoded image of a record.

        Raises:
            DamagedRecordError: if it is damaged or cannot be read.
        """
        begin, end = int(self._edges[key]), int(self._edges[key + 1])
        try:
            return self._parse(self._read(begin, end), key)
        except OSError as error:
            raise DamagedRecordError(self.path, key, _unreadable(error)) from None

    def records(self, keys: Iterable[int]) -> Iterator[Tuple[int, Union[Record, RecordError]]]:
        """Yield ``(key, record)`` in the order of the keys; for a damaged record its error.

        Keys that follow each other are read together, a few MB at a time. A record is valid until
        the next one is asked for.
        """
        for first, count in self._runs(keys):
            begin = int(self._edges[first])
            try:
                block = memoryview(self._read(begin, int(self._edges[first + count])))
            except OSError:
                block = None  # one bad sector: the others of the block can be read
            for key in range(first, first + count):
                try:
                    if block is None:
                        yield key, self.record(key)
                    else:
                        low, high = self._edges[key] - begin, self._edges[key + 1] - begin
                        yield key, self._parse(block[low:high], key)
                except DamagedRecordError as error:
                    yield key, error

    def _read(self, begin: int, end: int) -> bytes:
        """Return the bytes of a range; of one beyond the file's end, those that there are."""
        count = end - begin
        if count > BLOCK_BYTES:  # an index may claim more than memory holds
            count = max(0, min(count, self.size - begin))
        return os.pread(self._file.fileno(), count, begin)

    def _parse(self, blob: Buffer, key: int) -> Record:
        try:
            return unpack(unframe(blob), key, self._label_length)
        except RecordError as error:
            raise DamagedRecordError(self.path, key, str(error)) from None

    def _runs(self, keys: Iterable[int]) -> Iterator[Tuple[int, int]]:
        """Yield the keys as runs ``(first, count)`` of neighbours of at most ``BLOCK_BYTES``."""
        keys = np.asarray(keys, dtype=np.int64)
        breaks = np.flatnonzero(np.diff(keys) != 1) + 1
        for run in np.split(keys, breaks) if len(keys) else ():
            first, last = int(run[0]), int(run[-1]) + 1
            while first < last:
                limit = self._edges[first] + BLOCK_BYTES
                end = int(np.searchsorted(self._edges[: last + 1], limit, side="right")) - 1
                end = max(end, first + 1)
                yield first, end - first
                first = end


def open_file(path: Path):
    """Open a file for reading.

    Raises:
        RecordError: with the reason.
    """
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise RecordError(f"{path}: cannot be opened: {error.strerror}") from None


def check_damage(path: Path, damaged: Dict[int, str], count: int) -> None:
    """Raise RecordError if too many of ``count`` records are damaged to go on without them."""
    limit = max(MAX_DAMAGED_FEW, int(MAX_DAMAGED_SHARE * count))
    if len(damaged) > limit or (damaged and len(damaged) >= count):
        raise RecordError(
            f"{path}: {describe_damage(damaged)}; expected at most {limit} of {count}"
        )


def describe_damage(damaged: Dict[int, str]) -> str:
    """Return how many records are damaged, which, and why the first one is: one line."""
    keys = sorted(damaged)
    named = ", ".join(str(key) for key in keys[:_NAMED])
    more = ", ..." if len(keys) > _NAMED else ""
    noun = "record is" if len(keys) == 1 else "records are"
    return f"{len(keys)} {noun} damaged: {named}{more} (record {keys[0]}: {damaged[keys[0]]})"


def _unreadable(error: OSError) -> str:
    return f"it cannot be read: {error.strerror}"
