"""Predicting a data set and measuring the prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np
from tqdm import tqdm

from gluon_dkpr.data import BatchLoader, RecordDataset
from gluon_dkpr.data.human import is_root_relative
from gluon_dkpr.engine.predictor import EvaluationError, ImagePredictor
from gluon_dkpr.fit import fit_model
from gluon_dkpr.geometry import angles_from_joints
from gluon_dkpr.metrics import PoseReport, evaluate_poses, root_relative
from gluon_dkpr.model_zoo import Pose
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

BATCH_SIZE = 64


def predict_dataset(
    predictor: ImagePredictor, dataset: RecordDataset, batch_size: int = BATCH_SIZE
) -> Pose:
    """Return the poses in all images of a data set, in the order of its keys.

    Returns:
        As :meth:`~gluon_dkpr.engine.predictor.ImagePredictor.predict`, for all N samples.

    Raises:
        EvaluationError: if the data set shows another object or images of another shape.
        RecordError: for a damaged record.
    """
    check_fits(predictor, dataset)
    # Decoded ahead of the network; nothing is kept, as every image is needed once.
    loader = BatchLoader(dataset, batch_size, shuffle=False, cache="never")
    bar = tqdm(loader.epoch(0), "predicting", len(loader), unit="batch", leave=False, disable=None)
    poses = [predictor.predict(batch.images) for batch in bar]
    joints, motions = zip(*poses)
    return Pose(np.concatenate(joints), None if motions[0] is None else np.concatenate(motions))


def evaluate(
    predictor: ImagePredictor, dataset: RecordDataset, batch_size: int = BATCH_SIZE
) -> PoseReport:
    """Measure a network on a data set.

    Direct joint predicts no angles: in two dimensions they are recovered from its joints by
    trigonometry, as in the paper's section 4.1. In three there is no closed form, so it gets no
    angle error.

    Raises:
        EvaluationError: if the data set shows another object or images of another shape, or the
            network's output is not finite.
        RecordError: for a damaged record.
    """
    return measure(predictor.skeleton, dataset, predict_dataset(predictor, dataset, batch_size))


def evaluate_model_fit(
    predictor: ImagePredictor, dataset: RecordDataset, batch_size: int = BATCH_SIZE
) -> Tuple[PoseReport, PoseReport]:
    """Measure a network before and after ModelFit, the paper's third row in table 1.

    The skeleton is fitted to the predicted joints of every image alone, from the rest pose, within
    the parameters' bounds. It gives direct joint valid skeletons and angles at test time.

    Returns:
        The reports of the network's own joints and of the fitted ones.

    Raises:
        As :func:`evaluate`.
    """
    pose = predict_dataset(predictor, dataset, batch_size)
    before = measure(predictor.skeleton, dataset, pose)
    fitted = fit_model(predictor.skeleton, pose.joints)
    return before, measure(predictor.skeleton, dataset, Pose(fitted.joints, fitted.motion))


def measure(skeleton: Skeleton, dataset: RecordDataset, pose: Pose) -> PoseReport:
    """Measure predicted poses of all images of a data set, in the order of its keys.

    Where the joints of the data set are measured from the root, as those of people are, the
    predicted ones are too: the root's error is then 0 and counts, as in Human3.6M's protocol.

    Args:
        skeleton: the object.
        dataset: with the truth.
        pose: NumPy arrays, as :func:`predict_dataset` returns.

    Raises:
        EvaluationError: if a number of the pose is not finite.
        RecordError: for a damaged record.
    """
    check_finite(dataset, pose)
    labels = dataset.read_labels(dataset.keys)
    motion_true, motion = labels.get("motion"), motion_of(skeleton, pose)
    if motion_true is None or motion is None:
        motion_true = motion = None
    both = labels["joints"], pose.joints
    if is_root_relative(dataset.layout):
        both = tuple(root_relative_joints(skeleton, joints) for joints in both)
    return evaluate_poses(skeleton, *both, motion_true, motion)


def check_finite(dataset: RecordDataset, pose: Pose) -> None:
    """Raise EvaluationError, which names the record, unless all numbers of the poses are finite."""
    for name, values in pose._asdict().items():
        if values is not None and not np.isfinite(values).all():
            key = dataset.keys[~np.isfinite(values.reshape(len(values), -1)).all(axis=1)][0]
            raise EvaluationError(
                f"{dataset.path}: the network's {name} of record {key} are not finite numbers"
            )


def root_relative_joints(skeleton: Skeleton, joints: Array) -> Array:
    """Return joints (N, J, D) with the skeleton's root at the origin."""
    return root_relative(joints, skeleton.joint_names.index(skeleton.root.name))


