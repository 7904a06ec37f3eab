"""The pickles inside PyTorch's files, read without running anything they ask for.

A pickle is a program for a stack machine; Python's own would import and call what the program
names. This one knows only the instructions of protocol 2, plain values, and by name the few
functions by which ``torch.save`` describes a tensor. Everything else is refused.
"""

from __future__ import annotations

import math
import struct
from typing import Dict, NamedTuple, Tuple

from gluon_dkpr.model_zoo.weights.stored import ITEM_BYTES, WeightsError

MAX_DIMENSIONS = 8
# torch.save calls nothing with more.
MAX_ARGUMENTS = 8
# An expanded tensor uses a stored number many times, so that a short file could ask for any memory.
MAX_EXPANDED = 1 << 20

_STORAGE_TYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "BoolStorage": "bool",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
}


class Storage(NamedTuple):
    """A run of numbers in the file: their type, the name of the run, their count."""

    dtype: str
    key: str
    count: int

    @property
    def item_bytes(self) -> int:
        """How many bytes one of its numbers takes."""
        return ITEM_BYTES[self.dtype]


class TensorView(NamedTuple):
    """A tensor: where it begins in its storage, its shape and its strides, in numbers."""

    storage: Storage
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]

    @property
    def span(self) -> int:
        """How many numbers lie between its first and its last, both included."""
        if 0 in self.shape:
            return 0
        return 1 + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))


class _Global(NamedTuple):
    """Something that a pickle named: what it would have been is never looked up."""

    module: str
    name: str


class Pickle(NamedTuple):
    """What a pickle holds.

    Attributes:
        value: None, numbers, texts, tuples, lists, dictionaries (also for ordered ones, without
            their attributes, and with numbers as keys turned into texts) and :class:`TensorView`
            (also for parameters).
        end: where the pickle ends.
        storages: every storage it names, by key.
    """

    value: object
    end: int
    storages: Dict[str, Storage]


def load_pickle(data: bytes, begin: int = 0) -> Pickle:
    """Run the pickle of protocol 2 that begins at a byte of ``data``.

    Raises:
        WeightsError: if it is damaged or asks for anything but tensors and plain values.
    """
    machine = _Machine(data, begin)
    try:
        return Pickle(machine.run(), machine.at, machine.storages)
    except (IndexError, KeyError, struct.error, UnicodeDecodeError):
        raise WeightsError(f"the pickle is damaged at byte {machine.at}") from None


def _expect(fine: bool, expected: str) -> None:
    if not fine:
        raise WeightsError(f"the pickle is not one of a state dict: expected {expected}")


def _key(value) -> str:
    """Return a key of a dictionary as a text.

    Other keys could take for ever to hash; and how a number is hashed is known, so that a file
    could bring many that a dictionary has to compare with each other.
    """
    _expect(type(value) in (str, int), "texts as keys")
    return str(value)


def _is_count(value) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _are_counts(values) -> bool:
    right = type(values) is tuple and len(values) <= MAX_DIMENSIONS
    return right and all(map(_is_count, values))


def _tensor(storage=None, offset=None, shape=None, strides=None, *_) -> TensorView:
    """Return a tensor that lies inside its storage."""
    _expect(isinstance(storage, Storage), "a storage under every tensor")
    _expect(_is_count(offset), "an offset that is a count")
    _expect(_are_counts(shape) and _are_counts(strides), "shapes and strides that are counts")
    _expect(len(shape) == len(strides), "as many strides as dimensions")
    view = TensorView(storage, offset, shape, strides)
    if offset + view.span > storage.count:
        raise WeightsError(
            f"a tensor of shape {shape}, strides {strides} and offset {offset} reaches beyond its "
            f"storage of {storage.count} numbers"
        )
    # By what will be read of it: an archive can claim any size of the storage itself.
    most = max(view.span, MAX_EXPANDED)
    # Empty ones, too: NumPy refuses (0, 1 << 62).
    if math.prod(max(size, 1) for size in shape) > most:
        raise WeightsError(f"a tensor of shape {shape}, expected at most {most} numbers")
    return view


def _parameter(data=None, *_) -> TensorView:
    _expect(isinstance(data, TensorView), "a tensor in every parameter")
    return data


def _ordered_dict(pairs=None, *_) -> dict:
    """Return the dictionary of pairs: Python 2 hands them over, Python 3 adds them later."""
    if pairs is None:
        return {}
    _expect(type(pairs) is list, "pairs in a dictionary")
    _expect(all(type(pair) is list and len(pair) == 2 for pair in pairs), "pairs in a dictionary")
    made = {_key(key): value for key, value in pairs}
    # Used again and again, one long list would fill the memory.
    pairs.clear()
    return made


_FUNCTIONS = {
    _Global("collections", "OrderedDict"): _ordered_dict,
    _Global("torch._utils", "_rebuild_tensor"): _tensor,
    _Global("torch._utils", "_rebuild_tensor_v2"): _tensor,
    _Global("torch._utils", "_rebuild_parameter"): _parameter,
    _Global("torch.nn.parameter", "Parameter"): _parameter,
}
_STORAGES = {_Global("torch", name): dtype for name, dtype in _STORAGE_TYPES.items()}

