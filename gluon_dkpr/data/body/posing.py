"""From motion to a posed body: rotations of the segments, joints, skinned vertices.

The motion is that of ``human36m()``. The mesh's own bones carry it, so the joints are those of the
picture: the spine bends along its length, the shoulders rise with the arms. The 27 parameters
cannot say that, as they cannot for a real person.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gluon_dkpr.data.body.person import Person
from gluon_dkpr.data.body.rig import INDEX, SEGMENTS, SIDES
from gluon_dkpr.geometry import rotation_matrix
from gluon_dkpr.skeleton import Skeleton, human36m
from gluon_dkpr.types import Array

# How much of the spine's, the head's and a limb's own turn a segment shows.
SPINE = {"spine05": 0.2, "spine04": 0.4, "spine03": 0.6, "spine02": 0.8, "spine01": 1.0}
HEAD = {"neck01": 0.3, "neck02": 0.65, "head": 1.0}
TWIST = {"upperarm01": 0.4, "upperarm02": 1.0, "upperleg01": 0.5, "upperleg02": 1.0}
# Radians that a shoulder rises for an arm straight up, and comes forward for an arm straight
# ahead. Inferred: about a third of what anatomy allows.
RISE = 0.3
FORWARD = 0.2


class Posed(NamedTuple):
    """B poses of a person.

    Attributes:
        rotations: of the segments, from the file's pose to the world, (B, S, 3, 3).
        anchors: of the segments in the world, (B, S, 3), mm.
    """

    rotations: Array
    anchors: Array


def pose(person: Person, motion: Array) -> Posed:
    """Return the segments of a person in motion.

    Args:
        person: the subject.
        motion: of ``human36m()``, (B, 27), radians and mm; the frame of its orientation is the
            world.
    """
    motion = np.asarray(motion, dtype=np.float64)
    skeleton = human36m()
    rotations = _rotations(person, skeleton, motion)
    anchors = np.empty((len(motion), len(SEGMENTS), 3))
    columns = [skeleton.parameter_names.index(name) for name in skeleton.position]
    for i, segment in enumerate(SEGMENTS):
        if segment.parent < 0:
            anchors[:, i] = motion[:, columns]
        else:
            bone = person.anchors[i] - person.anchors[segment.parent]
            anchors[:, i] = anchors[:, segment.parent] + rotations[:, segment.parent] @ bone
    return Posed(rotations, anchors)


def joints_of(person: Person, posed: Posed) -> Array:
    """Return the 17 joints of ``human36m()`` in its order, (B, 17, 3), mm, world."""
    places = {}
    for joint, (segment, place) in person.points.items():
        arm = place - person.anchors[segment]
        places[joint] = posed.anchors[:, segment] + posed.rotations[:, segment] @ arm
    places["torso"] = (places["pelvis"] + places["neck"]) / 2
    return np.stack([places[name] for name in human36m().joint_names], axis=1)


def skin(person: Person, posed: Posed, index: int) -> Array:
    """Return the vertices of one pose by linear blend skinning, (N, 3), float32, mm, world."""
    rotations = posed.rotations[index]
    moves = posed.anchors[index] - (rotations @ person.anchors[..., None])[..., 0]
    transforms = np.concatenate([rotations, moves[..., None]], axis=-1).astype(np.float32)
    blended = (person.topology.weights @ transforms.reshape(len(SEGMENTS), 12)).reshape(-1, 3, 4)
    turned = np.einsum("nij,nj->ni", blended[..., :3], person.vertices.astype(np.float32))
    return turned + blended[..., 3]


def _rotations(person: Person, skeleton: Skeleton, motion: Array) -> Array:
    """Return the rotations of the segments, (B, S, 3, 3)."""
    found = np.empty((len(motion), len(SEGMENTS), 3, 3))
    pelvis = _turn(skeleton, "pelvis", motion)
    chest = pelvis @ _turn(skeleton, "spine", motion)
    found[:, INDEX["pelvis"]] = pelvis
    for segment, share in SPINE.items():
        found[:, INDEX[segment]] = pelvis @ _turn(skeleton, "spine", motion, share)
    for segment, share in HEAD.items():
        found[:, INDEX[segment]] = chest @ _turn(skeleton, "skull", motion, share)
    for side in SIDES:
        arm = _turn(skeleton, f"{side}_shoulder", motion)
        blade = chest @ _shoulder_blade(arm, side)
        found[:, INDEX[f"{side}_clavicle"]] = blade
        found[:, INDEX[f"{side}_shoulder"]] = blade
        limbs = (
            (chest, arm, "elbow", ("upperarm01", "upperarm02"), ("lowerarm", "hand")),
            (
                pelvis,
                _turn(skeleton, f"{side}_hip", motion),
                "knee",
                ("upperleg01", "upperleg02"),
                ("lowerleg", "foot"),
            ),
        )
        for base, upper, hinge, near, far in limbs:
            for segment in near:
                i = INDEX[f"{side}_{segment}"]
                found[:, i] = base @ _twisted(
                    upper @ person.rest[i], person.rest[i][1], TWIST[segment]
                )
            lower = base @ upper @ _turn(skeleton, f"{side}_{hinge}", motion)
            for segment in far:
                i = INDEX[f"{side}_{segment}"]
                found[:, i] = lower @ person.rest[i]
    return found


def _turn(skeleton: Skeleton, joint: str, motion: Array, share: float = 1.0) -> Array:
    """Return the product of a joint's own rotations, (B, 3, 3), with angles times ``share``."""
    turn = np.eye(3)[None]
    for rotation in skeleton.joint(joint).rotations:
        angle = np.full(len(motion), rotation.rest)
        if rotation.parameter is not None:
            column = skeleton.parameter_names.index(rotation.parameter)
            angle = angle + share * rotation.coefficient * motion[:, column]
        turn = turn @ rotation_matrix(rotation.axis, angle)
    return turn


