"""Pictures for floors, walls and backdrops: photos, and patterns made by a random generator."""

from __future__ import annotations

import colorsys
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Tuple

import cv2
import numpy as np
from PIL import Image

from gluon_dkpr.data.body.files import BodyError
from gluon_dkpr.types import Array

#: Photos without people out of scikit-image 0.25.2, whose sources call them CC0 or public domain.
PHOTOS = ("brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "rocket.jpg")
# Side of a texture, px. It shows about 2 m of a room, and a pixel of a crop 8 to 10 mm.
SIZE = 256
# How often each kind of texture comes.
_KINDS = (0.45, 0.15, 0.15, 0.1, 0.15)
_LARGEST_PX = 4096
_RANGE = f"{SIZE} to {_LARGEST_PX}"


def photo_folder() -> Path:
    """Return the folder of the installed package's photos, without importing the package.

    Raises:
        BodyError: if it is not installed.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise BodyError(
            "scikit-image not found, whose photos are backgrounds; install it: make people, or "
            "pip install --no-deps scikit-image==0.25.2"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


@lru_cache(maxsize=2)
def read_photos(folder: Path) -> Tuple[Array, ...]:
    """Return the photos, uint8, each (H, W, 3), RGB.

    Raises:
        BodyError: if one cannot be read.
    """
    photos = []
    for name in PHOTOS:
        try:
            with Image.open(folder / name, formats=("PNG", "JPEG")) as image:
                # Before anything is decoded.
                if not SIZE <= min(image.size) <= max(image.size) <= _LARGEST_PX:
                    raise BodyError(f"{folder / name}: {image.size} px, expected {_RANGE}")
                photos.append(np.array(image.convert("RGB")))
        except OSError as error:
            raise BodyError(f"{folder / name}: cannot be read: {error}") from None
    return tuple(photos)


def draw_texture(folder: Path, random: np.random.Generator) -> Array:
    """Return a texture, uint8, (SIZE, SIZE, 3), RGB.

    Args:
        folder: of the photos, from :func:`photo_folder`.
        random: what decides.
    """
    kind = random.choice(["photo", "noise", "tiles", "boxes", "plain"], p=_KINDS)
    if kind == "photo":
        return _photo(read_photos(folder), random)
    first, second = muted_color(random), muted_color(random)
    if kind == "noise":
        share = _noise(random)
    elif kind == "tiles":
        share = _tiles(random)
    elif kind == "boxes":
        return _boxes(first, random)
    else:
        share = 0.15 * _noise(random)
    grain = random.uniform(0, 8) * random.standard_normal((SIZE, SIZE, 1))
    return _as_image(first + share[..., None] * (second - first) + grain)


def muted_color(random: np.random.Generator) -> Array:
    """Return an RGB colour, (3,), 0-255, more often pale or dark than glaring."""
    hue, value = random.random(), random.uniform(0.12, 0.95)
    return 255 * np.array(colorsys.hsv_to_rgb(hue, random.beta(1.2, 2.2), value))


def _photo(photos: Tuple[Array, ...], random: np.random.Generator) -> Array:
    """Return a square part of a photo in other colours, turned or mirrored."""
    photo = photos[int(random.integers(len(photos)))]
    height, width = photo.shape[:2]
    side = int(random.integers(SIZE * 3 // 5, min(height, width) + 1))
    top, left = random.integers(height - side + 1), random.integers(width - side + 1)
    part = photo[top : top + side, left : left + side]
    part = cv2.resize(part, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    if random.random() < 0.5:
        part = part[:, ::-1]
    tint = random.uniform(0.6, 1.3) * random.uniform(0.85, 1.15, 3)
    return _as_image(part * tint + random.uniform(-20, 40))


def _noise(random: np.random.Generator) -> Array:
    """Return smooth noise that repeats at the edges, 0 to 1, (SIZE, SIZE)."""
    total = np.zeros((SIZE, SIZE), dtype=np.float32)
    for cells in (4, 8, 16, 32):
        coarse = random.standard_normal((cells, cells)).astype(np.float32)
        total += cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) * (4.0 / cells)
    return np.clip(0.5 + 0.3 * total, 0, 1)


def _tiles(random: np.random.Generator) -> Array:
    """Return tiles or planks, each of its own brightness, with joints between: 0 to 1."""
    rows, columns = random.choice([2, 4, 8]), random.choice([1, 2, 4, 8])
    bright = np.kron(
        random.uniform(0, 0.5, (rows, columns)), np.ones((SIZE // rows, SIZE // columns))
    )
    y, x = np.arange(SIZE) % (SIZE // rows), np.arange(SIZE) % (SIZE // columns)
    joint = (y[:, None] < 3) | (x[None] < 3)
    return np.where(joint, 1.0, bright)


def _boxes(ground: Array, random: np.random.Generator) -> Array:
    """Return a wall with doors, pictures, shelves: rectangles of any colour."""
    image = np.empty((SIZE, SIZE, 3))
    image[:] = ground
    for _ in range(random.integers(3, 14)):
        y, x = random.integers(0, SIZE, 2)
        height, width = random.integers(10, SIZE // 2, 2)
        image[y : y + height, x : x + width] = muted_color(random)
    return cv2.GaussianBlur(_as_image(image), (0, 0), 0.8)


def _as_image(values: Array) -> Array:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
