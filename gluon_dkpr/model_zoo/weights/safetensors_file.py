"""Files of the safetensors library."""

from __future__ import annotations

import struct
from functools import partial
from typing import Dict, Tuple

from safetensors import SafetensorError, deserialize

from gluon_dkpr.model_zoo.weights.stored import (
    MAX_HEADER_BYTES,
    StoredTensor,
    WeightsError,
    read_exactly,
    to_float32,
)
from gluon_dkpr.types import Array

# The library reads a file as a whole. ResNet-152 in float64 has 480 MB.
MAX_FILE_BYTES = 1 << 30
_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def read_safetensors(file) -> Dict[str, StoredTensor]:
    """Return the tensors of a file.

    The library's NumPy front end has no bfloat16, so its bytes are converted here.

    Raises:
        WeightsError: if it is damaged or too large.
    """
    size = file.seek(0, 2)
    if size > MAX_FILE_BYTES:
        raise WeightsError(f"a file of {size} bytes, expected at most {MAX_FILE_BYTES}")
    file.seek(0)
    (header,) = struct.unpack("<Q", read_exactly(file, 8))
    if header > MAX_HEADER_BYTES:
        raise WeightsError(f"a header of {header} bytes, expected at most {MAX_HEADER_BYTES}")
    file.seek(0)
    try:
        entries = deserialize(bytes(read_exactly(file, size)))
    except SafetensorError as error:
        reason = str(error).split(": ", 1)[-1]
        raise WeightsError(f"not a valid file of safetensors: {reason}") from None
    return {name: _stored(tuple(entry["shape"]), entry) for name, entry in entries}


def _stored(shape: Tuple[int, ...], entry) -> StoredTensor:
    return StoredTensor(shape, partial(_read, shape, entry["data"], entry["dtype"]))


def _read(shape: Tuple[int, ...], data: bytes, dtype: str) -> Array:
    return to_float32(data, _DTYPES.get(dtype, dtype)).reshape(shape)
