"""A subject: the mesh in a shape, and how motion moves it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import numpy as np

from gluon_dkpr.data.body.files import read_mesh
from gluon_dkpr.data.body.rig import INDEX, SEGMENTS, SIDES, anchors, segment_weights
from gluon_dkpr.data.body.shape import Shape, shaped_vertices
from gluon_dkpr.data.body.surface import merge_vertices
from gluon_dkpr.types import Array

# Width of the grid on which vertices are merged, mm: at 224 px a person's pixel is 8 to 10 mm.
MERGED_MM = {"head": 9.0, "left_hand": 9.0, "right_hand": 9.0, "left_foot": 12.0}
MERGED_MM["right_foot"] = MERGED_MM["left_foot"]
# Our joints as points that a segment carries: the mean of anchors, weighted. The neck is where
# that of Human3.6M is, between the collar bones and the lowest vertebra of the neck; nose and head
# are points of the face and of the top of the skull.
_CENTRE = {
    "pelvis": ("pelvis", {"joint-l-upper-leg": 0.5, "joint-r-upper-leg": 0.5}),
    "neck": (
        "spine01",
        {"joint-l-clavicle": 0.225, "joint-r-clavicle": 0.225, "joint-neck": 0.55},
    ),
    "nose": ("head", {"joint-l-eye": 0.25, "joint-r-eye": 0.25, "joint-jaw": 0.5}),
    "head": ("head", {"joint-head-2": 1.0}),
}
_LIMBS = {
    "hip": ("upperleg01", "joint-{}-upper-leg"),
    "knee": ("lowerleg", "joint-{}-knee"),
    "ankle": ("foot", "joint-{}-ankle"),
    "shoulder": ("upperarm01", "joint-{}-shoulder"),
    "elbow": ("lowerarm", "joint-{}-elbow"),
    "wrist": ("hand", "joint-{}-hand"),
}


class Topology(NamedTuple):
    """What is the same for every shape.

    Attributes:
        vertices: indices of the vertices that are drawn, (N,).
        faces: (F, 4), indices of these; triangles have their last corner twice.
        weights: how much each segment moves each vertex, (N, S), float32.
    """

    vertices: Array
    faces: Array
    weights: Array


@dataclass(frozen=True)
class Person:
    """A subject.

    Attributes:
        shape: what it was made of.
        topology: of the mesh.
        vertices: as the file poses them (arms half raised, elbows bent), (N, 3), mm, body axes.
        anchors: of the segments in that pose, (S, 3), mm.
        rest: rotation of each segment from that pose to the zero motion, in the frame of the
            segment's own joint, (S, 3, 3).
        points: for each of the 17 joints the segment that carries it and its place in the file's
            pose, (3,), mm; the torso is made from neck and pelvis.
    """

    shape: Shape
    topology: Topology
    vertices: Array
    anchors: Array
    rest: Array
    points: Dict[str, Tuple[int, Array]]


@lru_cache(maxsize=2)
def topology(folder: Path) -> Topology:
    """Return the reduced mesh.

    Raises:
        BodyError: if a file cannot be read.
    """
    mesh, weights = read_mesh(folder), segment_weights(folder)
    cell = np.zeros(len(mesh.vertices))
    owner = weights.argmax(axis=1)
    for name, width in MERGED_MM.items():
        cell[owner == INDEX[name]] = width
    kept, faces = merge_vertices(mesh.vertices, mesh.faces, cell)
    return Topology(kept, faces, weights[kept].astype(np.float32))


@lru_cache(maxsize=64)
def make_person(folder: Path, shape: Shape) -> Person:
    """Return the subject of a shape.

    Args:
        folder: from :func:`~gluon_dkpr.data.body.files.body_folder`.
        shape: of the body.

    Raises:
        BodyError: if a file cannot be read.
    """
    vertices, mesh = shaped_vertices(folder, shape), read_mesh(folder)
    at = anchors(folder, vertices)
    points = {}
    for joint, (segment, mixture) in _point_table().items():
        place = sum(
            share * vertices[mesh.groups[group]].mean(axis=0) for group, share in mixture.items()
        )
        points[joint] = INDEX[segment], place
    own = topology(folder)
    places = np.array([at[segment.anchor] for segment in SEGMENTS])
    return Person(shape, own, vertices[own.vertices], places, _rest_rotations(at), points)


def _point_table():
    table = dict(_CENTRE)
    for side, letter in SIDES.items():
        for joint, (segment, group) in _LIMBS.items():
            table[f"{side}_{joint}"] = (f"{side}_{segment}", {group.format(letter): 1.0})
    return table


def _rest_rotations(at: Dict[str, Array]) -> Array:
    """Return what turns each segment from the file's pose to the zero motion, (S, 3, 3).

    The zero motion has limbs that hang straight down and hinges about x. An arm of the file is
    bent, so upper and lower arm and the hinge between them are known exactly.
    """
    rest = np.repeat(np.eye(3)[None], len(SEGMENTS), axis=0)
    for side, letter in SIDES.items():
        hip, knee, ankle, shoulder, elbow, hand = (
            at[_LIMBS[joint][1].format(letter)]
            for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        )
        hinge = -np.cross(elbow - shoulder, hand - elbow)
        across = np.array([1.0, 0.0, 0.0])
        for bone, axis, segments in (
            (elbow - shoulder, hinge, ("upperarm01", "upperarm02")),
            (hand - elbow, hinge, ("lowerarm", "hand")),
            (knee - hip, across, ("upperleg01", "upperleg02")),
            (ankle - knee, across, ("lowerleg", "foot")),
        ):
            for segment in segments:
                rest[INDEX[f"{side}_{segment}"]] = _hanging(bone, axis)
    return rest


def _hanging(bone: Array, hinge: Array) -> Array:
    """Return the rotation that takes ``bone`` to -y and ``hinge`` as near to x as it can be."""
    y = -bone / np.linalg.norm(bone)
    x = hinge - y * y.dot(hinge)
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)])
