"""Errors of joint positions.

Masks: ``visible`` (N, J), boolean, leaves missing joints out; what stands there, NaN too, is not
looked at. ``per`` chooses what is averaged: ``None`` gives the mean over all visible joints of all
samples, ``"joint"`` an array (J,), ``"sample"`` an array (N,), with NaN where nothing is visible.
"""

from __future__ import annotations

from typing import Optional, Union

import numpy as np

from gluon_dkpr.geometry import align
from gluon_dkpr.metrics.checks import MetricError, average, checked_joints, checked_pair
from gluon_dkpr.types import Array

_AXES = {"sample": 0, "joint": 1}
# Those of MPI-INF-3DHP's evaluation (Mehta et al., 3DV 2017): 0, 5, ... 150 mm.
AUC_THRESHOLDS_MM = np.linspace(0.0, 150.0, 31)


def root_relative(joints: Array, root: int = 0) -> Array:
    """Return the joints with the root at the origin.

    Args:
        joints: shape (N, J, D), any unit and frame.
        root: index of the root joint, which is the pelvis, 0, in Human3.6M.

    Raises:
        MetricError: for a wrong shape, joints that are not finite, or no such joint.
    """
    joints = checked_joints(joints, "joints")
    if not 0 <= root < joints.shape[1]:
        raise MetricError(f"root is {root}, expected 0 to {joints.shape[1] - 1}")
    return joints - joints[:, root : root + 1]


def mpjpe(
    joints_true: Array,
    joints_pred: Array,
    visible: Optional[Array] = None,
    per: Optional[str] = None,
) -> Union[float, Array]:
    """Return the mean per-joint position error: the mean Euclidean distance.

    Protocol: positions are compared as they are. Human3.6M's protocol (and the paper's Table 1)
    passes both through :func:`root_relative` first and counts the root, whose error is then 0, as
    one of the 17 joints.

    Args:
        joints_true: shape (N, J, D), any length unit and frame.
        joints_pred: same shape, unit and frame.
        visible, per: see the module.

    Returns:
        Error in the unit of the joints.

    Raises:
        MetricError: for shapes that differ, visible joints not finite, or nothing visible.
    """
    joints_true, joints_pred, visible = checked_pair(joints_true, joints_pred, visible)
    return average(_distances(joints_true, joints_pred), visible, per, _AXES)


def p_mpjpe(
    joints_true: Array,
    joints_pred: Array,
    visible: Optional[Array] = None,
    per: Optional[str] = None,
) -> Union[float, Array]:
    """Return the error after similarity alignment (PA-MPJPE, Human3.6M "protocol 2").

    Protocol: every predicted pose is turned, moved and scaled, but not mirrored, onto its own true
    pose with the least sum of squared distances of the visible joints; then as :func:`mpjpe`.

    Args, Returns, Raises: as :func:`mpjpe`; any two frames and units, the error is in the truth's.
    """
    joints_true, joints_pred, visible = checked_pair(joints_true, joints_pred, visible)
    aligned = align(joints_pred, joints_true, weights=visible)
    return average(_distances(joints_true, aligned), visible, per, _AXES)


def pck(
    joints_true: Array,
    joints_pred: Array,
    threshold: float,
    visible: Optional[Array] = None,
    per: Optional[str] = None,
) -> Union[float, Array]:
    """Return the percentage of correct keypoints: those with an error below ``threshold``.

    Protocol: 3DPCK of MPI-INF-3DHP (Mehta et al., 3DV 2017), commonly at 150 mm on root-relative
    joints; "below" is strict, as in its evaluation. That leaves the root out, which is always right
    then; here every joint that is visible counts.

    Args:
        threshold: distance in the unit of the joints.
        joints_true, joints_pred, visible, per: as :func:`mpjpe`.

    Returns:
        Percentage, 0 to 100.

    Raises:
        MetricError: as :func:`mpjpe`, or for a threshold that is negative or not finite.
    """
    return _pck_curve(joints_true, joints_pred, [threshold], visible, per)[0]


def auc(
    joints_true: Array,
    joints_pred: Array,
    thresholds: Array = AUC_THRESHOLDS_MM,
    visible: Optional[Array] = None,
    per: Optional[str] = None,
) -> Union[float, Array]:
    """Return the area under the curve of :func:`pck` over the threshold: its mean.

    Protocol: MPI-INF-3DHP, 31 thresholds 0, 5, ... 150 mm. Nothing is strictly below the
    threshold 0, so that a perfect prediction has 30/31 of 100, which is 96.8.

    Args:
        thresholds: distances in the unit of the joints, shape (T,).
        joints_true, joints_pred, visible, per: as :func:`mpjpe`; mm with the default thresholds.

    Returns:
        Percentage, 0 to 100.

    Raises:
        MetricError: as :func:`pck`.
    """
    curve = _pck_curve(joints_true, joints_pred, thresholds, visible, per)
    mean = np.mean(curve, axis=0)
    return float(mean) if per is None else mean


def _pck_curve(joints_true, joints_pred, thresholds, visible, per) -> list:
    joints_true, joints_pred, visible = checked_pair(joints_true, joints_pred, visible)
    thresholds = np.asarray(thresholds, dtype=np.float64)
    if thresholds.ndim != 1 or thresholds.size == 0:
        raise MetricError(f"thresholds have shape {thresholds.shape}, expected (T,)")
    if not np.isfinite(thresholds).all() or (thresholds < 0).any():
        raise MetricError(f"threshold is {thresholds.tolist()}, expected finite and at least 0")
    distances = _distances(joints_true, joints_pred)
    return [average(100.0 * (distances < t), visible, per, _AXES) for t in thresholds]


def _distances(joints_true: Array, joints_pred: Array) -> Array:
    """Return the Euclidean distance of each joint, shape (N, J)."""
    return np.linalg.norm(joints_true - joints_pred, axis=-1)
