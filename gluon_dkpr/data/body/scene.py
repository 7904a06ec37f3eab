"""Four cameras around a person, at known calibration, and the light."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from gluon_dkpr.geometry import rotation_matrix
from gluon_dkpr.types import Array

CAMERAS = ("front-left", "front-right", "back-right", "back-left")
#: Height and width of a camera's image, px.
IMAGE_PX = 1000
# Ranges, uniform. Inferred; Human3.6M's cameras are about 1.5 m high, 4 to 6 m away, 1145 px.
DISTANCE_MM = (3600.0, 5600.0)
HEIGHT_MM = (900.0, 2300.0)
FOCAL_PX = (1050.0, 1250.0)
CENTRE_PX = 15.0
AZIMUTH = np.radians(20)
ROLL = np.radians(3)
# The point that a camera looks at, around the middle of the scene.
AIM_MM = 150.0


class Camera(NamedTuple):
    """A pinhole camera.

    Attributes:
        rotation: from the world to the camera, (3, 3). The world has y down.
        position: in the world, (3,), mm.
        intrinsics: focal lengths x, y, principal point x, y, (4,), px; pixel centres at whole
            numbers.
    """

    rotation: Array
    position: Array
    intrinsics: Array

    def to_camera(self, points: Array) -> Array:
        """Return points (..., 3) of the world in the camera's frame, mm."""
        return (points - self.position) @ self.rotation.T

    def project(self, points: Array) -> Array:
        """Return points (..., 3) of the camera's frame in px of the image, (..., 2)."""
        return points[..., :2] / points[..., 2:] * self.intrinsics[:2] + self.intrinsics[2:]


class Light(NamedTuple):
    """Light on the body.

    Attributes:
        direction: unit vector from the body to the lamp, world, (3,).
        ambient, lamp: brightness of what comes from everywhere and from the lamp.
        tint: colour of the lamp, (3,), mean 1.
    """

    direction: Array
    ambient: float
    lamp: float
    tint: Array


def draw_cameras(random: np.random.Generator) -> Tuple[Camera, ...]:
    """Return the four cameras of a scene, around the world's origin on the floor, facing it."""
    return tuple(_draw_camera(i, random) for i in range(len(CAMERAS)))


def draw_light(random: np.random.Generator) -> Light:
    """Return the light of a scene: a lamp from above, somewhere."""
    azimuth, height = random.uniform(-np.pi, np.pi), random.uniform(0.35, 1.3)
    direction = [
        np.cos(height) * np.sin(azimuth),
        -np.sin(height),
        -np.cos(height) * np.cos(azimuth),
    ]
    tint = 1 + random.uniform(-0.12, 0.12) * np.array([1.0, 0.1, -1.0])
    return Light(np.array(direction), random.uniform(0.35, 0.6), random.uniform(0.45, 0.8), tint)


def _draw_camera(index: int, random: np.random.Generator) -> Camera:
    quarter = np.pi / 2
    azimuth = (index + 0.5) * quarter + random.uniform(-AZIMUTH, AZIMUTH)
    distance, height = random.uniform(*DISTANCE_MM), random.uniform(*HEIGHT_MM)
    position = np.array([distance * np.sin(azimuth), -height, -distance * np.cos(azimuth)])
    aim = np.array([0.0, -900.0, 0.0]) + random.uniform(-AIM_MM, AIM_MM, 3)
    forward = (aim - position) / np.linalg.norm(aim - position)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    level = np.stack([right, np.cross(forward, right), forward])
    roll = rotation_matrix((0.0, 0.0, 1.0), random.uniform(-ROLL, ROLL, 1))[0]
    focal = random.uniform(*FOCAL_PX)
    centre = (IMAGE_PX - 1) / 2 + random.uniform(-CENTRE_PX, CENTRE_PX, 2)
    return Camera(roll @ level, position, np.array([focal, focal, *centre]))
