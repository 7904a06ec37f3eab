"""Joint errors against closed forms, SciPy and their invariances."""

import numpy as np
import pytest
import scipy.spatial
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gluon_dkpr.errors import DkprError
from gluon_dkpr.metrics import MetricError, auc, mpjpe, p_mpjpe, pck, root_relative

SEEDS = st.integers(0, 2**32 - 1)
# Two samples of two joints, off by (3, 4), 0, (6, 8) and 0.
TRUE = np.zeros((2, 2, 2))
PRED = np.array([[[3.0, 4.0], [0.0, 0.0]], [[6.0, 8.0], [0.0, 0.0]]])


def similarity(rng, points):
    """Move each pose (N, J, 3) by a random similarity transform of its own."""
    turned = np.stack([p @ Rotation.random(random_state=rng).as_matrix() for p in points])
    scale = rng.uniform(0.2, 5.0, size=(len(points), 1, 1))
    return scale * turned + rng.normal(scale=50, size=(len(points), 1, 3))


def poses(seed, noise=1.0):
    rng = np.random.default_rng(seed)
    true = rng.normal(size=(4, 6, 3))
    return rng, true, true + noise * rng.normal(size=true.shape)


class TestMpjpe:
    def test_is_the_mean_euclidean_distance(self):
        assert mpjpe(TRUE, PRED) == pytest.approx((5 + 0 + 10 + 0) / 4)
        assert isinstance(mpjpe(TRUE, PRED), float)

    def test_per_joint_and_per_sample(self):
        np.testing.assert_allclose(mpjpe(TRUE, PRED, per="joint"), [7.5, 0])
        np.testing.assert_allclose(mpjpe(TRUE, PRED, per="sample"), [2.5, 5])

    def test_every_visible_joint_counts_the_same(self):
        visible = np.array([[True, False], [True, True]])
        pred = PRED.copy()
        pred[0, 1] = np.nan
        assert mpjpe(TRUE, pred, visible) == pytest.approx((5 + 10 + 0) / 3)
        np.testing.assert_allclose(mpjpe(TRUE, pred, visible, per="sample"), [5, 5])
        np.testing.assert_allclose(mpjpe(TRUE, pred, visible, per="joint"), [7.5, 0])

    def test_a_joint_never_seen_has_no_error(self):
        visible = np.array([[True, False], [True, False]])
        np.testing.assert_array_equal(mpjpe(TRUE, PRED, visible, per="joint"), [7.5, np.nan])

    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS)
    def test_does_not_depend_on_the_frame_and_grows_with_the_unit(self, seed):
        rng, true, pred = poses(seed)
        rotation = Rotation.random(random_state=rng).as_matrix()
        shift = rng.normal(scale=100, size=3)
        expected = mpjpe(true, pred)
        assert mpjpe(true @ rotation + shift, pred @ rotation + shift) == pytest.approx(expected)
        assert mpjpe(1000 * true, 1000 * pred) == pytest.approx(1000 * expected)
        assert mpjpe(pred, true) == pytest.approx(expected)

    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS)
    def test_keeps_the_triangle_inequality(self, seed):
        rng, a, b = poses(seed)
        c = rng.normal(size=a.shape)
        assert mpjpe(a, c) <= mpjpe(a, b) + mpjpe(b, c) + 1e-12

    def test_single_precision_is_measured_in_double(self):
        pred = np.full((1, 1, 2), 2.0**-13, dtype=np.float32)
        assert mpjpe(np.zeros((1, 1, 2), np.float32), pred) == 2.0**-13 * np.sqrt(2.0)


class TestPMpjpe:
    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS)
    def test_does_not_depend_on_a_similarity_of_each_prediction(self, seed):
        rng, true, pred = poses(seed)
        expected = p_mpjpe(true, pred, per="sample")
        moved = similarity(rng, pred)
        np.testing.assert_allclose(p_mpjpe(true, moved, per="sample"), expected, rtol=1e-9)

    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS)
    def test_of_a_moved_copy_is_zero(self, seed):
        rng, true, _ = poses(seed)
        assert p_mpjpe(true, similarity(rng, true)) == pytest.approx(0, abs=1e-9)

    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS)
    def test_agrees_with_scipy_procrustes(self, seed):
        _, true, pred = poses(seed, noise=0.05)
        for t, p, error in zip(true, pred, p_mpjpe(true, pred, per="sample")):
            standard, moved, _ = scipy.spatial.procrustes(t, p)
            size = np.linalg.norm(t - t.mean(0))
            expected = size * np.linalg.norm(standard - moved, axis=-1).mean()
            assert error == pytest.approx(expected, rel=1e-9)

    def test_does_not_undo_a_mirror(self):
        _, true, _ = poses(0)
        assert p_mpjpe(true, true * (-1, 1, 1)) > 0.1

    def test_missing_joints_do_not_steer_the_alignment(self):
        rng, true, _ = poses(1)
        pred = similarity(rng, true)
        visible = np.ones((4, 6), dtype=bool)
        visible[:, 2] = False
        pred[:, 2] = np.nan
        assert p_mpjpe(true, pred, visible) == pytest.approx(0, abs=1e-9)

    def test_a_prediction_of_one_point_goes_to_the_centroid(self):
        _, true, _ = poses(2)
        expected = np.linalg.norm(true - true.mean(1, keepdims=True), axis=-1).mean()
        assert p_mpjpe(true, np.full_like(true, 7.7)) == pytest.approx(expected)


