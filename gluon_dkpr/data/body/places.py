"""Where on the body the vertices and faces of the mesh are, for clothes and hair."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Dict, NamedTuple

import numpy as np

from gluon_dkpr.data.body.files import read_mesh
from gluon_dkpr.data.body.person import topology
from gluon_dkpr.data.body.rig import INDEX, SIDES, anchors
from gluon_dkpr.types import Array

_ARM = ("shoulder", "upperarm01", "upperarm02", "lowerarm", "hand")
_LEG = ("upperleg01", "upperleg02", "lowerleg", "foot")


class Places(NamedTuple):
    """Places of N vertices, or faces, in the file's pose; each (N,) but ``head_mm``.

    Attributes:
        part: ``"trunk"``, ``"arm"``, ``"leg"``, ``"foot"`` or ``"head"``: what moves it most.
        along: 0 where an arm or a leg begins, 0.5 at elbow and knee, 1 at wrist and ankle.
        height: 0 at the hips, 1 at the lowest vertebra of the neck.
        side_mm: to the left of the middle.
        head_mm: from the joint of the head, (N, 3), body axes.
        eye_mm: distance of the nearer eye.
    """

    part: Array
    along: Array
    height: Array
    side_mm: Array
    head_mm: Array
    eye_mm: Array


@lru_cache(maxsize=2)
def places(folder: Path) -> Dict[str, Places]:
    """Return the places of the ``"vertices"`` and of the ``"faces"`` of the reduced mesh.

    Raises:
        BodyError: if a file cannot be read.
    """
    mesh, own = read_mesh(folder), topology(folder)
    at = anchors(folder, mesh.vertices)
    at.update({f"{x}-eye": mesh.vertices[mesh.groups[f"joint-{x}-eye"]].mean(0) for x in "lr"})
    vertices = mesh.vertices[own.vertices]
    return {
        "vertices": _places(at, vertices, own.weights),
        "faces": _places(at, vertices[own.faces].mean(1), own.weights[own.faces].mean(1)),
    }


def _places(at: Dict[str, Array], points: Array, weights: Array) -> Places:
    owner = weights.argmax(axis=1)
    part = np.full(len(points), "trunk", dtype="U5")
    along = np.zeros(len(points))
    for side, letter in SIDES.items():
        for name, segments, corners in (
            ("arm", _ARM, ("shoulder", "elbow", "hand")),
            ("leg", _LEG, ("upper-leg", "knee", "ankle")),
        ):
            own = np.isin(owner, [INDEX[f"{side}_{segment}"] for segment in segments])
            part[own] = name
            line = [at[f"joint-{letter}-{corner}"] for corner in corners]
            along[own] = _along(points[own], *line)
        part[owner == INDEX[f"{side}_foot"]] = "foot"
    part[np.isin(owner, [INDEX["head"], INDEX["neck02"]])] = "head"
    hips, neck = at["hips"][1], at["joint-neck"][1]
    eyes = np.minimum(*(np.linalg.norm(points - at[f"{x}-eye"], axis=1) for x in "lr"))
    height = (points[:, 1] - hips) / (neck - hips)
    return Places(part, along, height, points[:, 0], points - at["joint-head"], eyes)


def _along(points: Array, begin: Array, middle: Array, end: Array) -> Array:
    """Return how far along the line of two parts each point is, (N,)."""
    shares = []
    for a, b in ((begin, middle), (middle, end)):
        bone = b - a
        shares.append((points - a) @ bone / (bone @ bone))
    first, second = shares
    # Whatever is past the middle by the first part, and begun by the second, is on the second.
    return np.where((first > 1) | (second > 0), 0.5 + np.maximum(second, 0) / 2, first / 2)
