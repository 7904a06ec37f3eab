"""Similarity alignment against known transforms, SciPy, and the definition of a minimum."""

import numpy as np
import pytest
import scipy.spatial
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import AlignmentError, align, procrustes

SEEDS = st.integers(0, 2**32 - 1)
DIMS = pytest.mark.parametrize("dim", [2, 3])


def random_rotations(rng, batch, dim):
    rotations = Rotation.from_rotvec(rng.normal(size=(batch, 3)) * (1, 1, 2)).as_matrix()
    if dim == 3:
        return rotations
    return Rotation.from_euler("z", rng.uniform(-np.pi, np.pi, batch)).as_matrix()[:, :2, :2]


def moved(points, rotation, scale, translation):
    return scale[:, None, None] * points @ rotation.transpose(0, 2, 1) + translation[:, None]


def squared_distance(a, b):
    return ((a - b) ** 2).sum((-1, -2))


@DIMS
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_gives_back_the_transform_that_made_the_target(dim, seed):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(4, 7, dim))
    rotation, scale = random_rotations(rng, 4, dim), rng.uniform(0.1, 10, 4)
    translation = rng.normal(scale=100, size=(4, dim))
    target = moved(source, rotation, scale, translation)
    found = procrustes(source, target)
    for value, expected in zip(found, (rotation, scale, translation)):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(align(source, target), target, atol=1e-11 * np.abs(target).max())


@DIMS
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_no_transform_nearby_or_elsewhere_is_better(dim, seed):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 1, 6, dim))
    weights = rng.uniform(0.1, 3, size=(1, 6))
    found = procrustes(source, target, weights)

    def cost(rotation, scale, translation):
        difference = moved(source, rotation, scale, translation) - target
        return (weights[..., None] * difference**2).sum()

    least = cost(*found)
    for size in (1e-3, 1e-1, 10.0):
        turn = Rotation.from_rotvec(rng.normal(scale=size, size=(1, 3)) * (dim == 3, dim == 3, 1))
        rotation = turn.as_matrix()[:, :dim, :dim] @ found[0]
        scale = np.abs(found[1] + rng.normal(scale=size, size=1))
        assert cost(rotation, scale, found[2] + rng.normal(scale=size, size=(1, dim))) > least


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_agrees_with_scipy_align_vectors(seed):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 1, 6, 3))
    weights = rng.uniform(0.1, 3, size=(1, 6))

    def centred(points):
        return (points - np.average(points, axis=1, weights=weights[0])[:, None])[0]

    expected, _ = Rotation.align_vectors(centred(target), centred(source), weights[0])
    rotation, _, _ = procrustes(source, target, weights)
    np.testing.assert_allclose(rotation[0], expected.as_matrix(), atol=1e-7)


@DIMS
@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_residual_agrees_with_scipy_procrustes(dim, seed):
    rng = np.random.default_rng(seed)
    source = rng.normal(size=(1, 6, dim))
    # Little noise, so that the best orthogonal matrix, which SciPy looks for, is a rotation.
    target = moved(source, random_rotations(rng, 1, dim), np.array([3.0]), np.ones((1, dim)))
    target += rng.normal(scale=0.02, size=target.shape)
    _, _, expected = scipy.spatial.procrustes(target[0], source[0])
    size = squared_distance(target, target.mean(1, keepdims=True))
    residual = squared_distance(align(source, target), target) / size
    np.testing.assert_allclose(residual, expected, rtol=1e-8, atol=1e-12)


@DIMS
def test_a_mirrored_pose_is_not_mirrored_back(dim):
    rng = np.random.default_rng(3)
    target = rng.normal(size=(50, 6, dim))
    source = target * np.r_[-1.0, np.ones(dim - 1)]
    rotation, scale, _ = procrustes(source, target)
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
    assert (scale >= 0).all()
    assert (squared_distance(align(source, target), target) > 1e-2).all()


@DIMS
def test_weight_zero_is_the_same_as_leaving_the_joint_out(dim):
    rng = np.random.default_rng(4)
    source, target = rng.normal(size=(2, 3, 6, dim))
    weights = np.ones((3, 6))
    weights[:, [1, 4]] = 0
    seen = [0, 2, 3, 5]
    expected = procrustes(source[:, seen], target[:, seen])
    source[:, 1], target[:, 4] = np.nan, np.inf
    for value, other in zip(procrustes(source, target, weights), expected):
        np.testing.assert_allclose(value, other, atol=1e-12)
    aligned = align(source, target, weights=weights)
    assert np.isnan(aligned[:, 1]).all()
    assert np.isfinite(np.delete(aligned, 1, axis=1)).all()


