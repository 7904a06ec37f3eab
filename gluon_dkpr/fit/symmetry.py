"""Motions that give the same joints: full turns, and the two answers of three angles.

- An angle is the same after a full turn (less or more of it, by the coefficients).
- Three turns about axes at right angles reach every rotation twice:
  (a, b, c) and (a + pi, -b, c + pi), up to constants.
- A roll about a limb followed by a hinge reaches every place of its tip twice: (a, h) and
  (a + pi, -h). Both are allowed if the bounds let the hinge bend a little backwards.

Each is a map ``theta -> sign * theta + shift`` that is kept only if forward kinematics agrees.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import List, Tuple

import numpy as np

from gluon_dkpr.fit.euler import RIGHT_ANGLE
from gluon_dkpr.fit.tree import Tree
from gluon_dkpr.types import Array

# Two forward kinematics of equal poses differ by rounding only, relative to the reach.
SAME_JOINTS = 1e-9
# An answer must be nearer by more than rounding (squared radians).
LEAST_GAIN = 1e-9


class Symmetries:
    """The symmetries of a tree.

    Args:
        tree: the skeleton.
        bounds: lower and upper bound of each parameter, (P,) each.
    """

    def __init__(self, tree: Tree, bounds: Tuple[Array, Array]):
        self.bounds = bounds
        self._lower, self._upper = (bound[:, None] for bound in bounds)
        self._bounded = np.isfinite(self._lower) | np.isfinite(self._upper)
        self._periods = _periods(tree)[:, None]
        maps = [one for one in _candidates(tree) if _holds(tree, *one)]
        touched = [np.flatnonzero((sign != 1) | (shift != 0)) for sign, shift in maps]
        for i, (sign, shift) in enumerate(list(maps)):
            for j in range(i + 1, len(touched)):
                if set(touched[i]) & set(touched[j]):
                    maps.append((sign * maps[j][0], maps[j][0] * shift + maps[j][1]))
        self._maps = []
        for sign, shift in maps:
            columns = np.flatnonzero((sign != 1) | (shift != 0))
            self._maps.append((columns, sign[columns, None], shift[columns, None]))

    def nearest(self, motion: Array, reference: Array) -> Tuple[Array, Array]:
        """Return the equal motions that are nearest to references, within the bounds.

        Args:
            motion: (P, N), within the bounds.
            reference: (P, N).

        Returns:
            Motions (P, N) and the sign that each parameter was multiplied by, (P, N).
        """
        every = np.arange(len(motion))
        best, signs = self._turned(motion, reference, every), np.ones_like(motion)
        changed = True
        while changed:
            # A map touches the angles of a joint or two; one after the other finds the rest.
            changed = False
            for columns, sign, shift in self._maps:
                now, wanted = best[columns], reference[columns]
                answer = self._turned(sign * now + shift, wanted, columns)
                gain = ((now - wanted) ** 2).sum(0) - ((answer - wanted) ** 2).sum(0)
                outside = (answer < self._lower[columns]) | (answer > self._upper[columns])
                better = (gain > LEAST_GAIN) & ~outside.any(0)
                if better.any():
                    best[columns] = np.where(better, answer, now)
                    signs[columns] *= np.where(better, sign, 1.0)
                    changed = True
        return best, signs

    def within_bounds(self, motion: Array) -> Array:
        """Return motions (P, N) with full turns added that bring angles into or near the bounds."""
        lower, upper = self.bounds
        both = np.isfinite(lower) & np.isfinite(upper)
        middle = np.clip(np.zeros_like(lower), lower, upper)
        middle[both] = (lower[both] + upper[both]) / 2
        return self._turned(motion, middle[:, None], np.arange(len(motion)))

    def _turned(self, motion: Array, reference: Array, columns: Array) -> Array:
        """Add the full turns that bring angles nearest to references without leaving the bounds."""
        period = self._periods[columns]
        turns = np.round((reference - motion) / period)
        if self._bounded[columns].any():
            # No bound by no period is no number: such a parameter has no turns to limit.
            with np.errstate(invalid="ignore"):
                most = np.floor((self._upper[columns] - motion) / period)
                least = np.ceil((self._lower[columns] - motion) / period)
            turns = np.where(least <= most, np.clip(turns, least, most), turns)
        return motion + turns * np.where(np.isfinite(period), period, 0.0)


def _periods(tree: Tree) -> Array:
    periods = np.full(tree.num_parameters, np.inf)
    for column in {turn.column for turn in tree.turns}:
        factors = [
            Fraction(abs(turn.coefficient)).limit_denominator(64)
            for turn in tree.turns
            if turn.column == column
        ]
        exact = [abs(turn.coefficient) for turn in tree.turns if turn.column == column]
        if all(float(f) == c for f, c in zip(factors, exact)):
            # The least number of turns of the parameter that are whole turns of every joint.
            whole = _lcm([f.denominator for f in factors])
            common = 0
            for factor in factors:
                common = math.gcd(common, int(factor * whole))
            periods[column] = 2 * math.pi * whole / common
    return periods


def _lcm(numbers: List[int]) -> int:
    product = 1
    for number in numbers:
        product = product * number // math.gcd(product, number)
    return product


def _candidates(tree: Tree):
    """Yield the maps (sign, shift) that the turns' axes suggest."""
    columns = [turn.column for turn in tree.turns]
    for i, last in enumerate(tree.turns):
        chain = tree.chain(i)[-3:]
        if any(columns.count(columns[turn]) > 1 for turn in chain):
            continue
        turns = [tree.turns[turn] for turn in chain]
        if len(turns) == 3 and _right(turns[1]) and _right(turns[2]):
            yield _map(tree, turns, turns[2].before[:, 2])
        for bone in tree.bones:
            if len(turns) > 1 and _right(last) and bone.turn == i and np.any(bone.offset[:2]):
                yield _map(tree, turns[-2:], bone.offset)


def _right(turn) -> bool:
    """Whether a turn's axis is at right angles to the axis of the turn before it."""
    return abs(turn.before[2, 2]) < RIGHT_ANGLE


def _map(tree: Tree, turns, direction: Array) -> Tuple[Array, Array]:
    """Half a turn of the first and third turn, and the second one mirrored.

    ``direction`` is what the second turn swings, in its own frame.
    """
    sign, shift = np.ones(tree.num_parameters), np.zeros(tree.num_parameters)
    row = turns[1].before[2]
    offset = math.atan2(row[1], row[0]) - math.atan2(direction[1], direction[0])
    sign[turns[1].column] = -1.0
    shift[turns[1].column] = 2 * offset / turns[1].coefficient
    for turn in (turns[0], *turns[2:]):
        shift[turn.column] = math.pi / turn.coefficient
    return sign, shift


def _holds(tree: Tree, sign: Array, shift: Array) -> bool:
    random = np.random.Generator(np.random.PCG64(0))
    motion = random.uniform(-np.pi, np.pi, size=(tree.num_parameters, 8))
    unit = np.ones(8)
    before = tree.joints(motion, unit)
    after = tree.joints(sign[:, None] * motion + shift[:, None], unit)
    return bool(np.abs(after - before).max() <= SAME_JOINTS * (tree.reach + np.pi))
