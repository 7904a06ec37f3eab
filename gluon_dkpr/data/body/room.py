"""What is behind a person: a room in right perspective with the person's shadow, or a backdrop."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional, Tuple

import cv2
import numpy as np

from gluon_dkpr.data.body.scene import Camera, Light
from gluon_dkpr.data.body.textures import SIZE, draw_texture
from gluon_dkpr.geometry import Crop
from gluon_dkpr.types import Array

# How often a scene is a room; else a flat picture is behind the person.
ROOMS = 0.7
# Half the width of a room, mm: all cameras are inside.
WALLS_MM = (6000.0, 9000.0)
CEILING_MM = 3200.0
# Shadows are gathered on a grid of the floor, mm.
_SHADOW_MM, _SHADOW_CELL_MM = 2500.0, 30.0


class Room(NamedTuple):
    """A scene's surroundings.

    Attributes:
        textures: of floor, walls and ceiling; of a backdrop only the first.
        width_mm: what a texture's side measures on each.
        walls_mm: half the room's width along x and z; ``None`` for a backdrop.
        shade: how dark the person's shadow is, 0 to 1.
    """

    textures: Tuple[Array, ...]
    width_mm: Tuple[float, ...]
    walls_mm: Optional[Tuple[float, float]]
    shade: float


def draw_room(folder: Path, random: np.random.Generator) -> Room:
    """Return the surroundings of a scene.

    Args:
        folder: of the photos.
        random: what decides.
    """
    if random.random() > ROOMS:
        return Room((draw_texture(folder, random),), (0.0,), None, 0.0)
    textures = tuple(draw_texture(folder, random) for _ in range(3))
    widths = tuple(float(width) for width in random.uniform(1500, 3500, 3))
    walls = float(random.uniform(*WALLS_MM)), float(random.uniform(*WALLS_MM))
    return Room(textures, widths, walls, random.uniform(0.3, 0.75))


def draw_background(
    room: Room,
    camera: Camera,
    light: Light,
    crop: Crop,
    vertices: Array,
    random: np.random.Generator,
) -> Array:
    """Return what a crop shows without the person, uint8, (size, size, 3).

    Args:
        room: the surroundings.
        camera: of the picture.
        light: throws the shadow.
        crop: of the camera's image.
        vertices: of the person in the world, (N, 3), mm.
        random: chooses the part of a backdrop.
    """
    if room.walls_mm is None:
        return _backdrop(room.textures[0], crop.size, random)
    rays = _rays(camera, crop)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance, surface = _hits(room, camera.position, rays)
    points = camera.position + rays * distance[..., None]
    x, y, z = np.moveaxis(points.astype(np.float32), -1, 0)
    along = np.where(surface == 1, z, x)
    image = np.empty((crop.size, crop.size, 3), dtype=np.uint8)
    for kind, (u, v) in enumerate(((x, z), (along, y), (x, z))):
        own = surface == kind if kind != 1 else (surface == 1) | (surface == 3)
        if own.any():
            scale = SIZE / room.width_mm[kind]
            drawn = cv2.remap(
                room.textures[kind],
                u * scale,
                v * scale,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_WRAP,
            )
            image[own] = drawn[own]
    # Walls that meet are lit differently; far floor is darker.
    bright = np.choose(surface, [1.0, 0.92, 0.8, 0.78]) * np.clip(1.15 - distance / 40000, 0.5, 1)
    shadow = _shadow(vertices, light, x, z)
    bright *= np.where(surface == 0, 1 - room.shade * shadow, 1)
    return np.round(image * bright[..., None]).astype(np.uint8)


def _rays(camera: Camera, crop: Crop) -> Array:
    """Return the directions of the crop's pixels in the world, depth 1, (size, size, 3)."""
    steps = np.arange(crop.size)
    grid = np.stack(np.broadcast_arrays(steps[None], steps[:, None]), axis=-1)
    pixels = (crop.to_image(grid) - camera.intrinsics[2:]) / camera.intrinsics[:2]
    return np.concatenate([pixels, np.ones_like(pixels[..., :1])], axis=-1) @ camera.rotation


def _hits(room: Room, eye: Array, rays: Array) -> Tuple[Array, Array]:
    """Return distance and number of the surface that each ray meets first, (size, size).

    Surfaces: 0 floor, 1 the walls across x, 2 ceiling, 3 the walls across z.
    """
    far_x, far_z = room.walls_mm
    x, y, z = np.moveaxis(rays, -1, 0)
    distances = np.stack(
        [
            np.where(y > 0, -eye[1] / y, np.inf),
            (np.copysign(far_x, x) - eye[0]) / x,
            np.where(y < 0, (-CEILING_MM - eye[1]) / y, np.inf),
            (np.copysign(far_z, z) - eye[2]) / z,
        ]
    )
    distances[~(distances > 0)] = np.inf
    surface = distances.argmin(axis=0)
    return np.take_along_axis(distances, surface[None], axis=0)[0], surface


def _shadow(vertices: Array, light: Light, x: Array, z: Array) -> Array:
    """Return how much of the lamp's light the person takes from points of the floor, 0 to 1."""
    down = vertices - light.direction * (vertices[:, 1:2] / light.direction[1])
    centre = vertices.mean(axis=0)[[0, 2]]
    count = int(2 * _SHADOW_MM / _SHADOW_CELL_MM)
    cells = ((down[:, [0, 2]] - centre + _SHADOW_MM) / _SHADOW_CELL_MM).astype(int)
    inside = ((cells >= 0) & (cells < count)).all(axis=1)
    grid = np.zeros((count, count), dtype=np.float32)
    grid[cells[inside, 1], cells[inside, 0]] = 1.0
    grid = cv2.morphologyEx(grid, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    grid = cv2.GaussianBlur(grid, (0, 0), 1.5)
    u = (x - np.float32(centre[0] - _SHADOW_MM)) / np.float32(_SHADOW_CELL_MM) - 0.5
    v = (z - np.float32(centre[1] - _SHADOW_MM)) / np.float32(_SHADOW_CELL_MM) - 0.5
    return cv2.remap(grid, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _backdrop(texture: Array, size: int, random: np.random.Generator) -> Array:
    """Return a part of a texture as a picture."""
    side = int(random.integers(SIZE // 3, SIZE + 1))
    top, left = random.integers(SIZE - side + 1, size=2)
    part = texture[top : top + side, left : left + side]
    return cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR)