# Instructions that push a constant; a number or text of a fixed format; a text after its length.
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False, b")": ()}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_TEXT_LENGTHS = {b"X": "<I", b"U": "<B", b"T": "<I"}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
_PUT = {b"q": "<B", b"r": "<I"}
_GET = {b"h": "<B", b"j": "<I"}


class _Machine:
    """The stack machine; its instructions are listed in Python's ``pickletools``."""

    def __init__(self, data: bytes, begin: int):
        self.data, self.at = data, begin
        self.stack, self.marks = [], []
        # By the number as a text, as with all keys.
        self.memo: Dict[str, object] = {}
        self.storages: Dict[str, Storage] = {}

    def run(self):
        """Follow the instructions up to STOP; return what is on top of the stack."""
        while True:
            code = self._take(1)
            if code == b".":
                return self.stack.pop()
            if code in _CONSTANTS:
                self.stack.append(_CONSTANTS[code])
            elif code in _NUMBERS:
                self.stack.append(self._number(_NUMBERS[code]))
            elif code in _TEXT_LENGTHS:
                text = self._take(self._number(_TEXT_LENGTHS[code]))
                self.stack.append(text.decode("utf-8"))
            elif code in _TUPLES:
                self._push_tuple(self._pop(_TUPLES[code]))
            elif code in _PUT:
                self.memo[_key(self._number(_PUT[code]))] = self.stack[-1]
            elif code in _GET:
                self.stack.append(self.memo[_key(self._number(_GET[code]))])
            elif code in _OTHERS:
                _OTHERS[code](self)
            else:
                raise WeightsError(f"the pickle has the instruction {code!r}, which is not allowed")

    def _take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) < count:
            raise IndexError
        self.at += count
        return bytes(piece)

    def _number(self, form: str):
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _pop(self, count: int) -> list:
        if count > len(self.stack):
            raise IndexError
        items = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return items

    def _pop_to_mark(self) -> list:
        return self._pop(max(0, len(self.stack) - self.marks.pop()))

    def _push_tuple(self, items: list) -> None:
        self.stack.append(tuple(items))

    def _protocol(self) -> None:
        protocol = self._number("<B")
        if protocol != 2:
            raise WeightsError(f"a pickle of protocol {protocol}, expected 2, as torch.save writes")

    def _mark(self) -> None:
        self.marks.append(len(self.stack))

    def _long(self) -> None:
        self.stack.append(int.from_bytes(self._take(self._number("<B")), "little", signed=True))

    def _line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 256)
        line = self._take(end - self.at if end >= 0 else len(self.data))
        self._take(1)
        return line.decode("utf-8")

    def _global(self) -> None:
        found = _Global(self._line(), self._line())
        if found not in _FUNCTIONS and found not in _STORAGES:
            name = f"{found.module}.{found.name}"
            raise WeightsError(
                f"the pickle asks for {name!r}, which is refused: it could run anything; expected "
                "nothing but tensors, as torch.save(model.state_dict(), path) writes"
            )
        self.stack.append(found)

    def _reduce(self) -> None:
        function, arguments = self._pop(2)
        known = type(function) is _Global and function in _FUNCTIONS
        _expect(known and type(arguments) is tuple, "tensors and ordered dictionaries")
        # Used again and again, one long tuple would be spread out every time.
        _expect(len(arguments) <= MAX_ARGUMENTS, f"at most {MAX_ARGUMENTS} arguments")
        self.stack.append(_FUNCTIONS[function](*arguments))

    def _build(self) -> None:
        """Leave out the attributes of a dictionary (its _metadata) or of a parameter."""
        target, _ = self._pop(2)
        _expect(type(target) in (dict, TensorView), "attributes of dictionaries and parameters")
        self.stack.append(target)

    def _storage(self) -> None:
        """Push the storage that a persistent id stands for."""
        found = self._pop(1)[0]
        _expect(type(found) is tuple and len(found) in (5, 6), "storages by a persistent id")
        kind, dtype, key, _, count = found[:5]
        _expect(kind == "storage" and type(dtype) is _Global, "storages by a persistent id")
        _expect(dtype in _STORAGES and type(key) is str and _is_count(count), "a known storage")
        _expect(found[5:] in ((), (None,)), "storages that are no views of others")
        storage = Storage(_STORAGES[dtype], key, count)
        _expect(self.storages.setdefault(key, storage) == storage, "one type and size a storage")
        self.stack.append(storage)

    def _append(self, items: list) -> None:
        _expect(type(self.stack[-1]) is list, "lists to append to")
        self.stack[-1].extend(items)

    def _set_items(self, items: list) -> None:
        target = self.stack[-1]
        _expect(type(target) is dict and len(items) % 2 == 0, "dictionaries to fill")
        target.update(zip(map(_key, items[::2]), items[1::2]))


_OTHERS = {
    b"\x80": _Machine._protocol,
    b"(": _Machine._mark,
    b"\x8a": _Machine._long,
    b"c": _Machine._global,
    b"R": _Machine._reduce,
    b"b": _Machine._build,
    b"Q": _Machine._storage,
    b"}": lambda m: m.stack.append({}),
    b"]": lambda m: m.stack.append([]),
    b"t": lambda m: m._push_tuple(m._pop_to_mark()),
    b"a": lambda m: m._append(m._pop(1)),
    b"e": lambda m: m._append(m._pop_to_mark()),
    b"s": lambda m: m._set_items(m._pop(2)),
    b"u": lambda m: m._set_items(m._pop_to_mark()),
}
