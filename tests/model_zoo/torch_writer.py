"""What torch.save writes, written without PyTorch, so that tests can also write it wrong."""

import struct
import zipfile
from typing import Any, NamedTuple

import numpy as np

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage"}
STORAGES.update(int64="LongStorage", bfloat16="BFloat16Storage")
LEGACY_NUMBER = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4, "long": 8}}


class Global(NamedTuple):
    module: str
    name: str


class Call(NamedTuple):
    function: Global
    arguments: Any


class Persistent(NamedTuple):
    identity: Any


class Raw(NamedTuple):
    """Instructions as they are."""

    code: bytes


def instructions(value):
    """Return the instructions of protocol 2 that push a value."""
    if isinstance(value, Raw):
        return value.code
    if isinstance(value, Global):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Call):
        return instructions(value.function) + instructions(value.arguments) + b"R"
    if isinstance(value, Persistent):
        return instructions(value.identity) + b"Q"
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int) and -(1 << 31) <= value < 1 << 31:
        return struct.pack("<ci", b"J", value)
    if isinstance(value, int):
        size = value.bit_length() // 8 + 1
        return struct.pack("<cB", b"\x8a", size) + value.to_bytes(size, "little", signed=True)
    if isinstance(value, float):
        return struct.pack(">cd", b"G", value)
    if isinstance(value, str):
        return struct.pack("<cI", b"X", len(value.encode())) + value.encode()
    if isinstance(value, tuple):
        return b"(" + b"".join(map(instructions, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(instructions, value)) + b"e"
    pairs = (instructions(key) + instructions(item) for key, item in value.items())
    return b"}(" + b"".join(pairs) + b"u"


def pickled(value):
    return b"\x80\x02" + instructions(value) + b"."


def tensor(key, shape, dtype="float32", offset=0, strides=None, count=None, legacy=False):
    """Return what stands for a tensor in a state dict."""
    count = int(np.prod(shape)) if count is None else count
    if strides is None:
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
    storage = Global("torch", STORAGES.get(dtype, dtype))
    identity = ("storage", storage, key, "cpu", count) + ((None,) if legacy else ())
    hooks = Call(Global("collections", "OrderedDict"), ())
    arguments = (Persistent(identity), offset, tuple(shape), strides, False, hooks)
    return Call(Global("torch._utils", "_rebuild_tensor_v2"), arguments)


def write_zip(path, root, storages, compression=zipfile.ZIP_STORED, order="little"):
    """Write an archive of a pickle, given as a value or as bytes, and {key: bytes or array}."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("net/data.pkl", root if isinstance(root, bytes) else pickled(root))
        archive.writestr("net/byteorder", order)
        for key, data in storages.items():
            archive.writestr(f"net/data/{key}", bytes(memoryview(data)))
        archive.writestr("net/version", "3\n")


def write_legacy(path, root, storages, system=SYSTEM):
    """Write the container of before PyTorch 1.6; the numbers are arrays, or bytes of float32."""
    root = root if isinstance(root, bytes) else pickled(root)
    head = [LEGACY_NUMBER, 1001, system]
    with open(path, "wb") as file:
        file.write(b"".join(map(pickled, head)) + root + pickled(list(storages)))
        for data in storages.values():
            numbers = np.frombuffer(data, "<f4") if isinstance(data, bytes) else data
            file.write(struct.pack("<q", numbers.size) + numbers.tobytes())


def write_state_dict(path, arrays, legacy=False):
    """Write {name: array}, as torch.save(model.state_dict(), path) does."""
    keys = {name: str(number) for number, name in enumerate(arrays)}
    root = {
        name: tensor(keys[name], array.shape, str(array.dtype), legacy=legacy)
        for name, array in arrays.items()
    }
    storages = {keys[name]: array for name, array in arrays.items()}
    (write_legacy if legacy else write_zip)(path, root, storages)
