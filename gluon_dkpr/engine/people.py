"""Measuring several models on one data set of people, for the report (section 4.2, table 1)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_dkpr.config import Config, load_config
from gluon_dkpr.data import RecordDataset
from gluon_dkpr.data.human import is_root_relative, label_names
from gluon_dkpr.engine.checkpoint import load_epoch
from gluon_dkpr.engine.evaluate import (
    BATCH_SIZE,
    check_finite,
    predict_dataset,
    root_relative_joints,
)
from gluon_dkpr.engine.load import find_run
from gluon_dkpr.engine.predictor import EvaluationError, ImagePredictor
from gluon_dkpr.fit import fit_model
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.metrics import HumanReport, evaluate_people
from gluon_dkpr.model_zoo import Pose
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

#: Names of the rows, those of table 1.
METHOD_NAMES = {"direct": "Direct", "kinematic": "Kinematic", "parameter": "Parameter"}
MODEL_FIT = "ModelFit"
#: After the name of a row whose skeleton has each subject's own size.
SIZE_KNOWN = ", size known"
# Samples whose labels are read, or whose joints are fitted, at a time.
CHUNK = 8192
NUMBERS = ("subject", "action", "subaction", "camera", "frame")


@dataclass(frozen=True)
class Truth:
    """The labels of a split of people, in the order of its keys.

    Attributes:
        dataset: they are from.
        joints: (N, J, 3), mm from the root, camera frame, float32.
        motion: (N, P), radians and mm, float32; ``None`` if it is not known.
        scale: of the subject's bones, (N,), float32; ``None`` if it is not known.
        numbers: for each of ``NUMBERS`` an int array (N,).
        names: of ``"subjects"``, ``"actions"``, ``"cameras"``, counted by the numbers.
    """

    dataset: RecordDataset
    joints: Array
    motion: Optional[Array]
    scale: Optional[Array]
    numbers: Dict[str, Array]
    names: Dict[str, Tuple[str, ...]]

    def describe(self, position: int) -> Dict[str, str]:
        """Return what is known of a sample, by its position in the split."""
        shown = {}
        for kind in NUMBERS:
            number = int(self.numbers[kind][position])
            shown[kind] = self.names[f"{kind}s"][number] if f"{kind}s" in self.names else number
        return {kind: str(value) for kind, value in shown.items()}


@dataclass(frozen=True)
class Row:
    """A model, or a model and a fit, and what it reaches.

    Attributes:
        name: as in table 1; with the model's own name if the method alone does not tell.
        model: what the user named.
        method: of the network.
        model_fit: whether the skeleton was fitted to its joints.
        size_known: whether the skeleton has the size of each subject instead of the mean one.
        config: of the run, ``None`` for an exported graph.
        epoch: after which the checkpoint was written, ``None`` for an exported graph.
        joints: predicted, (N, J, 3), mm from the root, float32.
        report: the numbers.
    """

    name: str
    model: str
    method: str
    model_fit: bool
    size_known: bool
    config: Optional[Config]
    epoch: Optional[int]
    joints: Array
    report: HumanReport


def shows_people(dataset: RecordDataset) -> bool:
    """Tell whether a data set has the labels of people, as ``human_layout`` defines them."""
    return is_root_relative(dataset.layout) and set(NUMBERS) <= set(dataset.layout.names)


def read_truth(dataset: RecordDataset) -> Truth:
    """Return the labels of a data set of people.

    Raises:
        EvaluationError: if it has other labels, or a number without a name.
        RecordError: for a damaged record.
    """
    fields = dataset.layout.names
    if not shows_people(dataset):
        raise EvaluationError(f"{dataset.path}: labels are {list(fields)}, expected a person's")
    wanted = [name for name in ("joints", "motion", "scale", *NUMBERS) if name in fields]
    values: Dict[str, Array] = {}
    for begin in range(0, len(dataset), CHUNK):
        part = dataset.read_labels(dataset.keys[begin : begin + CHUNK])
        for name in wanted:
            if name not in values:
                values[name] = np.empty((len(dataset), *part[name].shape[1:]), np.float32)
            values[name][begin : begin + CHUNK] = part[name]
    numbers = {kind: values[kind].astype(int) for kind in NUMBERS}
    names = {
        f"{kind}s": _names(dataset, f"{kind}s", numbers[kind])
        for kind in ("subject", "action", "camera")
    }
    return Truth(
        dataset, values["joints"], values.get("motion"), values.get("scale"), numbers, names
    )


def _names(dataset: RecordDataset, kind: str, numbers: Array) -> Tuple[str, ...]:
    """Return the names that the numbers count; the numbers themselves if there are none."""
    names = label_names(dataset.info.source, kind)
    if names is None:
        return tuple(str(number) for number in range(int(numbers.max()) + 1))
    if numbers.min() < 0 or numbers.max() >= len(names):
        bad = int(np.argmax((numbers < 0) | (numbers >= len(names))))
        raise EvaluationError(
            f"{dataset.path}: record {dataset.keys[bad]} has number {numbers[bad]} in '{kind}', "
            f"expected 0 to {len(names) - 1}"
        )
    return tuple(names)


def compare(
    models: Sequence[str],
    predictors: Sequence[ImagePredictor],
    truth: Truth,
    batch_size: int = BATCH_SIZE,
    model_fit: bool = False,
    kind: str = "best",
    size_known: bool = False,
) -> List[Row]:
    """Measure models on a data set of people.

    Args:
        models: what the user calls them: run folders, checkpoints or exports.
        predictors: one for each.
        truth: from :func:`read_truth`.
        batch_size: images at a time.
        model_fit: also fit the skeleton to the joints of each direct joint model, which is the
            paper's ModelFit: the mean subject at scale 1, every image alone, the root not fixed.
        kind: checkpoint of run folders.
        size_known: also measure the poses of valid skeletons with each subject's own bone lengths.

    Raises:
        EvaluationError: if the data set shows another object or images of another shape, an output
            is not finite, ``model_fit`` finds no direct joint model, or nobody knows the sizes.
        RecordError: for a damaged record.
    """
    if model_fit and not any(predictor.method == "direct" for predictor in predictors):
        methods = sorted({predictor.method for predictor in predictors})
        raise EvaluationError(
            f"ModelFit is for direct joint, whose bones have any length; found only {methods}"
        )
    if size_known and truth.scale is None:
        raise EvaluationError(f"{truth.dataset.path}: tells no scale of the subjects")
    names = row_names(models, [predictor.method for predictor in predictors])
    rows = []
    for model, predictor, name in zip(models, predictors, names):
        skeleton, method = predictor.skeleton, predictor.method
        pose = predict_dataset(predictor, truth.dataset, batch_size)
        fit_name = MODEL_FIT + name[len(METHOD_NAMES["direct"]) :]
        found = [(name, False, False, pose)]
        if model_fit and method == "direct":
            found.append((fit_name, True, False, fit_people(skeleton, pose.joints)))
            if size_known:
                sized = _fit_sized(skeleton, pose.joints, truth.scale)
                found.append((fit_name + SIZE_KNOWN, True, True, sized))
        if size_known and method != "direct":
            sized = Pose(forward_kinematics(skeleton, pose.motion, truth.scale), pose.motion)
            found.append((name + SIZE_KNOWN, False, True, sized))
        origin = _origin(model, kind)
        for title, fitted, sized, some in found:
            measured = _measure(skeleton, truth, some, truth.scale if sized else None)
            rows.append(Row(title, str(model), method, fitted, sized, *origin, *measured))
    return rows


def row_names(models: Sequence[str], methods: Sequence[str]) -> List[str]:
    """Return a different name for each model: the method's, and the model's where it must."""
    counts = Counter(methods)
    names = [
        METHOD_NAMES[method] if counts[method] == 1 else f"{METHOD_NAMES[method]} {_short(model)}"
        for model, method in zip(models, methods)
    ]
    again = Counter(names)
    return [name if again[name] == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]


def _short(model) -> str:
    """Return what a model is called: its folder, or that of the run if it is a checkpoint."""
    path = Path(model).resolve()
    return path.parent.parent.name if path.suffix == ".params" else path.name


def fit_people(skeleton: Skeleton, joints: Array) -> Pose:
    """Return ModelFit's poses: the skeleton at scale 1 fitted to predicted joints (N, J, 3), mm."""
    results = [
        fit_model(skeleton, joints[begin : begin + CHUNK]) for begin in range(0, len(joints), CHUNK)
    ]
    return Pose(
        np.concatenate([result.joints for result in results]),
        np.concatenate([result.motion for result in results]),
    )


