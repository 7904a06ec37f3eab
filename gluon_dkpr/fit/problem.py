"""Eq. 3 of the paper for N frames: what a solver minimises and what it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np

from gluon_dkpr.fit.normal import NormalEquations
from gluon_dkpr.fit.tree import Pose, Tree
from gluon_dkpr.types import Array


class Problem:
    """N frames of wanted joints. The unknowns are the motion and, with ``with_scale``, the scale.

    The loss is half the weighted sum of squared distances (Eq. 3) plus, with a ``pull``, half of
    ``pull * (unknowns - reference) ** 2``.

    Args:
        tree: the skeleton.
        normal: structure of its normal equations; says whether the scale is an unknown.
        target: wanted joints in the world, (J, 3, N), finite; arbitrary where the weight is 0.
        weights: (J, N).
        bounds: lower and upper bound of every unknown, each (n,).
        pull, reference: (n, N) each.
    """

    def __init__(
        self,
        tree: Tree,
        normal: NormalEquations,
        target: Array,
        weights: Array,
        bounds: Tuple[Array, Array],
        pull: Optional[Array] = None,
        reference: Optional[Array] = None,
    ):
        self.tree, self.normal = tree, normal
        self.target, self.weights = target, weights
        self.bounds = bounds
        self.lower, self.upper = (bound[:, None] for bound in bounds)
        self.pull, self.reference = pull, reference
        bounded = np.isfinite(bounds[0]) | np.isfinite(bounds[1])
        self._bounded = np.flatnonzero(bounded)
        self._places = {i: normal.structure.places(i) for i in self._bounded}
        angles = tree.skeleton.is_angle()
        self._levers = np.where(angles, tree.reach, 1.0)
        if normal.with_scale:
            self._levers = np.append(self._levers, tree.reach)

    def part(self, frames) -> Problem:
        """Return the problem of some of the frames."""
        pulled = () if self.pull is None else (self.pull[:, frames], self.reference[:, frames])
        target, weights = self.target[..., frames], self.weights[:, frames]
        return Problem(self.tree, self.normal, target, weights, self.bounds, *pulled)

    def joints(self, unknowns: Array) -> Array:
        """Return the joints of unknowns (n, N) in the world, (J, 3, N)."""
        return self.tree.joints(*self.split(unknowns))

    def linear_at(self, unknowns: Array):
        """Return packed J^T W J, J^T W r (n, N) and loss (N,) at unknowns (n, N)."""
        pose, residual, loss = self.evaluate(unknowns, self)
        return (*self._assemble(unknowns, pose, residual, self, slice(None)), loss)

    def normal_at(self, unknowns: Array):
        """Return packed J^T W J and J^T W r (n, N) at unknowns (n, N)."""
        return self.linear_at(unknowns)[:2]

    def split(self, unknowns: Array) -> Tuple[Array, Array]:
        """Return motion (P, B) and scale (B,)."""
        if self.normal.with_scale:
            return unknowns[:-1], unknowns[-1]
        return unknowns, np.ones(unknowns.shape[1])

    def clipped(self, unknowns: Array) -> Array:
        """Return the unknowns brought within the bounds, in place."""
        b = self._bounded
        unknowns[b] = np.clip(unknowns[b], self.lower[b], self.upper[b])
        return unknowns

    def evaluate(self, unknowns: Array, data):
        """Return pose, residual (J, 3, B) and loss (B,) of B frames.

        Args:
            unknowns: (n, B).
            data: has ``target``, ``weights``, ``pull`` and ``reference`` of these frames.
        """
        motion, scale = self.split(unknowns)
        pose = self.tree.pose(motion, scale)
        residual = data.target - self.tree.root_position(motion)
        residual -= pose.joints
        loss = 0.5 * np.einsum("jb,jkb->b", data.weights, residual * residual)
        if self.pull is not None:
            loss += 0.5 * (data.pull * (unknowns - data.reference) ** 2).sum(0)
        return pose, residual, loss

    def _assemble(self, unknowns: Array, pose: Pose, residual: Array, data, some):
        _, scale = self.split(unknowns)
        matrix, gradient = self.normal.assemble(pose, residual, data.weights[:, some], scale)
        if self.pull is not None:
            pull = data.pull[:, some]
            matrix[self.normal.structure.diagonal] += pull
            gradient += pull * (data.reference[:, some] - unknowns)
        return matrix, gradient

    def linearise(self, slots, accepted: Array, trial: Array, pose: Pose, residual: Array) -> None:
        """Move the accepted slots to their trial point and renew their normal equations."""
        if len(accepted) == 0:
            return
        every = len(accepted) == trial.shape[1]
        # Two columns at least: NumPy adds up a single one in another order.
        some = slice(None) if every else np.resize(accepted, max(2, len(accepted)))
        pose = Pose(pose.joints[..., some], pose.axes[..., some], pose.centres[..., some])
        unknowns = trial[:, some]
        matrix, gradient = self._assemble(unknowns, pose, residual[..., some], slots, some)
        slots.unknowns[:, some] = unknowns
        slots.matrix[:, some] = matrix
        slots.gradient[:, some] = gradient

    def least_curvature(self, weights: Array, lever: float) -> Array:
        """Return the curvature (n, B) of unknowns that move one joint by ``lever`` of the reach."""
        return (lever * self._levers[:, None]) ** 2 * weights.max(0)

    def leave_out_blocked(self, unknowns: Array, matrix: Array, gradient: Array) -> None:
        """Take the unknowns that the gradient pushes out of their bounds out of the equations."""
        diagonal = self.normal.structure.diagonal
        for i in self._bounded:
            free = ~(
                ((unknowns[i] <= self.lower[i]) & (gradient[i] < 0))
                | ((unknowns[i] >= self.upper[i]) & (gradient[i] > 0))
            )
            if not free.all():
                matrix[self._places[i]] *= free
                matrix[diagonal[i]] = np.where(free, matrix[diagonal[i]], 1.0)
                gradient[i] *= free


@dataclass
class Solution:
    """What a solver found: unknowns (n, N), loss, iterations and converged (N,)."""

    unknowns: Array
    loss: Array
    iterations: Array
    converged: Array

    @classmethod
    def empty(cls, start: Array) -> Solution:
        """Return a solution that still has to be stored, for starts (n, N)."""
        count = start.shape[1]
        return cls(
            np.array(start), np.full(count, np.inf), np.zeros(count, int), np.zeros(count, bool)
        )

    def store(self, slots, finished: Array, converged: Array) -> None:
        """Take over the frames of finished slots."""
        self.put(
            slots.frame[finished],
            Solution(
                slots.unknowns[:, finished],
                slots.loss[finished],
                slots.iterations[finished],
                converged,
            ),
        )

    def put(self, frames: Array, other: Solution) -> None:
        """Take over the solution of some of the frames."""
        self.unknowns[:, frames] = other.unknowns
        self.loss[frames] = other.loss
        self.iterations[frames] = other.iterations
        self.converged[frames] = other.converged

    def part(self, frames: Array) -> Solution:
        """Return the solution of some of the frames."""
        return Solution(
            self.unknowns[:, frames],
            self.loss[frames],
            self.iterations[frames],
            self.converged[frames],
        )

    def improve(self, frames: Array, other: Solution, clearly: float) -> None:
        """Take over another solution of some of the frames where its loss is ``clearly`` lower."""
        iterations = self.iterations[frames] + other.iterations
        better = other.loss < clearly * self.loss[frames]
        self.put(frames[better], other.part(better))
        self.iterations[frames] = iterations
