"""From a network's last outputs to motion, by constants alone."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.nn.linear import linear
from gluon_dkpr.types import Tensor

# Points nearer to the origin than this have the gradient of one at this distance.
SMALLEST_RADIUS = 1e-6
# How far from the origin a point of a turning angle begins, if all directions are equally common.
LEAST_MEAN_RADIUS = 0.3


class AffineMotion(mx.gluon.HybridBlock):
    """``mean + z @ matrix`` with constant mean (P,) and symmetric matrix (P, P)."""

    def __init__(self, mean, matrix, **kwargs):
        super().__init__(**kwargs)
        self._count = len(mean)
        with self.name_scope():
            self.mean = self.params.get_constant("mean", np.asarray(mean, np.float32))
            self.matrix = self.params.get_constant("matrix", np.asarray(matrix, np.float32))

    def hybrid_forward(self, F, z: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
        """Return (B, P)."""
        return linear(F, z, matrix, self._count, mean)


class TurningMotion(mx.gluon.HybridBlock):
    """Motion (B, P) from z (B, P + K), K of its angles as directions of points in the plane.

    Args:
        mean, matrix: as of :class:`AffineMotion`, (P,) and (P, P).
        turning: which angles are directions, (P,) with K true.
        direction: (K, 2), mean cosine and sine of them over the training poses, or ``None``.
        middle: (P,), radians; angles are found within half a turn of it.
    """

    def __init__(self, mean, matrix, turning, direction, middle, **kwargs):
        super().__init__(**kwargs)
        count, turns = len(mean), np.flatnonzero(turning)
        keep = np.diag(~turning).astype(float)
        # Columns: the other parameters as they are, then the points' x, then their y.
        points = np.zeros((2, count + len(turns), len(turns)))
        points[0, turns, np.arange(len(turns))] = 1.0
        points[1, count + np.arange(len(turns)), np.arange(len(turns))] = 1.0
        shape = np.concatenate([keep @ matrix @ keep, np.zeros((len(turns), count))])
        middle = np.where(turning, middle, 0.0)
        begin = _away_from_zero(_turned_back(direction, middle[turns]), len(turns))
        self._count, self._turns = count, len(turns)
        with self.name_scope():
            constants = {
                "mean": np.concatenate([mean * ~turning + middle, begin[:, 0], begin[:, 1]]),
                "matrix": np.concatenate([shape, *points], axis=1).T,
                "places": np.eye(count)[:, turns],
            }
            for name, value in constants.items():
                setattr(self, name, self.params.get_constant(name, value.astype(np.float32)))

    def hybrid_forward(self, F, z: Tensor, mean: Tensor, matrix: Tensor, places: Tensor) -> Tensor:
        """Return (B, P)."""
        both = linear(F, z, matrix, self._count + 2 * self._turns, mean)
        begin, middle = self._count, self._count + self._turns
        shape = F.slice_axis(both, axis=1, begin=0, end=begin)
        x = F.slice_axis(both, axis=1, begin=begin, end=middle)
        y = F.slice_axis(both, axis=1, begin=middle, end=None)
        return shape + linear(F, direction_angle(F, x, y), places, self._count)


def direction_angle(F, x: Tensor, y: Tensor) -> Tensor:
    """Return the angle of points (x, y), -pi to pi; its gradient is finite everywhere.

    MXNet 1.9's symbols have no two-argument arctangent. Half the angle to the nearer end of the
    x axis has the tangent ``y / (r + |x|)``, which never is large.
    """
    radius = F.sqrt(F.square(x) + F.square(y) + SMALLEST_RADIUS**2)
    half = 2.0 * F.arctan(y / (radius + F.abs(x)))
    opposite = np.pi * (2.0 * (y >= 0) - 1.0) - half
    return F.where(x >= 0, half, opposite)


def _turned_back(direction, angle):
    """Return points (K, 2) turned by minus the angles (K,), or ``None`` of no points."""
    if direction is None:
        return None
    cos, sin, (x, y) = np.cos(angle), np.sin(angle), np.transpose(direction)
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=1)


def _away_from_zero(direction, count: int) -> np.ndarray:
    """Return the points (K, 2) that z = 0 stands for: the mean, but never without a direction."""
    if direction is None:
        return np.tile([1.0, 0.0], (count, 1))
    radius = np.linalg.norm(direction, axis=1, keepdims=True)
    unit = np.where(radius > 0, direction / np.maximum(radius, 1e-12), [1.0, 0.0])
    return unit * np.maximum(radius, LEAST_MEAN_RADIUS)
