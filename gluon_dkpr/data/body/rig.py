"""The bones that move the mesh, and where our joints lie on them.

The rig's 163 bones are merged to 29 segments that move rigidly: fingers go with their hand, the
face with the head. A segment turns about its *anchor*, a joint of the rig that its parent carries.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import numpy as np

from gluon_dkpr.data.body.files import BodyError, read_mesh, read_weights
from gluon_dkpr.types import Array

# Segment: parent, anchor. An anchor is a group of helper vertices whose mean is a joint of the rig,
# or a mean of several. Upper and lower halves of a limb turn about the same joint: a part of the
# limb's twist lies between them, and no bone changes its length by it.
_TRUNK = {
    "pelvis": (None, "hips"),
    "spine05": ("pelvis", "joint-pelvis"),
    "spine04": ("spine05", "joint-spine-4"),
    "spine03": ("spine04", "joint-spine-3"),
    "spine02": ("spine03", "joint-spine-2"),
    "spine01": ("spine02", "joint-spine-1"),
    "neck01": ("spine01", "joint-neck"),
    "neck02": ("neck01", "mid-neck"),
    "head": ("neck02", "joint-head"),
}
_SIDE = {
    "clavicle": ("spine01", "joint-{}-clavicle"),
    "shoulder": ("clavicle", "joint-{}-scapula"),
    "upperarm01": ("shoulder", "joint-{}-shoulder"),
    "upperarm02": ("shoulder", "joint-{}-shoulder"),
    "lowerarm": ("upperarm02", "joint-{}-elbow"),
    "hand": ("lowerarm", "joint-{}-hand"),
    "upperleg01": ("pelvis", "joint-{}-upper-leg"),
    "upperleg02": ("pelvis", "joint-{}-upper-leg"),
    "lowerleg": ("upperleg02", "joint-{}-knee"),
    "foot": ("lowerleg", "joint-{}-ankle"),
}
SIDES = {"left": "l", "right": "r"}
# Bones of the rig whose name begins so belong to the segment; the first that fits counts.
_BONES = (
    *(("spine05", "spine05"), ("spine04", "spine04"), ("spine03", "spine03")),
    *(("spine02", "spine02"), ("spine01", "spine01"), ("breast", "spine02")),
    *(("neck01", "neck01"), ("neck02", "neck02"), ("neck03", "neck02")),
    *(("root", "pelvis"), ("pelvis", "pelvis")),
    *(("clavicle", "clavicle"), ("shoulder01", "shoulder")),
    *(("upperarm01", "upperarm01"), ("upperarm02", "upperarm02"), ("lowerarm", "lowerarm")),
    *(("wrist", "hand"), ("metacarpal", "hand"), ("finger", "hand")),
    *(("upperleg01", "upperleg01"), ("upperleg02", "upperleg02"), ("lowerleg", "lowerleg")),
    *(("foot", "foot"), ("toe", "foot")),
)


class Segment(NamedTuple):
    """A rigid part: its parent's index (-1 for none) and the name of its anchor."""

    name: str
    parent: int
    anchor: str


def _segments() -> Tuple[Segment, ...]:
    table = dict(_TRUNK)
    for side, letter in SIDES.items():
        for name, (parent, anchor) in _SIDE.items():
            parent = parent if parent in _TRUNK else f"{side}_{parent}"
            table[f"{side}_{name}"] = (parent, anchor.format(letter))
    names = list(table)
    return tuple(
        Segment(name, -1 if parent is None else names.index(parent), anchor)
        for name, (parent, anchor) in table.items()
    )


#: Every parent stands before its children.
SEGMENTS = _segments()
INDEX = {segment.name: i for i, segment in enumerate(SEGMENTS)}


@lru_cache(maxsize=2)
def segment_weights(folder: Path) -> Array:
    """Return how much each segment moves each vertex: (V, S), rows sum to 1 or are 0 (helpers).

    Raises:
        BodyError: if the weights cannot be read or name a vertex that is not there.
    """
    count = len(read_mesh(folder).vertices)
    weights = np.zeros((count, len(SEGMENTS)))
    for bone, (vertices, shares) in read_weights(folder).items():
        if len(vertices) and not 0 <= vertices.min() <= vertices.max() < count:
            raise BodyError(f"{folder}: weights of bone '{bone}' name a vertex that is not there")
        np.add.at(weights[:, INDEX[_segment_of(bone)]], vertices, shares)
    total = weights.sum(axis=1, keepdims=True)
    return np.divide(weights, total, out=weights, where=total > 0)


def anchors(folder: Path, vertices: Array) -> Dict[str, Array]:
    """Return the joints of the rig in a shaped mesh, each (3,), in its unit.

    Args:
        folder: of the files.
        vertices: all of a shape, (V, 3).

    Raises:
        BodyError: if the mesh has no helper for a joint.
    """
    groups = read_mesh(folder).groups
    found = {}
    for segment in SEGMENTS:
        if segment.anchor.startswith("joint-"):
            if segment.anchor not in groups:
                raise BodyError(f"{folder}: the mesh has no group '{segment.anchor}'")
            found[segment.anchor] = vertices[groups[segment.anchor]].mean(axis=0)
    hips = [found[f"joint-{letter}-upper-leg"] for letter in SIDES.values()]
    found["hips"] = np.mean(hips, axis=0)
    found["mid-neck"] = (found["joint-neck"] + found["joint-head"]) / 2
    return found


def _segment_of(bone: str) -> str:
    stem, _, letter = bone.partition(".")
    side = {"L": "left_", "R": "right_"}.get(letter, "")
    for begin, segment in _BONES:
        if stem.startswith(begin):
            return segment if segment in INDEX else side + segment
    # Jaw, eyes, lips, tongue.
    return "head"
