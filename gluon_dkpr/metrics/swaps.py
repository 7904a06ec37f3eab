"""Predictions that take the left of a body for its right.

There is no common definition. Here a sample counts as swapped if its error falls clearly when the
predicted left and right joints are exchanged. With, averaged over the joints of the pairs,

- ``e``: distance of the predicted joints from the true ones,
- ``e'``: the same after every predicted left joint has changed places with its right one,
- ``d``: distance of the true left joint from its true right one,

the triangle inequality gives ``-d <= e' - e <= d``. The *side score* ``(e' - e) / d`` is therefore
1 for the truth, -1 for the truth with its sides exchanged and about 0 where the prediction says
nothing about sides (all joints in one place). It depends on neither unit, frame nor size. "Clearly"
means below -1/2: more than half of what an exchange can win. A rigid body that is turned about the
vertical by the angle a scores ``cos(a/2) - sin(a/2)`` if its pairs lie straight across the axis, so
it counts as swapped from 131 degrees on: when front and back are confused.
"""

from __future__ import annotations

from typing import Optional, Tuple, Union

import numpy as np

from gluon_dkpr.metrics.checks import MetricError, checked_pair
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

CLEARLY = 0.5
Pairs = Tuple[Tuple[str, str], ...]


def side_score(
    joints_true: Array, joints_pred: Array, skeleton: Skeleton, pairs: Optional[Pairs] = None
) -> Array:
    """Return how much worse each sample gets when left and right are exchanged, -1 to 1.

    Args:
        joints_true: shape (N, J, D), any length unit and frame.
        joints_pred: same shape, unit and frame.
        skeleton: names joints and pairs.
        pairs: (left, right) names; all ``skeleton.left_right_pairs`` if not given.

    Returns:
        Side scores (see the module), shape (N,); 0 where true left and right are in one place.

    Raises:
        MetricError: for a wrong shape, a joint not finite, or a skeleton without pairs.
    """
    joints_true, joints_pred, _ = checked_pair(joints_true, joints_pred)
    if joints_true.shape[1] != skeleton.num_joints:
        raise MetricError(
            f"joints have shape {joints_true.shape}, expected (N, {skeleton.num_joints}, D) "
            f"for skeleton '{skeleton.name}'"
        )
    pairs = skeleton.left_right_pairs if pairs is None else pairs
    if not pairs:
        raise MetricError(f"skeleton '{skeleton.name}' has no left and right joints")
    place = {name: i for i, name in enumerate(skeleton.joint_names)}
    left, right = (np.array([place[pair[side]] for pair in pairs]) for side in (0, 1))
    sides, exchanged = np.concatenate([left, right]), np.concatenate([right, left])
    error = _mean_distance(joints_pred[:, sides], joints_true[:, sides])
    error_exchanged = _mean_distance(joints_pred[:, exchanged], joints_true[:, sides])
    apart = _mean_distance(joints_true[:, left], joints_true[:, right])
    won = error_exchanged - error
    return np.divide(won, apart, out=np.zeros_like(won), where=apart > 0)


def swap_rate(
    joints_true: Array, joints_pred: Array, skeleton: Skeleton, per: Optional[str] = None
) -> Union[float, Array]:
    """Return the percentage of samples whose left and right are exchanged.

    Protocol: a side score below -1/2, see the module; root-relative joints, as in the report.

    Args:
        joints_true, joints_pred, skeleton: as :func:`side_score`.
        per: ``None`` for all pairs together, ``"limb"`` for an array (K,) in the order of
            :func:`left_right_limbs`, each of the pairs of one limb, ``"sample"`` for an array (N,)
            of 0 and 100.

    Returns:
        Percentage, 0 to 100.

    Raises:
        MetricError: as :func:`side_score`, or for an unknown ``per``.
    """
    if per not in (None, "limb", "sample"):
        raise MetricError(f"per is {per!r}, expected None or one of ['limb', 'sample']")
    if per == "limb":
        limbs = left_right_limbs(skeleton)
        rates = [_swapped(joints_true, joints_pred, skeleton, limb).mean() for limb in limbs]
        return 100.0 * np.array(rates)
    swapped = _swapped(joints_true, joints_pred, skeleton, None)
    return 100.0 * swapped if per == "sample" else float(100.0 * swapped.mean())


def left_right_limbs(skeleton: Skeleton) -> Tuple[Pairs, ...]:
    """Return the skeleton's left-right pairs by limb: those whose left joints hang together.

    The body of Human3.6M has two: hip, knee and ankle, and shoulder, elbow and wrist.
    """
    parent = {child: ancestor for ancestor, child in skeleton.bones}
    left = {pair[0] for pair in skeleton.left_right_pairs}

    def uppermost(name: str) -> str:
        while parent.get(name) in left:
            name = parent[name]
        return name

    limbs = {}
    for pair in skeleton.left_right_pairs:
        limbs.setdefault(uppermost(pair[0]), []).append(pair)
    return tuple(tuple(limb) for limb in limbs.values())


def _swapped(joints_true, joints_pred, skeleton, pairs) -> Array:
    return side_score(joints_true, joints_pred, skeleton, pairs) < -CLEARLY


def _mean_distance(one: Array, other: Array) -> Array:
    """Return the mean distance over the joints, (N,), of two sets of joints (N, K, D)."""
    return np.linalg.norm(one - other, axis=-1).mean(axis=-1)