def _shoulder_blade(arm: Array, side: str) -> Array:
    """Return how the shoulder goes with the arm, (B, 3, 3), in the frame of the chest."""
    direction = -arm[:, :, 1]
    sign = 1.0 if side == "left" else -1.0
    rise = RISE * (1 + direction[:, 1]) / 2
    return rotation_matrix((0.0, 1.0, 0.0), -sign * FORWARD * direction[:, 2]) @ rotation_matrix(
        (0.0, 0.0, 1.0), sign * rise
    )


def _twisted(rotation: Array, up: Array, share: float) -> Array:
    """Return rotations with only a share of their twist about a limb.

    Args:
        rotation: of the limb from the file's pose, (B, 3, 3).
        up: unit vector along the limb in the file's pose, (3,).
        share: 1 keeps the rotation, 0 leaves the shortest way of the limb to its place.
    """
    if share == 1.0:
        return rotation
    swing = _shortest(up, rotation @ up)
    twist = np.swapaxes(swing, 1, 2) @ rotation
    sine = (
        np.stack(
            [
                twist[:, 2, 1] - twist[:, 1, 2],
                twist[:, 0, 2] - twist[:, 2, 0],
                twist[:, 1, 0] - twist[:, 0, 1],
            ],
            axis=1,
        )
        @ up
    ) / 2
    cosine = (np.trace(twist, axis1=1, axis2=2) - 1) / 2
    return swing @ rotation_matrix(up, share * np.arctan2(sine, cosine))


def _shortest(start: Array, ends: Array) -> Array:
    """Return the smallest rotations of the unit vector (3,) to unit vectors (B, 3): (B, 3, 3)."""
    cross = np.cross(start, ends)
    cosine = ends @ start
    zero = np.zeros(len(ends))
    x, y, z = cross.T
    matrix = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    # Opposite vectors have no shortest way; they are kept apart by a hair.
    return np.eye(3) + matrix + matrix @ matrix / np.maximum(1 + cosine, 1e-6)[:, None, None]
