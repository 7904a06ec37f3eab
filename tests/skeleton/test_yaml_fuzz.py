"""Valid definitions with wrong values and broken text: refused by SkeletonError or still valid."""

import copy
import os
import random

import pytest
import yaml
from skeleton_files import ARM, same_to_the_bit

from gluon_dkpr.skeleton import (
    SkeletonError,
    load_skeleton,
    skeleton_from_dict,
    skeleton_to_dict,
)

WRONG_VALUES = [
    *(None, True, 0, -1, 2.5, 1e400, float("nan"), 10**400, 1 << 20_000, "", "x", " ", "1e3"),
    *([], [[]], [None], {}, {"a": {}}, [[[[]]]], ["x"] * 3, [0.0, 0.0, 0.0], {"name": "x"}),
]


def paths_in(tree, path=()):
    """Yield the path of every node of a tree of dictionaries and lists."""
    yield path
    if isinstance(tree, (dict, list)):
        for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from paths_in(item, (*path, key))


def with_value(tree, path, value):
    if not path:
        return value
    tree = copy.deepcopy(tree)
    place = tree
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return tree


FULL = {
    **yaml.safe_load(ARM),
    "length_unit": "px",
    "parameters": [
        {"name": "x", "unit": "length"},
        {"name": "y", "unit": "length"},
        {"name": "bend", "unit": "radian", "lower": -1.0, "upper": 1.5},
    ],
    "joints": [
        {
            "name": "base",
            "offset": [0.0, 0.0],
            "rotations": [{"axis": [0, 0, 1], "parameter": "bend", "coefficient": 2, "rest": 0.1}],
            "hidden": False,
        },
        {"name": "hand", "parent": "base", "offset": [1.0, 0.0]},
    ],
    "position": ["x", "y"],
}


@pytest.mark.parametrize("path", list(paths_in(FULL)), ids=str)
def test_wrong_type_anywhere(path):
    """Every value of a full definition replaced by each wrong one: refused, or still valid."""
    assert skeleton_from_dict(FULL).num_joints == 2
    accepted = 0
    for value in WRONG_VALUES:
        try:
            skeleton = skeleton_from_dict(with_value(FULL, path, value))
        except SkeletonError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 400
        else:
            accepted += 1
            assert same_to_the_bit(skeleton_from_dict(skeleton_to_dict(skeleton)), skeleton)
    assert accepted < len(WRONG_VALUES) / 2


def mutated(content, randomness):
    """Return bytes with a few random edits: flips, cuts, repeats, swaps of pieces of YAML."""
    pieces = [
        b"[",
        b"]",
        b"{",
        b"}",
        b": ",
        b"- ",
        b"&a ",
        b"*a",
        b"!!",
        b"<<: ",
        b"\n",
        b"  ",
        b"'",
    ]
    pieces += [b"~", b".nan", b"1:60", b"0x", b"\xff", b"\x00", b"%", b"|", b"? ", b"---\n", b"#"]
    for _ in range(randomness.randint(1, 4)):
        start = randomness.randrange(len(content) + 1)
        end = min(len(content), start + randomness.choice([0, 1, 1, 5, 40]))
        middle = randomness.choice([b"", randomness.choice(pieces), content[start:end] * 2])
        content = content[:start] + middle + content[end:]
    return content


def test_mutated_documents_raise_nothing_else(tmp_path):
    """A fuzzer of fixed seed; DKPR_FUZZ makes it as long as one wants."""
    randomness = random.Random(0)
    path = tmp_path / "mutated.yaml"
    refusals = 0
    count = int(os.environ.get("DKPR_FUZZ", "600"))
    for _ in range(count):
        path.write_bytes(mutated(ARM.encode(), randomness))
        try:
            load_skeleton(path)
        except SkeletonError as error:
            refusals += 1
            assert str(error).startswith(f"{path}: ")
    assert count / 3 < refusals < count
