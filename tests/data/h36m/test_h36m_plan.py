"""Which frames are chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.data.h36m.layouts import find_clips
from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.data.h36m.plan import Selection, choose_frames, make_plan
from gluon_dkpr.skeleton import human36m
from tests.data.h36m.raw_tree import SCALES, RawTree, in_file_order, walk, write_cdf

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=8)


class TestChoice:
    @given(COUNTS, st.integers(1, 400), st.integers(0, 5))
    def test_so_many_and_none_twice(self, counts, frames, seed):
        chosen = choose_frames(counts, frames, seed)
        assert len(chosen) == len(counts)
        assert sum(map(len, chosen)) == min(frames, sum(counts))
        for numbers, count in zip(chosen, counts):
            assert (np.diff(numbers) > 0).all()
            assert not len(numbers) or (numbers[0] >= 0 and numbers[-1] < count)

    @given(COUNTS)
    def test_all(self, counts):
        for numbers, count in zip(choose_frames(counts, None, 0), counts):
            np.testing.assert_array_equal(numbers, np.arange(count))

    def test_is_the_same_on_every_machine(self):
        """Written down once: a data set can be described by its arguments."""
        found = [numbers.tolist() for numbers in choose_frames([9, 0, 7, 8], 8, 3)]
        assert found == [[1, 2], [], [3, 5, 6], [0, 1, 6]]

    def test_more_frames_hold_those_of_less(self):
        few, many = (choose_frames([50, 60, 70], frames, 7) for frames in (20, 90))
        for some, all_of in zip(few, many):
            assert set(some) <= set(all_of)

    def test_every_frame_has_the_same_chance(self):
        counts, frames, draws = [30, 5, 65], 25, 400
        seen = [np.zeros(count) for count in counts]
        for seed in range(draws):
            for total, numbers in zip(seen, choose_frames(counts, frames, seed)):
                total[numbers] += 1
        share = np.concatenate(seen) / draws
        # Five standard deviations of a proportion.
        assert np.abs(share - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / draws)


@pytest.mark.parametrize(
    "values", [{"frames": 0}, {"every": 0}, {"every_test": -1}, {"seed": -1}, {"seed": 1 << 32}]
)
def test_numbers_out_of_range(values):
    ((name, value),) = values.items()
    with pytest.raises(H36mError, match=f"{name} is {value}, expected"):
        Selection(**values)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = RawTree(tmp_path_factory.mktemp("raw"))
    for subject, name, frames in (
        ("S1", "Eating 2.54138969", 25),
        ("S1", "Eating.55011271", 14),
        ("S7", "Walking 1.60457274", 31),
        ("S9", "Walking 1.54138969", 12),
    ):
        joints = walk(subject, frames)
        write_cdf(tree.path("joints_mm", subject, name), in_file_order(joints))
        for kind in ("joints_px", "video"):
            path = tree.path(kind, subject, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tree


def plan_of(tree, **selection):
    return make_plan(find_clips(tree.root), Selection(**selection))


def wanted(plan):
    return {p.clip.name: p.wanted.tolist() for clips in plan.clips.values() for p in clips}


def test_splits_and_strides(tree):
    plan = plan_of(tree, every=4, every_test=5)
    assert wanted(plan) == {
        "S1.Eating.1.54138969": list(range(0, 25, 4)),
        "S1.Eating.2.55011271": list(range(0, 14, 4)),
        "S7.Walking.1.60457274": list(range(0, 31, 4)),
        "S9.Walking.1.54138969": [0, 5, 10],
    }
    assert [[p.clip.subject for p in clips] for clips in plan.clips.values()] == [
        ["S1", "S1", "S7"],
        ["S9"],
    ]
    assert not plan.problems


def test_drawing_concerns_training_only(tree):
    plan = plan_of(tree, every=3, frames=6, seed=1)
    chosen = wanted(plan)
    assert chosen.pop("S9.Walking.1.54138969") == list(range(12))
    assert sum(map(len, chosen.values())) == 6
    assert all(number % 3 == 0 for numbers in chosen.values() for number in numbers)
    assert wanted(plan_of(tree, every=3, frames=6, seed=1)) == wanted(plan)
    assert wanted(plan_of(tree, every=3, frames=6, seed=2)) != wanted(plan)


def test_more_than_there_is(tree):
    plan = plan_of(tree, frames=1000)
    assert len(wanted(plan)["S7.Walking.1.60457274"]) == 31
    ((kind, where, message),) = plan.problems
    assert (kind, where) == ("too few frames", "train")
    assert message == "1000 frames asked for, 70 there: all are taken"


def test_mean_subject(tree):
    plan = plan_of(tree)
    mean = (SCALES["S1"] + SCALES["S7"] + SCALES["S9"]) / 3
    expected = human36m().bone_lengths * mean
    np.testing.assert_allclose(plan.skeleton.bone_lengths, expected, rtol=1e-6)
    for subject, scale in plan.scales.items():
        assert scale == pytest.approx(SCALES[subject] / mean, rel=1e-6)
    # The frames that are asked for do not matter.
    other = plan_of(tree, every=7, frames=3, seed=5)
    assert (other.scales, other.skeleton) == (plan.scales, plan.skeleton)


def test_poses_that_cannot_be_read(tree):
    path = tree.path("joints_mm", "S1", "Eating.55011271")
    good = path.read_bytes()
    try:
        path.write_bytes(good[:400])
        plan = plan_of(tree)
    finally:
        path.write_bytes(good)
    assert "S1.Eating.2.55011271" not in wanted(plan)
    assert len(wanted(plan)) == 3
    ((kind, where, message),) = plan.problems
    assert (kind, where) == ("unreadable poses", path.relative_to(tree.root).as_posix())
    assert "not converted" in message


def test_nothing_to_convert(tmp_path):
    folder = tmp_path / "S1" / "Videos"
    folder.mkdir(parents=True)
    with pytest.raises(H36mError, match=r"no video that has 3-D and 2-D joints; first of 9 prob"):
        make_plan(find_clips(tmp_path), Selection())
