"""Where the person is: boxes from the data set's masks or from the joints, and square crops."""

from __future__ import annotations

import math
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

import cv2
import numpy as np

from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.geometry import Crop
from gluon_dkpr.types import Array

#: Added on each side of a box from joints, as a part of its longer side: joints are inside of the
#: body, and the head's ends above the eyes (inferred).
JOINT_MARGIN = 0.1
VARIABLE = "Masks"
# Of a mask, in each direction; the images are 1000 x 1002.
MAX_MASK_PX = 4096
# A padded picture larger than that, px, is never made.
MAX_PADDED_PX = 4096
# A smaller box, px, holds no person.
LEAST_SIDE_PX = 8


class MaskBoxes:
    """The boxes of a ``ground_truth_bb`` file, read one frame at a time.

    It is a MATLAB 7.3 file, which is HDF5: ``Masks[frame, 0]`` refers to a mask, transposed, that
    is 1 in the box.

    Args:
        path: of the .mat file.

    Raises:
        H36mError: if it is no such file, or h5py is missing.
    """

    def __init__(self, path: Path):
        try:
            import h5py
        except ImportError:
            raise H36mError(
                "h5py is not installed; it comes with the extra 'h36m': "
                "pip install gluon_dkpr[h36m]"
            ) from None
        self._is_reference = lambda kind: h5py.check_ref_dtype(kind) is h5py.Reference
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise H36mError(f"no HDF5 file, {' '.join(str(error).split()):.120}") from None
        try:
            with _reading(f"'{VARIABLE}'"):
                self._masks = self._checked(self._file.get(VARIABLE), h5py)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __len__(self) -> int:
        return self._masks.size

    def box(self, frame: int) -> Optional[Array]:
        """Return the edges (left, top, right, bottom) in px, ``None`` for a frame without a box.

        Raises:
            H36mError: if the mask cannot be read.
        """
        if not 0 <= frame < len(self):
            return None
        with _reading(f"mask {frame}"):
            mask = self._file[self._masks[frame]]
            shape = mask.shape
            if len(shape) != 2 or max(shape) > MAX_MASK_PX or mask.dtype.kind not in "buif":
                raise H36mError(f"mask {frame} is {mask.dtype} {shape}, expected a picture")
            mask = mask[()] != 0
        # Transposed: the first axis is x.
        columns, rows = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not len(columns):
            return None
        return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)

    def _checked(self, found, h5py) -> Array:
        """Return the references to the masks, shape (F,)."""
        if not isinstance(found, h5py.Dataset) or not self._is_reference(found.dtype):
            raise H36mError(f"no '{VARIABLE}' with references to masks in it")
        if found.ndim != 2 or 1 not in found.shape:
            raise H36mError(f"'{VARIABLE}' has shape {found.shape}, expected (F, 1)")
        return found[()].ravel()


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Name what cannot be read: h5py raises whatever its C library meets."""
    try:
        yield
    except H36mError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise H36mError(f"{what} cannot be read, {reason:.120}") from None


def joint_box(joints_px: Array) -> Array:
    """Return the edges (left, top, right, bottom) of the smallest box of whole pixels.

    Args:
        joints_px: (J, 2), px of the image, pixel centres at whole numbers.
    """
    low, high = joints_px.min(axis=0) + 0.5, joints_px.max(axis=0) + 0.5
    return np.concatenate([np.floor(low), np.ceil(high)])


def square_crop(box: Array, size: int, margin: float = 0.0) -> Crop:
    """Return the smallest square of whole pixels around a box, with the same centre.

    Args:
        box: edges (left, top, right, bottom), px of the image.
        size: of the crop, px.
        margin: added on each side, as a part of the longer side of the box.

    Raises:
        H36mError: if the box holds no person.
    """
    left, top, right, bottom = (float(edge) for edge in box)
    side = math.ceil(max(right - left, bottom - top) * (1 + 2 * margin))
    if side < LEAST_SIDE_PX:
        raise H36mError(f"a box of {side} px, expected {LEAST_SIDE_PX} px or more")
    left, top = math.floor((left + right - side) / 2), math.floor((top + bottom - side) / 2)
    return Crop(left, top, side, size)


def cut_out(image: Array, crop: Crop) -> Array:
    """Return what :meth:`Crop.apply` does, but in a tenth of the time.

    OpenCV's ``INTER_AREA`` and ``INTER_LINEAR`` round in fixed point: a grey level of difference.

    Args:
        image: uint8, shape (H, W, C).
        crop: of whole pixels, as :func:`square_crop` returns it.

    Returns:
        uint8, shape (size, size, C).
    """
    height, width, channels = image.shape
    side, left, top = crop.side, crop.left, crop.top
    if side > MAX_PADDED_PX:
        return crop.apply(image)
    inside = image[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)]
    if inside.shape[:2] != (side, side):
        padded = np.zeros((side, side, channels), dtype=np.uint8)
        if inside.size:
            y, x = max(-top, 0), max(-left, 0)
            padded[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        inside = padded
    method = cv2.INTER_AREA if side >= crop.size else cv2.INTER_LINEAR
    return cv2.resize(inside, (crop.size, crop.size), interpolation=method)
