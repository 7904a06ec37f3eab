"""Labels: named fields to one vector and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gluon_dkpr.data import LabelField, LabelLayout, RecordError, pose_layout
from gluon_dkpr.skeleton import planar

shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4)
layouts = st.dictionaries(st.text(min_size=1, max_size=5), shapes, min_size=1, max_size=4).map(
    lambda shape_of: LabelLayout(tuple(LabelField(n, s, "px") for n, s in shape_of.items()))
)


@given(layouts, st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_unpack_inverts_pack(layout, count, seed):
    rng = np.random.default_rng(seed)
    samples = [
        {f.name: rng.normal(size=f.shape).astype(np.float32) for f in layout.fields}
        for _ in range(count)
    ]
    matrix = np.array([layout.pack(s) for s in samples], np.float32).reshape(count, layout.length)
    unpacked = layout.unpack(matrix)
    assert tuple(unpacked) == layout.names
    for field in layout.fields:
        assert unpacked[field.name].shape == (count, *field.shape)
        assert unpacked[field.name].dtype == np.float32
        for found, sample in zip(unpacked[field.name], samples):
            np.testing.assert_array_equal(found, sample[field.name])


def test_pose_layout_follows_the_skeleton():
    layout = pose_layout(planar(6))
    assert [(f.name, f.shape, f.unit) for f in layout.fields] == [
        ("joints", (5, 2), "px"),
        ("motion", (6,), "mixed"),
    ]
    assert layout.length == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"motion": None}, "label fields are"),
        ({"extra": np.zeros(1)}, "label fields are"),
        ({"joints": np.zeros((2, 3))}, r"'joints' has shape \(2, 3\), expected \(3, 2\)"),
        ({"motion": [0, np.nan, 0]}, "not finite"),
        ({"motion": [0, 1e39, 0]}, "not finite in float32"),
    ],
)
def test_pack_says_what_is_wrong(change, message):
    values = {"joints": np.zeros((3, 2)), "motion": np.zeros(3), **change}
    values = {name: value for name, value in values.items() if value is not None}
    with pytest.raises(RecordError, match=message):
        pose_layout(planar(3)).pack(values)


@pytest.mark.parametrize("shape", [(9,), (2, 8), (1, 2, 9)])
def test_unpack_refuses_another_shape(shape):
    with pytest.raises(RecordError, match=r"expected \(N, 9\)"):
        pose_layout(planar(3)).unpack(np.zeros(shape))


@pytest.mark.parametrize(
    "make",
    [
        lambda: LabelField("", (1,), "px"),
        lambda: LabelField("a", (1,), None),
        lambda: LabelField("a", (0,), "px"),
        lambda: LabelField("a", (1.0,), "px"),
        lambda: LabelLayout(()),
        lambda: LabelLayout((LabelField("a", (), "px"), LabelField("a", (), "mm"))),
    ],
)
def test_bad_layout_is_refused(make):
    with pytest.raises(RecordError):
        make()


def test_layout_must_fit_the_skeleton():
    with pytest.raises(RecordError, match="'joints' has shape"):
        pose_layout(planar(6)).check_skeleton(planar(3))
    with pytest.raises(RecordError, match="expected 'joints' among them"):
        LabelLayout((LabelField("box", (4,), "px"),)).check_skeleton(planar(3))
    only_joints = LabelLayout((LabelField("joints", (3, 2), "px"),))
    only_joints.check_skeleton(planar(3))