def motion_of(skeleton: Skeleton, pose: Pose) -> Optional[Array]:
    """Return the motion (B, P) of predicted poses, from their joints where there is no other.

    Args:
        skeleton: the object.
        pose: NumPy arrays, as :meth:`~gluon_dkpr.engine.predictor.ImagePredictor.predict` returns.

    Returns:
        ``None`` for joints alone in three dimensions.
    """
    if pose.motion is None and skeleton.dim == 2:
        return angles_from_joints(skeleton, pose.joints)
    return pose.motion


def check_fits(predictor: ImagePredictor, dataset: RecordDataset) -> None:
    """Raise EvaluationError unless object, unit and image shape are those of the predictor."""
    ours, theirs = predictor.skeleton, dataset.skeleton
    for what in ("joint_names", "parameter_names", "dim", "length_unit"):
        if getattr(ours, what) != getattr(theirs, what):
            raise EvaluationError(
                f"{dataset.path}: shows skeleton '{theirs.name}', expected '{ours.name}' of the "
                f"model; {what} differ"
            )
    shape = predictor.image_shape
    if shape is not None and tuple(dataset.image_shape) != shape:
        raise EvaluationError(
            f"{dataset.path}: images of shape {dataset.image_shape}, expected {shape} (H, W, C)"
        )


def check_checkpoint(models: Sequence[str], kind: Optional[str]) -> None:
    """Raise EvaluationError if a checkpoint is chosen, ``kind``, and no model leaves a choice."""
    if kind is not None and not any(Path(model, "config.yaml").is_file() for model in models):
        raise EvaluationError(f"{models[0]}: is no run folder, which --checkpoint {kind} is for")


def check_alone(dataset: RecordDataset, models: Sequence[str], report, size_known: bool) -> None:
    """Raise EvaluationError if more is asked than the numbers of one model, that sees no people.

    Args:
        dataset: without people.
        models, report, size_known: as ``tools/evaluate.py`` is given them.
    """
    wanted = {
        f"a table of {len(models)} models": len(models) > 1,
        "--report": report is not None,
        "--size-known": size_known,
    }
    for what, is_wanted in wanted.items():
        if is_wanted:
            raise EvaluationError(f"{dataset.path}: shows no people, which {what} is for")


def evaluate_model(
    model: str,
    predictor: ImagePredictor,
    dataset: RecordDataset,
    batch_size: int = BATCH_SIZE,
    model_fit: bool = False,
) -> dict:
    """Return what is reported of a model on a data set, ready for JSON.

    The report's numbers stand at the top; those after ModelFit, if asked for, under ``model_fit``.

    Args:
        model: what the user calls it.
        predictor, dataset, batch_size: as in :func:`evaluate`.
        model_fit: see :func:`evaluate_model_fit`.

    Raises:
        As :func:`evaluate`.
    """
    fitted = {}
    if model_fit:
        report, fitted["model_fit"] = evaluate_model_fit(predictor, dataset, batch_size)
    else:
        report = evaluate(predictor, dataset, batch_size)
    return {
        "model": str(model),
        "method": predictor.method,
        "data": str(dataset.path),
        "split": dataset.split,
        "data_sha256": dataset.info.rec_sha256,
        **report,
        **fitted,
    }


def model_text(found: dict, dataset: RecordDataset) -> str:
    """Return what :func:`evaluate_model` found as lines for a terminal."""
    text = report_table(found, f"{found['model']} ({found['method']})", dataset)
    if "model_fit" in found:
        after = report_table(found["model_fit"], f"{found['model']} after ModelFit", dataset)
        text += "\n\n" + after
    return text


def report_table(report: PoseReport, model: str, dataset: RecordDataset) -> str:
    """Return a report as lines for a terminal.

    Args:
        report: the numbers.
        model: what was measured.
        dataset: on what.
    """
    unit = report["unit"]
    rows = [
        ("model", model),
        ("data", f"{dataset.path}, split '{dataset.split}', {report['n']} images"),
        ("mean joint error", f"{report['joint_error']:.3f} {unit}"),
        ("mean angle error", "none"),
        (
            "bone length deviation",
            f"{report['bone_length_std']:.4f} {unit} ({report['bone_length_std_percent']:.2f} %)",
        ),
    ]
    if report["angle_error_deg"] is not None:
        rows[3] = ("mean angle error", f"{report['angle_error_deg']:.3f} deg")
    return "\n".join(f"{name:24s}{value}" for name, value in rows)
