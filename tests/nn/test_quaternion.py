"""Quaternion identities: the constant matrices against textbook formulas and Rodrigues."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as ScipyRotation

from gluon_dkpr.geometry import rotation_matrix
from gluon_dkpr.nn.quaternion import (
    LEFT,
    MERGE,
    RIGHT,
    ROTATE,
    SPREAD,
    SPREAD_Z,
    TURN_Z,
    from_axis_angle,
    from_z_axis,
    left_matrix,
    multiply,
    right_matrix,
    to_matrix,
)

# A few sums of products of float64 numbers around 1.
TOLERANCE = 1e-14
SEEDS = st.integers(0, 2**32 - 1)
ONE, UNIT_I, UNIT_J, UNIT_K = np.eye(4)


def random_quaternions(seed, count):
    return np.random.RandomState(seed).normal(size=(count, 4))


def unit(q):
    return q / np.linalg.norm(q)


def hamilton(a, b):
    """The product as scalar and vector parts: (aw bw - a.b, aw b + bw a + a x b)."""
    scalar = a[0] * b[0] - a[1:] @ b[1:]
    return np.array([scalar, *(a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:]))])


def test_units_multiply_as_hamilton_carved_them():
    for q in (UNIT_I, UNIT_J, UNIT_K):
        np.testing.assert_array_equal(multiply(q, q), -ONE)
        np.testing.assert_array_equal(multiply(ONE, q), q)
    np.testing.assert_array_equal(multiply(UNIT_I, UNIT_J), UNIT_K)
    np.testing.assert_array_equal(multiply(UNIT_J, UNIT_I), -UNIT_K)


@given(SEEDS)
def test_product(seed):
    a, b, c = random_quaternions(seed, 3)
    np.testing.assert_allclose(multiply(a, b), hamilton(a, b), atol=10 * TOLERANCE)
    np.testing.assert_allclose(left_matrix(a) @ b, hamilton(a, b), atol=10 * TOLERANCE)
    np.testing.assert_allclose(right_matrix(b) @ a, hamilton(a, b), atol=10 * TOLERANCE)
    norms = np.linalg.norm([a, b, multiply(a, b)], axis=1)
    assert norms[2] == pytest.approx(norms[0] * norms[1], rel=TOLERANCE * 10)
    left, right = multiply(multiply(a, b), c), multiply(a, multiply(b, c))
    np.testing.assert_allclose(left, right, atol=100 * TOLERANCE)


def test_product_needs_eight_multiplications():
    assert (LEFT.shape, RIGHT.shape, MERGE.shape) == ((8, 4), (8, 4), (4, 8))
    assert (SPREAD.shape, ROTATE.shape) == ((10, 4), (9, 10))


@given(SEEDS)
def test_matrix_is_that_of_scipy_and_of_rodrigues(seed):
    (q,) = random_quaternions(seed, 1)
    q = unit(q)
    expected = ScipyRotation.from_quat(q[[1, 2, 3, 0]]).as_matrix()
    np.testing.assert_allclose(to_matrix(q), expected, atol=TOLERANCE)
    np.testing.assert_allclose(to_matrix(-q), expected, atol=TOLERANCE)
    random = np.random.RandomState(seed)
    axis, angle = unit(random.normal(size=3)), random.uniform(-7, 7)
    np.testing.assert_allclose(
        to_matrix(from_axis_angle(axis, angle)),
        rotation_matrix(axis, np.array([angle]))[0],
        atol=TOLERANCE,
    )


@given(SEEDS)
def test_product_composes_rotations(seed):
    a, b = map(unit, random_quaternions(seed, 2))
    np.testing.assert_allclose(
        to_matrix(multiply(a, b)), to_matrix(a) @ to_matrix(b), atol=TOLERANCE
    )


def test_matrix_is_homogeneous():
    """Of degree 2: a quaternion that is not quite a unit stretches bones but bends none."""
    q = unit(np.array([0.3, -0.4, 0.5, 0.6]))
    np.testing.assert_allclose(to_matrix(1.5 * q), 2.25 * to_matrix(q), atol=TOLERANCE)


@given(SEEDS)
def test_z_axis_is_turned_as_by_the_matrix(seed):
    (q,) = random_quaternions(seed, 1)
    q = unit(q)
    turned = TURN_Z @ np.square(SPREAD_Z @ q)
    np.testing.assert_allclose(turned, to_matrix(q)[:, 2], atol=TOLERANCE)


@pytest.mark.parametrize("tilt", [0.0, 1e-12, 1e-6, 0.3, 1.7, 3.0, np.pi - 1e-6, np.pi])
@pytest.mark.parametrize("heading", [0.0, 1.0, 4.0])
def test_any_direction_is_reached_from_the_z_axis(tilt, heading):
    across = np.array([np.cos(heading), np.sin(heading), 0]) * np.sin(tilt)
    direction = across + [0, 0, np.cos(tilt)]
    q = from_z_axis(7.0 * direction)
    assert np.linalg.norm(q) == pytest.approx(1, abs=TOLERANCE)
    np.testing.assert_allclose(to_matrix(q)[:, 2], direction, atol=TOLERANCE)
