"""The label of a person in an image, and the motion that stands in it (section 4.2).

Human3.6M and the rendered people share this layout, so that training, evaluation and report are the
same for both. Everything that was done to an image and its joints can be undone from the label.
"""

from __future__ import annotations

import dataclasses
from typing import Mapping, NamedTuple, Optional, Sequence

import numpy as np

from gluon_dkpr.data.layout import LabelField, LabelLayout
from gluon_dkpr.data.recordio import RecordError
from gluon_dkpr.fit import fit_model
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

#: Actions of Human3.6M, in the order and spelling of the paper's table 1.
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether"),
)


class Targets(NamedTuple):
    """What the model fit makes of joints.

    Attributes:
        motion: (N, P), radians and mm, with the root at the origin.
        error: mean distance of the skeleton's joints from the given ones, (N,), mm.
    """

    motion: Array
    error: Array


def human_layout(skeleton: Skeleton) -> LabelLayout:
    """Return the layout of a person's label.

    ================  ===========================================================================
    ``joints``        (J, 3) mm, measured from the root joint, camera frame: the target
    ``motion``        (P,) radians and mm: the model fit to ``joints`` at the subject's scale
    ``motion_error``  mm, mean over the joints: what that fit leaves
    ``scale``         1: summed bone length of the subject by that of the skeleton
    ``root``          (3,) mm, the root joint in the camera frame; the third is its depth
    ``joints_px``     (J, 2) px of the crop
    ``box``           (3,) px of the camera's image: left and top edge, side of the square crop
    ``box_mm``        mm: that side at the root's depth; the paper's target is ``joints / box_mm``
    ``intrinsics``    (4,) px of the camera's image: focal lengths x, y, principal point x, y
    ``subject`` ...   numbers: ``subject`` and ``action`` count the names in the data set's source
                      ({"subjects": [...], "actions": [...], "cameras": [...]}) from 0, ``camera``
                      too; ``subaction`` from 1; ``frame`` of the video from 0
    ================  ===========================================================================
    """
    joints = skeleton.num_joints
    fields = [
        ("joints", (joints, 3), "mm"),
        ("motion", (skeleton.num_parameters,), "mixed"),
        ("motion_error", (), "mm"),
        ("scale", (), "1"),
        ("root", (3,), "mm"),
        ("joints_px", (joints, 2), "px"),
        ("box", (3,), "px"),
        ("box_mm", (), "mm"),
        ("intrinsics", (4,), "px"),
        *((name, (), "1") for name in ("subject", "action", "subaction", "camera", "frame")),
    ]
    return LabelLayout(tuple(LabelField(*field) for field in fields))


def is_root_relative(layout: LabelLayout) -> bool:
    """Tell whether the joints of a data set are measured from the root joint."""
    return "root" in layout.names


def fit_targets(skeleton: Skeleton, joints: Array, scale: float, sequence: bool = False) -> Targets:
    """Return the motion of joints that are measured from the root, by the model fit.

    The paper makes the targets of direct parameter in this way. The root stays at the origin, as
    it does in a prediction of root-relative joints.

    Args:
        skeleton: the mean subject, in mm.
        joints: (N, J, 3), mm, root at the origin.
        scale: of the subject: its bones are ``scale`` times the skeleton's.
        sequence: the frames follow each other in time.

    Raises:
        FitError: for joints that cannot be fitted.
    """
    parameters = tuple(
        dataclasses.replace(parameter, lower=0.0, upper=0.0)
        if parameter.name in skeleton.position
        else parameter
        for parameter in skeleton.parameters
    )
    subject = dataclasses.replace(skeleton, parameters=parameters).scaled(scale)
    result = fit_model(subject, joints, sequence=sequence)
    error = np.linalg.norm(result.joints - joints, axis=-1).mean(axis=-1)
    return Targets(result.motion, error)


def label_names(source: Mapping, kind: str) -> Optional[Sequence[str]]:
    """Return the names that a label's number counts, ``None`` if the data set has none.

    Args:
        source: of the data set's :class:`~gluon_dkpr.data.record.RecordInfo`.
        kind: ``"subjects"``, ``"actions"`` or ``"cameras"``.

    Raises:
        RecordError: if the entry is no list of texts.
    """
    names = source.get(kind)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RecordError(f"source: '{kind}' is {names!r:.80}, expected a list of names")
    return names
