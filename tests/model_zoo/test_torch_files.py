"""Hostile files of PyTorch's formats: nothing is run, and no memory is filled."""

import contextlib
import os
import pickle
import struct
import time
import zipfile

import numpy as np
import pytest
from torch_writer import Call, Global, instructions, pickled, tensor, write_legacy, write_zip
from weight_files import eighths, little_memory, read, refusal

from gluon_dkpr.model_zoo.weights import WeightsError, open_weights

# -- code


class Touch:
    """Unpickling it makes a file, if anything is run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def attacks(marker):
    """Return pickles that would make the file ``marker``."""
    command = f"touch {marker}"
    system = b"\x80\x02" + b"cposix\nsystem\n"
    text = struct.pack("<cI", b"X", len(command)) + command.encode()
    evaluated = f"__import__('os').system({command!r})"
    state = b"\x80\x02ccollections\nOrderedDict\n)R"
    return {
        "call": pickle.dumps(Touch(marker), protocol=2),
        "protocol 4": pickle.dumps(Touch(marker), protocol=4),
        "protocol 0": pickle.dumps(Touch(marker), protocol=0),
        "in a state dict": pickle.dumps({"weight": Touch(marker)}, protocol=2),
        "eval": pickled(Call(Global("builtins", "eval"), (evaluated,))),
        "method of torch": pickled(Call(Global("torch.hub", "load"), (command,))),
        "dotted": pickled(Call(Global("torch", "os.system"), (command,))),
        "dotted function": pickled(Call(Global("torch._utils", "sys.modules"), (command,))),
        "INST": b"\x80\x02(" + text + b"iposix\nsystem\n.",
        "OBJ": b"\x80\x02(cposix\nsystem\n" + text + b"o.",
        "NEWOBJ": system + text + b"\x85\x81.",
        "STACK_GLOBAL": b"\x80\x02X\x05\0\0\0posixX\x06\0\0\0system\x93" + text + b"\x85R.",
        "EXT1": b"\x80\x02\x82\x01" + text + b"\x85R.",
        "attributes": state + b"}X\x0a\0\0\0__reduce__cposix\nsystem\nsb.",
        "storage type": pickled({"a": tensor("0", (1,), "HalfTensor")}),
    }


@pytest.mark.parametrize("place", ["alone", "zip", "legacy"])
@pytest.mark.parametrize("attack", attacks("x"))
def test_no_pickle_is_obeyed(attack, place, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "hostile.pth"
    code = attacks(marker)[attack]
    if place == "alone":
        path.write_bytes(code)
    else:
        {"zip": write_zip, "legacy": write_legacy}[place](path, code, {"0": bytes(4)})
    message = refusal(path)
    assert "refused" in message or "not allowed" in message or "expected" in message
    assert not marker.exists()


def test_the_attack_would_work(tmp_path):
    """Python's own reader obeys: without this the test above could not fail."""
    pickle.loads(attacks(tmp_path / "marker")["in a state dict"])
    assert (tmp_path / "marker").exists()


def test_a_whole_model_is_refused_with_advice(tmp_path):
    root = Call(Global("torchvision.models.resnet", "ResNet"), ())
    write_zip(tmp_path / "whole.pth", root, {})
    message = refusal(tmp_path / "whole.pth")
    assert "'torchvision.models.resnet.ResNet'" in message
    assert "torch.save(model.state_dict(), path)" in message


# -- sizes


@pytest.mark.parametrize(
    "view, reason",
    [
        ({"shape": (2, 3), "strides": (-3, 1)}, "strides that are counts"),
        ({"shape": (-2, 3)}, "strides that are counts"),
        ({"shape": (1 << 40,)}, "storage of 6 numbers"),
        ({"shape": (1 << 40, 1 << 40), "strides": (1, 1)}, "storage of 6 numbers"),
        ({"shape": (2, 3), "offset": 1}, "offset 1 reaches beyond"),
        ({"shape": (2, 3), "offset": -1}, "an offset that is a count"),
        ({"shape": (2, 3), "strides": (4, 1)}, "storage of 6 numbers"),
        ({"shape": (2, 3), "strides": (1,)}, "as many strides as dimensions"),
        ({"shape": (1 << 36,), "strides": (0,)}, "(68719476736,), expected at most 1048576 numb"),
        ({"shape": (1 << 30, 6), "strides": (0, 1)}, "expected at most 1048576 numbers"),
        ({"shape": (1 << 60,) * 8, "strides": (0,) * 8}, "expected at most 1048576 numbers"),
        ({"shape": (0, 1 << 61)}, "expected at most 1048576 numbers"),
        ({"shape": (1,) * 9}, "shapes and strides"),
        ({"shape": (2.0, 3), "strides": (3, 1)}, "shapes and strides"),
        ({"shape": (6,), "count": 7}, "24 bytes, expected 28|6 numbers, expected 7"),
        ({"shape": (6,), "count": 1 << 60}, "24 bytes|6 numbers"),
        ({"shape": (6,), "count": 1 << 1000}, "a known storage"),
        ({"shape": (6,), "dtype": "float64"}, "24 bytes, expected 48|cut short"),
        ({"shape": (6,), "dtype": "ComplexFloatStorage"}, "'torch.ComplexFloatStorage'"),
        ({"shape": (6,), "dtype": "QInt8Storage"}, "'torch.QInt8Storage'"),
        ({"shape": (6,), "key": "../1"}, "no 'net/data/../1'|once each|numbers of 1 storages"),
    ],
    ids=str,
)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_views_outside_their_storage(view, reason, legacy, tmp_path):
    view = {"key": "0", "count": 6, **view}
    path = tmp_path / "hostile.pth"
    write = write_legacy if legacy else write_zip
    write(path, {"a": tensor(**view, legacy=legacy)}, {"0": eighths(6).tobytes()})
    message = refusal(path)
    assert any(part in message for part in reason.split("|")), message


