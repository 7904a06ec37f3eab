"""Exchanged left and right: closed forms, a brute-force count, and the bounds of the score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.metrics import MetricError, left_right_limbs, side_score, swap_rate
from gluon_dkpr.skeleton import Joint, Parameter, Skeleton, human36m, planar

BODY = human36m()
PLACE = {name: i for i, name in enumerate(BODY.joint_names)}
LEGS = (("left_hip", "right_hip"), ("left_knee", "right_knee"), ("left_ankle", "right_ankle"))
ARMS = tuple(tuple(f"{side}_{joint}" for side in ("left", "right"))
             for joint in ("shoulder", "elbow", "wrist"))  # fmt: skip


def people(count, seed=0):
    """Return joints of people (count, 17, 3), mm, the root at the origin."""
    motion = np.random.RandomState(seed).uniform(-0.7, 0.7, (count, BODY.num_parameters))
    motion[:, ~BODY.is_angle()] = 0
    return forward_kinematics(BODY, motion)


def exchanged(joints, pairs=BODY.left_right_pairs):
    joints = joints.copy()
    for left, right in pairs:
        joints[:, [PLACE[left], PLACE[right]]] = joints[:, [PLACE[right], PLACE[left]]]
    return joints


class TestSideScore:
    def test_of_the_truth_of_its_exchange_and_of_a_point(self):
        true = people(5)
        np.testing.assert_allclose(side_score(true, true, BODY), 1)
        np.testing.assert_allclose(side_score(true, exchanged(true), BODY), -1)
        np.testing.assert_allclose(side_score(true, 0 * true, BODY), 0, atol=1e-12)

    @pytest.mark.parametrize("degrees", [0, 30, 90, 130, 132, 180])
    def test_of_a_turned_body_is_cos_minus_sin_of_half_the_angle(self, degrees):
        true = forward_kinematics(BODY, np.zeros((1, 27)))
        flat = true * [1, 1, 0]  # every pair straight across the axis of the turn
        turned = flat @ Rotation.from_euler("y", degrees, degrees=True).as_matrix()
        half = np.radians(degrees) / 2
        # The limbs of a flat rest pose lie left and right at equal distances.
        expected = np.cos(half) - np.sin(half)
        np.testing.assert_allclose(side_score(flat, turned, BODY), expected, atol=1e-12)
        assert swap_rate(flat, turned, BODY) == (100.0 if degrees > 131 else 0.0)

    @settings(max_examples=30)
    @given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([1.0, 100.0, 1000.0]))
    def test_is_between_its_bounds_and_depends_on_no_frame_or_unit(self, seed, size):
        random = np.random.RandomState(seed)
        true = people(4, seed % 1000)
        pred = true + random.normal(scale=size, size=true.shape)
        score = side_score(true, pred, BODY)
        assert (np.abs(score) <= 1 + 1e-12).all()
        turn = Rotation.random(random_state=random).as_matrix()
        moved = side_score(0.001 * true @ turn + 7, 0.001 * pred @ turn + 7, BODY)
        np.testing.assert_allclose(moved, score, atol=1e-9)
        np.testing.assert_allclose(
            side_score(true, exchanged(pred), BODY), -score, atol=1e-9
        )  # the exchange of an exchange

    def test_agrees_with_its_definition_in_plain_loops(self):
        random = np.random.RandomState(3)
        true = people(6)
        pred = true + random.normal(scale=200, size=true.shape)
        pred[::2] = exchanged(pred[::2])
        for sample, score in enumerate(side_score(true, pred, BODY)):
            error = other = apart = 0.0
            for left, right in BODY.left_right_pairs:
                t, p = ([array[sample, PLACE[name]] for name in (left, right)]
                        for array in (true, pred))  # fmt: skip
                error += np.linalg.norm(p[0] - t[0]) + np.linalg.norm(p[1] - t[1])
                other += np.linalg.norm(p[1] - t[0]) + np.linalg.norm(p[0] - t[1])
                apart += 2 * np.linalg.norm(t[0] - t[1])
            assert score == pytest.approx((other - error) / apart)

    def test_sides_in_one_place_say_nothing(self):
        true = np.zeros((1, 17, 3))
        np.testing.assert_array_equal(side_score(true, people(1), BODY), [0])


class TestSwapRate:
    def test_counts_the_samples(self):
        random = np.random.RandomState(0)
        true = people(40)
        pred = true + random.normal(scale=30, size=true.shape)
        pred[:7] = exchanged(pred[:7])
        assert swap_rate(true, pred, BODY) == pytest.approx(100 * 7 / 40)
        expected = np.where(np.arange(40) < 7, 100, 0)
        np.testing.assert_array_equal(swap_rate(true, pred, BODY, per="sample"), expected)

    def test_a_limb_alone_is_found_by_limb(self):
        true = people(10)
        pred = true.copy()
        pred[:3] = exchanged(true[:3], ARMS)
        np.testing.assert_allclose(swap_rate(true, pred, BODY, per="limb"), [0, 30])
        assert swap_rate(true, pred, BODY) == 0, "an arm pair is not most of a body"

    def test_large_errors_alone_are_no_swaps(self):
        true = people(50)
        far = true + np.random.RandomState(1).normal(scale=5000, size=true.shape)
        assert swap_rate(true, far, BODY) < 5

    def test_works_in_the_plane(self):
        toy = planar(3)
        joints = forward_kinematics(toy, np.array([[60.0, 60.0, 0.5]]))
        assert swap_rate(joints, joints[:, [0, 2, 1]], toy) == 100
        assert swap_rate(joints, joints, toy) == 0

    def test_mistakes(self):
        true = people(2)
        with pytest.raises(MetricError, match=r"expected None or one of \['limb', 'sample'\]"):
            swap_rate(true, true, BODY, per="joint")
        with pytest.raises(MetricError, match=r"shape \(2, 16, 3\), expected \(N, 17, D\)"):
            swap_rate(true[:, :16], true[:, :16], BODY)
        alone = Skeleton("alone", 3, (Parameter("a"),), (Joint("root"),))
        with pytest.raises(MetricError, match="'alone' has no left and right joints"):
            swap_rate(np.zeros((1, 1, 3)), np.zeros((1, 1, 3)), alone)


def test_limbs_are_pairs_that_hang_together():
    assert left_right_limbs(BODY) == (LEGS, ARMS)
    assert left_right_limbs(planar(3)) == (planar(3).left_right_pairs,)
