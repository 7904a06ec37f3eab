"""Suits whose colours tell the parts of the body, as for motion capture by colour.

In such a suit a picture shows which limb is left and which side is the front, even at a few pixels,
so that networks without any pretraining come near their limit within minutes. Wang, Paris and
Popovic, Practical Color-Based Motion Capture, 2011, capture people in a shirt of this kind.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gluon_dkpr.data.body.outfit import Outfit, draw_colors
from gluon_dkpr.data.body.places import places
from gluon_dkpr.types import Array

# RGB of the near and the far half of each limb.
_LIMBS = {
    ("left", "arm"): ((220, 40, 40), (250, 150, 60)),
    ("right", "arm"): ((40, 160, 60), (150, 240, 80)),
    ("left", "leg"): ((40, 60, 220), (80, 200, 250)),
    ("right", "leg"): ((240, 210, 40), (200, 60, 220)),
}
_FEET = {"left": (250, 130, 160), "right": (130, 80, 30)}
_CHEST, _BACK = (240, 240, 240), (30, 30, 30)
# What is further forward than this from the joint of the head is the chest, mm.
_FRONT_MM = -40.0
# Suits are darker or lighter, and a little tinted, by so much.
_TINT = 0.15


def draw_suit(folder: Path, outfit: Outfit, random: np.random.Generator) -> Array:
    """Return the colour of each face, (F, 3), RGB 0-255, of somebody in a suit.

    Args:
        folder: of the body's files.
        outfit: whose hair stays as it is.
        random: what decides.
    """
    where = places(folder)["faces"]
    colors = draw_colors(folder, outfit, random)
    left = where.side_mm > 0
    trunk = where.part == "trunk"
    colors[trunk] = np.where(where.head_mm[trunk, 2:] > _FRONT_MM, _CHEST, _BACK)
    for side, own in (("left", left), ("right", ~left)):
        colors[own & (where.part == "foot")] = _FEET[side]
        for limb in ("arm", "leg"):
            for half, far in zip(_LIMBS[side, limb], (where.along < 0.5, where.along >= 0.5)):
                colors[own & (where.part == limb) & far] = half
    return colors * random.uniform(1 - _TINT, 1 + _TINT, 3)
