"""Bones of other lengths, and the paper's average subject."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import (
    Joint,
    Parameter,
    Rotation,
    Skeleton,
    SkeletonError,
    estimate_bone_lengths,
    hand,
    human36m,
    planar,
    reach,
    subject_scales,
)
from tests.strategies import random_motion

BUILT_IN = (human36m(), hand(), planar(10))


def posed(skeleton, count=20, seed=0):
    return forward_kinematics(skeleton, random_motion(skeleton, count, seed, 1.0))


@pytest.mark.parametrize("skeleton", BUILT_IN, ids=lambda s: s.name)
@given(seed=st.integers(0, 1000))
def test_bones_get_the_lengths_and_keep_the_directions(skeleton, seed):
    lengths = skeleton.bone_lengths * np.random.RandomState(seed).uniform(
        0.5, 2, len(skeleton.bones)
    )
    changed = skeleton.with_bone_lengths(lengths)
    np.testing.assert_allclose(changed.bone_lengths, lengths)
    zero = np.zeros((1, skeleton.num_parameters))
    before, after = (forward_kinematics(s, zero)[0] for s in (skeleton, changed))
    for (parent, child), old, new in zip(skeleton.bone_indices, skeleton.bone_lengths, lengths):
        bone, changed_bone = before[child] - before[parent], after[child] - after[parent]
        np.testing.assert_allclose(changed_bone, bone * new / old, atol=1e-9)
    assert changed.parameters == skeleton.parameters
    assert changed.bones == skeleton.bones


def test_same_lengths_change_nothing():
    human = human36m()
    same = human.with_bone_lengths(human.bone_lengths)
    np.testing.assert_allclose([j.offset for j in same.joints], [j.offset for j in human.joints])
    assert human.with_bone_lengths({}) == human


def test_lengths_by_name():
    human = human36m()
    changed = human.with_bone_lengths({"left_knee": 400, "nose": 130.0})
    expected = dict(zip((child for _, child in human.bones), human.bone_lengths))
    expected.update(left_knee=400, nose=130)
    np.testing.assert_allclose(changed.bone_lengths, list(expected.values()))
    assert changed.joint("skull").offset == (0.0, 0.0, 0.0)


def bent(*children):
    """A hidden elbow between the root and each child."""
    joints = [Joint("root"), Joint("elbow", "root", (0.0, 3.0), (Rotation("z", "a"),), hidden=True)]
    joints += [Joint(name, "elbow", (x, 0.0)) for name, x in children]
    return Skeleton("bent", 2, (Parameter("a"),), tuple(joints))


def test_hidden_offset_is_stretched_with_its_bone():
    changed = bent(("tip", 4.0)).with_bone_lengths([10.0])
    assert changed.joint("elbow").offset == (0.0, 6.0)
    assert changed.joint("tip").offset == (8.0, 0.0)


def test_shared_hidden_offset():
    fork = bent(("a", 4.0), ("b", -4.0))
    np.testing.assert_allclose(fork.with_bone_lengths([10, 10]).bone_lengths, 10)
    with pytest.raises(SkeletonError, match="hidden joint 'elbow': .* by 2 and by 3, expected the"):
        fork.with_bone_lengths([10, 15])


@pytest.mark.parametrize(
    "lengths, message",
    [
        (np.ones(3), "3 bone lengths, expected 16"),
        (np.ones((16, 2)), r"length of the bone to 'right_hip' is array"),
        (np.zeros(16), "bone to 'right_hip' is 0.0, expected above 0"),
        ({"nose": -1}, "bone to 'nose' is -1.0, expected above 0"),
        ({"nose": np.nan}, "bone to 'nose' is nan, expected a finite number"),
        ({"skull": 10}, "no bone ends at 'skull'"),
        ({"pelvis": 10}, "no bone ends at 'pelvis'"),
        (5, "bone lengths is 5, expected a list"),
        (np.array(3.0), r"bone lengths is array\(3.\), expected a list"),
    ],
)
def test_bad_lengths(lengths, message):
    with pytest.raises(SkeletonError, match=message):
        human36m().with_bone_lengths(lengths)


def test_bone_without_length_has_no_direction():
    joints = (Joint("a"), Joint("b", "a", (0.0, 0.0)))
    still = Skeleton(
        "still", 2, (Parameter("x", "length"), Parameter("y", "length")), joints, ("x", "y")
    )
    assert still.with_bone_lengths([0.0]) == still
    with pytest.raises(SkeletonError, match="is 1.0, expected 0, as it has no direction"):
        still.with_bone_lengths([1.0])


@pytest.mark.parametrize("skeleton", BUILT_IN, ids=lambda s: s.name)
def test_estimate_finds_the_lengths(skeleton):
    joints = posed(skeleton)
    np.testing.assert_allclose(estimate_bone_lengths(skeleton, joints), skeleton.bone_lengths)


def test_estimate_is_robust():
    """Missing joints are passed over; a third of the frames wrong by half a metre do no harm."""
    human = human36m()
    joints = posed(human, 300) + np.random.RandomState(1).normal(0, 3, (300, 17, 3))
    joints[::3, 5] += 500
    joints[:200, 9] = np.nan
    np.testing.assert_allclose(estimate_bone_lengths(human, joints), human.bone_lengths, atol=6)


def test_estimate_of_bad_joints():
    human = human36m()
    joints = posed(human)
    with pytest.raises(SkeletonError, match=r"shape \(20, 16, 3\), expected \(F, 17, 3\)"):
        estimate_bone_lengths(human, joints[:, 1:])
    with pytest.raises(SkeletonError, match="none of 0 frames shows it"):
        estimate_bone_lengths(human, joints[:0])
    missing = joints.copy()
    missing[:, 9] = np.nan
    with pytest.raises(SkeletonError, match="bone 'neck' to 'nose': none of 20 frames shows it"):
        estimate_bone_lengths(human, missing)
    joints[3, 4, 0] = np.inf
    with pytest.raises(SkeletonError, match=r"joints\[3, 4\] is infinite"):
        estimate_bone_lengths(human, joints)


def test_subject_scales():
    """Section 4.2: summed bone length divided by the mean summed bone length, mean lengths."""
    human = human36m()
    sizes = {"S1": 0.9, "S5": 1.0, "S6": 1.25}
    subjects = {
        name: posed(human.scaled(size), 5 + 5 * i) for i, (name, size) in enumerate(sizes.items())
    }
    lengths, scales = subject_scales(human, subjects)
    np.testing.assert_allclose(lengths, human.bone_lengths * 1.05)
    assert list(scales) == list(sizes)
    np.testing.assert_allclose(list(scales.values()), np.array(list(sizes.values())) / 1.05)
    assert np.mean(list(scales.values())) == pytest.approx(1)


def test_subject_scales_of_bad_joints():
    human = human36m()
    with pytest.raises(SkeletonError, match="no subject"):
        subject_scales(human, {})
    with pytest.raises(SkeletonError, match="subject 'S9': joints have shape"):
        subject_scales(human, {"S1": posed(human), "S9": np.zeros((4, 3))})
    with pytest.raises(SkeletonError, match="have no length"):
        subject_scales(human, {"S1": np.zeros((4, 17, 3))})


def test_reach_is_the_longest_way_along_the_bones():
    human = human36m()
    length = dict(zip(human.bones, human.bone_lengths))
    way = ["pelvis", "torso", "neck", "left_shoulder", "left_elbow", "left_wrist"]
    assert reach(human) == pytest.approx(sum(length[bone] for bone in zip(way, way[1:])))
    assert reach(human.scaled(2.0)) == pytest.approx(2 * reach(human))
    joint = Joint("only", None, (), (Rotation("z", "turn"),))
    point = Skeleton("point", 2, (Parameter("turn"),), (joint,))
    assert reach(point) == 1.0
