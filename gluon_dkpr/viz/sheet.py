"""Contact sheets: many images with their true and predicted skeletons in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import cv2
import numpy as np

from gluon_dkpr.files import atomic_write
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz.overlay import draw, enlarged, enlarged_points
from gluon_dkpr.viz.style import (
    PREDICTED_COLOR,
    TRUE_COLOR,
    Color,
    PictureError,
    joint_sides,
    length_text,
    tint,
)

_BACKGROUND: Color = (255, 255, 255)
_INK: Color = (30, 30, 30)
_FONT, _FONT_SCALE, _LINE_PX = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 24
_GAP_PX = 8
_SWATCH_PX = 24
# OpenCV's own 95 makes a sheet of photographs half as large again and looks the same.
_JPEG_QUALITY = 88
# Brightness of the images under the skeletons.
_DIMMED = 0.5
# Name, colour and thickness; told apart by both, the second lies over the first.
_POSES = (("true", TRUE_COLOR, 6), ("predicted", PREDICTED_COLOR, 2))


def sample_sheet(
    images: Sequence[Array],
    skeleton: Skeleton,
    joints_true: Array,
    joints_pred: Array,
    errors: Array,
    path,
    columns: int = 4,
    scale: int = 3,
) -> None:
    """Write a contact sheet: images with the true and the predicted skeleton over them.

    The images are dimmed. The truth is drawn thick and green, the prediction thin and magenta.

    Args:
        images: N images as :func:`gluon_dkpr.viz.draw_pose` takes them, all of one size.
        skeleton: tells which joints are joined, their sides and the unit of the errors.
        joints_true: shape (N, J, 2), px of the images, x right and y down, the centre of the upper
            left pixel at (0, 0). Missing joints are NaN.
        joints_pred: same.
        errors: shape (N,), in the skeleton's length unit, written under each image.
        path: picture to write; its suffix chooses the format.
        columns: images in a row.
        scale: enlargement of the images.

    Raises:
        PictureError: for numbers of samples that differ, no sample, images of several sizes, or a
            suffix of ``path`` that stands for no known format.
    """
    count = len(images)
    lengths = (count, len(joints_true), len(joints_pred), len(errors))
    if count == 0 or len(set(lengths)) > 1:
        raise PictureError(
            f"{path}: {lengths[0]} images, {lengths[1]} true poses, {lengths[2]} predicted poses, "
            f"{lengths[3]} errors; expected the same number of each, at least 1"
        )
    if columns < 1:
        raise PictureError(f"{path}: columns is {columns}, expected at least 1")
    unit = skeleton.length_unit
    captions = [f"joint error {length_text(float(error), unit)}" for error in errors]
    # All tiles alike, whatever the number of digits.
    tiles, width = [], max(_text_width(caption) for caption in captions)
    for image, true, predicted, caption in zip(images, joints_true, joints_pred, captions):
        tile = np.round(_DIMMED * enlarged(image, scale)).astype(np.uint8)
        for joints, (_, color, thickness) in zip((true, predicted), _POSES):
            draw(tile, skeleton, enlarged_points(skeleton, joints, scale), color, thickness)
        tiles.append(_captioned(tile, caption, width))
    if len({tile.shape for tile in tiles}) > 1:
        raise PictureError(f"{path}: images of several sizes, expected one")
    _write_image(_sheet(tiles, min(columns, count), _legend(skeleton)), path)


def pose_sheet(
    images: Sequence[Array],
    skeleton: Skeleton,
    joints_px: Array,
    captions: Sequence[str],
    path,
    columns: int = 6,
    scale: int = 1,
) -> None:
    """Write a contact sheet of a data set: images with their skeleton drawn thinly over them.

    Args:
        images: N images as :func:`gluon_dkpr.viz.draw_pose` takes them, all of one size.
        skeleton: tells which joints are joined and their sides.
        joints_px: shape (N, J, 2), px of the images. Missing joints are NaN.
        captions: N texts, written under the images.
        path: picture to write; its suffix chooses the format.
        columns: images in a row.
        scale: enlargement of the images.

    Raises:
        PictureError: as :func:`sample_sheet`.
    """
    lengths = (len(images), len(joints_px), len(captions))
    if lengths[0] == 0 or len(set(lengths)) > 1:
        raise PictureError(
            f"{path}: {lengths[0]} images, {lengths[1]} poses, {lengths[2]} captions; "
            f"expected the same number of each, at least 1"
        )
    if columns < 1:
        raise PictureError(f"{path}: columns is {columns}, expected at least 1")
    tiles, width = [], max(_text_width(caption) for caption in captions)
    for image, joints, caption in zip(images, joints_px, captions):
        tile = enlarged(image, scale)
        draw(tile, skeleton, enlarged_points(skeleton, joints, scale), TRUE_COLOR, 1)
        tiles.append(_captioned(tile, caption, width))
    if len({tile.shape for tile in tiles}) > 1:
        raise PictureError(f"{path}: images of several sizes, expected one")
    _write_image(_sheet(tiles, min(columns, lengths[0]), _blank(0, 0)), path)


def _text_width(text: str) -> int:
    return cv2.getTextSize(text, _FONT, _FONT_SCALE, 1)[0][0]


def _write_text(canvas: Array, text: str, x: int, y: int) -> None:
    """Write into the line of text whose upper left corner is the pixel (x, y)."""
    baseline = (x, y + _LINE_PX - 7)
    cv2.putText(canvas, text, baseline, _FONT, _FONT_SCALE, _INK, 1, cv2.LINE_AA)


def _blank(height: int, width: int) -> Array:
    return np.full((height, width, 3), _BACKGROUND, dtype=np.uint8)


def _captioned(tile: Array, caption: str, least_width: int = 0) -> Array:
    """Return the tile with a line of text below; widened if the text needs it."""
    height, width = tile.shape[:2]
    text_width = _text_width(caption)
    canvas = _blank(height + _LINE_PX, max(width, text_width, least_width))
    left = (canvas.shape[1] - width) // 2
    canvas[:height, left : left + width] = tile
    _write_text(canvas, caption, (canvas.shape[1] - text_width) // 2, height)
    return canvas


def _legend(skeleton: Skeleton) -> Array:
    """Return one line for each pose: its name, and a swatch and a name for each side."""
    sides = sorted(set(joint_sides(skeleton)), key=("left", "centre", "right").index)
    indent = 12 + max(_text_width(name) for name, _, _ in _POSES)
    pitch = _SWATCH_PX + 18 + max(_text_width(side) for side in sides)
    canvas = _blank(_LINE_PX * len(_POSES), indent + pitch * len(sides))
    for row, (name, color, thickness) in enumerate(_POSES):
        top = row * _LINE_PX
        _write_text(canvas, name, 0, top)
        for column, side in enumerate(sides):
            x, y = indent + column * pitch, top + _LINE_PX // 2
            ends = (x + 4, y), (x + _SWATCH_PX - 4, y)
            cv2.line(canvas, *ends, tint(color, side), thickness)
            if len(sides) > 1:
                _write_text(canvas, side, x + _SWATCH_PX + 4, top)
    return canvas


def _sheet(tiles: Sequence[Array], columns: int, legend: Array) -> Array:
    """Return the tiles row by row under the legend."""
    height, width = (size + _GAP_PX for size in tiles[0].shape[:2])
    top = legend.shape[0] + 2 * _GAP_PX
    rows = -(-len(tiles) // columns)
    sheet = _blank(top + rows * height, _GAP_PX + max(columns * width, legend.shape[1] + _GAP_PX))
    sheet[_GAP_PX : _GAP_PX + legend.shape[0], _GAP_PX : _GAP_PX + legend.shape[1]] = legend
    for i, tile in enumerate(tiles):
        y, x = top + i // columns * height, _GAP_PX + i % columns * width
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def check_sheet_name(path) -> None:
    """Raise PictureError if the suffix of a sheet stands for no known format.

    A sheet checks it itself; this is for finding out before the work that leads to it.
    """
    suffix = Path(path).suffix
    if not suffix or not cv2.haveImageWriter(suffix):
        raise PictureError(f"{path}: suffix is '{suffix}', expected '.png'")


def _write_image(image: Array, path) -> None:
    """Write an RGB image (H, W, 3), uint8; the suffix chooses the format."""
    check_sheet_name(path)
    suffix = Path(path).suffix
    settings = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix in (".jpg", ".jpeg") else []
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    if not done:
        height, width = image.shape[:2]
        raise PictureError(f"{path}: {width} by {height} px are too many for '{suffix}'")
    with atomic_write(path, "wb") as file:
        file.write(data.tobytes())
