"""Drawing a posed mesh by the painter's algorithm: which face a pixel shows, then its colour."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np

from gluon_dkpr.types import Array

# Pixels are cut in SAMPLES x SAMPLES for smooth edges.
SAMPLES = 2
# Binary digits of a fraction of a pixel that OpenCV reads in its coordinates.
_FRACTION_BITS = 4
# A person nearer than this is behind or in the camera.
LEAST_DEPTH_MM = 100.0


def draw_faces(points: Array, depth: Array, faces: Array, size: int) -> Array:
    """Return which face each part of a pixel shows.

    Faces are drawn from the farthest to the nearest, so near parts hide far ones. Faces that show
    their back are left out; a closed surface hides them anyway.

    Args:
        points: of the vertices, (N, 2), px of the picture, x right, y down, the centre of the
            upper left pixel at (0, 0).
        depth: of the vertices, (N,), mm.
        faces: (F, 4), indices of vertices, counter-clockwise seen from outside; triangles have
            their last corner twice.
        size: of the square picture, px.

    Returns:
        int32, (SAMPLES * size, SAMPLES * size), the index of a face or -1.
    """
    corners = points[faces]
    first, second = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    # y points down, so what is counter-clockwise in space is clockwise here.
    area = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    low, high = corners.min(axis=1), corners.max(axis=1)
    inside = ((high >= -1) & (low <= size)).all(axis=1)
    shown = np.flatnonzero((area < 0) & inside & (depth[faces].min(axis=1) > LEAST_DEPTH_MM))
    order = shown[np.argsort(-depth[faces[shown]].mean(axis=1), kind="stable")]
    fixed = ((corners[order] + 0.5) * SAMPLES - 0.5) * (1 << _FRACTION_BITS)
    canvas = np.full((SAMPLES * size, SAMPLES * size), -1, dtype=np.int32)
    fill = cv2.fillConvexPoly
    for index, corner in zip(order.tolist(), np.round(fixed).astype(np.int32)):
        fill(canvas, corner, index, cv2.LINE_8, _FRACTION_BITS)
    return canvas


def compose(canvas: Array, colors: Array, background: Array) -> Array:
    """Return the picture: the faces in their colours over the background.

    Args:
        canvas: of :func:`draw_faces`.
        colors: of the faces, (F, 3), 0-255.
        background: uint8, (size, size, 3).
    """
    size = len(background)
    table = np.zeros((len(colors) + 1, 4), dtype=np.uint8)
    table[:-1, :3] = np.clip(np.round(colors), 0, 255)
    table[:-1, 3] = 255
    # The mean over the parts of a pixel; the fourth channel counts how many the body covers.
    over = cv2.resize(table[canvas], (size, size), interpolation=cv2.INTER_AREA)
    rest = 255 - over[..., 3:].astype(np.uint16)
    return (over[..., :3] + (background * rest + 127) // 255).astype(np.uint8)


def bounds_px(points: Array) -> Tuple[float, float, float, float]:
    """Return left, top, right and bottom edge of points (N, 2), px."""
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
