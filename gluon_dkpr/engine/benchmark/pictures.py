"""A data set to measure speed on: it costs what photographs do, and is made in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Tuple

import cv2
import numpy as np

from gluon_dkpr.data import ImageFormat, LabelLayout, write_record
from gluon_dkpr.data.human import human_layout
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m
from gluon_dkpr.types import Array

#: Contrast of structures of 3, 6, ... squares across the picture, and of the grain of every pixel.
#: At 224 px it compresses to the 20 to 25 kB of the rendered people.
_OCTAVES = ((3, 60.0), (6, 35.0), (12, 20.0), (25, 11.0), (50, 8.0), (100, 6.0))
_GRAIN = 2.5
_BOX_MM = 2400.0
_BOX_PX = 500.0


def write_pictures(path: Path, count: int, size: int, seed: int, test: int = 0) -> None:
    """Write a data set: textures with the labels of random people.

    Args:
        path: NAME of the data set.
        count: number of samples of the split ``train``.
        size: height and width, px.
        seed: 0 or more.
        test: number of samples of the split ``test``; without any there is no such split.
    """
    skeleton, image = human36m(), ImageFormat(size, size, 3, "jpeg")
    layout, random = human_layout(skeleton), np.random.RandomState(seed)
    angles = random.normal(0.0, 0.3, (count + test, skeleton.num_parameters))
    motion = np.where(skeleton.is_angle(), np.clip(angles, *skeleton.bounds()), 0.0)
    joints = forward_kinematics(skeleton, motion)

    def samples(frames: range) -> Iterator[Tuple[bytes, Array]]:
        for frame in frames:
            label = _label(layout, joints[frame], motion[frame], size, frame)
            yield image.encode(_texture(random, size)), label

    splits = {"train": samples(range(count))}
    if test:
        splits["test"] = samples(range(count, count + test))
    write_record(path, skeleton, layout, image, splits, {})


def _texture(random: np.random.RandomState, size: int) -> Array:
    """Return a picture without meaning, uint8, (size, size, 3)."""
    picture = np.full((size, size, 3), 128.0, np.float32)
    for squares, contrast in _OCTAVES:
        noise = random.normal(0.0, contrast, (squares, squares, 3)).astype(np.float32)
        # Colours of one place are alike, as in photographs.
        noise = 0.7 * noise[..., :1] + 0.3 * noise
        picture += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    picture += random.normal(0.0, _GRAIN, (size, size, 1))
    return np.clip(picture, 0, 255).astype(np.uint8)


def _label(layout: LabelLayout, joints: Array, motion: Array, size: int, frame: int) -> Array:
    """Return the label of a person before a camera that looks at the root from 4 m."""
    fields = {field.name: np.zeros(field.shape) for field in layout.fields}
    fields.update(
        joints=joints,
        motion=motion,
        scale=1.0,
        root=(0.0, 0.0, 4000.0),
        joints_px=(joints[:, :2] / _BOX_MM + 0.5) * size,
        box=(0.0, 0.0, _BOX_PX),
        box_mm=_BOX_MM,
        intrinsics=(_BOX_PX * 4000.0 / _BOX_MM,) * 2 + (_BOX_PX / 2,) * 2,
        frame=frame,
    )
    return layout.pack(fields)
