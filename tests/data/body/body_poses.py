"""Poses and a shape to test with."""

import numpy as np

from gluon_dkpr.data.body.shape import Shape
from gluon_dkpr.skeleton import human36m

NAMES = human36m().parameter_names
# No body of the data set: average in everything.
AVERAGE = Shape(1.0, 0.0, 0.0, 0.0, 0.0, "caucasian")


def motion_of(**angles) -> np.ndarray:
    """Return a motion that is 0 but for some parameters."""
    motion = np.zeros(len(NAMES))
    for name, value in angles.items():
        motion[NAMES.index(name)] = value
    return motion
