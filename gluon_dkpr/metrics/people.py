"""All the numbers of an evaluation on people, by action: a row of the paper's table 1 and more."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, TypedDict

import numpy as np

from gluon_dkpr.metrics.angles import angle_error
from gluon_dkpr.metrics.bones import bone_lengths
from gluon_dkpr.metrics.checks import MetricError
from gluon_dkpr.metrics.joints import auc, mpjpe, p_mpjpe, pck, root_relative
from gluon_dkpr.metrics.swaps import left_right_limbs, swap_rate
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

PCK_MM = 150.0
# Samples at a time: what is computed of them on the way takes some MB, however many there are.
CHUNK = 4096


class Measures(TypedDict):
    """Means over some samples.

    Keys:
        n: number of samples.
        mpjpe_mm: :func:`~gluon_dkpr.metrics.mpjpe` of root-relative joints, the root counted.
        pa_mpjpe_mm: :func:`~gluon_dkpr.metrics.p_mpjpe`.
        pck_150mm: :func:`~gluon_dkpr.metrics.pck` at 150 mm of root-relative joints, percent. The
            root, which is always right, counts as one of them; MPI-INF-3DHP leaves it out, so its
            figures are a little lower and cannot be compared.
        auc: :func:`~gluon_dkpr.metrics.auc` of root-relative joints, percent; the root as before.
        bone_length_error_mm: mean absolute difference of the predicted length of a bone from its
            length in the true joints of the sample.
        swap_rate: :func:`~gluon_dkpr.metrics.swap_rate` of root-relative joints, percent.
        angle_error_deg: :func:`~gluon_dkpr.metrics.angle_error`; ``None`` without motion.
    """

    n: int
    mpjpe_mm: float
    pa_mpjpe_mm: float
    pck_150mm: float
    auc: float
    bone_length_error_mm: float
    swap_rate: float
    angle_error_deg: Optional[float]


class HumanReport(TypedDict):
    """What :func:`evaluate_people` returns; plain numbers and texts, ready for JSON.

    Keys:
        actions: the measures of each action that has samples, in the order of their names.
        mean_of_actions: unweighted mean over those actions; its ``mpjpe_mm`` is the "Average" of
            the paper's table 1.
        mean_of_frames: mean over all samples, where an action counts by its number of samples.
        bone_length_std_mm: bone length deviation, the mean over bones of the standard deviation
            over all samples of the predicted length, at size 1 if ``scale`` was given
            (:func:`~gluon_dkpr.metrics.bone_length_std`).
        bone_length_std_percent: the same in percent of the mean rest length.
        swap_rate_by_limb: percent of all samples, see :func:`~gluon_dkpr.metrics.swap_rate`; a
            limb is called by its first and last joint, ``"hip to ankle"``.
    """

    actions: Dict[str, Measures]
    mean_of_actions: Measures
    mean_of_frames: Measures
    bone_length_std_mm: float
    bone_length_std_percent: float
    swap_rate_by_limb: Dict[str, float]


def evaluate_people(
    skeleton: Skeleton,
    joints_true: Array,
    joints_pred: Array,
    action: Array,
    action_names: Sequence[str],
    motion_true: Optional[Array] = None,
    motion_pred: Optional[Array] = None,
    scale: Optional[Array] = None,
) -> HumanReport:
    """Measure predicted people against the truth, as Human3.6M's protocol and table 1 do.

    Both are made root-relative first. Nothing is scaled or turned but for PA-MPJPE.

    Args:
        skeleton: the body, in mm.
        joints_true: visible joints, shape (N, J, 3), mm, camera frame.
        joints_pred: same.
        action: number of each sample's action, shape (N,), counts ``action_names`` from 0.
        action_names: unique; those without a sample are left out of the report.
        motion_true: motion, shape (N, P), radians and mm; optional.
        motion_pred: predicted motion, same; optional.
        scale: of the bones that each prediction was made with, shape (N,), above 0; 1 by default.
            The bone length deviation is that of the lengths divided by it.

    Raises:
        MetricError: for a wrong shape, a number not finite, a scale not above 0, one motion without
            the other, no sample, an action without a name, or a skeleton in another unit than mm.
    """
    if skeleton.length_unit != "mm":
        raise MetricError(f"skeleton '{skeleton.name}' is in {skeleton.length_unit}, expected mm")
    count = len(joints_true)
    action = _checked_actions(action, action_names, count)
    motions = _checked_motions(motion_true, motion_pred, count)
    if len(joints_pred) != count or not count:
        raise MetricError(
            f"{len(joints_pred)} predicted poses, {count} true ones; expected as many, at least 1"
        )
    scale = _checked_scale(scale, count)
    values, lengths, limbs = _per_sample(skeleton, joints_true, joints_pred, motions)
    actions = {}
    for number, name in enumerate(action_names):
        samples = action == number
        if samples.any():
            actions[name] = _means({key: some[samples] for key, some in values.items()})
    std = float((lengths / scale[:, None]).std(axis=0).mean())
    return HumanReport(
        actions=actions,
        mean_of_actions=_mean_of(actions.values(), count),
        mean_of_frames=_means(values),
        bone_length_std_mm=std,
        bone_length_std_percent=100.0 * std / float(skeleton.bone_lengths.mean()),
        swap_rate_by_limb=dict(zip(_limb_names(skeleton), limbs.tolist())),
    )


def _checked_actions(action: Array, names: Sequence[str], count: int) -> Array:
    action = np.asarray(action)
    if action.shape != (count,):
        raise MetricError(f"action has shape {action.shape}, expected ({count},)")
    if len(set(names)) < len(names):
        raise MetricError(f"action names are {list(names)}, expected different ones")
    unknown = ~np.isin(action, np.arange(len(names)))
    if unknown.any():
        sample = int(np.argmax(unknown))
        raise MetricError(f"action[{sample}] is {action[sample]}, expected 0 to {len(names) - 1}")
    return action.astype(int)


def _checked_motions(motion_true, motion_pred, count: int):
    """Return both motions, or ``None`` if there is none of either."""
    if (motion_true is None) != (motion_pred is None):
        raise MetricError("motion_true and motion_pred: expected both or none")
    if motion_true is None:
        return None
    for name, motion in (("motion_true", motion_true), ("motion_pred", motion_pred)):
        if len(motion) != count:
            raise MetricError(f"{name} has {len(motion)} samples, joints {count}")
    return motion_true, motion_pred


def _checked_scale(scale, count: int) -> Array:
    scale = np.ones(count) if scale is None else np.asarray(scale, dtype=np.float64)
    if scale.shape != (count,):
        raise MetricError(f"scale has shape {scale.shape}, expected ({count},)")
    wrong = ~(np.isfinite(scale) & (scale > 0))
    if wrong.any():
        sample = int(np.argmax(wrong))
        raise MetricError(f"scale[{sample}] is {scale[sample]}, expected finite and above 0")
    return scale


def _per_sample(skeleton: Skeleton, joints_true, joints_pred, motions):
    """Return measures of each sample, predicted bone lengths and the swap rate of each limb.

    Returns:
        ``values``: for each key of :class:`Measures` but ``n`` an array (N,); ``lengths``
        (N, J-1) in mm; ``limbs`` (K,) in percent.
    """
    count = len(joints_true)
    root = skeleton.joint_names.index(skeleton.root.name)
    parts, lengths, limbs = [], [], 0.0
    for begin in range(0, count, CHUNK):
        some = slice(begin, begin + CHUNK)
        true, pred = (root_relative(joints[some], root) for joints in (joints_true, joints_pred))
        lengths.append(bone_lengths(pred, skeleton))
        off = np.abs(lengths[-1] - bone_lengths(true, skeleton))
        part = {
            "mpjpe_mm": mpjpe(true, pred, per="sample"),
            "pa_mpjpe_mm": p_mpjpe(true, pred, per="sample"),
            "pck_150mm": pck(true, pred, PCK_MM, per="sample"),
            "auc": auc(true, pred, per="sample"),
            "bone_length_error_mm": off.mean(axis=1),
            "swap_rate": swap_rate(true, pred, skeleton, per="sample"),
        }
        if motions is not None:
            pair = (motion[some] for motion in motions)
            part["angle_error_deg"] = angle_error(*pair, skeleton, per="sample")
        parts.append(part)
        limbs = limbs + swap_rate(true, pred, skeleton, per="limb") * (len(true) / count)
    values = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return values, np.concatenate(lengths), limbs


def _means(values: Dict[str, Array]) -> Measures:
    means = {key: float(some.mean()) for key, some in values.items()}
    return Measures(**{"n": len(values["mpjpe_mm"]), "angle_error_deg": None, **means})


def _mean_of(rows, count: int) -> Measures:
    """Return the unweighted mean of the measures of several actions."""
    rows = list(rows)
    keys = [key for key in rows[0] if key != "n" and rows[0][key] is not None]
    means = {key: float(np.mean([row[key] for row in rows])) for key in keys}
    return Measures(**{"n": count, "angle_error_deg": None, **means})


def _limb_names(skeleton: Skeleton) -> list:
    names = []
    for limb in left_right_limbs(skeleton):
        first, last = (name[len("left_") :] if name.startswith("left_") else name
                       for name in (limb[0][0], limb[-1][0]))  # fmt: skip
        names.append(first if first == last else f"{first} to {last}")
    return names