def _fit_sized(skeleton: Skeleton, joints: Array, scale: Array) -> Pose:
    """Return ModelFit's poses of a skeleton with the subjects' sizes (N,)."""
    found = Pose(np.empty(joints.shape), np.empty((len(joints), skeleton.num_parameters)))
    for size in np.unique(scale):
        own = scale == size
        found.joints[own], found.motion[own] = fit_people(skeleton.scaled(size), joints[own])
    return found


def _origin(model, kind: str) -> Tuple[Optional[Config], Optional[int]]:
    """Return configuration and epoch of a run's checkpoint; nothing is known of an export."""
    run = find_run(model, kind)
    if run is None:
        return None, None
    return load_config(run[0] / "config.yaml"), load_epoch(run[0] / "checkpoint", run[1])


def _measure(
    skeleton: Skeleton, truth: Truth, pose: Pose, scale: Optional[Array] = None
) -> Tuple[Array, HumanReport]:
    """Return joints from the root, float32, and the report; ``scale`` (N,) is of its bones."""
    check_finite(truth.dataset, pose)
    joints = root_relative_joints(skeleton, pose.joints).astype(np.float32)
    known = pose.motion is not None and truth.motion is not None
    report = evaluate_people(
        skeleton,
        truth.joints,
        joints,
        truth.numbers["action"],
        truth.names["actions"],
        truth.motion if known else None,
        pose.motion if known else None,
        scale,
    )
    return joints, report


