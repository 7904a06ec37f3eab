"""What every weight file comes down to: named tensors whose numbers are read when asked for."""

from __future__ import annotations

from typing import Callable, NamedTuple, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

# A single read is never larger, so that a size that a file claims costs no memory by itself.
# zipfile skips to a place by reads of this size.
MAX_READ_BYTES = 16 << 20
# Names, shapes and types of a file. ResNet-152 with an optimiser's state needs 0.5 MB.
MAX_HEADER_BYTES = 4 << 20
# ResNet-152 has 932.
MAX_TENSORS = 100_000

#: Bytes a number of every type takes that the formats share.
ITEM_BYTES = {
    "float32": 4,
    "float64": 8,
    "float16": 2,
    "bfloat16": 2,
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
}


class WeightsError(DkprError):
    """A file of weights cannot be read, or does not fit the network."""


class StoredTensor(NamedTuple):
    """A tensor in an open file.

    Attributes:
        shape: of the tensor.
        read: returns it as float32; WeightsError if the file is damaged there or it has no floats.
    """

    shape: Tuple[int, ...]
    read: Callable[[], Array]


def to_float32(data: bytes, dtype: str) -> Array:
    """Return little-endian numbers of a type of :data:`ITEM_BYTES` as float32, shape (N,).

    A bfloat16 is the upper half of a float32.

    Raises:
        WeightsError: for a type that is not a floating-point one.
    """
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    if not dtype.startswith("float"):
        raise WeightsError(f"a tensor of {dtype}, expected floating-point numbers")
    # Too large for float32 becomes infinite, which the network's loader refuses.
    with np.errstate(over="ignore"):
        numbers = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))
        return numbers.astype(np.float32)


def read_exactly(file, count: int) -> bytearray:
    """Return the next ``count`` bytes of a file, read in pieces.

    Raises:
        WeightsError: if it has fewer.
    """
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(MAX_READ_BYTES, count - len(data)))
        if not piece:
            raise WeightsError(f"the file is cut short: {len(data)} bytes where {count} should be")
        data += piece
    return data
