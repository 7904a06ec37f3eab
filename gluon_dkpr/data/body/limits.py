"""What a body can do: limits of its joints, and limbs that stay out of each other."""

from __future__ import annotations

import math

import numpy as np

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import Skeleton, human36m
from gluon_dkpr.types import Array

# Degrees. Inferred: near the ranges of motion of textbooks, and wide enough for nearly all of the
# motion capture. The arm's direction (flexion, abduction) is limited, not its three angles alone.
LIMITS = {
    "spine_roll": (-28, 28),
    "spine_yaw": (-40, 40),
    "head_yaw": (-75, 75),
    "head_pitch": (-45, 65),
    "head_roll": (-40, 40),
    "hip_flexion": (-30, 140),
    "hip_abduction": (-22, 55),
    "hip_twist": (-45, 50),
    "knee_flexion": (-2, 150),
    "shoulder_flexion": (-70, 180),
    "shoulder_abduction": (-25, 90),
    "shoulder_twist": (-120, 120),
    "elbow_flexion": (-2, 145),
}
# Least distances between the middle lines of parts, mm.
APART = (
    ("left_knee left_ankle", "right_knee right_ankle", 100.0),
    ("left_hip left_knee", "right_hip right_knee", 110.0),
    ("left_elbow left_wrist", "pelvis neck", 150.0),
    ("right_elbow right_wrist", "pelvis neck", 150.0),
    ("left_elbow left_wrist", "right_elbow right_wrist", 80.0),
    ("left_elbow left_wrist", "nose head", 110.0),
    ("right_elbow right_wrist", "nose head", 110.0),
    *(
        (f"{a}_elbow {a}_wrist", f"{b}_hip {b}_knee", 100.0)
        for a in ("left", "right")
        for b in ("left", "right")
    ),
)


def canonical(motion: Array) -> Array:
    """Return the same poses with abductions within a quarter turn and angles within half a turn.

    Three rotations of a hip or a shoulder have two answers; limits want always the same one.

    Args:
        motion: of ``human36m()``, (..., 27), radians and mm.
    """
    skeleton = human36m()
    motion = np.array(motion, dtype=np.float64)
    angles = skeleton.is_angle()
    motion[..., angles] = _wrapped(motion[..., angles])
    for side in ("left", "right"):
        for joint in ("hip", "shoulder"):
            flexion, abduction, twist = (
                skeleton.parameter_names.index(f"{side}_{joint}_{name}")
                for name in ("flexion", "abduction", "twist")
            )
            angle = motion[..., abduction]
            other = np.abs(angle) > np.pi / 2
            motion[..., abduction] = np.where(other, np.sign(angle) * np.pi - angle, angle)
            for column in (flexion, twist):
                motion[..., column] = _wrapped(motion[..., column] + np.pi * other)
    return motion


def is_possible(motion: Array, skeleton: Skeleton) -> bool:
    """Tell whether a body can take a pose.

    Args:
        motion: (27,), radians and mm.
        skeleton: ``human36m()`` with the bones of the body.
    """
    motion = canonical(motion)
    for name, value in zip(skeleton.parameter_names, motion):
        limits = LIMITS.get(name.replace("left_", "").replace("right_", ""))
        if limits and not math.radians(limits[0]) <= value <= math.radians(limits[1]):
            return False
    joints = dict(zip(skeleton.joint_names, forward_kinematics(skeleton, motion[None])[0]))
    for first, second, least in APART:
        ends = [joints[name] for name in (*first.split(), *second.split())]
        if segment_distance(*ends) < least:
            return False
    return True


def segment_distance(a: Array, b: Array, c: Array, d: Array) -> float:
    """Return the distance of the segments ab and cd; points (3,), result in their unit."""
    u, v, w = b - a, d - c, a - c
    uu, uv, vv, uw, vw = u @ u, u @ v, v @ v, u @ w, v @ w
    determinant = uu * vv - uv * uv
    # The nearest points of the two lines; then each share is clipped and the other one follows.
    share = (uv * vw - vv * uw) / determinant if determinant > 1e-9 * uu * vv else 0.5
    share = min(max(share, 0.0), 1.0)
    other = min(max((share * uv + vw) / vv, 0.0), 1.0)
    share = min(max((other * uv - uw) / uu, 0.0), 1.0)
    return float(np.linalg.norm(w + share * u - other * v))


def _wrapped(angle: Array) -> Array:
    return (angle + np.pi) % (2 * np.pi) - np.pi
