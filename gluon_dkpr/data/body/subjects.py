"""The subjects, the mean of them, and everything else that pictures are made from."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Mapping, NamedTuple, Tuple

import numpy as np

from gluon_dkpr.data.body.files import body_folder
from gluon_dkpr.data.body.motion import TEST_CLIPS, Action, read_actions
from gluon_dkpr.data.body.person import make_person
from gluon_dkpr.data.body.posing import joints_of, pose
from gluon_dkpr.data.body.shape import Shape
from gluon_dkpr.data.body.textures import photo_folder, read_photos
from gluon_dkpr.skeleton import Skeleton, human36m, subject_scales

TRAIN_SUBJECTS = {
    "P1": Shape(1.0, 0.1, 0.2, 0.0, 0.05, "caucasian"),
    "P2": Shape(0.0, 0.1, 0.0, -0.1, 0.15, "asian"),
    "P3": Shape(1.0, 0.5, -0.1, 0.6, 0.0, "african"),
    "P4": Shape(0.0, 0.4, 0.1, 0.4, 0.2, "caucasian"),
    "P5": Shape(0.9, 0.0, 0.5, -0.3, -0.1, "african"),
    "P6": Shape(0.1, 0.0, 0.3, 0.0, 0.3, "african"),
    "P7": Shape(1.0, 0.2, -0.3, -0.4, 0.15, "asian"),
    "P8": Shape(0.5, 0.3, 0.0, 0.1, 0.1, "caucasian"),
}
TEST_SUBJECTS = {
    "P9": Shape(1.0, 0.2, 0.1, 0.2, 0.0, "asian"),
    "P10": Shape(0.0, 0.2, 0.1, 0.1, 0.2, "african"),
    "P11": Shape(0.9, 0.1, 0.2, -0.1, 0.1, "caucasian"),
}
#: Every subject by its name; labels count them in this order.
SUBJECTS = {**TRAIN_SUBJECTS, **TEST_SUBJECTS}
# Bones are measured on every so many frames: their lengths hardly change with the pose.
_STEP = 20


class Studio(NamedTuple):
    """What pictures are made from.

    Attributes:
        body: folder of the mesh's files.
        photos: folder of the backgrounds.
        actions: every clip by its name.
        skeleton: the mean subject, mm.
        scales: of the subjects.
    """

    body: Path
    photos: Path
    actions: Dict[str, Action]
    skeleton: Skeleton
    scales: Dict[str, float]


def open_studio() -> Studio:
    """Find and read all files.

    Raises:
        BodyError, MocapError: if a package or a file is missing.
    """
    body, photos, actions = body_folder(), photo_folder(), read_actions()
    read_photos(photos)
    return Studio(body, photos, actions, *mean_subject(body, actions))


def mean_subject(folder: Path, actions: Mapping[str, Action]) -> Tuple[Skeleton, Dict[str, float]]:
    """Return ``human36m()`` with the mean bone lengths, and the scale of each subject.

    Args:
        folder: of the body's files.
        actions: whose training clips the subjects perform to be measured.

    Raises:
        BodyError: if a file cannot be read.
    """
    clips = [action.motion[::_STEP] for name, action in actions.items() if name not in TEST_CLIPS]
    motion = np.concatenate(clips)
    joints = {}
    for name, shape in SUBJECTS.items():
        person = make_person(folder, shape)
        joints[name] = joints_of(person, pose(person, motion))
    lengths, scales = subject_scales(human36m(), joints)
    return human36m().with_bone_lengths(lengths), scales
