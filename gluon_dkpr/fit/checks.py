"""What a fit accepts, and what it says about everything else."""

from __future__ import annotations

import warnings
from typing import Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

SMALLEST_SIZE, LARGEST_SIZE = 0.2, 5.0
# Names of the units that people mix up, by their length in mm.
UNITS = {"mm": 1.0, "cm": 10.0, "m": 1000.0}


class FitError(DkprError, ValueError):
    """Joints, weights, start or options that cannot be fitted."""


class FitWarning(UserWarning):
    """Joints that can be fitted but hardly mean what they say."""


def checked_joints(skeleton: Skeleton, joints, weights) -> Tuple[Array, Array]:
    """Return wanted joints (J, 3, N), 0 where missing, and weights (J, N) of at most 1 a frame."""
    joints = _numbers("joints", joints)
    expected = (skeleton.num_joints, skeleton.dim)
    if joints.ndim != 3 or joints.shape[1:] != expected:
        raise FitError(
            f"joints have shape {joints.shape}, expected (N, {expected[0]}, {expected[1]}) "
            f"for skeleton '{skeleton.name}'"
        )
    if np.isinf(joints).any():
        frame, joint, _ = np.argwhere(np.isinf(joints))[0]
        raise FitError(
            f"joints[{frame}, {joint}] is {joints[frame, joint]}, expected finite numbers, or NaN "
            "for a missing joint"
        )
    count = len(joints)
    weights = np.ones(joints.shape[:2]) if weights is None else _numbers("weights", weights)
    if weights.shape not in ((count, expected[0]), (expected[0],)):
        raise FitError(
            f"weights have shape {weights.shape}, expected ({count}, {expected[0]}) "
            f"or ({expected[0]},)"
        )
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise FitError("weights must be finite and at least 0")
    weights = np.where(np.isnan(joints).any(-1), 0.0, weights)
    largest = weights.max(axis=1, keepdims=True, initial=0.0)
    weights = np.divide(weights, largest, out=np.zeros_like(weights), where=largest > 0)
    target = np.zeros((expected[0], 3, count))
    target[:, : skeleton.dim] = np.where(weights[..., None] > 0, joints, 0.0).transpose(1, 2, 0)
    return target, np.ascontiguousarray(weights.T)


def checked_init(skeleton: Skeleton, init, count: int) -> Array:
    """Return the motions to start from, (P, N)."""
    init, size = _numbers("init", init), skeleton.num_parameters
    if init.shape not in ((size,), (count, size)):
        raise FitError(
            f"init has shape {init.shape}, expected ({size},) or ({count}, {size}) "
            f"for skeleton '{skeleton.name}'"
        )
    if not np.isfinite(init).all():
        raise FitError("init must be finite")
    return np.array(np.broadcast_to(init, (count, size)).T)


def check_workers(workers) -> None:
    """Raise FitError unless it is a number of processes."""
    if isinstance(workers, bool) or not isinstance(workers, (int, np.integer)) or workers < 1:
        raise FitError(f"workers is {workers!r}, expected a whole number above 0")


def check_choice(name: str, value, choices) -> None:
    """Raise FitError unless ``value`` is one of the choices."""
    if value not in choices:
        raise FitError(f"{name} is {value!r}, expected one of {', '.join(map(repr, choices))}")


def relative_size(skeleton: Skeleton, target: Array, weights: Array) -> Array:
    """Return the summed length of each frame's complete bones by that of the skeleton's, (N,).

    NaN for a frame without a complete bone.
    """
    bones, lengths = skeleton.bone_indices, skeleton.bone_lengths
    parent, child = bones.T
    present = ((weights[parent] > 0) & (weights[child] > 0)) & (lengths > 0)[:, None]
    found = np.sqrt(((target[child] - target[parent]) ** 2).sum(1))
    with np.errstate(invalid="ignore"):
        return (present * found).sum(0) / (present * lengths[:, None]).sum(0)


def warn_about_units(skeleton: Skeleton, sizes: Array) -> None:
    """Warn if the joints are far too small or too large for the skeleton: another unit, surely."""
    sizes = sizes[np.isfinite(sizes)]
    if not len(sizes):
        return
    size = float(np.median(sizes))
    if SMALLEST_SIZE <= size <= LARGEST_SIZE:
        return
    unit = skeleton.length_unit
    guess = "have another unit"
    for name, length in UNITS.items():
        if unit in UNITS and name != unit and 0.4 < size * length / UNITS[unit] < 2.5:
            guess = f"look like {name}"
    warnings.warn(
        f"joints {guess}, skeleton '{skeleton.name}' is in {unit}: their bones are "
        f"{size:.3g} times as long as the skeleton's",
        FitWarning,
        stacklevel=3,
    )


def _numbers(name: str, value) -> Array:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FitError(f"{name} must be an array of numbers: {error}") from None