def protocol(truth: Truth) -> dict:
    """Return on what was measured and how, ready for JSON.

    ``frame_step`` is n if the split holds every n-th frame of its videos, else ``None``. ``scale``
    is that of the predicted bodies, unless a row says otherwise: the size of a subject is not known
    at test time (section 3.1).
    """
    counts = {}
    for kind in ("subject", "camera"):
        names = truth.names[f"{kind}s"]
        found = np.bincount(truth.numbers[kind], minlength=len(names))
        counts[f"{kind}s"] = {name: int(n) for name, n in zip(names, found) if n}
    skeleton = truth.dataset.skeleton
    return {
        **counts,
        "frame_step": frame_step(truth.numbers),
        "joints": skeleton.num_joints,
        "relative_to": skeleton.root.name,
        "frame": "camera",
        "unit": skeleton.length_unit,
        "scale": 1,
    }


def frame_step(numbers: Dict[str, Array]) -> Optional[int]:
    """Return how many frames, 1 or more, each sample is after the one before it, if always so."""
    order = np.lexsort([numbers[kind] for kind in reversed(NUMBERS)])
    ordered = {kind: numbers[kind][order] for kind in NUMBERS}
    same_video = np.ones(len(order) - 1, dtype=bool)
    for kind in NUMBERS[:-1]:
        same_video &= np.diff(ordered[kind]) == 0
    steps = np.unique(np.diff(ordered["frame"])[same_video])
    return int(steps[0]) if len(steps) == 1 and steps[0] > 0 else None