def test_numbers_the_other_way_round_are_refused(tmp_path):
    root, storages = {"a": tensor("0", (6,))}, {"0": eighths(6).tobytes()}
    write_zip(tmp_path / "big.pth", root, storages, order="big")
    assert "byte order" in refusal(tmp_path / "big.pth")
    write_legacy(tmp_path / "big.pth", root, storages, {"little_endian": False})
    assert "byte order" in refusal(tmp_path / "big.pth")


def test_a_changed_number_is_noticed(tmp_path):
    path = tmp_path / "changed.pth"
    write_zip(path, {"a": tensor("0", (6,))}, {"0": eighths(6).tobytes()})
    content = path.read_bytes()
    begin = content.index(eighths(6).tobytes())
    path.write_bytes(content[:begin] + b"\x01" + content[begin + 1 :])
    assert "Bad CRC-32 for file 'net/data/0'" in refusal(path)


def test_compressed_archives_are_refused(tmp_path):
    """64 MB of zeros in 64 kB."""
    path = tmp_path / "bomb.pth"
    root = {"a": tensor("0", (1 << 24,))}
    write_zip(path, root, {"0": bytes(1 << 26)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 17
    assert "compressed" in refusal(path)


def test_archive_with_a_huge_list_of_entries(tmp_path):
    path = tmp_path / "list.pth"
    size = 1 << 26
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, size - 4, 4, 0)
    with open(path, "wb") as file:
        file.write(b"PK\3\4")
        file.truncate(size)
        file.seek(size)
        file.write(end)
    assert "a list of" in refusal(path)


@pytest.mark.parametrize(
    "code, reason",
    [
        (b"X\xff\xff\xff\xff", "damaged at byte"),  # a text of 4 GB
        (b"\x8a\xff", "damaged at byte"),
        (b"Nr\xff\xff\xff\xff.", "expected a state dict"),  # memo with 4 billion places
        (b"h\x05.", "damaged"),
        (b"R.", "damaged"),
        (b"t.", "damaged"),
        (b"e.", "damaged"),
        (b"u.", "damaged"),
        (b"NQ.", "persistent id"),
        (b"}N}sb.", "texts as keys"),
        (b"NNs.", "damaged"),
        (b"N(NNu.", "dictionaries to fill"),
        (b"N}b.", "attributes of"),
        (b")R.", "damaged"),
        (b"))R.", "tensors and ordered"),
        (b"G\0\0", "damaged"),
        (b"c" + b"a" * 300 + b"\nb\n.", "damaged"),
        (b"c\xff\xfe\nb\n.", "damaged"),
        (b"]q\0h\0ah\0.", "a list, expected a state dict"),  # a list in itself
        (b"", "damaged"),
    ],
    ids=repr,
)
def test_damaged_pickles(code, reason, tmp_path):
    path = tmp_path / "hostile.pth"
    write_zip(path, b"\x80\x02" + code, {})
    assert reason in refusal(path)
    write_legacy(path, b"\x80\x02" + code, {})
    refusal(path)


def test_pickles_that_take_for_ever(tmp_path):
    """2 ** 60 empty tuples would be hashed as a key, or printed as a name or a number."""
    nested = b")" + b"q\0h\0\x86" * 60
    write_zip(tmp_path / "hash.pth", b"\x80\x02}" + nested + b"Ns.", {})
    assert "texts as keys" in refusal(tmp_path / "hash.pth")
    write_zip(tmp_path / "root.pth", b"\x80\x02" + nested + b".", {})
    assert "a tuple, expected a state dict" in refusal(tmp_path / "root.pth")
    write_legacy(tmp_path / "names.pth", {}, {})
    content = (tmp_path / "names.pth").read_bytes()
    assert content.endswith(b"](e.")
    (tmp_path / "names.pth").write_bytes(content[:-2] + nested + b"e.")
    assert "numbers of 1 storages, expected 0" in refusal(tmp_path / "names.pth")


@contextlib.contextmanager
def a_few_seconds():
    """What the tests below read takes a second at most, or a minute where they fail."""
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < 8


def numbers_on_one_path(bits):
    """Return numbers below 2 ** 32 that a dictionary of 2 ** bits places looks for in one row.

    Half of the places are a walk of CPython's search, each taken by its own number; then come
    numbers whose search meets taken places only, and ends at the beginning of the walk.
    """
    places, walk = 1 << bits, [12345]
    while len(walk) < 0.5 * places:
        walk.append((5 * walk[-1] + 1) % places)
    step = np.full(places, places)
    step[walk] = np.arange(len(walk))
    numbers = np.random.default_rng(0).integers(0, 1 << 31, 1 << 24)
    place, rest = numbers % places, numbers.copy()
    for _ in range(7):
        taken = step[place] < places
        numbers, place, rest = numbers[taken], place[taken], rest[taken] >> 5
        place = (5 * place + rest + 1) % places
    return walk + numbers[step[place] < len(walk) // 4].tolist()


def test_numbers_as_keys_that_are_all_alike(tmp_path):
    """As keys and as places of the memo; multiples of 2 ** 61 - 1 all hash to 0."""
    same = [(n + 1) * ((1 << 61) - 1) for n in range(100_000)]
    for numbers in (same, numbers_on_one_path(19)):
        # Not made as a dictionary: here, too, it would take a minute.
        pairs = b"".join(instructions(number) + b"N" for number in numbers)
        write_zip(tmp_path / "keys.pth", b"\x80\x02}(" + pairs + b"u.", {})
        with a_few_seconds():
            assert read(tmp_path / "keys.pth") == {}
    memo = b"".join(struct.pack("<cI", b"r", number) for number in numbers)
    write_zip(tmp_path / "memo.pth", b"\x80\x02}" + memo + b".", {})
    with a_few_seconds():
        assert read(tmp_path / "memo.pth") == {}


def test_numbers_as_keys_become_names(tmp_path):
    """Old optimisers have the addresses of parameters as keys, more than 32 bits."""
    root = {"model": {3: tensor("0", (6,))}, "optimizer": {"state": {140_234_567_890_123: None}}}
    write_zip(tmp_path / "numbers.pth", root, {"0": eighths(6)})
    assert list(read(tmp_path / "numbers.pth")) == ["3"]


def test_one_long_tuple_as_the_arguments_of_many_calls(tmp_path):
    arguments = b"(" + b"N" * 1_000_000 + b"tq\0"
    calls = b"ccollections\nOrderedDict\nq\1" + arguments + b"]" + b"h\1h\0Ra" * 500_000 + b"."
    write_zip(tmp_path / "calls.pth", b"\x80\x02" + calls, {})
    with a_few_seconds(), pytest.raises(WeightsError, match="expected at most 8 arguments"):
        read(tmp_path / "calls.pth")


def test_one_long_text_as_the_name_of_many_storages(tmp_path):
    write_legacy(tmp_path / "names.pth", {}, {})
    content = (tmp_path / "names.pth").read_bytes()
    assert content.endswith(b"](e.")
    text = struct.pack("<cI", b"X", 1 << 21) + b"a" * (1 << 21) + b"q\0"
    (tmp_path / "names.pth").write_bytes(content[:-2] + text + b"h\0" * 900_000 + b"e.")
    with a_few_seconds(), pytest.raises(WeightsError, match="numbers of 900001 storages"):
        read(tmp_path / "names.pth")


def test_a_short_pickle_that_fills_the_memory(tmp_path):
    """A list of 2,000 pairs, made into 200 dictionaries that are all kept."""
    pairs = b"](" + b"".join(b"](U\x04%04dNe" % n for n in range(2000)) + b"eq\0"
    copies = b"ccollections\nOrderedDict\nq\1" + pairs + b"h\1h\0\x85R" * 200 + b"."
    write_zip(tmp_path / "copies.pth", b"\x80\x02" + copies, {})
    with little_memory(), open_weights(tmp_path / "copies.pth") as tensors:
        assert tensors == {}


def test_large_pickle_is_refused(tmp_path):
    write_zip(tmp_path / "large.pth", b"\x80\x02" + b"N0" * (3 << 20), {})
    with pytest.raises(WeightsError, match="a pickle of 6291458 bytes, expected at most 4194304"):
        read(tmp_path / "large.pth")
