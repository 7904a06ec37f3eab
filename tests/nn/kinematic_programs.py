"""The three programs of the kinematic layer, forced upon skeletons that would choose another."""

import contextlib
from unittest import mock

import numpy as np
import pytest
from strategies import pose_size

from gluon_dkpr.backend import mx
from gluon_dkpr.nn import KinematicLayer, kinematic
from gluon_dkpr.nn.programs import DenseProgram, PlanarProgram
from gluon_dkpr.nn.scan_program import ScanProgram

# A joint is a sum of some dozen products of float32 numbers of 24 bits, each off by 6e-8 of the
# pose's size; angles up to pi add their own rounding of 2e-7 at every turn. Measured: 4e-7.
FLOAT32_TOLERANCE = 1e-5
# The same sums in float64, 1e-16 each; constants that lost digits in float32 would show at 1e-8.
FLOAT64_TOLERANCE = 1e-12
TOLERANCES = {"float32": FLOAT32_TOLERANCE, "float64": FLOAT64_TOLERANCE}

PROGRAMS = {"planar": PlanarProgram, "dense": DenseProgram, "scan": ScanProgram}
DIMS = {"planar": 2, "dense": 3, "scan": 3}

each_program = pytest.mark.parametrize("program", list(PROGRAMS))


@contextlib.contextmanager
def forced(program):
    """Within the block layers of 3-D skeletons are built with ``dense`` or ``scan``."""
    limit = np.inf if program == "dense" else -1
    with mock.patch.multiple(kinematic, DENSE_LIMIT=limit, DENSE_TURNS=limit):
        yield


def build(skeleton, program, dtype="float32"):
    """Return a layer with this program (or none, where nothing turns)."""
    with forced(program):
        layer = KinematicLayer(skeleton)
    assert layer._program is None or isinstance(layer._program, PROGRAMS[program])
    if dtype != "float32":
        layer.cast(dtype)
    return layer


def rounded(motion, dtype="float32"):
    """Return the motion as the layer sees it, in float64: what the oracle is to be fed."""
    return motion.astype(dtype).astype(np.float64)


def tensor(array, dtype="float32"):
    return mx.nd.array(array, dtype=dtype)


def assert_same_joints(found, expected, skeleton, motion, scale=None, dtype="float32"):
    """Compare joints relative to the size of the pose."""
    assert np.dtype(found.dtype) == dtype
    assert found.shape == expected.shape
    size = pose_size(skeleton, motion, scale)
    difference = np.abs(found.asnumpy() - expected).max() / size
    assert difference <= TOLERANCES[dtype], f"joints differ by {difference:.1e} of the pose's size"
