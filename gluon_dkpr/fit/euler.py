"""Angles of the turns of one joint that bring its arms closest to wanted ones.

With G the product of the turns, arms x in the turned frame and wanted arms y, the weighted squared
distance is least where ``trace(G sum(w x y^T))`` is largest.
"""

from __future__ import annotations

from typing import List

import numpy as np

from gluon_dkpr.types import Array

# Rounds of one angle after the other where the angles have no closed form together.
ROUNDS = 4
# Axes are right angles apart up to the rounding errors of constant rotations.
RIGHT_ANGLE = 1e-12


def turned(frame: Array, step: Array, angle: Array) -> Array:
    """Return ``frame @ step @ (turn about z)``, (N, 3, 3), for angles (N,) in radians."""
    frame = frame @ step
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = frame[..., 0], frame[..., 1]
    swung = cos * x + sin * y
    axis = np.broadcast_to(frame[..., 2], swung.shape)
    return np.stack([swung, cos * y - sin * x, axis], axis=-1)


def closest_angles(steps: List[Array], covariance: Array, given: Array) -> Array:
    """Return the angles of the turns ``step @ (turn about z)`` of one joint, (turns, N), radians.

    Exact for one turn and for three about axes at right angles; else a few rounds of one angle
    after the other.

    Args:
        steps: constant rotation in front of each turn, (3, 3) each.
        covariance: ``sum(w x y^T)``, (N, 3, 3).
        given: angles to start from and, of two equal answers, to be near to, (turns,).
    """
    if len(steps) == 3 and max(abs(steps[1][2, 2]), abs(steps[2][2, 2])) < RIGHT_ANGLE:
        return _three_angles(steps, _nearest_rotation(covariance), given)
    angles = np.repeat(given[:, None], len(covariance), axis=1)
    for _ in range(ROUNDS if len(steps) > 1 else 1):
        for i, step in enumerate(steps):
            before, after = step, np.eye(3)
            if i:
                before = _product(steps[:i], angles[:i]) @ step
            if i + 1 < len(steps):
                after = _product(steps[i + 1 :], angles[i + 1 :])
            # The trace is a sine of one angle: its largest value has a closed form.
            m = after @ covariance @ before
            angles[i] = np.arctan2(m[:, 0, 1] - m[:, 1, 0], m[:, 0, 0] + m[:, 1, 1])
    return angles


def _product(steps: List[Array], angles: Array) -> Array:
    frame = np.eye(3)
    for step, angle in zip(steps, angles):
        frame = turned(frame, step, angle)
    return frame


def _nearest_rotation(covariance: Array) -> Array:
    """Return the rotation G with the largest ``trace(G covariance)`` (Kabsch), (N, 3, 3)."""
    left, _, right = np.linalg.svd(covariance)
    mirrored = np.linalg.det(left) * np.linalg.det(right) < 0
    right[mirrored, 2] *= -1
    return (left @ right).transpose(0, 2, 1)


def _three_angles(steps: List[Array], rotation: Array, given: Array) -> Array:
    """Return the angles of a rotation (N, 3, 3) about three axes, each at right angles to the next.

    There are two answers; of each frame the one nearer to ``given`` (3,) is returned.
    """
    inner = steps[0].T @ rotation
    row, column = steps[1][2], steps[2][:, 2]
    middle = np.arccos(np.clip(inner[:, 2, 2], -1.0, 1.0))
    offset = np.arctan2(row[1], row[0]) - np.arctan2(column[1], column[0])
    answers = []
    for second in (offset + middle, offset - middle):
        cos, sin = np.cos(second), np.sin(second)
        x, y = cos * column[0] - sin * column[1], sin * column[0] + cos * column[1]
        swung = np.stack([x, y, np.zeros_like(x)], axis=-1) @ steps[1].T
        first = np.arctan2(inner[:, 1, 2], inner[:, 0, 2])
        first = first - np.arctan2(swung[:, 1], swung[:, 0])
        before = turned(turned(steps[0], np.eye(3), first), steps[1], second)
        rest = (before @ steps[2]).transpose(0, 2, 1) @ rotation
        third = np.arctan2(rest[:, 1, 0], rest[:, 0, 0])
        answers.append(np.stack([first, second, third]))
    near, far = (
        given[:, None] + np.remainder(answer - given[:, None] + np.pi, 2 * np.pi) - np.pi
        for answer in answers
    )
    distance = [((answer - given[:, None]) ** 2).sum(0) for answer in (near, far)]
    return np.where(distance[0] <= distance[1], near, far)
