"""Small weight files to break, and the check that a refusal costs nothing."""

import contextlib
import json
import os
import struct
import tracemalloc

import numpy as np
import pytest

from gluon_dkpr.model_zoo.weights import WeightsError, open_weights

FIXTURES = os.path.join(os.path.dirname(__file__), "fixtures")
# Opening a small file takes 1 MB; what the hostile ones claim starts at 64 MB.
FEW_BYTES = 8 << 20


def read(path):
    with open_weights(path) as tensors:
        return {name: stored.read() for name, stored in tensors.items()}


@contextlib.contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < FEW_BYTES


def refusal(path):
    """Return why a file is refused; check that it takes one short line and little memory."""
    with little_memory(), pytest.raises(WeightsError) as info:
        read(path)
    message = str(info.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))
    return message


def eighths(*shape):
    return (np.arange(np.prod(shape)) / 8 - 1).astype("float32").reshape(shape)


def params(names, arrays):
    """Return a .params file: arrays given as bytes."""
    listed = b"".join(struct.pack("<Q", len(name)) + name for name in names)
    head = struct.pack("<QQQ", 0x112, 0, len(arrays))
    return head + b"".join(arrays) + struct.pack("<Q", len(names)) + listed


def array(shape, data, version=0xF993FAC9, storage=0, dtype=0, dimensions=None):
    """Return an array in a .params file; the defaults are right for float32."""
    dimensions = len(shape) if dimensions is None else dimensions
    head = struct.pack(f"<Iii{len(shape)}q", version, storage, dimensions, *shape)
    return head + struct.pack("<iii", 1, 0, dtype) + data


ONE = array((1,), bytes(4))


def safe(entry, data=bytes(4), length=None):
    """Return a .safetensors file; the header is one tensor's entry, or bytes."""
    header = entry if isinstance(entry, bytes) else json.dumps({"a": entry}).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data
