"""Closed-form similarity alignment of point sets (Procrustes analysis).

Source: S. Umeyama, Least-squares estimation of transformation parameters between two point
patterns, PAMI 1991, Eqs. 40-42, here with a weight for every point.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array


class AlignmentError(DkprError, ValueError):
    """Point sets or weights have the wrong shape or hold a number that cannot be used."""


def procrustes(
    source: Array, target: Array, weights: Optional[Array] = None
) -> Tuple[Array, Array, Array]:
    """Return the similarity transforms that bring ``source`` closest to ``target``.

    ``scale * rotation @ source + translation`` has the least weighted sum of squared distances to
    ``target``. The rotation is proper: a mirrored pose is not mirrored back.

    Where the minimum is not unique one of the minima is returned, always finite:

    - all source points equal: they go to the target's centroid; rotation is the identity, scale 1;
    - all target points equal: rotation is the identity, scale 0;
    - points of either side on a line (3-D): the turn about the line is arbitrary;
    - no point with a weight: the identity.

    Args:
        source: points, shape (B, J, D), D = 2 or 3, any unit and frame.
        target: points, shape (B, J, D), any unit and frame.
        weights: weights of the points, at least 0, shape (B, J); all 1 if not given. A point of
            weight 0 is missing and may hold NaN.

    Returns:
        ``rotation`` (B, D, D) from the source's to the target's frame, ``scale`` (B,) in target
        units per source unit, ``translation`` (B, D) in target units.

    Raises:
        AlignmentError: for a wrong shape, a negative weight, or a point that has a weight and is
            not finite.
    """
    source, target, weights = _checked(source, target, weights)
    source_centre, source_arms = _centred(source, weights)
    target_centre, target_arms = _centred(target, weights)
    covariance = np.einsum("bj,bjd,bje->bde", weights, target_arms, source_arms)
    left, singular, right = np.linalg.svd(covariance)
    # Umeyama's S: flip the weakest direction if the best orthogonal matrix is a reflection.
    flips = np.ones_like(singular)
    flips[:, -1] = np.sign(np.linalg.det(left) * np.linalg.det(right))
    rotation = (left * flips[:, None, :]) @ right
    variance = np.einsum("bj,bjd,bjd->b", weights, source_arms, source_arms)
    scale = np.ones(len(source))
    np.divide((singular * flips).sum(-1), variance, out=scale, where=variance > 0)
    turned_centre = np.einsum("bde,be->bd", rotation, source_centre)
    return rotation, scale, target_centre - scale[:, None] * turned_centre


def align(
    source: Array, target: Array, with_scale: bool = True, weights: Optional[Array] = None
) -> Array:
    """Return ``source`` moved as close to ``target`` as a similarity transform can.

    Args:
        source, target, weights: as :func:`procrustes`. Missing source points that hold NaN stay
            NaN.
        with_scale: allow a change of size; without it the motion is rigid.

    Returns:
        Moved points in the target's frame, shape (B, J, D).

    Raises:
        AlignmentError: as :func:`procrustes`.
    """
    source, target, weights = _checked(source, target, weights)
    rotation, scale, _ = procrustes(source, target, weights)
    if not with_scale:
        scale = np.ones_like(scale)
    source_centre, _ = _centred(source, weights)
    target_centre, _ = _centred(target, weights)
    # Turned about the centroid, not the origin: a pose far from the origin loses no digits.
    arms = source - source_centre[:, None]
    turned = np.einsum("bde,bje->bjd", rotation, arms)
    return scale[:, None, None] * turned + target_centre[:, None]


def _centred(points: Array, weights: Array) -> Tuple[Array, Array]:
    """Return the weighted centroids (B, D) and the arms from them to the points (B, J, D).

    The arms of missing points are 0. Measured from one of the points first, so that the arms of
    points that are all equal are exactly 0.
    """
    present = (weights > 0)[..., None]
    points = np.where(present, points, 0.0)
    origin = points[np.arange(len(points)), np.argmax(weights > 0, axis=1)]
    arms = np.where(present, points - origin[:, None], 0.0)
    total = weights.sum(-1, keepdims=True)
    share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    mean = np.einsum("bj,bjd->bd", share, arms)
    return origin + mean, np.where(present, arms - mean[:, None], 0.0)


def _checked(source, target, weights) -> Tuple[Array, Array, Array]:
    source = np.asarray(source, dtype=np.float64)
    target = np.asarray(target, dtype=np.float64)
    if source.ndim != 3 or source.shape[2] not in (2, 3) or source.shape[1] == 0:
        raise AlignmentError(f"source has shape {source.shape}, expected (B, J, 2) or (B, J, 3)")
    if target.shape != source.shape:
        raise AlignmentError(f"target has shape {target.shape}, expected {source.shape} as source")
    weights = np.ones(source.shape[:2]) if weights is None else np.asarray(weights, np.float64)
    if weights.shape != source.shape[:2]:
        raise AlignmentError(f"weights have shape {weights.shape}, expected {source.shape[:2]}")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise AlignmentError("weights must be finite and at least 0")
    for name, points in (("source", source), ("target", target)):
        bad = (weights > 0) & ~np.isfinite(points).all(-1)
        if bad.any():
            pose, joint = np.argwhere(bad)[0]
            raise AlignmentError(
                f"{name}[{pose}, {joint}] is {points[pose, joint]}, expected finite numbers "
                "or weight 0"
            )
    return source, target, weights
