"""Skeletons as files: nothing is lost, and no file makes the loader raise anything else."""

import os
import re
import tracemalloc

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from skeleton_files import ARM, same_to_the_bit
from strategies import skeletons

from gluon_dkpr.skeleton import (
    Joint,
    Parameter,
    Rotation,
    Skeleton,
    SkeletonError,
    get_skeleton,
    human36m,
    load_skeleton,
    planar,
    save_skeleton,
    skeleton_from_dict,
    skeleton_to_dict,
)
from gluon_dkpr.skeleton.io import MAX_BYTES


@given(skeleton=skeletons())
def test_dictionary_round_trip(skeleton):
    assert same_to_the_bit(skeleton_from_dict(skeleton_to_dict(skeleton)), skeleton)


@settings(max_examples=50)
@given(skeleton=skeletons())
def test_file_round_trip(tmp_path_factory, skeleton):
    path = tmp_path_factory.getbasetemp() / "round-trip.yaml"
    save_skeleton(skeleton, path)
    assert same_to_the_bit(load_skeleton(path), skeleton)


@settings(max_examples=100)
@given(
    number=st.floats(allow_nan=False, allow_infinity=False),
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 1e-3),
    name=st.text(min_size=1).filter(lambda s: s.isprintable() and s == s.strip()),
)
def test_every_number_and_every_name_round_trips(number, axis, name):
    """The text of the file too: whatever YAML would read as another type must be quoted."""
    unit = tuple(np.array(axis) / np.linalg.norm(axis))
    skeleton = Skeleton(
        name=name,
        dim=3,
        parameters=(Parameter(name, "radian", min(number, 0), max(number, 0)),),
        joints=(Joint(name, None, (number, 0, 0), (Rotation(unit, name, number, number),)),),
        length_unit=name,
    )
    text = yaml.safe_dump(skeleton_to_dict(skeleton))
    assert same_to_the_bit(skeleton_from_dict(yaml.safe_load(text)), skeleton)


@pytest.mark.parametrize(
    "skeleton", [human36m(), *map(planar, (3, 6, 8, 10))], ids=lambda s: s.name
)
def test_built_in_skeletons_round_trip(skeleton, tmp_path):
    save_skeleton(skeleton, tmp_path / "skeleton.yaml")
    assert same_to_the_bit(load_skeleton(tmp_path / "skeleton.yaml"), skeleton)


def test_numpy_numbers_and_texts_can_be_saved(tmp_path):
    name = np.str_("tip")
    skeleton = Skeleton(
        name=np.str_("arm"),
        dim=2,
        parameters=(Parameter(name, "radian", np.float32(0.5), np.int64(1)),),
        joints=(Joint(name, None, np.zeros(2), (Rotation("z", name, np.float64(-1)),)),),
    )
    save_skeleton(skeleton, str(tmp_path / "numpy.yaml"))
    assert same_to_the_bit(load_skeleton(str(tmp_path / "numpy.yaml")), skeleton)


