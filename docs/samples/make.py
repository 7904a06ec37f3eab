#!/usr/bin/env python
"""Make the sample pictures beside this file: `python docs/samples/make.py`.

Toy objects with 3 parameters in pictures of several sizes and kinds, for `tools/predict.py`.
poses.json tells their true poses, in px of each picture.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator, NamedTuple, Optional, Sequence

import cv2
import numpy as np

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.data import sample_motion
from gluon_dkpr.data.render import LINE_WIDTH_PX
from gluon_dkpr.files import atomic_write
from gluon_dkpr.geometry import Crop, forward_kinematics
from gluon_dkpr.skeleton import planar
from gluon_dkpr.skeleton.planar import IMAGE_SIZE_PX

SKELETON = planar(3)
CANDIDATES = 200


class Sample(NamedTuple):
    """A picture of H by W px: ``grey``, ``rgb``, ``rgba`` (white on transparent) or ``grey16``."""

    name: str
    height: int
    width: int
    kind: str


SAMPLES = (
    Sample("toy-128.png", 128, 128, "grey"),
    Sample("toy-96-transparent.png", 96, 96, "rgba"),
    Sample("toy-320x240.png", 240, 320, "rgb"),
    Sample("toy-150x200.jpg", 200, 150, "rgb"),
    Sample("toy-256-16bit.png", 256, 256, "grey16"),
)


class Drawn(NamedTuple):
    """A sample, its pixels and its true joints (J, 2), px, and motion (P,) of the 128 px crop."""

    sample: Sample
    pixels: np.ndarray
    joints_px: np.ndarray
    motion: np.ndarray


def draw_samples() -> Iterator[Drawn]:
    """Draw every sample; each shows the next pose of a fixed sequence that fits into it."""
    poses = iter(sample_motion(SKELETON, CANDIDATES, seed=0, split="samples"))
    for sample in SAMPLES:
        crop = Crop.whole(sample.height, sample.width, IMAGE_SIZE_PX)
        line_px = LINE_WIDTH_PX / crop.scale
        for motion in poses:
            joints = crop.to_image(forward_kinematics(SKELETON, motion[None])[0])
            last = np.array([sample.width, sample.height]) - 1 - line_px
            if ((joints >= line_px) & (joints <= last)).all():
                break
        cover = draw_lines(sample.height, sample.width, joints, line_px)
        yield Drawn(sample, to_pixels(cover, sample.kind), joints, motion)


def draw_lines(height: int, width: int, joints: np.ndarray, line_px: float) -> np.ndarray:
    """Return how much of each pixel the bones cover, 0 to 1, shape (H, W)."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns, rows], axis=-1).astype(float)
    cover = np.zeros((height, width))
    for begin, end in SKELETON.bone_indices:
        bone = joints[end] - joints[begin]
        share = np.clip((pixels - joints[begin]) @ bone / (bone @ bone), 0, 1)
        distance = np.linalg.norm(pixels - joints[begin] - share[..., None] * bone, axis=-1)
        cover = np.maximum(cover, np.clip(line_px / 2 + 0.5 - distance, 0, 1))
    return cover


def to_pixels(cover: np.ndarray, kind: str) -> np.ndarray:
    """Return a picture as OpenCV writes it (blue, green, red, alpha)."""
    if kind == "grey16":
        return np.round(cover * 65535).astype(np.uint16)
    grey = np.round(cover * 255).astype(np.uint8)
    if kind == "rgba":
        return np.dstack([np.full_like(grey, 255)] * 3 + [grey])
    return np.dstack([grey] * 3) if kind == "rgb" else grey


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Write the pictures and poses.json."""
    parser = Parser(description=__doc__)
    here = Path(__file__).parent
    parser.add_argument("--out", default=str(here), metavar="DIR", help="folder to write to")
    folder = Path(parser.parse_args(arguments).out)
    poses = {}
    for sample, pixels, joints, motion in draw_samples():
        _, data = cv2.imencode(Path(sample.name).suffix, pixels)
        with atomic_write(folder / sample.name, "wb") as file:
            file.write(data.tobytes())
        degrees = {
            p.name: round(float(np.degrees(value)), 3)
            for p, value in zip(SKELETON.parameters, motion)
            if p.unit == "radian"
        }
        named = zip(SKELETON.joint_names, np.round(joints, 3).tolist())
        poses[sample.name] = {"joints_px": dict(named), "angles_deg": degrees}
    with atomic_write(folder / "poses.json") as file:
        json.dump(poses, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    run(main)
