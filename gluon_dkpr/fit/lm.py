"""Damped least squares (Levenberg-Marquardt) over many frames at once, within bounds.

Eq. 3 of the paper for every frame on its own. Bounds by projection (Bertsekas, Projected Newton
methods, 1982): a parameter at its bound that the gradient pushes outwards is left out of the step,
and the step is clipped. The damping of a frame follows Nielsen (Damping parameter in Marquardt's
method, 1999) in the parameters' own scale, the diagonal of J^T W J.

A fixed number of slots is worked on together; a frame that has converged hands its slot to the next
one, so that a few slow frames do not leave a batch nearly empty. What happens in a slot does not
depend on the other slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from gluon_dkpr.fit.problem import Problem, Solution
from gluon_dkpr.types import Array

SLOTS = 256
# A slot alone would make NumPy add up in another order.
FEWEST_SLOTS = 8
FIRST_DAMPING = 1e-5
# Below this the rounding errors of J^T W J would be the damping of directions that move no joint.
LEAST_DAMPING = 1e-9
LARGEST_DAMPING = 1e9
LARGEST_SHRINK = 0.1
# A parameter that hardly moves joints is damped as if it moved one by this part of the reach.
LEAST_LEVER = 1e-3


@dataclass(frozen=True)
class Tolerance:
    """When a frame has converged.

    Attributes:
        decrease: predicted relative decrease of the loss by the next step.
        step: root mean square of the joints' predicted movement by the next step, or of their
            distance, relative to the skeleton's reach.
        iterations: at most.
        late_decrease, late_step: the same for a frame that is still moving after so many
            iterations, along a direction that hardly moves a joint.
    """

    decrease: float = 1e-4
    step: float = 1e-11
    iterations: int = 100
    late_decrease: float = 1e-3
    late_step: float = 1e-6


class _Slots:
    """State of the frames that are being worked on; every array has the slots last."""

    def __init__(self, problem: Problem, start: Array, frames: Array):
        self.problem = problem
        count = len(frames)
        normal = problem.normal
        self.frame = np.array(frames)
        self.unknowns = np.zeros((normal.structure.size, count))
        self.target = np.zeros((len(problem.weights), 3, count))
        self.weights = np.zeros((len(problem.weights), count))
        self.pull = np.zeros_like(self.unknowns)
        self.reference = np.zeros_like(self.unknowns)
        self.matrix = np.zeros((normal.structure.num_entries, count))
        self.gradient = np.zeros_like(self.unknowns)
        self.loss = np.zeros(count)
        self.damping = np.zeros(count)
        self.growth = np.zeros(count)
        self.iterations = np.zeros(count, dtype=int)
        self.load(np.arange(count), frames, start)

    _ARRAYS = (
        "frame", "unknowns", "target", "weights", "pull", "reference", "matrix", "gradient", "loss",
        "damping", "growth", "iterations",
    )  # fmt: skip

    def load(self, slots: Array, frames: Array, start: Array) -> None:
        """Put frames into slots. Their first step is none, and any loss is below infinity."""
        problem = self.problem
        self.frame[slots] = frames
        self.unknowns[:, slots] = start[:, frames]
        self.target[..., slots] = problem.target[..., frames]
        self.weights[:, slots] = problem.weights[:, frames]
        if problem.pull is not None:
            self.pull[:, slots] = problem.pull[:, frames]
            self.reference[:, slots] = problem.reference[:, frames]
        self.matrix[:, slots] = 0.0
        diagonal = problem.normal.structure.diagonal
        self.matrix[np.ix_(diagonal, slots)] = 1.0
        self.gradient[:, slots] = 0.0
        self.loss[slots] = np.inf
        self.damping[slots] = FIRST_DAMPING
        self.growth[slots] = 2.0
        self.iterations[slots] = -1

    def keep(self, slots: Array) -> None:
        for name in self._ARRAYS:
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[..., slots]))


def minimise(problem: Problem, start: Array, tolerance: Optional[Tolerance] = None) -> Solution:
    """Return the minima of Eq. 3 that the starts lead to.

    Args:
        problem: N frames.
        start: unknowns to start from, (n, N), within the bounds.
        tolerance: when to stop.
    """
    tolerance = tolerance or Tolerance()
    count = start.shape[1]
    solution = Solution.empty(start)
    # With fewer frames than the fewest slots the first ones are done twice, with the same result.
    queue = np.arange(max(count, FEWEST_SLOTS)) % max(count, 1)
    if not count:
        return solution
    slots = _Slots(problem, start, queue[:SLOTS])
    queue = queue[SLOTS:]
    while True:
        done, converged = _iterate(slots, tolerance)
        if not done.any():
            continue
        finished = np.flatnonzero(done)
        solution.store(slots, finished, converged[finished])
        slots.loss[finished] = -np.inf  # a finished slot that has to stay accepts no further step
        refilled, queue = queue[: len(finished)], queue[len(finished) :]
        slots.load(finished[: len(refilled)], refilled, start)
        if len(queue) == 0:
            busy = np.flatnonzero(slots.loss > -np.inf)
            if len(busy) == 0:
                return solution
            if len(busy) < 0.8 * len(slots.loss) and len(slots.loss) > FEWEST_SLOTS:
                idle = np.flatnonzero(slots.loss == -np.inf)
                slots.keep(np.concatenate([busy, idle[: max(0, FEWEST_SLOTS - len(busy))]]))


def _iterate(slots: _Slots, tolerance: Tolerance):
    """Try one step in every slot; return who is done and who of those has converged."""
    problem, structure = slots.problem, slots.problem.normal.structure
    diagonal = slots.matrix[structure.diagonal]
    matrix, gradient = slots.matrix.copy(), slots.gradient.copy()
    damping = slots.damping * (diagonal + problem.least_curvature(slots.weights, LEAST_LEVER))
    matrix[structure.diagonal] += damping
    problem.leave_out_blocked(slots.unknowns, matrix, gradient)
    step = structure.solve(matrix, gradient)
    trial = problem.clipped(slots.unknowns + step)
    predicted = 0.5 * (step * (gradient + damping * step)).sum(0)
    pose, residual, loss = problem.evaluate(trial, slots)
    better = loss < slots.loss
    fresh = slots.iterations < 0
    total = slots.weights.sum(0)
    late = slots.iterations >= tolerance.iterations - 1
    limit = np.where(late, tolerance.late_step, tolerance.step) * problem.tree.reach
    small = np.minimum(predicted, slots.loss) <= 0.5 * total * limit**2
    decrease = np.where(late, tolerance.late_decrease, tolerance.decrease)
    # A new slot has an infinite loss.
    converged = ~fresh & (small | (predicted <= decrease * np.where(fresh, 0.0, slots.loss)))
    gain = np.where(fresh, 0.5, (slots.loss - loss) / np.maximum(predicted, 1e-300))
    _adapt_damping(slots, better & ~fresh, ~better, gain)
    accepted = np.flatnonzero(better)
    problem.linearise(slots, accepted, trial, pose, residual)
    slots.loss[accepted] = loss[accepted]
    slots.iterations += 1
    converged |= slots.damping > LARGEST_DAMPING
    done = converged | (slots.iterations >= tolerance.iterations)
    # No step of a start that is not finite is ever accepted: its loss stays infinite.
    return done & (slots.loss > -np.inf), converged & np.isfinite(slots.loss)


def _adapt_damping(slots: _Slots, better: Array, worse: Array, gain: Array) -> None:
    shrink = np.maximum(LARGEST_SHRINK, 1 - (2 * np.minimum(gain, 1.0) - 1) ** 3)
    less = np.maximum(slots.damping * shrink, LEAST_DAMPING)
    # Idle slots are never better: without a limit their numbers would overflow.
    more = np.minimum(slots.damping * slots.growth, 10 * LARGEST_DAMPING)
    slots.damping = np.where(better, less, np.where(worse, more, slots.damping))
    slots.growth = np.where(worse, np.minimum(2 * slots.growth, 1e3), 2.0)
