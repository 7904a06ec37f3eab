"""Directions of the motion that move no joint: they go to a reference, exactly along themselves."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.fit.problem import Problem
from gluon_dkpr.types import Array

# A direction is ambiguous if a radian of it moves the joints less than this part of the reach.
AMBIGUOUS = 5e-8
# Settling moves no joint further than this part of the reach: 1e-3 mm for a person.
SLACK = 2e-7
ROUNDS = 12
# A pivot is at least the smallest eigenvalue; it is close to it when that is small, within this.
PIVOT_MARGIN = 1e4


def settle(problem: Problem, unknowns: Array, reference: Array) -> Array:
    """Return minima moved towards references along the directions that move no joint.

    The roll of a straight arm is the usual one. The projection on the null space of J^T W J is
    repeated, because such directions bend.

    Args:
        problem: N frames.
        unknowns: their minima, (n, N).
        reference: motions, (P, N).
    """
    structure = problem.normal.structure
    matrix, _ = problem.normal_at(unknowns)
    pivots = matrix.copy()
    total = problem.weights.max(0)
    smallest = total * (AMBIGUOUS * problem.tree.reach) ** 2
    # Where a pivot is 0 the rest of the factors is of no use, and not used.
    with np.errstate(all="ignore"):
        structure.solve(pivots, np.zeros_like(unknowns))
        least = pivots[structure.diagonal].min(0)
    doubtful = np.flatnonzero(~(least > PIVOT_MARGIN * smallest))
    settled = unknowns.copy()
    if len(doubtful):
        # NumPy adds up a single column in another order: two frames at least.
        doubtful = np.resize(doubtful, max(2, len(doubtful)))
        part = problem.part(doubtful)
        settled[:, doubtful] = _settle(
            part, unknowns[:, doubtful], reference[:, doubtful], smallest[doubtful]
        )
    return settled


def _settle(problem: Problem, unknowns: Array, reference: Array, smallest: Array) -> Array:
    count = len(reference)
    fixed = problem.joints(unknowns)
    settled = unknowns.copy()
    share = np.ones(unknowns.shape[1])
    for _ in range(ROUNDS):
        matrix, _ = problem.normal_at(settled)
        values, vectors = np.linalg.eigh(problem.normal.structure.dense(matrix))
        vectors = vectors * (values < smallest[:, None])[:, None]
        wish = np.zeros_like(settled)
        wish[:count] = reference - settled[:count]
        along = np.einsum("bnk,nb->bk", vectors, wish)
        step = share * np.einsum("bnk,bk->nb", vectors, along)
        if np.abs(step).max(initial=0.0) < 1e-12:
            break
        trial = problem.clipped(settled + step)
        moved = np.abs(problem.joints(trial) - fixed).max((0, 1))
        allowed = moved <= SLACK * problem.tree.reach
        settled[:, allowed] = trial[:, allowed]
        share = np.where(allowed, np.minimum(1.0, 2 * share), share / 4)
    return settled
