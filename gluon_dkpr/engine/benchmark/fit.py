"""``fit_model`` against SciPy's least squares and the paper's gradient descent."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Dict, List

import numpy as np
from scipy.optimize import least_squares

from gluon_dkpr.data.mocap import humanoid_skeleton, list_clips, read_clip
from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.fit import fit_model
from gluon_dkpr.fit.lm import Tolerance, minimise
from gluon_dkpr.fit.normal import NormalEquations
from gluon_dkpr.fit.problem import Problem
from gluon_dkpr.fit.start import Starter
from gluon_dkpr.fit.tree import Tree
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

OURS, ALONE = "fit_model", "fit_model, one process"
SCIPY, DESCENT = "SciPy least_squares", "gradient descent"
SAMPLE = 32  # poses of the slow contestants, spread over the clips
NOISE_MM = 20.0
#: Far beyond what anybody needs: what is left is the converged residual.
CONVERGED = Tolerance(decrease=1e-12, iterations=2000)


def motion_capture() -> Array:
    """Return the joints of all clips and of their mirror images, (N, 17, 3), mm."""
    joints = np.concatenate([read_clip(name).joints for name in list_clips()])
    skeleton = humanoid_skeleton()
    order = np.arange(skeleton.num_joints)
    for pair in skeleton.left_right_pairs:
        left, right = (skeleton.joint_names.index(name) for name in pair)
        order[[left, right]] = right, left
    return np.concatenate([joints, joints[:, order] * [-1.0, 1.0, 1.0]])


def mean_error(found: Array, joints: Array) -> float:
    """Return the mean distance of joints in mm."""
    return float(np.linalg.norm(found - joints, axis=-1).mean())


def middle_pose(skeleton: Skeleton) -> Array:
    """Return the pose of the limbs that closed-form starts begin with, (P,)."""
    lower, upper = skeleton.bounds()
    bounded = np.isfinite(lower) & np.isfinite(upper)
    middle = np.clip(np.zeros_like(lower), lower, upper)
    middle[bounded] = (lower[bounded] + upper[bounded]) / 2
    return middle


def starts(skeleton: Skeleton, joints: Array) -> Array:
    """Return the closed-form starts within the bounds, (N, P)."""
    target, weights = joints.transpose(1, 2, 0), np.ones((skeleton.num_joints, len(joints)))
    motion = Starter(Tree(skeleton), middle_pose(skeleton)).start(
        target, weights, np.ones(len(joints))
    )
    return np.clip(motion.T, *skeleton.bounds())


def converged_joints(skeleton: Skeleton, motion: Array, joints: Array) -> Array:
    """Return the joints after as many steps from ``motion`` as change anything, (N, J, 3)."""
    tree = Tree(skeleton)
    target, weights = joints.transpose(1, 2, 0), np.ones((skeleton.num_joints, len(joints)))
    problem = Problem(tree, NormalEquations(tree), target, weights, skeleton.bounds())
    solution = minimise(problem, problem.clipped(motion.T.copy()), CONVERGED)
    return problem.joints(solution.unknowns).transpose(2, 0, 1)


class ScipyFit:
    """SciPy's trust region solver, one frame at a time, on the same residual and Jacobian."""

    def __init__(self, skeleton: Skeleton):
        self._tree, self._bounds = Tree(skeleton), skeleton.bounds()
        last = self._tree.last_turns()
        self._moved = np.zeros((len(self._tree.turns), skeleton.num_joints, 1))
        for j, joint in enumerate(self._tree.visible):
            self._moved[self._tree.chain(last[joint]), j] = 1.0
        self._columns = [turn.column for turn in self._tree.turns]
        coefficients = [turn.coefficient for turn in self._tree.turns]
        self._moved *= np.array(coefficients)[:, None, None]

    def residual(self, motion: Array, joints: Array) -> Array:
        """Return joints of the model minus wanted joints, (J * 3,)."""
        return (self._tree.joints(motion[:, None], np.ones(1))[..., 0] - joints).ravel()

    def jacobian(self, motion: Array, joints: Array) -> Array:
        """Return its derivative by the motion, (J * 3, P)."""
        pose = self._tree.pose(motion[:, None], np.ones(1))
        arms = pose.joints[None, :, :, 0] - pose.centres[:, None, :, 0]
        turned = np.cross(pose.axes[:, None, :, 0], arms) * self._moved
        jacobian = np.zeros((len(joints), 3, len(motion)))
        for axis, column in enumerate(self._tree.position):
            jacobian[:, axis, column] = 1.0
        for column, moved in zip(self._columns, turned):
            jacobian[:, :, column] += moved
        return jacobian.reshape(-1, len(motion))

    def fit(self, joints: Array, start: Array) -> Array:
        """Return the motion of one frame (P,) from a start."""
        lower, upper = self._bounds
        # A start on a bound is refused by SciPy.
        start = np.clip(start, lower + 1e-6, upper - 1e-6)
        found = least_squares(
            self.residual, start, self.jacobian, (lower, upper), x_scale="jac", args=(joints,)
        )
        return found.x

    def joints(self, motion: Array) -> Array:
        """Return the joints of motions (N, P), (N, J, 3)."""
        return self._tree.joints(motion.T, np.ones(len(motion))).transpose(2, 0, 1)


