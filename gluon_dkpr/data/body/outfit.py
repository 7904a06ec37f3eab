"""Clothes, shoes and hair of a scene: what they cover, how they lie on the body, their colours."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gluon_dkpr.data.body.person import Person
from gluon_dkpr.data.body.places import Places, places
from gluon_dkpr.data.body.surface import smoothed, vertex_normals
from gluon_dkpr.data.body.textures import muted_color
from gluon_dkpr.types import Array

# Light skin to dark, RGB; hair black to fair and grey.
_SKIN = np.array([[238, 198, 172], [224, 172, 140], [198, 140, 106], [148, 98, 70], [94, 62, 48]])
_HAIR = np.array([[30, 25, 24], [70, 46, 32], [120, 84, 52], [190, 152, 98], [150, 148, 146]])
_EYE = (46, 36, 34)
_LIPS = (168, 92, 88)
# How far each thing lies off the skin, mm, and how many times its surface is smoothed: cloth hangs
# over hollows, a shoe has no toes.
_OFF_MM = {"shirt": 9.0, "trousers": 9.0, "shoes": 9.0, "hair": 13.0}
_SMOOTHED = {"shirt": 6, "trousers": 6, "shoes": 30, "hair": 3}
# How often a cloth is plain, has sleeves or sides of another colour, stripes, blotches.
_SHIRTS = (0.5, 0.1, 0.08, 0.2, 0.12)
_TROUSERS = (0.8, 0.0, 0.05, 0.08, 0.07)
SKIN, SHIRT, TROUSERS, SHOES, HAIR = "skin", "shirt", "trousers", "shoes", "hair"


class Outfit(NamedTuple):
    """What somebody wears in a scene.

    Attributes:
        sleeve, leg: how far shirt and trousers reach along arm and leg, 0 to 1.
        waist: height where the shirt ends and the trousers begin; ``neckline`` where it begins.
        boots: how far along the leg the shoes begin, 1 for the ankle.
        bald: no hair, else ``hairline`` and ``nape`` are the heights over the joint of the head
            where it begins in front and at the back, mm.
        loose: how far off the skin the clothes are, 1 is normal.
    """

    sleeve: float
    leg: float
    waist: float
    neckline: float
    boots: float
    bald: bool
    hairline: float
    nape: float
    loose: float


def draw_outfit(random: np.random.Generator) -> Outfit:
    """Return the outfit of a scene."""
    return Outfit(
        sleeve=float(random.choice([0.1, 0.3, 0.5, 0.97], p=[0.12, 0.38, 0.1, 0.4]))
        + random.uniform(-0.04, 0.02),
        leg=float(random.choice([0.3, 0.55, 0.97], p=[0.2, 0.1, 0.7]))
        + random.uniform(-0.05, 0.02),
        waist=random.uniform(-0.08, 0.22),
        neckline=random.uniform(0.86, 1.05),
        boots=float(random.choice([1.0, 0.9, 0.78], p=[0.6, 0.25, 0.15])),
        bald=bool(random.random() < 0.08),
        hairline=random.uniform(78.0, 105.0),
        nape=float(random.choice([-10.0, -60.0, -120.0], p=[0.6, 0.2, 0.2])),
        loose=random.uniform(0.5, 1.6),
    )


def covering(outfit: Outfit, where: Places) -> Array:
    """Return what covers each vertex or face, (N,): ``"skin"``, ``"shirt"``, ...

    Args:
        outfit: of the scene.
        where: places of the vertices or faces.
    """
    found = np.full(len(where.part), SKIN, dtype="U8")
    leg, arm = where.part == "leg", where.part == "arm"
    body = (where.part == "trunk") | leg
    found[(leg & (where.along < outfit.leg)) | (where.part == "trunk")] = TROUSERS
    # A neckline is lower in front than at the back.
    x, y, z = where.head_mm.T
    neckline = outfit.neckline - 0.07 * np.clip((z + 70.0) / 60.0, 0, 1)
    upper = body & (where.height > outfit.waist) & (where.along < 0.25)
    found[upper] = np.where(where.height[upper] < neckline[upper], SHIRT, SKIN)
    found[arm & (where.along < outfit.sleeve)] = SHIRT
    found[(where.part == "foot") | (leg & (where.along > outfit.boots))] = SHOES
    slope = (outfit.hairline - outfit.nape) / 175.0
    scalp = (where.part == "head") & (y > outfit.hairline + slope * (z - 95.0))
    # Ears stay free.
    found[scalp & (np.abs(x) < 77.0) & (not outfit.bald)] = HAIR
    return found


def dress(folder: Path, person: Person, outfit: Outfit) -> Person:
    """Return the person with the surface of what it wears.

    Args:
        folder: of the body's files.
        person: the subject.
        outfit: of the scene.
    """
    cover = covering(outfit, places(folder)["vertices"])
    faces, vertices = person.topology.faces, person.vertices
    off = np.zeros(len(vertices))
    for thing, height in _OFF_MM.items():
        own = cover == thing
        off[own] = height * (outfit.loose if thing in (SHIRT, TROUSERS) else 1.0)
        vertices = smoothed(vertices, faces, own, _SMOOTHED[thing])
    vertices = vertices + vertex_normals(vertices, faces) * off[:, None]
    return dataclasses.replace(person, vertices=vertices)


def draw_colors(folder: Path, outfit: Outfit, random: np.random.Generator) -> Array:
    """Return the colour of each face, (F, 3), RGB 0-255.

    Args:
        folder: of the body's files.
        outfit: what covers what.
        random: what decides.
    """
    where = places(folder)["faces"]
    cover = covering(outfit, where)
    tone = _between(_SKIN, random.random())
    hair = _between(_HAIR, random.random())
    colors = np.empty((len(cover), 3))
    colors[:] = tone
    colors[cover == HAIR] = hair
    x, y, z = where.head_mm.T
    face = (where.part == "head") & (z > 55.0)
    colors[face & (np.hypot(x / 26.0, (y + 30.0) / 8.0) < 1)] = 0.5 * tone + 0.5 * np.array(_LIPS)
    brow = face & (where.eye_mm > 17.0) & (where.eye_mm < 27.0) & (y > 48.0)
    colors[brow] = 0.4 * tone + 0.6 * hair
    colors[face & (where.eye_mm < 13.0)] = _EYE
    for thing in (SHIRT, TROUSERS, SHOES):
        own = cover == thing
        pattern = _TROUSERS if thing == TROUSERS else _SHIRTS
        cloth = _cloth(where, pattern, random)
        colors[own] = muted_color(random) if thing == SHOES else cloth[own]
    # A little of a weave, less of it on the skin.
    grain = np.where(np.isin(cover, (SHIRT, TROUSERS, SHOES, HAIR)), 0.03, 0.01)
    return colors * (1 + grain * random.standard_normal(len(colors)))[:, None]


def _cloth(where: Places, pattern, random: np.random.Generator) -> Array:
    """Return a cloth's colour at each place, (N, 3): plain, of two parts, striped or blotched."""
    first, second = muted_color(random), muted_color(random)
    kind = random.choice(["plain", "parts", "sides", "stripes", "blotches"], p=pattern)
    # Heights of the trunk and lengths of a limb in the same measure, roughly half a metre.
    level = np.where(where.part == "trunk", where.height, where.along * 1.5)
    around = where.side_mm / 500.0
    # Faces are 20 mm wide: what is finer, or sharper, would show their edges.
    if kind == "parts":
        share = where.part != "trunk"
    elif kind == "sides":
        share = np.clip(where.side_mm / 20.0 + 0.5, 0, 1)
    elif kind == "stripes":
        share = np.clip(1.5 * np.sin(level * random.uniform(25.0, 55.0)) + 0.5, 0, 1)
    elif kind == "blotches":
        turns = random.uniform(8.0, 30.0, (3, 2))
        waves = np.sin(np.outer(level, turns[:, 0]) + np.outer(around, turns[:, 1]))
        share = np.clip(waves.sum(axis=1) + 0.5, 0, 1)
    else:
        share = np.zeros(len(level))
    return first + share[:, None] * (second - first)


def _between(table: Array, place: float) -> Array:
    """Return the colour at 0 (first) to 1 (last) of a table of colours (N, 3)."""
    steps = np.arange(len(table))
    return np.array([np.interp(place * steps[-1], steps, channel) for channel in table.T])
