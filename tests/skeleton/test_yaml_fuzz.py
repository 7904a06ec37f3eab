"""Valid definitions with wrong values: refused by SkeletonError or still valid."""

import pytest
import yaml
from skeleton_files import ARM, same_to_the_bit

from gluon_dkpr.skeleton import (
    SkeletonError,
    skeleton_from_dict,
    skeleton_to_dict,
)
from tests.fuzz.mutations import places, with_value

WRONG_VALUES = [
    *(None, True, 0, -1, 2.5, 1e400, float("nan"), 10**400, 1 << 20_000, "", "x", " ", "1e3"),
    *([], [[]], [None], {}, {"a": {}}, [[[[]]]], ["x"] * 3, [0.0, 0.0, 0.0], {"name": "x"}),
]


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


@pytest.mark.parametrize("path", list(places(FULL)), ids=str)
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
