"""Drawing planar objects as the binary pictures of the toy problem (section 4.1)."""

from __future__ import annotations

import cv2
import numpy as np

from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# Inferred: the paper gives no line width.
LINE_WIDTH_PX = 3
# OpenCV draws this thickness LINE_WIDTH_PX wide (3 would be 5 px wide); a test holds it.
_THICKNESS = 2
FOREGROUND = 255
# Binary digits of a fraction of a pixel that OpenCV reads in its coordinates: without them the ends
# of a bone would be rounded to whole pixels and the picture would tell less about the pose.
_FRACTION_BITS = 4


def render_planar(skeleton: Skeleton, joints: Array, height: int, width: int) -> Array:
    """Draw the bones of planar objects, white on black, without anti-aliasing.

    Args:
        skeleton: of dimension 2.
        joints: shape (N, J, 2), px, x right and y down; the centre of the first pixel is (0, 0).
            What lies outside the image is cut off.
        height, width: of the image, px.

    Returns:
        uint8 images of 0 and 255, shape (N, height, width, 1).
    """
    points = np.round(np.asarray(joints) * (1 << _FRACTION_BITS)).astype(int)
    images = np.zeros((len(points), height, width, 1), dtype=np.uint8)
    for image, pose in zip(images, points.tolist()):
        canvas = image[..., 0]
        for parent, child in skeleton.bone_indices:
            cv2.line(
                canvas,
                pose[parent],
                pose[child],
                FOREGROUND,
                _THICKNESS,
                cv2.LINE_8,
                _FRACTION_BITS,
            )
    return images