class TestPck:
    def test_counts_errors_below_the_threshold_in_percent(self):
        assert pck(TRUE, PRED, 7) == 75.0
        assert pck(TRUE, PRED, 5) == 50.0, "the threshold itself is not below"
        np.testing.assert_allclose(pck(TRUE, PRED, 7, per="joint"), [50, 100])
        np.testing.assert_allclose(pck(TRUE, PRED, 7, per="sample"), [100, 50])

    def test_leaves_missing_joints_out(self):
        visible = np.array([[True, False], [True, False]])
        assert pck(TRUE, PRED, 7, visible) == 50.0

    @settings(max_examples=25, deadline=None)
    @given(seed=SEEDS)
    def test_rises_with_the_threshold(self, seed):
        _, true, pred = poses(seed)
        curve = [pck(true, pred, t) for t in np.linspace(0, 5, 20)]
        assert curve == sorted(curve)
        assert curve[0] == 0.0

    @pytest.mark.parametrize("threshold", [-1.0, np.nan, np.inf])
    def test_refuses_a_bad_threshold(self, threshold):
        with pytest.raises(MetricError, match="threshold is"):
            pck(TRUE, PRED, threshold)


class TestAuc:
    def test_of_the_truth_misses_only_the_threshold_zero(self):
        assert auc(TRUE, TRUE) == pytest.approx(100 * 30 / 31)

    def test_is_the_mean_of_pck_over_5_mm_steps(self):
        pred = TRUE.copy()
        pred[..., 0] = 72.0
        # Below the thresholds 75, 80, ... 150.
        assert auc(TRUE, pred) == pytest.approx(100 * 16 / 31)

    def test_own_thresholds_and_per_joint(self):
        thresholds = np.array([1.0, 6.0, 11.0])
        np.testing.assert_allclose(auc(TRUE, PRED, thresholds, per="joint"), [50.0, 100.0])

    @settings(max_examples=15, deadline=None)
    @given(seed=SEEDS)
    def test_tends_to_the_area_that_the_mean_error_leaves(self, seed):
        """The integral of PCK over 0 to T is T minus the mean of the errors cut off at T."""
        _, true, pred = poses(seed)
        errors = np.linalg.norm(true - pred, axis=-1)
        expected = 100 * (1 - np.minimum(errors, 3.0).mean() / 3.0)
        assert auc(true, pred, np.linspace(0, 3.0, 5001)) == pytest.approx(expected, abs=0.05)

    def test_refuses_thresholds_that_are_no_list(self):
        with pytest.raises(MetricError, match=r"shape \(0,\)"):
            auc(TRUE, PRED, [])


class TestRootRelative:
    def test_puts_the_root_at_the_origin(self):
        moved = root_relative(PRED + 5, root=1)
        np.testing.assert_array_equal(moved[:, 1], 0)
        np.testing.assert_array_equal(moved[:, 0], PRED[:, 0])

    def test_refuses_a_root_that_is_not_there(self):
        with pytest.raises(MetricError, match="root is 2, expected 0 to 1"):
            root_relative(PRED, root=2)


def changed(index, value):
    joints = PRED.copy()
    joints[index] = value
    return joints


@pytest.mark.parametrize("metric", [mpjpe, p_mpjpe, auc, lambda t, p, **k: pck(t, p, 1.0, **k)])
@pytest.mark.parametrize(
    ("true", "pred", "keywords", "message"),
    [
        (TRUE, PRED[:1], {}, r"joints_pred has shape \(1, 2, 2\), expected \(2, 2, 2\)"),
        (TRUE[0], PRED[0], {}, r"shape \(2, 2\), expected \(N, J, 2\)"),
        (TRUE[..., :1], PRED[..., :1], {}, r"shape \(2, 2, 1\)"),
        (TRUE[:0], PRED[:0], {}, "nothing to measure"),
        (TRUE, changed((1, 0, 1), np.nan), {}, r"joints_pred\[1, 0\]"),
        (changed((0, 1, 0), np.inf), PRED, {}, r"joints_true\[0, 1\]"),
        (TRUE, PRED, {"visible": np.ones((2, 3), bool)}, r"visible is bool of shape \(2, 3\)"),
        (TRUE, PRED, {"visible": np.ones((2, 2))}, "visible is float64"),
        (TRUE, PRED, {"visible": np.zeros((2, 2), bool)}, "no joint"),
        (TRUE, PRED, {"per": "bone"}, "per is 'bone'"),
        (np.full((2, 2, 2), "a"), PRED, {}, "joints_true is no array of numbers"),
    ],
)
def test_wrong_input_is_named(metric, true, pred, keywords, message):
    with pytest.raises(MetricError, match=message) as caught:
        metric(true, pred, **keywords)
    assert isinstance(caught.value, DkprError)
    assert isinstance(caught.value, ValueError)
