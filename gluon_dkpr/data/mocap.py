"""Real motion capture out of the pip package ``pybullet``: joints and motion of the human body.

``pip install pybullet==3.2.7`` brings 15 clips of the humanoid of DeepMimic (X. B. Peng et al.,
SIGGRAPH 2018), ``pybullet_data/data/motions/humanoid3d_*.txt``. The files are read; the package is
never imported. A file is JSON; each of its ``Frames`` has 44 numbers: its duration in s, position
of the root in m, and the rotations of the joints of ``JOINTS`` relative to their parents, a
quaternion (w x y z) or, for knees and elbows, an angle about z in radians.

The humanoid's axes are x = forward, y = up, z = to its right; ours are the camera's: x right, y
down, z forward, with the person of an unturned root facing the camera, as human36m.yaml says.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import read_bounded
from gluon_dkpr.skeleton import Skeleton, human36m
from gluon_dkpr.types import Array

MOTIONS = Path("data", "motions")
PREFIX = "humanoid3d_"
# Many times the largest clip; parsing JSON takes some times the file's size in memory.
MAX_BYTES = 64 << 20
WIDTH = 44
# The rotations of a frame in the file's order, with their parent and its offset in metres, as in
# pybullet_data/humanoid/humanoid.urdf, which is four times as large.
JOINTS = {
    "root": (None, (0.0, 0.0, 0.0)),
    "chest": ("root", (0.0, 0.236151, 0.0)),
    "neck": ("chest", (0.0, 0.223894, 0.0)),
    "right_hip": ("root", (0.0, 0.0, 0.084887)),
    "right_knee": ("right_hip", (0.0, -0.421546, 0.0)),
    "right_ankle": ("right_knee", (0.0, -0.40987, 0.0)),
    "right_shoulder": ("chest", (-0.02405, 0.2435, 0.18311)),
    "right_elbow": ("right_shoulder", (0.0, -0.274788, 0.0)),
    "left_hip": ("root", (0.0, 0.0, -0.084887)),
    "left_knee": ("left_hip", (0.0, -0.421546, 0.0)),
    "left_ankle": ("left_knee", (0.0, -0.40987, 0.0)),
    "left_shoulder": ("chest", (-0.02405, 0.2435, -0.18311)),
    "left_elbow": ("left_shoulder", (0.0, -0.274788, 0.0)),
}
HINGES = ("right_knee", "right_elbow", "left_knee", "left_elbow")
# Points that turn nothing. The humanoid has a sphere for a head: the nose is a point of its front
# (inferred), the head its top (centre at 0.175, radius 0.1025).
TIPS = {
    "nose": ("neck", (0.1, 0.15, 0.0)),
    "head": ("neck", (0.0, 0.2775, 0.0)),
    "right_wrist": ("right_elbow", (0.0, -0.258947, 0.0)),
    "left_wrist": ("left_elbow", (0.0, -0.258947, 0.0)),
}
# Where our joints have another name.
NAMES = {"pelvis": "root", "torso": "chest"}
# The camera's axes in the humanoid's.
TO_CAMERA = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
TO_BODY = np.diag([1.0, -1.0, -1.0]) @ TO_CAMERA
MM = 1000.0


class MocapError(DkprError, ValueError):
    """A clip cannot be found or read; the message names the file."""


@dataclass(frozen=True)
class Clip:
    """A piece of motion capture.

    Attributes:
        name: ``walk``, ``backflip``, ...
        joints: the 17 joints of ``human36m()`` in its order, shape (F, 17, 3), mm, camera frame.
        times: when each frame is, s, shape (F,), from 0.
        frame_time: median time from one frame to the next, s.
        loops: whether the last frame leads to the first.
        quaternion_error: the farthest that a quaternion of the file is from length 1; they are
            renormalised.
    """

    name: str
    joints: Array
    times: Array
    frame_time: float
    loops: bool
    quaternion_error: float


@dataclass(frozen=True)
class Retargeted:
    """A clip as motion of a body.

    Attributes:
        clip: what was fitted.
        skeleton: whose motion it is.
        motion: shape (F, P), radians and mm, without jumps of a whole turn.
        joints: of that motion, shape (F, 17, 3), mm, camera frame: exactly the model's.
        error: mean distance of the 17 joints from the clip's in each frame, mm, shape (F,).
    """

    clip: Clip
    skeleton: Skeleton
    motion: Array
    joints: Array
    error: Array


def clip_folder() -> Path:
    """Return the folder of the installed package's clips, without importing the package.

    Raises:
        MocapError: if it is not installed.
    """
    spec = importlib.util.find_spec("pybullet_data")
    if spec is None or not spec.submodule_search_locations:
        raise MocapError(
            "pybullet_data not found; install the extra 'mocap' (pip install pybullet==3.2.7) or "
            "give the folder of its files humanoid3d_*.txt"
        )
    return Path(spec.submodule_search_locations[0]) / MOTIONS


def list_clips(folder=None) -> Tuple[str, ...]:
    """Return the names of the clips, sorted: ``backflip``, ``cartwheel``, ...

    Args:
        folder: with files ``humanoid3d_NAME.txt``; that of the installed pybullet if not given.

    Raises:
        MocapError: if pybullet is not installed, or the folder has no clip.
    """
    folder = clip_folder() if folder is None else Path(folder)
    names = sorted(path.stem[len(PREFIX) :] for path in folder.glob(f"{PREFIX}*.txt"))
    if not names:
        raise MocapError(f"{folder}: no file {PREFIX}*.txt in it")
    return tuple(names)


def read_clip(name, folder=None) -> Clip:
    """Read a clip.

    Args:
        name: one of :func:`list_clips`, or the path of a file (with a suffix or a folder).
        folder: as in :func:`list_clips`, for a name.

    Raises:
        MocapError: if there is no such clip or the file is malformed.
    """
    path = Path(name)
    if path.name == str(name) and not path.suffix:
        names = list_clips(folder)
        if str(name) not in names:
            raise MocapError(f"no clip '{name}', expected one of {', '.join(names)}")
        path = (clip_folder() if folder is None else Path(folder)) / f"{PREFIX}{name}.txt"
    frames, loops = _read_frames(path)
    stem = path.stem
    rotations, quaternion_error = _rotations(path, frames)
    joints = _joints(frames[:, 1:4], rotations)
    # A frame's first number is how long it lasts, so the next one is that much later.
    steps = frames[:-1, 0]
    times = np.concatenate([[0.0], np.cumsum(steps)])
    frame_time = float(np.median(steps[steps > 0] if (steps > 0).any() else frames[:, 0]))
    name = stem[len(PREFIX) :] if stem.startswith(PREFIX) else stem
    return Clip(name, joints, times, frame_time, loops, quaternion_error)


def humanoid_skeleton() -> Skeleton:
    """Return ``human36m()`` with the rest offsets of the clips' humanoid.

    Joints and parameters are the same and mean the same. Not only the lengths differ: the
    humanoid's shoulders are level with its neck, not below.
    """
    human = human36m()
    joints = [
        joint
        if joint.hidden or joint.parent is None
        else dataclasses.replace(joint, offset=_rest_offset(human, joint.name))
        for joint in human.joints
    ]
    return dataclasses.replace(human, name="humanoid", joints=tuple(joints))


def retarget(clip: Clip, skeleton: Optional[Skeleton] = None, **options) -> Retargeted:
    """Fit the motion of a body to a clip, continuous over its frames.

    What remains is real: the humanoid's chest turns in all three ways in the middle of the trunk,
    the paper's spine in two at the pelvis.

    Args:
        clip: from :func:`read_clip`.
        skeleton: a body with the 17 joints of ``human36m()``; :func:`humanoid_skeleton` if not
            given. ``human36m().with_bone_lengths(estimate_bone_lengths(...))`` has the clip's
            lengths and Human3.6M's directions.
        options: passed on to :func:`gluon_dkpr.fit.fit_model`.

    Raises:
        MocapError: for a skeleton with other joints.
    """
    # Only here: reading clips needs no solver.
    from gluon_dkpr.fit import fit_model

    skeleton = humanoid_skeleton() if skeleton is None else skeleton
    if skeleton.joint_names != human36m().joint_names:
        raise MocapError(f"skeleton '{skeleton.name}' has other joints than human36m")
    result = fit_model(skeleton, clip.joints, sequence=True, **options)
    error = np.linalg.norm(result.joints - clip.joints, axis=-1).mean(axis=-1)
    return Retargeted(clip, skeleton, result.motion, result.joints, error)


def _read_frames(path: Path) -> Tuple[Array, bool]:
    """Return the numbers of a file, shape (F, 44), and whether it loops."""
    content = read_bounded(path, MAX_BYTES, MocapError)
    try:
        tree = json.loads(content.decode("utf-8"))
        rows = tree["Frames"]
        widths = {len(row) for row in rows}
        if widths != {WIDTH}:
            raise MocapError(f"{path}: frames of {sorted(widths)} numbers, expected {WIDTH}")
        frames = np.array(rows, dtype=np.float64)
    except MocapError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise MocapError(f"{path}: no clip, {reason:.200}") from None
    if frames.ndim != 2 or not (np.abs(frames) < 1e6).all() or (frames[:, 0] < 0).any():
        raise MocapError(f"{path}: a number is not finite, too large or a negative duration")
    return frames, tree.get("Loop") == "wrap"


def _rotations(path: Path, frames: Array) -> Tuple[Dict[str, Array], float]:
    """Return each joint's rotation relative to its parent, shape (F, 3, 3), and the worst error."""
    rotations, column, worst = {}, 4, 0.0
    for name in JOINTS:
        if name in HINGES:
            half = frames[:, column] / 2
            zero = np.zeros_like(half)
            quaternion = np.stack([np.cos(half), zero, zero, np.sin(half)], axis=1)
            column += 1
        else:
            quaternion = frames[:, column : column + 4]
            length = np.linalg.norm(quaternion, axis=1)
            if length.min() < 0.1:
                frame = int(np.argmin(length))
                raise MocapError(f"{path}: frame {frame}: the quaternion of '{name}' is almost 0")
            worst = max(worst, float(np.abs(length - 1).max()))
            quaternion = quaternion / length[:, None]
            column += 4
        rotations[name] = _matrix(quaternion)
    return rotations, worst


