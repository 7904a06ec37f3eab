"""Poses drawn over images. Colours and images are RGB, 0-255."""

from __future__ import annotations

import cv2
import numpy as np

from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz.style import (
    TRUE_COLOR,
    Color,
    PictureError,
    joint_sides,
    tint,
)

# OpenCV's drawing takes integers; this many of their bits are the fraction of a pixel.
_FRACTION_BITS = 4
# Joints further out are drawn here, so that they fit OpenCV's integers.
_FAR_PX = 1e5
# A rim round every line sets it off from an image, or another skeleton, of any colour.
_RIM: Color = (0, 0, 0)


def draw_pose(
    image: Array,
    skeleton: Skeleton,
    joints_px: Array,
    color: Color = TRUE_COLOR,
    scale: int = 1,
    thickness: int = 2,
) -> Array:
    """Return the image, enlarged, with a skeleton over it.

    The right side of the skeleton has the colour, the left side is pale, the centre between.

    Args:
        image: grey (H, W) or (H, W, 1) or RGB (H, W, 3), uint8. It is not changed.
        skeleton: tells which joints are joined and their sides.
        joints_px: visible joints, shape (J, 2), px of ``image``, x right and y down, the centre of
            the upper left pixel at (0, 0). Missing joints are NaN and left out with their bones.
        color: RGB, 0-255.
        scale: how many pixels one pixel of the image becomes, each way.
        thickness: of the bones, in px of the result.

    Returns:
        RGB image of shape (scale*H, scale*W, 3), uint8.

    Raises:
        PictureError: for an image, joints or a scale of another kind.
    """
    canvas = enlarged(image, scale)
    points = enlarged_points(skeleton, joints_px, scale)
    draw(canvas, skeleton, points, color, thickness)
    return canvas


def enlarged(image: Array, scale: int) -> Array:
    """Return an RGB copy of the image, each pixel a block of ``scale`` by ``scale``."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3) or not image.size:
        raise PictureError(
            f"image is {image.dtype} of shape {image.shape}, expected uint8 of (H, W) or (H, W, 3)"
        )
    if isinstance(scale, bool) or not isinstance(scale, (int, np.integer)) or scale < 1:
        raise PictureError(f"scale is {scale!r}, expected a whole number above 0")
    rgb = np.broadcast_to(image, (*image.shape[:2], 3))
    return np.ascontiguousarray(rgb.repeat(scale, axis=0).repeat(scale, axis=1))


def enlarged_points(skeleton: Skeleton, joints_px: Array, scale: int) -> Array:
    """Return joints (J, 2) in px of the enlarged image; centres of pixels are whole numbers."""
    joints_px = np.asarray(joints_px, dtype=np.float64)
    if joints_px.shape != (skeleton.num_joints, 2):
        raise PictureError(
            f"joints_px has shape {joints_px.shape}, expected ({skeleton.num_joints}, 2) "
            f"for skeleton '{skeleton.name}'"
        )
    return (joints_px + 0.5) * scale - 0.5


def draw(canvas: Array, skeleton: Skeleton, points: Array, color: Color, thickness: int) -> None:
    """Draw a skeleton into an RGB canvas (H, W, 3), uint8; ``points`` (J, 2) in its px."""
    present = np.isfinite(points).all(-1)
    fixed = np.clip(np.nan_to_num(points), -_FAR_PX, _FAR_PX) * (1 << _FRACTION_BITS)
    fixed = np.round(fixed).astype(int).tolist()
    tints = [tint(color, side) for side in joint_sides(skeleton)]
    bones = [bone for bone in skeleton.bone_indices if present[bone].all()]
    for rim in (1, 0):
        for parent, child in bones:
            ink, width = (_RIM, thickness + 2) if rim else (tints[child], thickness)
            ends = fixed[parent], fixed[child]
            cv2.line(canvas, *ends, ink, width, cv2.LINE_AA, _FRACTION_BITS)
        radius = (thickness + 1 + rim) << _FRACTION_BITS
        for joint in np.flatnonzero(present):
            ink = _RIM if rim else tints[joint]
            cv2.circle(canvas, fixed[joint], radius, ink, cv2.FILLED, cv2.LINE_AA, _FRACTION_BITS)
