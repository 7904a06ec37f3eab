"""Which frames are converted, and the average subject: known before a video is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_dkpr.data.h36m.layouts import Catalogue, Clip
from gluon_dkpr.data.h36m.names import SUBJECTS, TRAIN_SUBJECTS, H36mError, Problem
from gluon_dkpr.data.h36m.poses import read_joints
from gluon_dkpr.skeleton import Skeleton, human36m, subject_scales
from gluon_dkpr.types import Array

# Bones are measured in every so-manieth frame. The files come from a fitted skeleton: lengths
# hardly change, and the median over a tenth of the frames takes a tenth of the memory.
BONES_EVERY = 10
PAPER_FRAMES = 800_000


@dataclass(frozen=True)
class Selection:
    """Which frames are asked for.

    Args:
        frames: of the training split, drawn at random; ``None`` for all.
        every: of each training video only the frames 0, N, 2N, ...
        every_test: the same for the test split, from which nothing is drawn.
        seed: of the drawing.

    Raises:
        H36mError: for a number out of range.
    """

    frames: Optional[int] = None
    every: int = 1
    every_test: int = 1
    seed: int = 0

    def __post_init__(self):
        least = {"frames": 1, "every": 1, "every_test": 1, "seed": 0}
        for name, value in vars(self).items():
            if value is not None and not least[name] <= value < 1 << 32:
                raise H36mError(f"{name} is {value}, expected {least[name]} to {(1 << 32) - 1}")


@dataclass(frozen=True)
class PlannedClip:
    """A video and which of its frames are wanted: ascending numbers, shape (N,)."""

    clip: Clip
    wanted: Array


@dataclass
class Plan:
    """What is to be converted.

    Attributes:
        clips: for each split its videos, in the order of the record.
        skeleton: ``human36m()`` with the mean bone lengths of the subjects.
        scales: of each subject.
        problems: met while planning.
    """

    clips: Dict[str, List[PlannedClip]]
    skeleton: Skeleton
    scales: Dict[str, float]
    problems: List[Problem]

    @property
    def all_clips(self) -> List[PlannedClip]:
        """The videos of all splits, those of which no frame is wanted left out."""
        return [p for clips in self.clips.values() for p in clips if len(p.wanted)]


def make_plan(catalogue: Catalogue, selection: Selection) -> Plan:
    """Read the poses of every clip and choose the frames.

    Args:
        catalogue: of the raw folder.
        selection: which frames.

    Raises:
        H36mError: if no clip has readable poses.
    """
    problems: List[Problem] = []
    usable, counts, joints = _read_all(catalogue, problems)
    if not usable:
        first = (catalogue.problems + problems)[0]
        raise H36mError(
            f"{catalogue.raw}: no video that has 3-D and 2-D joints; first of "
            f"{len(catalogue.problems) + len(problems)} problems: {first.kind}: {first.where}: "
            f"{first.message}"
        )
    skeleton = human36m()
    lengths, scales = subject_scales(skeleton, joints)
    clips: Dict[str, List[PlannedClip]] = {}
    for split, some in _splits(usable).items():
        every = selection.every if split == "train" else selection.every_test
        drawn = selection.frames if split == "train" else None
        there = [-(-counts[clip.name] // every) for clip in some]
        if drawn is not None and drawn > sum(there):
            message = f"{drawn} frames asked for, {sum(there)} there: all are taken"
            problems.append(Problem("too few frames", split, message))
        chosen = choose_frames(there, drawn, selection.seed)
        clips[split] = [PlannedClip(c, n * every) for c, n in zip(some, chosen)]
    return Plan(clips, skeleton.with_bone_lengths(lengths), scales, problems)


def choose_frames(counts: Sequence[int], frames: Optional[int], seed: int) -> List[Array]:
    """Draw frames from videos, each frame with the same chance, none twice.

    A pure function of the arguments: the first ``frames`` of a permutation of all frames, by the
    Mersenne Twister, whose stream NumPy guarantees never to change.

    Args:
        counts: frames of each video, in the order of subject, action, subaction and camera.
        frames: how many to draw; ``None``, or more than there are, for all.
        seed: of the drawing.

    Returns:
        For each video the numbers of its frames, ascending, int64.
    """
    total = int(sum(counts))
    chosen = np.ones(total, dtype=bool)
    if frames is not None and frames < total:
        order = np.random.RandomState(seed).permutation(total)
        chosen[order[frames:]] = False
    ends = np.cumsum(counts)[:-1] if len(counts) else []
    return [np.flatnonzero(part) for part in np.split(chosen, ends)][: len(counts)]


def _splits(clips: Sequence[Clip]) -> Dict[str, List[Clip]]:
    """Return the clips of both splits, with S1 and S5 to S8 for training as in the paper."""
    splits: Dict[str, List[Clip]] = {"train": [], "test": []}
    for clip in clips:
        splits["train" if clip.subject in TRAIN_SUBJECTS else "test"].append(clip)
    return splits


def _read_all(
    catalogue: Catalogue, problems: List[Problem]
) -> Tuple[List[Clip], Dict[str, int], Dict[str, Array]]:
    """Return the clips with readable 3-D joints, their frames, and joints of each subject."""
    usable: List[Clip] = []
    counts: Dict[str, int] = {}
    takes: Dict[tuple, Array] = {}
    for clip in catalogue.clips:
        try:
            joints = read_joints(clip.joints_mm, 3)
        except H36mError as error:
            where = catalogue.relative(clip.joints_mm)
            problems.append(Problem("unreadable poses", where, f"{error}: not converted"))
            continue
        usable.append(clip)
        counts[clip.name] = len(joints)
        # All cameras see the same bones.
        takes.setdefault(clip.numbers[:3], joints[::BONES_EVERY].astype(np.float32))
    subjects: Dict[str, List[Array]] = {}
    for (subject, *_), joints in takes.items():
        subjects.setdefault(SUBJECTS[subject], []).append(joints)
    return usable, counts, {name: np.concatenate(parts) for name, parts in subjects.items()}
