"""Gradient descent on Eq. 3, the paper's ModelFit (section 4.2), over many frames at once.

The paper says no more than "gradient descent". Here: with momentum, each parameter's gradient
divided by its diagonal entry of J^T W J at the start (a step in mm and one in radians have no
common rate), and a rate that a frame halves when its loss has risen.
"""

from __future__ import annotations

import numpy as np

from gluon_dkpr.fit.problem import Problem, Solution
from gluon_dkpr.types import Array

RATE = 0.1
MOMENTUM = 0.9
ITERATIONS = 2000
# Converged: the mean relative decrease of the loss over the last iterations is below this, or the
# root mean square distance of the joints is below this part of the reach.
DECREASE = 1e-5
CLOSE = 1e-5
PATIENCE = 20
CHUNK = 256
LEAST_LEVER = 1e-2


def descend(problem: Problem, start: Array) -> Solution:
    """Return the minima of Eq. 3 that the starts (n, N) lead to by gradient descent."""
    solution = Solution.empty(start)
    for begin in range(0, start.shape[1], CHUNK):
        frames = np.arange(begin, min(begin + CHUNK, start.shape[1]))
        # NumPy adds up a single column in another order: two frames at least.
        frames = np.resize(frames, max(2, len(frames)))
        _descend(problem.part(frames), frames, solution)
    return solution


def _descend(problem: Problem, frames: Array, solution: Solution) -> None:
    unknowns = solution.unknowns[:, frames].copy()
    matrix, gradient, loss = problem.linear_at(unknowns)
    scale = matrix[problem.normal.structure.diagonal]
    scale = scale + problem.least_curvature(problem.weights, LEAST_LEVER)
    speed, rate = np.zeros_like(unknowns), np.full(len(frames), RATE)
    before, busy = loss.copy(), np.ones(len(frames), dtype=bool)
    iterations = np.zeros(len(frames), dtype=int)
    close = 0.5 * problem.weights.sum(0) * (CLOSE * problem.tree.reach) ** 2
    for iteration in range(1, ITERATIONS + 1):
        speed = np.where(busy, MOMENTUM * speed + rate * gradient / scale, 0.0)
        trial = problem.clipped(unknowns + speed)
        _, trial_gradient, trial_loss = problem.linear_at(trial)
        better = busy & (trial_loss <= loss)
        worse = busy & ~better
        unknowns[:, better], gradient[:, better] = trial[:, better], trial_gradient[:, better]
        loss[better] = trial_loss[better]
        # Momentum overshoots: such a step is taken back and the next one starts from rest.
        speed[:, worse] = 0.0
        rate[worse] /= 2
        rate[better] = np.minimum(RATE, 1.02 * rate[better])
        iterations += busy
        if iteration % PATIENCE == 0:
            busy &= (before - loss > PATIENCE * DECREASE * before) & (loss > close)
            before = loss.copy()
            if not busy.any():
                break
    finite = np.isfinite(loss)
    solution.unknowns[:, frames], solution.loss[frames] = unknowns, np.where(finite, loss, np.inf)
    solution.iterations[frames], solution.converged[frames] = iterations, ~busy & finite
