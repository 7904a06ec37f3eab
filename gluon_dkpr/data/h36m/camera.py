"""The camera of a video, estimated: no file of the data set needs to give it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.types import Array

# Lens distortion, which the pinhole model leaves out, costs some px. So much more than that means
# that the positions are not those of this camera.
MAX_RESIDUAL_PX = 20.0
# Standard deviation of X / Z and Y / Z below which a focal length cannot be told: a person that
# fills a tenth of the image has many times that.
LEAST_SPREAD = 1e-3


class Camera(NamedTuple):
    """A pinhole camera: u = focal_x X / Z + centre_x, v = focal_y Y / Z + centre_y.

    Attributes:
        focal_x, focal_y, centre_x, centre_y: px of the image.
        residual_px: root mean square distance of the joints from where it sees them.
    """

    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    residual_px: float

    @property
    def intrinsics(self) -> Array:
        """(focal_x, focal_y, centre_x, centre_y), as a label has them."""
        return np.array(self[:4])

    @property
    def focal(self) -> float:
        """Mean of both focal lengths, px."""
        return (self.focal_x + self.focal_y) / 2


def fit_camera(joints_mm: Array, joints_px: Array) -> Camera:
    """Return the camera that sees joints where they are in the image, by linear least squares.

    Args:
        joints_mm: (F, J, 3), mm, camera frame.
        joints_px: (F, J, 2), px. Joints with a NaN, or not in front of the camera, do not count.

    Raises:
        H36mError: if no camera does that, or the joints do not tell it.
    """
    points = np.concatenate([joints_mm, joints_px], axis=-1).reshape(-1, 5)
    points = points[np.isfinite(points).all(axis=1) & (points[:, 2] > 0)]
    if len(points) < 2:
        raise H36mError(f"{len(points)} joints in front of the camera, expected many")
    directions, pixels = points[:, :2] / points[:, 2:3], points[:, 3:]
    focal, centre, residual = [], [], 0.0
    for direction, pixel in zip(directions.T, pixels.T):
        if direction.std() < LEAST_SPREAD:
            raise H36mError("the joints are all in one direction: no focal length can be estimated")
        design = np.stack([direction, np.ones_like(direction)], axis=1)
        solution = np.linalg.lstsq(design, pixel, rcond=None)[0]
        focal.append(float(solution[0]))
        centre.append(float(solution[1]))
        residual += float(np.square(design @ solution - pixel).mean())
    camera = Camera(*focal, *centre, residual**0.5)
    if camera.residual_px > MAX_RESIDUAL_PX or min(focal) <= 0:
        raise H36mError(
            f"3-D and 2-D joints do not belong together: {camera.residual_px:.0f} px apart at "
            f"focal lengths {focal[0]:.0f} and {focal[1]:.0f} px, expected at most "
            f"{MAX_RESIDUAL_PX:.0f} px apart; are these D3_Positions_mono?"
        )
    return camera
