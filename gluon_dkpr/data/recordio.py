"""MXNet's RecordIO container, byte for byte, with plain file calls.

``mx.recordio`` and ``ImageRecordIter`` read what is written here and the other way round. They are
not used because a data set has to survive damage: ``ImageRecordIter`` aborts the whole process on a
bad magic number, ``MXIndexedRecordIO`` follows a damaged length field (up to 512 MB) and returns
other bytes without a word, keeps the index once for every thread, and loses the error of a full
disk when it closes. One positional read of exactly the bytes between two offsets has none of these
problems, and is safe between threads and after a fork.

Layout: dmlc-core's ``recordio.h`` for the frame, ``mxnet.recordio.IRHeader`` for the record in it.
The header's ``id`` is the key; its ``id2``, which MXNet leaves to the application, is a CRC-32 of
label and image, so that a damaged record is noticed before anything is decoded.
"""

from __future__ import annotations

import struct
import zlib
from typing import Tuple, Union

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

Buffer = Union[bytes, memoryview]

MAGIC = struct.pack("<I", 0xCED7230A)
_FRAME = struct.Struct("<4sI")
_HEADER = struct.Struct("<IfQQ")
# The length field has 29 bits; the upper 3 say which part of a split record follows.
_MAX_PART = (1 << 29) - 1
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


class RecordError(DkprError, ValueError):
    """A data set cannot be read or written; the message names file, found and expected."""


class DamagedRecordError(RecordError):
    """One record of a data set is damaged; the others can still be read.

    Attributes:
        path: the .rec file.
        key: of the record.
        reason: what is wrong with it.
    """

    def __init__(self, path, key: int, reason: str):
        super().__init__(path, key, reason)
        self.path, self.key, self.reason = path, key, reason

    def __str__(self) -> str:
        return f"{self.path}: record {self.key} is damaged: {self.reason}"


def frame(data: bytes) -> bytes:
    """Return ``data`` as a RecordIO frame, padded to 4 bytes.

    Where the data holds the magic number on a 4-byte boundary it is cut there, as dmlc-core does.
    """
    if len(data) > _MAX_PART:
        raise RecordError(f"a record has {len(data)} bytes, expected at most {_MAX_PART}")
    parts, begin, found = [], 0, data.find(MAGIC)
    while found >= 0:
        if found % 4 == 0:
            parts.append(data[begin:found])
            begin = found + 4
        found = data.find(MAGIC, found + (4 if found % 4 == 0 else 1))
    parts.append(data[begin:])
    if len(parts) == 1:
        flags = [_WHOLE]
    else:
        flags = [_FIRST] + [_MIDDLE] * (len(parts) - 2) + [_LAST]
    frames = (_FRAME.pack(MAGIC, f << 29 | len(p)) + p for f, p in zip(flags, parts))
    joined = b"".join(frames)
    return joined + bytes(-len(joined) % 4)


def unframe(blob: Buffer) -> Buffer:
    """Return the data of one RecordIO frame that fills ``blob`` exactly.

    A record that was not split, the usual kind, is not copied.

    Raises:
        RecordError: if it does not.
    """
    parts, at, last, view = [], 0, False, memoryview(blob)
    while not last:
        if len(blob) < at + _FRAME.size:
            raise RecordError(f"a frame ends after {len(blob)} bytes")
        magic, word = _FRAME.unpack_from(blob, at)
        if magic != MAGIC:
            raise RecordError(f"the magic number is {magic.hex()}, expected {MAGIC.hex()}")
        flag, length = word >> 29, word & _MAX_PART
        if flag not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise RecordError(f"part {len(parts)} of a frame has flag {flag}")
        parts.append(view[at + _FRAME.size : at + _FRAME.size + length])
        at += _FRAME.size + length + -length % 4
        last = flag in (_WHOLE, _LAST)
    if at != len(blob):
        raise RecordError(f"a frame of {at} bytes, expected {len(blob)}")
    return parts[0] if len(parts) == 1 else MAGIC.join(parts)


def pack(key: int, label: Array, image: bytes) -> bytes:
    """Return a record: header, float32 label vector of shape (L,), encoded image."""
    payload = np.ascontiguousarray(label, "<f4").tobytes() + image
    return _HEADER.pack(len(label), 0.0, key, zlib.crc32(payload)) + payload


def unpack(record: Buffer, key: int, label_length: int) -> Tuple[Array, memoryview]:
    """Return the label (L,) and the encoded image of a record, without copying either.

    Raises:
        RecordError: for another key, a label of another length or a wrong checksum.
    """
    if len(record) < _HEADER.size:
        raise RecordError(f"a record of {len(record)} bytes, expected {_HEADER.size} or more")
    length, _, found_key, checksum = _HEADER.unpack_from(record)
    if found_key != key:
        raise RecordError(f"found the record of key {found_key}")
    if length != label_length:
        raise RecordError(f"the label has {length} numbers, expected {label_length}")
    payload = memoryview(record)[_HEADER.size :]
    if len(payload) < 4 * length:
        raise RecordError(f"{len(payload)} bytes, expected a label of {4 * length} bytes")
    if zlib.crc32(payload) != checksum:
        raise RecordError(f"the checksum is {zlib.crc32(payload):08x}, expected {checksum:08x}")
    return np.frombuffer(payload, "<f4", length), payload[4 * length :]


def parse_index(text: bytes, count: int, total_bytes: int) -> Array:
    """Return where each record begins and, last, where the file ends: int64, shape (count + 1,).

    Args:
        text: the .idx file, lines of ``key TAB offset``; the keys are 0, 1, ..., count - 1.
        count: number of records the data set has.
        total_bytes: size of the .rec file.

    Raises:
        RecordError: if the index does not fit them.
    """
    if text.translate(None, b"0123456789 \t\r\n"):
        raise RecordError("the index holds something else than numbers")
    # Of a number beyond int64 NumPy makes the largest one, which no file reaches.
    table = np.fromstring(text, dtype=np.int64, sep=" ")
    if len(table) != 2 * count:
        raise RecordError(f"the index has {len(table) / 2:g} lines, expected {count}")
    keys, offsets = table.reshape(-1, 2).T
    wrong = np.flatnonzero(keys != np.arange(count))
    if len(wrong):
        raise RecordError(f"key {keys[wrong[0]]} in line {wrong[0] + 1}, expected {wrong[0]}")
    edges = np.append(offsets, total_bytes)
    wrong = np.flatnonzero(np.diff(edges) <= 0)
    if len(wrong) or edges[0] != 0:
        line = wrong[0] + 1 if len(wrong) else 1
        raise RecordError(f"line {line} of the index does not fit a file of {total_bytes} bytes")
    return edges
