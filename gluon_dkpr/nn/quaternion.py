"""Unit quaternions (w, x, y, z) as constant matrices, so that a graph needs only linear maps.

A product of two quaternions is bilinear of rank 8: ``a * b = MERGE @ ((LEFT @ a) * (RIGHT @ b))``
with one elementwise product of 8 numbers. It is the product of the group algebra of Z2 x Z2, whose
signs are all +1 and which a Hadamard transform turns into 4 products, with 4 signs mended:
``c0 = 2 a0 b0 - d0``, ``c1 = d1 - 2 a3 b2``, ``c2 = d2 - 2 a1 b3``, ``c3 = d3 - 2 a2 b1``.
(The rank is that of Howell and Lafon, "The complexity of the quaternion product", 1975.)

A rotation matrix is quadratic in the quaternion and every quadratic form of 4 numbers is a sum of
10 squares: ``vec(R) = ROTATE @ square(SPREAD @ q)``.
"""

from __future__ import annotations

import itertools

import numpy as np

from gluon_dkpr.types import Array

_HADAMARD = np.array([[(-1) ** bin(i & j).count("1") for j in range(4)] for i in range(4)], float)
_UNIT = np.eye(4)

# (8, 4), (8, 4) and (4, 8): the product as explained above.
LEFT = np.vstack([_HADAMARD, _UNIT[[0, 3, 1, 2]]])
RIGHT = np.vstack([_HADAMARD, _UNIT[[0, 2, 3, 1]]])
MERGE = np.hstack([np.diag([-1.0, 1, 1, 1]) @ _HADAMARD / 4, np.diag([2.0, -2, -2, -2])])

_PAIRS = list(itertools.combinations(range(4), 2))
# (10, 4): the four numbers and the sums of two of them, to be squared.
SPREAD = np.vstack([_UNIT, [_UNIT[i] + _UNIT[j] for i, j in _PAIRS]])


def multiply(a: Array, b: Array) -> Array:
    """Return the product of two quaternions, each of shape (4,) as (w, x, y, z)."""
    return MERGE @ ((LEFT @ a) * (RIGHT @ b))


def left_matrix(a: Array) -> Array:
    """Return the (4, 4) matrix of ``b -> a * b``."""
    return np.stack([multiply(a, e) for e in _UNIT], axis=1)


def right_matrix(b: Array) -> Array:
    """Return the (4, 4) matrix of ``a -> a * b``."""
    return np.stack([multiply(e, b) for e in _UNIT], axis=1)


def from_axis_angle(axis, angle: float) -> Array:
    """Return the quaternion (4,) of a rotation by ``angle`` radians about a unit axis."""
    return np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * np.asarray(axis, float)])


def from_z_axis(vector) -> Array:
    """Return a quaternion (4,) of a rotation that takes the z axis to the direction of a vector."""
    x, y, z = np.asarray(vector, float) / np.linalg.norm(vector)
    if z < -0.5:  # near -z the formula divides by little; half a turn about x leads to +z
        return multiply(from_z_axis((x, y, -z)) * [1, -1, -1, 1], _UNIT[1])
    return np.array([1 + z, -y, x, 0]) / np.sqrt(2 * (1 + z))


def to_matrix(q: Array) -> Array:
    """Return the rotation matrix (3, 3) of a unit quaternion (4,)."""
    return (ROTATE @ np.square(SPREAD @ q)).reshape(3, 3)


def _quadratic_forms() -> Array:
    """Return ROTATE, (9, 10): the row-major rotation matrix from the squares of SPREAD @ q.

    The homogeneous form (w2 + x2 - y2 - z2 on the diagonal) is linear in squares and products.
    """
    w, x, y, z = range(4)
    signs = {0: (1, 1, -1, -1), 4: (1, -1, 1, -1), 8: (1, -1, -1, 1)}
    products = {
        1: ((x, y, 1), (w, z, -1)),
        2: ((x, z, 1), (w, y, 1)),
        3: ((x, y, 1), (w, z, 1)),
        5: ((y, z, 1), (w, x, -1)),
        6: ((x, z, 1), (w, y, -1)),
        7: ((y, z, 1), (w, x, 1)),
    }
    forms = np.zeros((9, 10))
    for entry, sign in signs.items():
        forms[entry, :4] = sign
    for entry, terms in products.items():
        for i, j, sign in terms:
            # 2 qi qj = (qi + qj)^2 - qi^2 - qj^2
            forms[entry, 4 + _PAIRS.index((min(i, j), max(i, j)))] += sign
            forms[entry, [i, j]] -= sign
    return forms


ROTATE = _quadratic_forms()
# The same for the rotated z axis alone: ``R @ (0, 0, 1) = TURN_Z @ square(SPREAD_Z @ q)``.
TURN_Z = ROTATE[2::3]
SPREAD_Z, TURN_Z = SPREAD[TURN_Z.any(axis=0)], TURN_Z[:, TURN_Z.any(axis=0)]
