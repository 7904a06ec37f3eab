"""State dicts that ``torch.save`` wrote, read without PyTorch.

Two containers: a zip archive since PyTorch 1.6 (``data.pkl`` and one stored entry for every run of
numbers), and before that four pickles followed by the runs. The pickles are read by
:mod:`~gluon_dkpr.model_zoo.weights.torch_pickle`, which runs nothing.
"""

from __future__ import annotations

import struct
import zipfile
from functools import partial
from typing import Dict

import numpy as np

from gluon_dkpr.model_zoo.weights.stored import (
    MAX_HEADER_BYTES,
    StoredTensor,
    WeightsError,
    read_exactly,
    to_float32,
)
from gluon_dkpr.model_zoo.weights.torch_pickle import Storage, TensorView, load_pickle
from gluon_dkpr.types import Array

ZIP_MAGIC = b"PK\x03\x04"
# The first pickle of the older container: a number of 10 bytes.
LEGACY_MAGIC = b"\x80\x02\x8a\n" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
_LEGACY_PROTOCOL = 1001
# Where training scripts keep the state dict among other things.
_NESTED = ("state_dict", "model")
# What torch.nn.DataParallel puts before every name.
_WRAPPER = "module."


def read_zip(file) -> Dict[str, StoredTensor]:
    """Return the tensors of an archive; they can be read while the file is open.

    Raises:
        WeightsError: if it is damaged, compressed, or holds anything but tensors and plain values.
    """
    archive = _guarded(zipfile.ZipFile, file)
    pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise WeightsError("a zip archive without one data.pkl, expected what torch.save writes")
    folder = pickles[0].split("/")[0]
    order = f"{folder}/byteorder"  # since PyTorch 2.1
    if order in archive.namelist():
        size = archive.getinfo(order).file_size
        if _read_entry(archive, order, 0, min(size, 6), size) != b"little":
            raise WeightsError("numbers in another byte order than little-endian")
    size = archive.getinfo(pickles[0]).file_size
    if size > MAX_HEADER_BYTES:
        raise WeightsError(f"a pickle of {size} bytes, expected at most {MAX_HEADER_BYTES}")
    root = load_pickle(bytes(_read_entry(archive, pickles[0], 0, size, size))).value

    def read(view: TensorView) -> Array:
        storage, item = view.storage, view.storage.item_bytes
        name, size = f"{folder}/data/{storage.key}", storage.count * item
        data = _read_entry(archive, name, view.offset * item, view.span * item, size)
        return _strided(data, view)

    return _state_dict(root, read)


def read_legacy(file) -> Dict[str, StoredTensor]:
    """Return the tensors of a file in the older container; like :func:`read_zip`."""
    head = file.read(MAX_HEADER_BYTES)
    pickles = [load_pickle(head)]
    for _ in range(4):
        pickles.append(load_pickle(head, pickles[-1].end))
    _, protocol, system, root, keys = (pickle.value for pickle in pickles)
    if protocol != _LEGACY_PROTOCOL or type(system) is not dict or type(keys) is not list:
        raise WeightsError(f"not what torch.save writes (protocol {_LEGACY_PROTOCOL})")
    if system.get("little_endian") is not True:
        raise WeightsError("numbers in another byte order than little-endian")
    begins = _legacy_begins(file, pickles[-1].end, keys, pickles[3].storages)

    def read(view: TensorView) -> Array:
        item = view.storage.item_bytes
        file.seek(begins[view.storage.key] + view.offset * item)
        return _strided(read_exactly(file, view.span * item), view)

    return _state_dict(root, read)


def _legacy_begins(file, at: int, keys: list, storages: Dict[str, Storage]) -> Dict[str, int]:
    """Return where the numbers of every storage begin; each follows its count, of 8 bytes."""
    texts = all(type(key) is str for key in keys)
    # Not sorted: one long text, a million times in the list, would be compared with itself.
    if not texts or len(keys) != len(storages) or set(keys) != set(storages):
        raise WeightsError(f"numbers of {len(keys)} storages, expected {len(storages)}, once each")
    size, begins = file.seek(0, 2), {}
    for key in keys:
        file.seek(at)
        (count,) = struct.unpack("<q", read_exactly(file, 8))
        if count != storages[key].count:
            raise WeightsError(f"a storage of {count} numbers, expected {storages[key].count}")
        begins[key] = at + 8
        at = begins[key] + count * storages[key].item_bytes
        if at > size:
            raise WeightsError(f"the file is cut short: a storage ends at byte {at} of {size}")
    return begins


def _guarded(function, *arguments):
    """Call a function of zipfile; turn what it raises for damaged archives into one error."""
    try:
        return function(*arguments)
    except (zipfile.BadZipFile, EOFError, struct.error, UnicodeDecodeError) as error:
        raise WeightsError(f"the zip archive is damaged: {str(error)[:200]}") from None
    except (NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise WeightsError(f"the zip archive cannot be read: {str(error)[:200]}") from None


def _read_entry(archive, name: str, begin: int, count: int, size: int) -> bytes:
    """Return some bytes of an entry that has ``size`` bytes and is not compressed."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise WeightsError(f"the zip archive has no {name!r}") from None
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise WeightsError(f"{name!r} is compressed or encrypted; torch.save leaves it as it is")
    if info.file_size != size:
        raise WeightsError(f"{name!r} has {info.file_size} bytes, expected {size}")

    def read():
        with archive.open(info) as entry:
            entry.seek(begin)
            return bytes(read_exactly(entry, count))

    return _guarded(read)


def _strided(data: bytes, view: TensorView) -> Array:
    """Return the tensor of a view, float32; ``data`` has the numbers of its span, no others."""
    flat = to_float32(data, view.storage.dtype)
    strides = [
        # Where there is nothing to step to, a stride may be any number, too large for NumPy.
        4 * stride if size > 1 and view.span else 0
        for size, stride in zip(view.shape, view.strides)
    ]
    tensor = np.lib.stride_tricks.as_strided(flat, view.shape, strides, writeable=False)
    return np.array(tensor, order="C")


def _tensors(root) -> Dict[str, TensorView]:
    """Return the tensors of a state dict, or of the one in a training script's checkpoint."""
    for key in _NESTED:
        if type(root) is dict and type(root.get(key)) is dict:
            root = root[key]
    if type(root) is not dict:
        raise WeightsError(f"a {type(root).__name__}, expected a state dict: names and tensors")
    return {name: value for name, value in root.items() if type(value) is TensorView}


def _state_dict(root, read) -> Dict[str, StoredTensor]:
    tensors = _tensors(root)
    cut = len(_WRAPPER) if tensors and all(str(n).startswith(_WRAPPER) for n in tensors) else 0
    return {
        str(name)[cut:]: StoredTensor(view.shape, partial(read, view))
        for name, view in tensors.items()
    }
