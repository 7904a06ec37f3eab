"""Skeletons by name."""

from __future__ import annotations

import os
from typing import Callable, Dict

from gluon_dkpr.skeleton.checks import SkeletonError, shown
from gluon_dkpr.skeleton.hand import hand
from gluon_dkpr.skeleton.human36m import human36m
from gluon_dkpr.skeleton.io import load_skeleton
from gluon_dkpr.skeleton.planar import LEVELS, planar
from gluon_dkpr.skeleton.skeleton import Skeleton

BUILT_IN: Dict[str, Callable[[], Skeleton]] = {
    "human36m": human36m,
    "hand": hand,
    "hand_left": lambda: hand("left"),
    **{f"planar{level}": lambda level=level: planar(level) for level in LEVELS},
}


def get_skeleton(name: str) -> Skeleton:
    """Return a built-in skeleton by name, or read one from a YAML file.

    Raises:
        SkeletonError: if there is neither, or the file is wrong.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if not os.path.exists(name):  # a pathlib.Path would raise for a name too long for a file
        raise SkeletonError(
            f"no skeleton {shown(name)}: neither a file nor one of {', '.join(BUILT_IN)}"
        )
    return load_skeleton(name)
