"""Joints out of the CDF files."""

from __future__ import annotations

import contextlib
import signal
import threading
import warnings
from pathlib import Path

import numpy as np

from gluon_dkpr.data.h36m.names import FILE_JOINTS, JOINTS, H36mError
from gluon_dkpr.types import Array

VARIABLE = "Pose"
# The longest video has some 6,300 frames; its file some MB.
MAX_FRAMES = 100_000
MAX_BYTES = 64 << 20
# A file of the longest video is read in 0.02 s, but damaged ones send cdflib round in circles.
MAX_SECONDS = 20.0
# A coordinate beyond is no position in a room and no pixel of an image.
MAX_VALUE = 1e6


def read_joints(path, dim: int) -> Array:
    """Return the 17 joints of every frame of a CDF file.

    Args:
        path: file with the variable ``Pose``, (1, F, 32 * dim) or (F, 32 * dim).
        dim: 3 for positions in mm, camera frame (D3_Positions_mono), or 2 for px (D2_Positions).

    Returns:
        float64, shape (F, 17, dim), in the order of ``human36m()``. Coordinates that are no
        number, or beyond any sense, are NaN.

    Raises:
        H36mError: if the file cannot be parsed or holds something else, or cdflib is missing.
    """
    path = Path(path)
    values = _read_variable(path, FILE_JOINTS * dim)
    joints = values.reshape(-1, FILE_JOINTS, dim)[:, JOINTS].astype(np.float64)
    # Also false for NaN.
    joints[~(np.abs(joints) < MAX_VALUE)] = np.nan
    return joints


def _read_variable(path: Path, width: int) -> Array:
    try:
        import cdflib
    except ImportError:
        raise H36mError(
            "cdflib is not installed; it comes with the extra 'h36m': pip install gluon_dkpr[h36m]"
        ) from None
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise H36mError(f"{size} bytes, expected at most {MAX_BYTES}")
        with _time_limit(MAX_SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = cdflib.CDF(path)
            names = [*file.cdf_info().zVariables, *file.cdf_info().rVariables]
            if VARIABLE not in names:
                raise H36mError(f"variables {names!r:.80}, expected '{VARIABLE}'")
            inquiry = file.varinq(VARIABLE)
            _check_shape((inquiry.Last_Rec + 1, *map(int, inquiry.Dim_Sizes)), width)
            values = np.asarray(file.varget(VARIABLE))
    except H36mError:
        raise
    except _TimeUpError:
        raise H36mError(f"no readable CDF file, not read within {MAX_SECONDS:g} s") from None
    except Exception as error:  # what a damaged file makes cdflib raise has no common class
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise H36mError(f"no readable CDF file, {reason:.120}") from None
    _check_shape(values.shape, width)
    if values.dtype.kind != "f":
        raise H36mError(f"'{VARIABLE}' is {values.dtype}, expected floating point numbers")
    return values


class _TimeUpError(BaseException):
    """No ``Exception``, lest the code that is to be stopped catches it."""


@contextlib.contextmanager
def _time_limit(seconds: float):
    """Raise _TimeUpError in the block after some time. Only the main thread can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise _TimeUpError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _check_shape(shape, width: int) -> None:
    shape = tuple(shape)
    frames = [size for size in shape[:-1] if size != 1] or [1]
    if len(shape) < 2 or shape[-1] != width or len(frames) > 1 or not 0 < frames[0] <= MAX_FRAMES:
        raise H36mError(
            f"'{VARIABLE}' has shape {shape}, expected (1, F, {width}), F from 1 to {MAX_FRAMES}"
        )
