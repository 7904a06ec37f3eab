"""ModelFit: motion parameters from joints (section 4.2 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

import numpy as np

from gluon_dkpr.fit import checks
from gluon_dkpr.fit.chunks import in_chunks
from gluon_dkpr.fit.frames import SOLVERS, FrameFitter
from gluon_dkpr.fit.normal import NormalEquations
from gluon_dkpr.fit.problem import Problem, Solution
from gluon_dkpr.fit.sequence import follow, refit, same_branch
from gluon_dkpr.fit.symmetry import Symmetries
from gluon_dkpr.fit.tree import Tree
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

SCALES = ("fixed", "estimate")
# Bones of no length have no direction.
LEAST_SCALE = 1e-6


@dataclass(frozen=True)
class FitResult:
    """Motions that bring a skeleton to joints.

    Attributes:
        motion: (N, P), radians and the skeleton's length unit; NaN where not ``valid``.
        joints: the skeleton's joints at that motion and scale, (N, J, D); NaN where not ``valid``.
        error: mean distance to the given joints over those not missing, (N,), length unit.
        iterations: of the solver, restarts included, (N,).
        converged: (N,) bool.
        scale: of the bones, (N,); 1 unless estimated.
        valid: (N,) bool, false for a frame whose joints are all missing.
    """

    motion: Array
    joints: Array
    error: Array
    iterations: Array
    converged: Array
    scale: Array
    valid: Array


def fit_model(
    skeleton: Skeleton,
    joints: Array,
    weights: Optional[Array] = None,
    init: Optional[Array] = None,
    scale: str = "fixed",
    bounds: bool = True,
    solver: str = "lm",
    sequence: bool = False,
    workers: int = 1,
) -> FitResult:
    """Return the motion parameters whose joints are nearest to the given ones.

    Minimises Eq. 3 of the paper, half the (weighted) sum of squared distances, for every frame.
    The start is a closed-form pass over the joints from the root outwards; the few frames that end
    far off are started again from other poses. The result of a frame does not depend on the other
    frames, unless ``sequence`` is set.

    Where several motions give the same joints, the one nearest to a reference is returned: to the
    previous frame in a sequence, else to ``init``, else to 0 (or the bound next to it). This holds
    for full turns, for the two answers of three rotations of a joint and of a limb's roll with its
    hinge (where the bounds allow both), and for directions that move no joint, such as the roll of
    a straight arm. It moves no joint by more than 2e-7 of the summed bone lengths (1e-3 mm for a
    person).

    Args:
        skeleton: the object, in two or three dimensions.
        joints: wanted joints in the world, shape (N, J, D), in the skeleton's length unit. A joint
            with a NaN is missing.
        weights: of the joints, shape (N, J) or (J,), at least 0; 0 means missing.
        init: motion to start from, shape (N, P) or (P,).
        scale: ``"fixed"``: bones have the skeleton's lengths. ``"estimate"``: one factor of all
            bones is fitted too, per frame; in a sequence the median of the frames.
        bounds: keep the parameters within the skeleton's bounds.
        solver: ``"lm"``, damped least squares, or ``"gd"``, the paper's gradient descent with
            momentum, which is two orders slower and kept for comparison.
        sequence: the frames follow each other in time: angles are continuous, also beyond half a
            turn, and each frame is drawn to the one before as if angles turned by 0.3 rad a frame
            and joints had the residual as noise. Joints that the skeleton meets exactly it leaves
            where they are; where they do not tell (the roll of a nearly straight arm, the pitch
            of the pelvis and of the head along their axis) the angle stays.
        workers: processes that share the frames; the result is the same for any number. More than
            one pays off from about a thousand frames.

    Raises:
        FitError: for a wrong shape or choice, an infinite number, a negative weight.

    Warns:
        FitWarning: the joints seem to be in another unit than the skeleton.
    """
    checks.check_choice("scale", scale, SCALES)
    checks.check_choice("solver", solver, tuple(SOLVERS))
    checks.check_workers(workers)
    target, weights = checks.checked_joints(skeleton, joints, weights)
    count = target.shape[2]
    start = None if init is None else checks.checked_init(skeleton, init, count)
    sizes = checks.relative_size(skeleton, target, weights)
    checks.warn_about_units(skeleton, sizes)
    frames = np.flatnonzero((weights > 0).any(0))
    if start is not None:
        start = start[:, frames]
    fit = _Fit(skeleton, bounds, solver, workers)
    wanted, counted = target[..., frames], weights[:, frames]
    sizes = np.where(np.isfinite(sizes), sizes, 1.0)[frames]
    if scale == "fixed":
        solution = fit.run(wanted, counted, start, np.ones(len(frames)), False, sequence)
        factor = np.ones(len(frames))
    else:
        solution = fit.run(wanted, counted, start, sizes, True, False)
        factor = solution.unknowns[-1]
        solution.unknowns = solution.unknowns[:-1]
        if sequence and len(frames):
            factor = np.full(len(frames), np.median(factor))
            fit = _Fit(skeleton, bounds, solver, workers, float(factor[0]))
            start = solution.unknowns
            solution = fit.run(wanted, counted, start, np.ones(len(frames)), False, True)
    return _result(skeleton, solution, factor, frames, target, weights)


@lru_cache(maxsize=8)
def _compiled(skeleton: Skeleton, bounded: bool, scale: float):
    """Return tree and symmetries; a skeleton is often fitted again, to a few frames at a time."""
    tree = Tree(skeleton, scale)
    lower, upper = skeleton.bounds()
    if not bounded:
        lower, upper = np.full_like(lower, -np.inf), np.full_like(upper, np.inf)
    return tree, Symmetries(tree, (lower, upper))


@lru_cache(maxsize=8)
def _normal_equations(tree: Tree, with_scale: bool) -> NormalEquations:
    return NormalEquations(tree, with_scale)


class _Fit:
    """Fits chunks of frames."""

    def __init__(
        self, skeleton: Skeleton, bounds: bool, solver: str, workers: int, scale: float = 1.0
    ):
        self.tree, self.symmetries = _compiled(skeleton, bounds, scale)
        self.bounds, self.solver, self.workers = self.symmetries.bounds, solver, workers

    def run(self, target, weights, init, scale, with_scale: bool, sequence: bool) -> Solution:
        """Fit the frames one by one, then, if asked for, as a sequence."""
        bounds = self.bounds
        if with_scale:
            bounds = np.append(bounds[0], LEAST_SCALE), np.append(bounds[1], np.inf)
        normal = _normal_equations(self.tree, with_scale)
        problem = Problem(self.tree, normal, target, weights, bounds)
        fitter = FrameFitter(problem, self.symmetries, self.solver)
        rest = np.clip(np.zeros(self.tree.num_parameters), *self.bounds)[:, None]
        rest = np.repeat(rest, target.shape[2], axis=1) if init is None else init

        def fit_some(frames):
            start = None if init is None else init[:, frames]
            return fitter.fit(problem.part(frames), start, scale[frames], rest[:, frames])

        solution = in_chunks(fit_some, target.shape[2], normal.structure.size, self.workers)
        if sequence and target.shape[2]:
            solution = self._continuous(problem, solution, rest[:, 0])
        return solution

    def _continuous(self, problem: Problem, solution: Solution, first: Array) -> Solution:
        followed, pulled = follow(problem, solution.unknowns, first, self.symmetries)

        def fit_some(frames):
            return refit(pulled.part(frames), followed[:, frames])

        size, count = followed.shape
        refined = in_chunks(fit_some, count, size, self.workers)
        refined.iterations += solution.iterations
        # The second fit may have gone over to the other answer of a joint again.
        refined.unknowns = same_branch(refined.unknowns, first, self.symmetries)
        return refined


def _result(skeleton, solution, factor, frames, target, weights) -> FitResult:
    count = target.shape[2]
    motion = np.full((count, skeleton.num_parameters), np.nan)
    motion[frames] = solution.unknowns.T
    scale, error = np.ones(count), np.full(count, np.nan)
    scale[frames] = factor
    valid = np.zeros(count, dtype=bool)
    valid[frames] = True
    joints = np.full((count, skeleton.num_joints, skeleton.dim), np.nan)
    found = Tree(skeleton).joints(solution.unknowns, factor)
    joints[frames] = found.transpose(2, 0, 1)[..., : skeleton.dim]
    present = weights[:, frames] > 0
    distance = np.sqrt(((found - target[..., frames]) ** 2).sum(1)) * present
    # One after the other: NumPy would add up those of a single frame in another order.
    error[frames] = distance.cumsum(0)[-1] / present.sum(0)
    iterations, converged = np.zeros(count, dtype=int), np.zeros(count, dtype=bool)
    iterations[frames], converged[frames] = solution.iterations, solution.converged
    return FitResult(motion, joints, error, iterations, converged, scale, valid)