@DIMS
def test_weight_two_is_the_same_as_the_joint_twice(dim):
    source, target = np.random.default_rng(5).normal(size=(2, 3, 6, dim))
    weights = np.array([[1, 2, 1, 1, 2, 1]] * 3, dtype=float)
    twice = [0, 1, 1, 2, 3, 4, 4, 5]
    expected = procrustes(source[:, twice], target[:, twice])
    for value, other in zip(procrustes(source, target, weights), expected):
        np.testing.assert_allclose(value, other, atol=1e-12)


@DIMS
def test_without_scale_the_size_stays(dim):
    source, target = np.random.default_rng(6).normal(size=(2, 3, 6, dim))
    rigid = align(source, target, with_scale=False)
    np.testing.assert_allclose(
        np.linalg.norm(rigid[:, :1] - rigid, axis=-1),
        np.linalg.norm(source[:, :1] - source, axis=-1),
        atol=1e-12,
    )
    np.testing.assert_allclose(rigid.mean(1), target.mean(1), atol=1e-12)


def test_far_from_the_origin_no_digits_are_lost():
    rng = np.random.default_rng(7)
    source = rng.normal(size=(1, 6, 3))
    target = moved(source, random_rotations(rng, 1, 3), np.ones(1), np.full((1, 3), 1e6))
    # The target itself is rounded to about 1e-10.
    assert np.abs(align(source, target) - target).max() < 1e-9


class TestDegenerate:
    # So many that the mean of some is not exactly the point itself.
    POINTS = np.repeat(np.random.default_rng(7).normal(scale=3000, size=(200, 1, 3)), 7, axis=1)
    SPREAD = np.random.default_rng(8).normal(size=(200, 7, 3))

    def test_all_source_points_equal(self):
        rotation, scale, _ = procrustes(self.POINTS, self.SPREAD)
        np.testing.assert_array_equal(rotation, np.tile(np.eye(3), (200, 1, 1)))
        np.testing.assert_array_equal(scale, 1.0)
        centre = np.broadcast_to(self.SPREAD.mean(1, keepdims=True), self.SPREAD.shape)
        np.testing.assert_allclose(align(self.POINTS, self.SPREAD), centre, atol=1e-11)

    def test_all_target_points_equal(self):
        rotation, scale, translation = procrustes(self.SPREAD, self.POINTS)
        np.testing.assert_array_equal(rotation, np.tile(np.eye(3), (200, 1, 1)))
        np.testing.assert_array_equal(scale, 0.0)
        np.testing.assert_array_equal(translation, self.POINTS[:, 0])

    @DIMS
    def test_points_on_a_line_are_aligned(self, dim):
        along = np.linspace(-1, 2, 5)[:, None]
        rng = np.random.default_rng(9)
        first, second = rng.normal(size=(2, 40, 1, dim))
        source, target = along * first, along * second + 5
        rotation, _, _ = procrustes(source, target)
        identity = np.broadcast_to(np.eye(dim), rotation.shape)
        np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), identity, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
        np.testing.assert_allclose(align(source, target), target, atol=1e-10)

    def test_one_joint_is_moved(self):
        source, target = np.ones((2, 1, 2)), np.zeros((2, 1, 2))
        np.testing.assert_array_equal(align(source, target), target)

    def test_no_weight_gives_the_identity(self):
        nothing = np.full((1, 3, 2), np.nan)
        rotation, scale, translation = procrustes(nothing, nothing, np.zeros((1, 3)))
        np.testing.assert_array_equal(rotation[0], np.eye(2))
        assert scale == 1
        np.testing.assert_array_equal(translation, 0)

    def test_empty_batch(self):
        assert align(np.zeros((0, 5, 3)), np.zeros((0, 5, 3))).shape == (0, 5, 3)


@pytest.mark.parametrize(
    ("source", "target", "weights", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 2)), None, r"source has shape \(3, 2\)"),
        (np.zeros((1, 3, 4)), np.zeros((1, 3, 4)), None, "source has shape"),
        (np.zeros((1, 0, 2)), np.zeros((1, 0, 2)), None, "source has shape"),
        (np.zeros((1, 3, 2)), np.zeros((1, 4, 2)), None, r"target has shape \(1, 4, 2\)"),
        (np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), np.ones(3), "weights have shape"),
        (np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), -np.ones((1, 3)), "at least 0"),
        (np.zeros((1, 3, 2)), np.zeros((1, 3, 2)), np.full((1, 3), np.nan), "finite"),
        (np.zeros((1, 3, 2)), np.full((1, 3, 2), np.nan), None, r"target\[0, 0\] is \[nan nan\]"),
    ],
)
def test_wrong_input_is_named(source, target, weights, message):
    with pytest.raises(AlignmentError, match=message) as caught:
        procrustes(source, target, weights)
    assert isinstance(caught.value, DkprError)
    assert isinstance(caught.value, ValueError)