def refused(tmp_path, content, reason):
    """Check that a file with this content is refused in one line with its name and the reason."""
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SkeletonError, match=reason) as caught:
        load_skeleton(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    message.encode()


def test_the_arm_is_valid(tmp_path):
    """The tables below break it; a byte order mark and Windows line ends do not."""
    arm = skeleton_from_dict(yaml.safe_load(ARM))
    for content in (ARM.encode(), b"\xef\xbb\xbf" + ARM.replace("\n", "\r\n").encode()):
        (tmp_path / "arm.yaml").write_bytes(content)
        assert load_skeleton(tmp_path / "arm.yaml") == arm


NINES = ", ".join(["*{0}"] * 9)
BOMB = "a: &a [x]\n" + "".join(
    f"{new}: &{new} [{NINES.format(old)}]\n" for old, new in zip("abcdefghi", "bcdefghij")
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{NINES.format(old)}]}}\n" for old, new in zip("abcdefghi", "bcdefghij")
)
HOSTILE = {
    "empty": ("", "format is None"),
    "a text": ("arm", "format is None"),
    "a list": ("[1, 2]", "format is None"),
    "another format": (
        ARM.replace("skeleton/1", "skeleton/2"),
        "format is 'gluon_dkpr/skeleton/2'",
    ),
    "python object": ("!!python/object/apply:os.system ['true']", "tags are not supported"),
    "python name in a joint": (ARM.replace("axis: z", "axis: !!python/name:os.sep"), "tags"),
    "empty number": (ARM.replace("dim: 2", "dim: !!int ''"), "tags are not supported"),
    "no truth": (ARM.replace("dim: 2", "dim: !!bool maybe"), "tags are not supported"),
    "no date": (ARM.replace("dim: 2", "dim: !!timestamp x"), "tags are not supported"),
    "a set": (ARM.replace("[1.0, 0.0]", "!!set {1.0, 0.0}"), "tags are not supported"),
    "aliases bomb": (BOMB + ARM, "aliases are not supported"),
    "merges bomb": (MERGES + ARM, "aliases are not supported"),
    "alias of itself": ("joints: &a [*a]\n" + ARM, "aliases are not supported"),
    "deep lists": ("[" * 1_000, "not valid YAML"),
    "deep mappings": ("{a: " * 10_000 + "}" * 10_000, "not valid YAML"),
    "deep offset": (ARM.replace("[1.0, 0.0]", "[" * 60 + "]" * 60), "joint 'hand': offset"),
    "not UTF-8": (ARM.encode("utf-16"), "not a text file in UTF-8"),
    "cut character": (ARM.encode() + b"\xe2\x82", "not a text file in UTF-8"),
    "control characters": (ARM.replace("arm", "a\x00m"), "not valid YAML"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not a text file in UTF-8"),
    "tabs": (ARM.replace("  parent", "\tparent"), "not valid YAML"),
    "two documents": (ARM + "---\n" + ARM, "not valid YAML"),
    "list as a key": (ARM + "? [a]\n: 1\n", "not valid YAML"),
    "key twice": (ARM + "dim: 3\n", "key 'dim' twice"),
    "joint's key twice": (
        ARM + "".join(["- {name: tip, parent: hand, ", "parent: base}"]),
        "not valid",
    ),
    "no such day": (ARM.replace("dim: 2", "dim: 2001-02-31"), "not valid YAML"),
    "a day": (ARM.replace("dim: 2", "dim: 2001-02-01"), "dim is datetime.date"),
    "no hexadecimal": (ARM.replace("dim: 2", "dim: 0x_"), "not valid YAML"),
    "endless number": (ARM.replace("dim: 2", "dim: " + "9" * 5000), "not valid YAML|dim is"),
    "endless hexadecimal": (ARM.replace("upper: 1.5", "upper: 0x" + "f" * 9000), "'bend': upper"),
    "overflow in base 60": (
        ARM.replace("upper: 1.5", "upper: 1" + ":00" * 300 + ".5"),
        "not valid",
    ),
    "infinite bound": (ARM.replace("upper: 1.5", "upper: .inf"), "'bend': upper is inf"),
    "NaN offset": (ARM.replace("[1.0, 0.0]", "[.nan, 0.0]"), "joint 'hand': offset is nan"),
    "half a surrogate": (ARM.replace("name: hand", r'name: "\ud800"'), "joint name is"),
    "surrogate in position": (ARM + r'position: ["\ud800", x]', "position"),
    "surrogate as a key": (ARM + r'"\ud800": 1', "unknown key"),
    "missing joints": (ARM.replace("joints:", "bones:"), "no 'joints'"),
    "unknown key": (ARM + "colour: red\n", "unknown key 'colour'"),
    "unknown key of a joint": (
        ARM.replace("parent", "father"),
        "joint 'hand': unknown key 'father'",
    ),
    "joint without a name": (ARM.replace("name: hand", "hidden: false"), "joint: no 'name'"),
    "nameless rotation": (ARM.replace("axis: z, ", ""), "joint 'base': rotation: no 'axis'"),
    "pairs of lists": (ARM.replace("[[base, hand]]", "[[[1], [2]]]"), "left_right_pairs"),
    "axis a mapping": (ARM.replace("axis: z", "axis: {0: 0, 1: 0, 0.5: 0}"), "joint 'base'.* axis"),
}


@pytest.mark.parametrize("case", list(HOSTILE.values()), ids=list(HOSTILE))
def test_hostile_file(case, tmp_path):
    refused(tmp_path, *case)


def test_large_file_is_refused_before_it_is_parsed(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(100 * MAX_BYTES)
    tracemalloc.start()
    with pytest.raises(SkeletonError, match=re.escape(f"{path}: larger than {MAX_BYTES} bytes")):
        load_skeleton(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MAX_BYTES


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs a device without an end")
def test_endless_file_is_refused():
    with pytest.raises(SkeletonError, match="/dev/zero: larger than"):
        load_skeleton("/dev/zero")


def test_missing_file(tmp_path):
    with pytest.raises(SkeletonError, match=r"none\.yaml: cannot be read: No such file"):
        load_skeleton(tmp_path / "none.yaml")


def test_directory(tmp_path):
    with pytest.raises(SkeletonError, match=f"{re.escape(str(tmp_path))}: cannot be read"):
        load_skeleton(tmp_path)


def test_impossible_name():
    with pytest.raises(SkeletonError, match=r"'a\\x00b': cannot be read"):
        load_skeleton("a\0b")


def test_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "arm.yaml"
    save_skeleton(planar(3), path)
    with pytest.raises(AttributeError):
        save_skeleton(None, path)
    assert load_skeleton(path) == planar(3)
    assert os.listdir(tmp_path) == ["arm.yaml"]


@pytest.mark.parametrize("name", ["planar4", "nowhere.yaml", "a" * 300, "a\0b", ""])
def test_names_of_no_skeleton(name):
    with pytest.raises(SkeletonError, match="no skeleton .*: neither a file nor one of human36m, "):
        get_skeleton(name)
