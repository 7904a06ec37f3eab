"""What every metric demands of its input, and how errors are averaged."""

from __future__ import annotations

from typing import Optional, Tuple, Union

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array


class MetricError(DkprError, ValueError):
    """Input of a metric has the wrong shape, no samples, or a number that is not finite."""


def checked_joints(joints: Array, name: str, visible: Optional[Array] = None) -> Array:
    """Return joints as float64, shape (N, J, D), D = 2 or 3; ``visible`` as :func:`checked_pair`.

    Raises:
        MetricError: for another shape, no sample, no joint, or a visible joint not finite.
    """
    joints = _as_float(joints, name)
    if joints.ndim != 3 or joints.shape[2] not in (2, 3):
        raise MetricError(f"{name} has shape {joints.shape}, expected (N, J, 2) or (N, J, 3)")
    if 0 in joints.shape:
        raise MetricError(f"{name} has shape {joints.shape}: there is nothing to measure")
    bad = ~np.isfinite(joints).all(-1)
    if visible is not None:
        bad &= visible
    if bad.any():
        sample, joint = np.argwhere(bad)[0]
        raise MetricError(f"{name}[{sample}, {joint}] is {joints[sample, joint]}, expected finite")
    return joints


def checked_pair(joints_true, joints_pred, visible=None) -> Tuple[Array, Array, Array]:
    """Return true joints, predicted joints (N, J, D) and the boolean mask of visible joints (N, J).

    Without a mask all joints are visible. What stands at the others is not looked at.

    Raises:
        MetricError: as :func:`checked_joints`, for shapes that differ, or if no joint is visible.
    """
    shape = np.shape(joints_true)
    if np.shape(joints_pred) != shape:
        raise MetricError(
            f"joints_pred has shape {np.shape(joints_pred)}, expected {shape} as joints_true"
        )
    if visible is None:
        visible = np.ones(shape[:2], dtype=bool)
    visible = np.asarray(visible)
    if visible.shape != shape[:2] or visible.dtype != bool:
        raise MetricError(
            f"visible is {visible.dtype} of shape {visible.shape}, expected bool of {shape[:2]}"
        )
    joints_true = checked_joints(joints_true, "joints_true", visible)
    joints_pred = checked_joints(joints_pred, "joints_pred", visible)
    if not visible.any():
        raise MetricError("visible: no joint of any sample is visible")
    return joints_true, joints_pred, visible


def checked_motion(motion: Array, name: str, num_parameters: int) -> Array:
    """Return motion as float64, shape (N, P).

    Raises:
        MetricError: for another shape, no sample, or a number that is not finite.
    """
    motion = _as_float(motion, name)
    if motion.ndim != 2 or motion.shape[1] != num_parameters:
        raise MetricError(f"{name} has shape {motion.shape}, expected (N, {num_parameters})")
    if len(motion) == 0:
        raise MetricError(f"{name} has no sample")
    if not np.isfinite(motion).all():
        sample, parameter = np.argwhere(~np.isfinite(motion))[0]
        value = motion[sample, parameter]
        raise MetricError(f"{name}[{sample}, {parameter}] is {value}, expected finite")
    return motion


def average(values: Array, valid: Array, per: Optional[str], axes: dict) -> Union[float, Array]:
    """Return the mean of the valid values, over everything or ``per`` one axis.

    Args:
        values: shape (N, K), any unit.
        valid: which of them count, shape (N, K), boolean.
        per: ``None`` or a key of ``axes``.
        axes: name of a result -> the axis that it keeps.

    Returns:
        One number, or an array along the kept axis, NaN where nothing is valid.

    Raises:
        MetricError: for an unknown ``per``.
    """
    if per is None:
        return float(values[valid].mean())
    if per not in axes:
        raise MetricError(f"per is {per!r}, expected None or one of {sorted(axes)}")
    summed_axis = 1 - axes[per]
    total = np.where(valid, values, 0.0).sum(summed_axis)
    count = valid.sum(summed_axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _as_float(values, name: str) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise MetricError(f"{name} is no array of numbers") from None
