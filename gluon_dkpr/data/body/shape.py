"""The shape of a subject: MakeHuman's macro targets, mixed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Dict, NamedTuple

import numpy as np

from gluon_dkpr.data.body.files import BodyError, read_mesh, read_target
from gluon_dkpr.types import Array


class Shape(NamedTuple):
    """What a grown person's body looks like.

    Attributes:
        male: 0 (female) to 1.
        age: 0 (young) to 1 (old).
        muscle, weight, height: -1 (least) to 1 (most), 0 is average.
        origin: ``"african"``, ``"asian"`` or ``"caucasian"``: the features of the face.
    """

    male: float
    age: float
    muscle: float
    weight: float
    height: float
    origin: str


def shaped_vertices(folder: Path, shape: Shape) -> Array:
    """Return all vertices of the mesh in a shape, helpers included, (V, 3), mm.

    A target is made for one corner of the space of shapes; between the corners the shape is their
    mean, weighted linearly in each number.

    Raises:
        BodyError: if a file cannot be read.
    """
    vertices = read_mesh(folder).vertices.copy()
    sexes = _mixture(shape.male, "female", "male")
    ages = _mixture(shape.age, "young", "old")
    builds = [sexes, ages, _around(shape.muscle, "muscle"), _around(shape.weight, "weight")]
    tallest = "maxheight" if shape.height > 0 else "minheight"
    for parts in itertools.product(*(mixture.items() for mixture in builds)):
        names, shares = zip(*parts)
        build, share = "-".join(names), float(np.prod(shares))
        _add(vertices, folder, f"macrodetails/universal-{build}", share)
        _add(
            vertices,
            folder,
            f"macrodetails/height/{build}-{tallest}",
            share * abs(shape.height),
        )
    for (sex, first), (age, second) in itertools.product(sexes.items(), ages.items()):
        _add(vertices, folder, f"macrodetails/{shape.origin}-{sex}-{age}", first * second)
    return vertices


def _add(vertices: Array, folder: Path, target: str, share: float) -> None:
    if share:
        indices, moves = read_target(folder, target)
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(vertices):
            raise BodyError(f"{folder}: target '{target}' names a vertex that is not there")
        vertices[indices] += share * moves


def _mixture(share: float, low: str, high: str) -> Dict[str, float]:
    return {name: part for name, part in ((low, 1 - share), (high, share)) if part}


def _around(value: float, name: str) -> Dict[str, float]:
    """Return the shares of the average and of the nearer extreme."""
    extreme = f"max{name}" if value > 0 else f"min{name}"
    return _mixture(abs(value), f"average{name}", extreme)
