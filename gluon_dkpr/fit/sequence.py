"""A sequence of frames: the same branch of every angle from frame to frame."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.fit.lm import minimise
from gluon_dkpr.fit.problem import Problem, Solution
from gluon_dkpr.fit.symmetry import Symmetries
from gluon_dkpr.types import Array

# How far an angle turns from one frame to the next, roughly, in radians. With the root mean square
# residual of a frame as the noise of its joints this makes the pull a prior: it decides where the
# joints say less than their noise.
TURN = 0.3
# The pull of joints without noise, as the length of a lever relative to the reach: 0.05 mm for a
# person. It decides about directions that move no joint.
LEAST_PULL = 1e-5
# A frame that turns further than this from the one before is also fitted from there.
JUMP = 0.5


def follow(problem: Problem, unknowns: Array, first: Array, symmetries: Symmetries):
    """Choose the answer of each frame that is nearest to the frame before.

    Args:
        problem: N frames in order, without an unknown scale.
        unknowns: their fits, (P, N).
        first: motion that the first frame is near to, (P,).
        symmetries: of the skeleton.

    Returns:
        The motions, (P, N), already drawn to the frame before where joints hardly tell, and the
        problem with the pull.
    """
    pull = _pull(problem, unknowns)
    # The first frame has none before it.
    share = _share_of_pull(problem, unknowns, pull)
    share[0] = 0.0
    followed = np.empty_like(unknowns)
    before = first
    for i, motion in enumerate(unknowns.T):
        nearest, signs = symmetries.nearest(motion[:, None], before[:, None])
        nearest, sign = nearest[:, 0], signs[:, 0]
        before = nearest + sign * (share[i] @ (sign * (before - nearest)))
        before = problem.clipped(before[:, None])[:, 0]
        followed[:, i] = before
    reference = np.concatenate([followed[:, :1], followed[:, :-1]], axis=1)
    pulled = Problem(
        problem.tree,
        problem.normal,
        problem.target,
        problem.weights,
        problem.bounds,
        pull,
        reference,
    )
    return followed, pulled


def same_branch(unknowns: Array, first: Array, symmetries: Symmetries) -> Array:
    """Return the equal motions (P, N) of which each is nearest to the one before."""
    earlier = np.concatenate([first[:, None], unknowns[:, :-1]], axis=1)
    if np.array_equal(symmetries.nearest(unknowns, earlier)[0], unknowns):
        return unknowns
    chosen, before = np.empty_like(unknowns), first
    for i, motion in enumerate(unknowns.T):
        before = symmetries.nearest(motion[:, None], before[:, None])[0][:, 0]
        chosen[:, i] = before
    return chosen


def refit(problem: Problem, followed: Array) -> Solution:
    """Return the fits with the pull, from the followed motions (P, N)."""
    solution = minimise(problem, problem.clipped(followed.copy()))
    change = np.abs(followed - problem.reference)
    jumped = np.flatnonzero(change.max(0, where=problem.pull > 0, initial=0.0) > JUMP)
    if len(jumped):
        jumped = np.resize(jumped, max(2, len(jumped)))
        part = problem.part(jumped)
        start = np.where(part.pull > 0, part.reference, followed[:, jumped])
        solution.improve(jumped, minimise(part, problem.clipped(start)), 1.0)
    return solution


def _share_of_pull(problem: Problem, unknowns: Array, pull: Array) -> Array:
    """Return what the change from the frame before is multiplied by, (N, P, P).

    The linearised fit with the pull: ``H d = pull (before - d)``, H = J^T W J. A mirrored angle
    changes the signs of its row and column of H.
    """
    matrix, _ = problem.normal_at(unknowns)
    pull = pull.T
    dense = problem.normal.structure.dense(matrix)
    # Lengths that nothing depends on have neither curvature nor pull; any curvature keeps them.
    idle = np.where((np.diagonal(dense, axis1=1, axis2=2) == 0) & (pull == 0), 1.0, 0.0)
    diagonal = np.eye(pull.shape[1])
    right = diagonal * pull[:, None]
    return np.linalg.solve(dense + diagonal * (pull + idle)[:, None], right)


def _pull(problem: Problem, unknowns: Array) -> Array:
    """Return the weight of the squared change from the frame before, (P, N)."""
    _, _, loss = problem.linear_at(unknowns)
    noise = 2 * loss / (problem.weights.sum(0) * problem.tree.skeleton.dim)
    least = problem.weights.max(0) * (LEAST_PULL * problem.tree.reach) ** 2
    return problem.tree.skeleton.is_angle()[:, None] * (noise / TURN**2 + least)
