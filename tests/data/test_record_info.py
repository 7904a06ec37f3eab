"""What a data set says about itself: JSON and back, and no damage fails in another way."""

import copy
import json

from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.data import ImageFormat, RecordInfo, pose_layout
from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import planar


def places(tree, path=()):
    """Yield the path of every node below the top of a JSON tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


SKELETON = planar(3)
INFO = RecordInfo(
    SKELETON,
    pose_layout(SKELETON),
    ImageFormat(8, 6, 3, "png"),
    {"train": (0, 12), "test": (12, 5)},
    1000,
    "0",
    {},
).to_dict()
junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([]), st.just({})
)


@given(st.sampled_from(list(places(INFO))), junk)
def test_damaged_info_never_fails_otherwise(path, value):
    tree = copy.deepcopy(INFO)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    try:
        RecordInfo.from_dict(tree)
    except DkprError as error:
        assert str(error)


def test_info_round_trip():
    assert RecordInfo.from_dict(json.loads(json.dumps(INFO))).to_dict() == INFO
