"""Gluon's ``.params`` files, read without MXNet.

``mxnet.nd.load`` believes the sizes that a file claims: one wrong byte can make it fill the memory
of the machine. Layout: ``NDArray::Save`` in MXNet's ``ndarray.cc``. All numbers are little-endian.
"""

from __future__ import annotations

import struct
from functools import partial
from typing import Dict, Tuple

from gluon_dkpr.model_zoo.weights.stored import (
    ITEM_BYTES,
    MAX_TENSORS,
    StoredTensor,
    WeightsError,
    read_exactly,
    to_float32,
)
from gluon_dkpr.types import Array

PARAMS_MAGIC = struct.pack("<Q", 0x112)
# An array of MXNet 0.12, of 1.x, and of 1.x with NumPy's shapes (where 0 dimensions are a number).
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DTYPES = {
    0: "float32",
    1: "float64",
    2: "float16",
    3: "uint8",
    4: "int32",
    5: "int8",
    6: "int64",
    7: "bool",
    8: "int16",
    12: "bfloat16",
}
_DENSE = 0
_MAX_DIMENSIONS = 32
_MAX_NAME_BYTES = 1024


def read_params(file) -> Dict[str, StoredTensor]:
    """Return the arrays of a file; they can be read while it is open.

    Raises:
        WeightsError: if it is damaged, or its arrays have no names.
    """
    size = file.seek(0, 2)
    file.seek(len(PARAMS_MAGIC) + 8)  # the second word is reserved
    tensors = [_skip_array(file, size) for _ in range(_count(file, "arrays"))]
    names = [_name(file) for _ in range(_count(file, "names"))]
    if len(names) != len(tensors):
        raise WeightsError(f"{len(tensors)} arrays and {len(names)} names, expected as many")
    return dict(zip(names, tensors))


def _unpack(file, form: str) -> tuple:
    return struct.unpack(form, read_exactly(file, struct.calcsize(form)))


def _count(file, what: str) -> int:
    (count,) = _unpack(file, "<Q")
    if count > MAX_TENSORS:
        raise WeightsError(f"the file claims {count} {what}, expected at most {MAX_TENSORS}")
    return count


def _name(file) -> str:
    (length,) = _unpack(file, "<Q")
    if length > _MAX_NAME_BYTES:
        raise WeightsError(f"a name of {length} bytes, expected at most {_MAX_NAME_BYTES}")
    try:
        return read_exactly(file, length).decode("utf-8")
    except UnicodeDecodeError:
        raise WeightsError("a name that is not UTF-8") from None


def _skip_array(file, size: int) -> StoredTensor:
    """Read what stands before an array's numbers and go on behind them."""
    (version,) = _unpack(file, "<I")
    if version not in (_V1, _V2, _V3):
        raise WeightsError(f"an array begins with {version:#x}, expected {_V2:#x}")
    if version != _V1 and _unpack(file, "<i") != (_DENSE,):
        raise WeightsError("a sparse array, expected dense ones")
    shape = _shape(file)
    if not shape and version != _V3:
        return StoredTensor((), partial(_read, file, file.tell(), (), "none"))
    _, _, flag = _unpack(file, "<iii")  # kind and number of the device it was on
    if flag not in _DTYPES:
        raise WeightsError(f"an array of type {flag}, expected one of {sorted(_DTYPES)}")
    dtype, begin = _DTYPES[flag], file.tell()
    end = begin + ITEM_BYTES[dtype] * _product(shape)
    if end > size:
        raise WeightsError(f"the file is cut short: an array of shape {shape} does not fit in it")
    file.seek(end)
    return StoredTensor(shape, partial(_read, file, begin, shape, dtype))


def _shape(file) -> Tuple[int, ...]:
    (dimensions,) = _unpack(file, "<i")
    if not 0 <= dimensions <= _MAX_DIMENSIONS:
        raise WeightsError(f"an array of {dimensions} dimensions")
    shape = _unpack(file, f"<{dimensions}q")
    if any(size < 0 for size in shape):
        raise WeightsError(f"an array of shape {shape}")
    return shape


def _product(shape: Tuple[int, ...]) -> int:
    """Return how many numbers a shape has; NumPy's product would overflow."""
    count = 1
    for size in shape:
        count *= size
    return count


def _read(file, begin: int, shape: Tuple[int, ...], dtype: str) -> Array:
    file.seek(begin)
    data = read_exactly(file, ITEM_BYTES.get(dtype, 0) * _product(shape))
    return to_float32(data, dtype).reshape(shape)
