"""What a data set says about itself: JSON and back, and no damage fails in another way."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.data import ImageFormat, RecordInfo, pose_layout
from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import planar
from tests.fuzz.mutations import places, with_value

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


@given(st.sampled_from([path for path in places(INFO) if path]), junk)
def test_damaged_info_never_fails_otherwise(path, value):
    try:
        RecordInfo.from_dict(with_value(INFO, path, value))
    except DkprError as error:
        assert str(error)


def test_info_round_trip():
    assert RecordInfo.from_dict(json.loads(json.dumps(INFO))).to_dict() == INFO
