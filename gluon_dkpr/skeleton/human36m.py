"""The human body of the paper's section 4.2, as Human3.6M labels it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from gluon_dkpr.skeleton.io import load_skeleton
from gluon_dkpr.skeleton.skeleton import Skeleton


@lru_cache(maxsize=None)
def human36m() -> Skeleton:
    """Return the body with 17 joints and 27 motion parameters, in mm and the camera frame.

    The definition, and what of it is inferred, stands in ``human36m.yaml`` beside this file.
    """
    return load_skeleton(Path(__file__).with_name("human36m.yaml"))
