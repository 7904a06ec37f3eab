"""Square crops of images: what a network sees, and the way back to the image.

Points have pixel centres at whole numbers, x right and y down: the centre of an image's upper left
pixel is (0, 0) and its outer corner (-0.5, -0.5). Boxes are given by their edges, counted from the
outer edges of the image: a whole image of W by H px is the box from (0, 0) to (W, H).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

# Rows turned to float at a time: a large picture does not need four times its memory.
_ROWS_AT_ONCE = 256


class CropError(DkprError, ValueError):
    """A crop has no size, or an image or points have the wrong shape."""


@dataclass(frozen=True)
class Crop:
    """A square box of an image, resized to ``size`` by ``size`` px.

    Where the box reaches beyond the image it is black: the aspect ratio is kept by border padding,
    as in section 4.2 of the paper.

    Args:
        left, top: edges of the box, px of the image, counted from the image's outer edges.
        side: of the box, px of the image.
        size: of the crop, px.

    Raises:
        CropError: for a number that is not finite, or a size or side that is not above 0.
    """

    left: float
    top: float
    side: float
    size: int

    def __post_init__(self):
        if isinstance(self.size, bool) or not isinstance(self.size, (int, np.integer)):
            raise CropError(f"crop size is {self.size!r}, expected a whole number of px")
        if not all(math.isfinite(value) for value in (self.left, self.top, self.side)):
            raise CropError(f"crop box is {(self.left, self.top, self.side)}, expected finite px")
        if self.size < 1 or self.side <= 0:
            raise CropError(f"crop of {self.side} px to {self.size} px, expected both above 0")

    @classmethod
    def whole(cls, height: int, width: int, size: int) -> Crop:
        """Return the smallest square around a whole image, moved to whole pixels.

        Args:
            height, width: of the image, px.
            size: of the crop, px.
        """
        side = max(height, width)
        # Rounded down: half a pixel of padding would blur an image that needs no resizing.
        return cls((width - side) // 2, (height - side) // 2, side, size)

    @classmethod
    def around_box(cls, box: Array, size: int, margin: float = 0.0) -> Crop:
        """Return the smallest square around a box, with the same centre.

        Args:
            box: edges (left, top, right, bottom), px of the image.
            size: of the crop, px.
            margin: added on each side, as a part of the longer side of the box.
        """
        left, top, right, bottom = (float(edge) for edge in box)
        side = max(right - left, bottom - top) * (1 + 2 * margin)
        return cls((left + right - side) / 2, (top + bottom - side) / 2, side, size)

    @property
    def scale(self) -> float:
        """Px of the crop for one px of the image."""
        return self.size / self.side

    def to_crop(self, points: Array) -> Array:
        """Return points (..., 2) in px of the crop, from px of the image."""
        return (_points(points) + 0.5 - [self.left, self.top]) * self.scale - 0.5

    def to_image(self, points: Array) -> Array:
        """Return points (..., 2) in px of the image, from px of the crop."""
        return (_points(points) + 0.5) / self.scale - 0.5 + [self.left, self.top]

    def apply(self, image: Array) -> Array:
        """Return the crop of an image.

        Made smaller, a pixel is the mean of the area it covers; made larger, it is interpolated
        linearly. The same as padding with black and ``cv2.resize`` with ``INTER_AREA`` or
        ``INTER_LINEAR``, but without ever making the padded image.

        Args:
            image: uint8, shape (H, W, C).

        Returns:
            uint8, shape (size, size, C).

        Raises:
            CropError: for another shape or type.
        """
        image = np.asarray(image)
        if image.dtype != np.uint8 or image.ndim != 3 or not image.size:
            raise CropError(f"image is {image.dtype} {image.shape}, expected uint8 (H, W, C)")
        height, width, channels = image.shape
        by_row = _weights(height, self.top, self.side, self.size)
        by_column = _weights(width, self.left, self.side, self.size)
        used = np.flatnonzero(by_row.any(axis=0))
        rows = np.zeros((self.size, width * channels), dtype=np.float32)
        for begin in range(0, len(used), _ROWS_AT_ONCE):
            some = used[begin : begin + _ROWS_AT_ONCE]
            rows += by_row[:, some] @ image[some].reshape(len(some), -1).astype(np.float32)
        crop = by_column @ rows.reshape(self.size, width, channels)
        return np.clip(np.round(crop), 0, 255).astype(np.uint8)


def _points(points: Array) -> Array:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim < 1 or points.shape[-1] != 2:
        raise CropError(f"points have shape {points.shape}, expected (..., 2)")
    return points


def _weights(length: int, begin: float, side: float, size: int) -> Array:
    """Return how much each pixel of the image counts in each pixel of the crop, along one axis.

    Args:
        length: of the image, px.
        begin, side: edge and length of the box, px of the image.
        size: of the crop, px.

    Returns:
        float32, shape (size, length). What a row lacks to 1 is black padding.
    """
    step = side / size
    edge = (begin + step * np.arange(size))[:, None]
    pixel = np.arange(length)
    if step >= 1:
        overlap = np.minimum(edge + step, pixel + 1) - np.maximum(edge, pixel)
        return (np.maximum(overlap, 0) / step).astype(np.float32)
    # The outermost half pixels of the box repeat its outermost pixels.
    last = begin + max(side - 0.5, 0.5)
    centre = np.clip(edge + step / 2, begin + 0.5, last)
    return np.maximum(1 - np.abs(centre - pixel - 0.5), 0).astype(np.float32)
