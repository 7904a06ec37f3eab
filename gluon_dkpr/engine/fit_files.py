"""What a fit leaves behind: motion as .npz and BVH, a report of residuals, the worst frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Optional

import numpy as np

from gluon_dkpr.data.joint_files import JointFileError
from gluon_dkpr.files import atomic_path, atomic_write
from gluon_dkpr.fit import FitResult
from gluon_dkpr.geometry.bvh import save_bvh
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz import draw_pose3d, length_text, sample_sheet

WORST_FRAMES = 2
SHEET_PX = 128


def joint_weights(skeleton: Skeleton, text: str) -> Optional[Array]:
    """Return the weight of each joint, shape (J,), from ``nose=0.5,head=0``; None for no text."""
    if not text:
        return None
    weights = np.ones(skeleton.num_joints)
    for item in text.split(","):
        name, _, value = item.partition("=")
        if name not in skeleton.joint_names:
            known = ", ".join(skeleton.joint_names)
            raise JointFileError(f"--weights: unknown joint '{name}', expected one of {known}")
        try:
            weight = float(value)
        except ValueError:
            weight = -1.0
        if not 0 <= weight < float("inf"):
            raise JointFileError(f"--weights: '{item}', expected {name}= and a number from 0")
        weights[skeleton.joint_names.index(name)] = weight
    return weights


def report(skeleton: Skeleton, joints: Array, result: FitResult) -> dict:
    """Return the distances between given and fitted joints, in the skeleton's unit.

    Args:
        skeleton: that was fitted.
        joints: shape (F, J, D), as given, NaN where missing.
        result: of the fit.
    """
    residual = np.linalg.norm(result.joints - joints, axis=-1)
    converged = np.asarray(result.converged)
    return {
        "skeleton": skeleton.name,
        "unit": skeleton.length_unit,
        "frames": len(residual),
        "converged": int(converged.sum()),
        "missing_joints": int(np.isnan(residual).sum()),
        "all": _statistics(residual),
        "joints": {
            name: _statistics(residual[:, i]) for i, name in enumerate(skeleton.joint_names)
        },
        "empty_frames": np.flatnonzero(np.isnan(residual).all(axis=1)).tolist(),
        "not_converged_frames": np.flatnonzero(~converged).tolist(),
    }


def _statistics(values: Array) -> Dict[str, Optional[float]]:
    seen = values[~np.isnan(values)]
    if not len(seen):
        return {"mean": None, "median": None, "max": None}
    numbers = {"mean": seen.mean(), "median": np.median(seen), "max": seen.max()}
    return {name: round(float(value), 6) for name, value in numbers.items()}


def table(summary: dict) -> str:
    """Return the report as text."""
    rows = {**summary["joints"], "all": summary["all"]}
    width = max(map(len, rows))
    lines = [f"{'residual, ' + summary['unit']:<{width}}      mean    median       max"]
    for name, numbers in rows.items():
        cells = ("-" if value is None else f"{value:.3f}" for value in numbers.values())
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in cells))
    lines.append(f"{summary['converged']} of {summary['frames']} frames converged")
    return "\n".join(lines)


def write_fit(
    folder: Path, skeleton, joints: Array, result: FitResult, summary: dict, frame_time, y_up
) -> None:
    """Write motion.npz, motion.bvh (3-D), report.json and worst.png.

    Args:
        folder: made if missing.
        skeleton: that was fitted.
        joints: shape (F, J, D), as given, NaN where missing.
        result: of the fit.
        summary: of :func:`report`.
        frame_time: seconds between frames of the BVH.
        y_up: turn the BVH from the camera frame (y down) upright.
    """
    residual = np.linalg.norm(result.joints - joints, axis=-1)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "motion.npz") as path:
        np.savez(
            path,
            motion=result.motion,
            joints=result.joints,
            error=result.error,
            converged=result.converged,
            iterations=result.iterations,
            scale=result.scale,
            valid=result.valid,
            parameter_names=skeleton.parameter_names,
            joint_names=skeleton.joint_names,
            bone_lengths=skeleton.bone_lengths,
            frame_time=frame_time,
        )
    if skeleton.dim == 3:
        # A BVH has one size for all frames, and numbers in each.
        body = skeleton.scaled(float(np.median(result.scale[result.valid])))
        save_bvh(folder / "motion.bvh", body, _held(result.motion, result.valid), frame_time, y_up)
    with atomic_write(folder / "report.json") as file:
        json.dump(summary, file, indent=1, allow_nan=False)
        file.write("\n")
    _draw_worst(folder / "worst.png", skeleton, joints, result.joints, residual)


def _held(motion: Array, valid: Array) -> Array:
    """Return motion (F, P) with the valid frame before, or else the first, in place of others."""
    last = np.maximum.accumulate(np.where(valid, np.arange(len(valid)), -1))
    return motion[np.where(last < 0, np.argmax(valid), last)]


def _draw_worst(path, skeleton: Skeleton, joints: Array, fitted: Array, residual: Array) -> None:
    """Draw the frames with the largest mean residual, given and fitted."""
    seen = ~np.isnan(residual)
    error = np.where(seen, residual, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    error[~seen.any(axis=1)] = -1.0
    worst = [i for i in np.argsort(-error)[:WORST_FRAMES] if error[i] >= 0]
    if not worst:
        return
    if skeleton.dim == 3:
        poses = [pose for i in worst for pose in (joints[i], fitted[i])]
        errors = {i: length_text(float(error[i]), skeleton.length_unit) for i in worst}
        labels = [f"frame {i}: {t}" for i in worst for t in ("given", f"fit, {errors[i]}")]
        draw_pose3d(skeleton, poses, path, labels)
        return
    # Brought to the middle of a black square; the numbers below stay in the skeleton's unit.
    pairs = np.stack([joints[worst], fitted[worst]], axis=1)
    low, high = np.nanmin(pairs, axis=(1, 2)), np.nanmax(pairs, axis=(1, 2))
    factor = 0.85 * SHEET_PX / max(float((high - low).max()), 1e-12)
    centre = ((low + high) / 2)[:, None, None]
    pairs = (pairs - centre) * factor + SHEET_PX / 2
    images = np.zeros((len(worst), SHEET_PX, SHEET_PX), dtype=np.uint8)
    sample_sheet(images, skeleton, pairs[:, 0], pairs[:, 1], error[worst], path)
