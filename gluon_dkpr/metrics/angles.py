"""Errors of motion parameters."""

from __future__ import annotations

from typing import Optional, Union

import numpy as np

from gluon_dkpr.metrics.checks import MetricError, average, checked_motion
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

_AXES = {"sample": 0, "parameter": 1}


def angle_error(
    motion_true: Array, motion_pred: Array, skeleton: Skeleton, per: Optional[str] = None
) -> Union[float, Array]:
    """Return the mean absolute error of the angles in degrees.

    Protocol: only the A parameters in radians count, each difference by the shorter way round the
    circle, at most 180 degrees. This is the angle error of the paper's figure 5. Angles of joints
    that turn about several axes are compared axis by axis: equal rotations may have other angles.

    Args:
        motion_true: motion, shape (N, P), radians and the skeleton's length unit.
        motion_pred: same.
        skeleton: names the parameters.
        per: ``None`` for the mean over all angles of all samples, ``"parameter"`` for an array
            (A,) in the order of the skeleton's parameters in radians, ``"sample"`` for (N,).

    Raises:
        MetricError: for a wrong shape, a number not finite, or a skeleton without angles.
    """
    motion_true = checked_motion(motion_true, "motion_true", skeleton.num_parameters)
    motion_pred = checked_motion(motion_pred, "motion_pred", skeleton.num_parameters)
    if len(motion_pred) != len(motion_true):
        raise MetricError(
            f"motion_pred has {len(motion_pred)} samples, motion_true {len(motion_true)}"
        )
    angles = skeleton.is_angle()
    if not angles.any():
        raise MetricError(f"skeleton '{skeleton.name}' has no parameter in radians")
    difference = np.degrees(motion_pred[:, angles] - motion_true[:, angles])
    # The remainder of least magnitude, in [-180, 180], without loss of digits.
    difference = np.abs(difference - 360.0 * np.round(difference / 360.0))
    return average(difference, np.ones_like(difference, dtype=bool), per, _AXES)