def _matrix(quaternion: Array) -> Array:
    """Return the rotations (F, 3, 3) of unit quaternions (w x y z), shape (F, 4)."""
    w, v = quaternion[:, :1], quaternion[:, 1:]
    # The columns are the turned axes: e + 2 w (v x e) + 2 v x (v x e).
    columns = []
    for axis in np.eye(3):
        cross = np.cross(v, axis)
        columns.append(axis + 2 * w * cross + 2 * np.cross(v, cross))
    return np.stack(columns, axis=-1)


def _joints(root: Array, rotations: Dict[str, Array]) -> Array:
    """Return our 17 joints, shape (F, 17, 3), mm, camera frame, from the root (F, 3) in metres."""
    positions, frames = {"root": root}, {"root": rotations["root"]}
    for name, (parent, offset) in {**JOINTS, **TIPS}.items():
        if parent is not None:
            positions[name] = positions[parent] + frames[parent] @ np.array(offset)
            if name in rotations:
                frames[name] = frames[parent] @ rotations[name]
    ours = [positions[NAMES.get(name, name)] for name in human36m().joint_names]
    return np.stack(ours, axis=1) @ TO_CAMERA.T * MM


def _rest_offset(human: Skeleton, child: str) -> Tuple[float, ...]:
    """Return the humanoid's rest bone to one of our joints, mm, in the body's axes."""
    parent = next(p for p, c in human.bones if c == child)
    bone = _rest_position(child) - _rest_position(parent)
    return tuple((TO_BODY @ bone * MM).tolist())


def _rest_position(name: str) -> Array:
    """Return where one of our joints is when no joint is turned, humanoid's axes, metres."""
    position, node = np.zeros(3), NAMES.get(name, name)
    while node is not None:
        node, offset = {**JOINTS, **TIPS}[node]
        position = position + offset
    return position
