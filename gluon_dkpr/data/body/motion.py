"""Poses: real motion capture, and what is made of it.

Every pose begins with one moment of a clip as motion of ``human36m()``. Training poses are then
mixed: limbs, trunk and head may come from moments of other training clips, and every angle gets a
little noise, within the limits of the joints. Test poses are real moments. Both are mirrored and
turned about the vertical at random.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.data.body.files import BodyError
from gluon_dkpr.data.body.limits import canonical, is_possible
from gluon_dkpr.data.mocap import PREFIX, clip_folder, list_clips, read_clip, retarget
from gluon_dkpr.skeleton import Skeleton, human36m
from gluon_dkpr.types import Array

# Clips that only the test set shows. Each has a relative in training (another walk; the other
# dance; kick; getting up from the back): new motion, but no stranger to what was learned.
TEST_CLIPS = ("dance_b", "getup_facedown", "punch", "walk")
# More of pybullet's clips, walks and turns, in this folder beside the others.
WALKER = "walker"
# How often a part of a training pose comes from another clip.
MIX_UPPER = 0.4
MIX_LIMB = 0.3
# A trunk that leans further than this is drawn rarely: most clips are acrobatics, while the people
# of Human3.6M stand, walk and sit. About 1 pose in 17 is such a one, where 1 frame in 3 is.
UPRIGHT = np.radians(60)
TILTED_WEIGHT = 0.1
# Standard deviation of the noise of a training pose's angles, radians.
NOISE = 0.12
_ATTEMPTS = 12
# Height of the ankle of a clip's standing person.
ANKLE_MM = 85.0
_UPPER = ("spine", "head", "left_shoulder", "left_elbow", "right_shoulder", "right_elbow")
_LIMBS = (
    ("left_hip", "left_knee"),
    ("right_hip", "right_knee"),
    ("left_shoulder", "left_elbow"),
    ("right_shoulder", "right_elbow"),
    ("head",),
)
# Parameters that change their sign in a mirror; those of the limbs change their side.
_MIRRORED = ("root_x", "root_yaw", "root_roll", "spine_roll", "spine_yaw", "head_yaw", "head_roll")


class Action(NamedTuple):
    """A clip as motion of ``human36m()``.

    Attributes:
        motion: (F, 27), radians and mm, root at the origin.
        air_mm: how far above the floor the lowest point of the body is, (F,).
        weight: how often each frame is drawn, relative to an upright one, (F,).
        error: mean distance of the joints from the clip's, (F,), mm.
    """

    motion: Array
    air_mm: Array
    weight: Array
    error: Array


class Moment(NamedTuple):
    """A pose and where it comes from.

    Attributes:
        motion: (27,), radians and mm, root at the origin.
        air_mm: how far above the floor the lowest point of the body is.
        action: number of the clip among :func:`read_actions`.
        frame: of the clip, from 0.
        mirrored: whether left and right have changed places.
    """

    motion: Array
    air_mm: float
    action: int
    frame: int
    mirrored: bool


@lru_cache(maxsize=2)
def read_actions(folder: Optional[Path] = None) -> Dict[str, Action]:
    """Return every clip by its name, sorted.

    Args:
        folder: of the clips; that of the installed pybullet if not given.

    Raises:
        MocapError: if there is none or one cannot be read.
        BodyError: if a clip of the test set is missing.
    """
    folder = clip_folder() if folder is None else folder
    sources = {name: name for name in list_clips(folder)}
    sources.update({path.stem: path for path in (folder / WALKER).glob("*.txt")})
    missing = [name for name in TEST_CLIPS if name not in sources]
    if missing:
        raise BodyError(f"{folder}: no file {PREFIX}{missing[0]}.txt, which the test set shows")
    actions, names = {}, human36m().parameter_names
    for name in sorted(sources):
        fitted = retarget(read_clip(sources[name], folder))
        motion = canonical(fitted.motion)
        motion[:, [names.index(axis) for axis in human36m().position]] = 0.0
        # y points down; an ankle is about so far above the sole.
        low = fitted.clip.joints[..., 1].max(axis=1)
        air = np.maximum(0.0, -low - ANKLE_MM)
        actions[name] = Action(motion, air, _weight(fitted.clip.joints), fitted.error)
    return actions


def draw_moment(
    actions: Dict[str, Action], skeleton: Skeleton, split: str, random: np.random.Generator
) -> Moment:
    """Return a pose of a split.

    Args:
        actions: from :func:`read_actions`.
        skeleton: ``human36m()`` with the bones of a body, that mixtures must fit.
        split: ``"train"`` or ``"test"``.
        random: what decides.
    """
    names = list(actions)
    own = [name for name in names if (name in TEST_CLIPS) == (split == "test")]
    name, frame = _any_frame(actions, own, random)
    motion, air = actions[name].motion[frame], float(actions[name].air_mm[frame])
    if split == "train":
        motion = _varied(actions, own, skeleton, motion, random)
    mirrored = bool(random.random() < 0.5)
    motion = mirror(motion) if mirrored else motion.copy()
    column = human36m().parameter_names.index("root_yaw")
    motion[column] += random.uniform(-np.pi, np.pi)
    return Moment(motion, air, names.index(name), frame, mirrored)


def mirror(motion: Array) -> Array:
    """Return the motion seen in a mirror: left and right change places, x its sign.

    Args:
        motion: of ``human36m()``, (..., 27).
    """
    names = human36m().parameter_names
    swap = {"left": "right", "right": "left"}
    mirrored = np.empty_like(motion)
    for i, name in enumerate(names):
        side, _, rest = name.partition("_")
        source = names.index(f"{swap[side]}_{rest}") if side in swap else i
        mirrored[..., i] = -motion[..., source] if name in _MIRRORED else motion[..., source]
    return mirrored


def _varied(actions, own, skeleton: Skeleton, motion: Array, random) -> Array:
    """Return a mixture that a body can take, or the pose itself after some attempts."""
    angles = human36m().is_angle()
    for _ in range(_ATTEMPTS):
        mixed = motion.copy()
        if random.random() < MIX_UPPER:
            _take(mixed, _UPPER, actions, own, random)
        for limb in _LIMBS:
            if random.random() < MIX_LIMB:
                _take(mixed, limb, actions, own, random)
        mixed[angles] += NOISE * random.standard_normal(angles.sum())
        if is_possible(mixed, skeleton):
            return mixed
    return motion


def _take(motion: Array, parts, actions, own, random: np.random.Generator) -> None:
    """Replace the parameters of some parts of the body by those of another moment."""
    name, frame = _any_frame(actions, own, random)
    other = actions[name].motion[frame]
    if random.random() < 0.5:
        other = mirror(other)
    for i, parameter in enumerate(human36m().parameter_names):
        if parameter.startswith(tuple(parts)):
            motion[i] = other[i]


def _any_frame(actions, own, random: np.random.Generator) -> Tuple[str, int]:
    """Return a clip and a frame; a clip twice as long comes 1.4 times as often."""
    share = np.sqrt([actions[name].weight.sum() for name in own])
    name = own[int(random.choice(len(own), p=share / share.sum()))]
    weight = actions[name].weight
    return name, int(random.choice(len(weight), p=weight / weight.sum()))


def _weight(joints: Array) -> Array:
    """Return 1 for upright poses and ``TILTED_WEIGHT`` for others, (F,); joints (F, 17, 3)."""
    names = human36m().joint_names
    trunk = joints[:, names.index("neck")] - joints[:, names.index("pelvis")]
    upright = -trunk[:, 1] >= np.cos(UPRIGHT) * np.linalg.norm(trunk, axis=1)
    return np.where(upright, 1.0, TILTED_WEIGHT)
