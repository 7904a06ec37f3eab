"""The fit of frames that know nothing of each other: start, minimum, restarts, one answer."""

from __future__ import annotations

from typing import Optional

import numpy as np

from gluon_dkpr.fit.gd import descend
from gluon_dkpr.fit.lm import minimise
from gluon_dkpr.fit.problem import Problem, Solution
from gluon_dkpr.fit.settle import settle
from gluon_dkpr.fit.start import Starter
from gluon_dkpr.fit.symmetry import Symmetries
from gluon_dkpr.types import Array

SOLVERS = {"lm": minimise, "gd": descend}
# A frame is fitted again from other starts if a joint is further off than this part of the reach
# (130 mm for a person): models of the right size are off that far in a wrong minimum only.
OUT_OF_LINE = 0.025
DOUBTFUL, HOPELESS = 0.001, 0.05
RESTARTS = 8
# A restart must be better than by rounding, or a frame's answer would hang on its last digit.
CLEARLY = 0.99


class FrameFitter:
    """Fits frames of one skeleton.

    Args:
        symmetries: of the skeleton within its bounds.
        bounds: of the parameters, each (P,).
        solver: ``"lm"`` or ``"gd"``.
    """

    def __init__(self, problem: Problem, symmetries: Symmetries, solver: str):
        self._symmetries, self._solve = symmetries, SOLVERS[solver]
        # Descent that has not come to its end goes the right way all the same.
        self._patient = solver == "gd"
        tree = problem.tree
        poses = _start_poses(*symmetries.bounds, tree.skeleton.is_angle())
        self._starters = [Starter(tree, pose) for pose in poses]

    def fit(self, problem: Problem, init: Optional[Array], scale: Array, rest: Array) -> Solution:
        """Return the fit of N frames.

        Args:
            problem: the frames.
            init: motions to start from, (P, N), or ``None`` for closed-form starts.
            scale: of the bones to start from, (N,).
            rest: motions that ambiguous angles go to, (P, N).
        """
        first = self._start(problem, 0, scale) if init is None else _joined(problem, init, scale)
        solution = self._solve(problem, problem.clipped(first))
        failed = ~solution.converged & (not self._patient)
        # A given start may lie anywhere, so that less makes it doubtful.
        limit = OUT_OF_LINE if init is None else DOUBTFUL
        bad = np.flatnonzero(failed | _out_of_line(problem, solution, limit))
        for number in range(init is None, len(self._starters)):
            if not len(bad):
                break
            bad = np.resize(bad, max(2, len(bad)))
            part, before = problem.part(bad), solution.loss[bad]
            start = self._start(part, number, scale[bad])
            again = self._solve(part, part.clipped(start))
            solution.improve(bad, again, CLEARLY)
            # A minimum found twice is taken for the lowest one, unless it is no fit at all.
            confirmed = np.abs(again.loss - before) <= (1 - CLEARLY) * before
            failed = ~solution.converged[bad] & (not self._patient)
            found = solution.part(bad)
            astray = _out_of_line(part, found, OUT_OF_LINE) & ~confirmed
            bad = np.unique(bad[failed | astray | _out_of_line(part, found, HOPELESS)])
        count = problem.tree.num_parameters
        motion, _ = self._symmetries.nearest(solution.unknowns[:count], rest)
        solution.unknowns[:count] = motion
        solution.unknowns = settle(problem, solution.unknowns, rest)
        return solution

    def _start(self, problem: Problem, number: int, scale: Array) -> Array:
        motion = self._starters[number].start(problem.target, problem.weights, scale)
        return _joined(problem, self._symmetries.within_bounds(motion), scale)


def _joined(problem: Problem, motion: Array, scale: Array) -> Array:
    return np.concatenate([motion, scale[None]]) if problem.normal.with_scale else motion.copy()


def _out_of_line(problem: Problem, solution: Solution, limit: float) -> Array:
    residual = problem.target - problem.joints(solution.unknowns)
    distance = np.sqrt((residual**2).sum(1)) * (problem.weights > 0)
    _, scale = problem.split(solution.unknowns)
    return ~(distance.max(0) <= limit * problem.tree.reach * scale)


def _start_poses(lower: Array, upper: Array, angles: Array):
    """Return the poses of the limbs that fits start from; the first one nearly always does.

    Angles with both bounds are in the middle of them, so that hinges are bent and say where the
    limb's roll is; later poses are spread at random, the same in every run.
    """
    bounded = np.isfinite(lower) & np.isfinite(upper)
    middle = np.clip(np.zeros_like(lower), lower, upper)
    span = np.where(angles, 1.0, 0.0)
    middle[bounded] = (lower[bounded] + upper[bounded]) / 2
    span[bounded] = (upper[bounded] - lower[bounded]) / 4
    random = np.random.Generator(np.random.PCG64(0))
    poses = [middle]
    for number in range(RESTARTS):
        # Parameters that turn several joints are not found by the closed-form pass: at last their
        # start is spread over a whole turn.
        if number == RESTARTS // 2:
            span[~bounded & angles] = np.pi
            span[bounded] *= 2
        poses.append(np.clip(middle + span * random.uniform(-1, 1, len(middle)), lower, upper))
    return poses