def _race(skeleton, joints: Array, scipy: ScipyFit, frames, seconds: float, workers: int) -> dict:
    """Return the seconds of a pose, a list for each contestant."""
    turns = itertools.cycle(frames)
    contestants = [
        harness.repeated(OURS, lambda: fit_model(skeleton, joints, workers=workers)),
        harness.repeated(ALONE, lambda: fit_model(skeleton, joints)),
        harness.repeated(SCIPY, lambda: scipy.fit(*next(turns))),
    ]
    samples = harness.interleave(contestants, seconds)
    poses = {name: [call / len(joints) for call in samples[name]] for name in (OURS, ALONE)}
    return {**samples, **poses}


def measure(skeleton: Skeleton, joints: Array, seconds: float, seed: int, workers: int) -> dict:
    """Return times of a pose in seconds, ratios and residuals in mm.

    Args:
        skeleton: a body with the bone lengths of the joints.
        joints: (N, J, 3), mm.
        seconds: timed seconds of each contestant.
        seed: of the noise.
        workers: processes of ``fit_model``.
    """
    sample = joints[np.linspace(0, len(joints) - 1, SAMPLE).astype(int)]
    first, scipy = starts(skeleton, sample), ScipyFit(skeleton)
    samples = _race(skeleton, joints, scipy, zip(sample, first), seconds, workers)
    # Once: descent takes minutes where the others take seconds.
    begin = time.perf_counter()
    descended = fit_model(skeleton, sample, solver="gd")
    samples[DESCENT] = [(time.perf_counter() - begin) / SAMPLE] * len(samples[OURS])
    ours = fit_model(skeleton, joints)
    found = np.array([scipy.fit(*pair) for pair in zip(sample, first)])
    noise = np.random.RandomState(seed).normal(0, NOISE_MM, ours.joints.shape)
    denoised = fit_model(skeleton, ours.joints + noise)
    return {
        "poses": len(joints),
        "seconds": {name: harness.spread(times) for name, times in samples.items()},
        "ratio": {
            name: harness.ratios(samples[OURS], samples[name]) for name in samples if name != OURS
        },
        "residual_mm": {
            OURS: mean_error(ours.joints, joints),
            "converged": mean_error(converged_joints(skeleton, ours.motion, joints), joints),
            "worst frame": float(ours.error.max()),
        },
        "residual_of_sample_mm": {
            OURS: mean_error(fit_model(skeleton, sample).joints, sample),
            SCIPY: mean_error(scipy.joints(found), sample),
            DESCENT: mean_error(descended.joints, sample),
        },
        "noise_mm": {
            "noisy joints": float(np.linalg.norm(noise, axis=-1).mean()),
            "fitted joints": mean_error(denoised.joints, ours.joints),
        },
        "converged": float(ours.converged.mean()),
        "iterations": float(ours.iterations.mean()),
    }


def summary(result: dict) -> List[harness.Row]:
    """Return the ratios for the table of all benchmarks."""
    ratios = result["fit"]["ratio"].items()
    return [harness.Row(f"{OURS}, {result['threads']} processes", *found) for found in ratios]


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    found = result["fit"]
    rows = [["", "poses/s", "times slower (quartiles)", f"residual of {SAMPLE} poses, mm"]]
    for name, seconds in found["seconds"].items():
        ratio = found["ratio"].get(name)
        ratio = (
            ""
            if ratio is None
            else "{median:.1f} ({quartile1:.1f} to {quartile3:.1f})".format(**ratio)
        )
        residual = found["residual_of_sample_mm"].get(name)
        residual = "" if residual is None else f"{residual:.3f}"
        rows.append([name, f"{1 / seconds['median']:,.0f}", ratio, residual])
    residual, noise = found["residual_mm"], found["noise_mm"]
    return f"""# Motion from joints: fit_model

{found["poses"]} poses of motion capture, half of them mirrored; the body of `human36m()` (27
parameters) with the rest bones of the clips' own body (`gluon_dkpr.data.humanoid_skeleton`).
Medians of {harness.ROUNDS} rounds that take turns in one run. SciPy's `least_squares` fits one
pose at a time on the same residual and analytic Jacobian, from the same closed-form start; gradient
descent is the paper's.
`fit_model` shares the poses among {result["threads"]} processes in its first row.

{harness.markdown_table(rows)}

Residual of all poses: {residual[OURS]:.3f} mm, fully converged {residual["converged"]:.3f} mm; the
worst pose has {residual["worst frame"]:.1f} mm. {found["converged"]:.2%} converged, after
{found["iterations"]:.1f} iterations on average. With Gaussian noise of {NOISE_MM:g} mm on each
coordinate the joints are off by {noise["noisy joints"]:.1f} mm before and by
{noise["fitted joints"]:.1f} mm after the fit.

{harness.footer(result)}"""


def run(out: Path, command: str, seconds: float, threads: int, seed: int) -> str:
    """Measure, write ``out`` and the page beside it; return the page.

    Args:
        out: the JSON file.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each contestant.
        threads: of NumPy's libraries, and processes of ``fit_model``.
        seed: of the noise.
    """
    conditions = harness.conditions(command, seed, threads)
    joints = motion_capture()
    skeleton = humanoid_skeleton()
    result: Dict[str, object] = {
        **conditions,
        "fit": measure(skeleton, joints, seconds, seed, threads),
    }
    text = page(result)
    harness.write_result(out, result, text)
    return text
