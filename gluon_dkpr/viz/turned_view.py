"""A stick figure in 3-D as an array, fast enough for every frame of a video."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from gluon_dkpr.skeleton import Skeleton, reach
from gluon_dkpr.types import Array
from gluon_dkpr.viz.qualitative import AZIMUTH, ELEVATION, floor_lines, floor_step, view_axes
from gluon_dkpr.viz.style import SIDE_COLORS, PictureError, joint_sides

# The square shows this many times the longest way from the root to a joint, so that a person fits
# with arms raised; the feet stand this part of it above its lower edge.
_REACHES, _BASE = 2.1, 0.13
_GRID_COLOR = (214, 214, 214)
_TEXT_COLOR = (90, 90, 90)
# What is farthest away is mixed with so much white.
_FARTHEST_WHITE = 0.5
_FRACTION_BITS = 4
_SUPERSAMPLING = 2
# The same for all frames of a video.
_reach = lru_cache(maxsize=8)(reach)


def draw_view(
    skeleton: Skeleton,
    joints: Array,
    size: int,
    elevation: float = ELEVATION,
    azimuth: float = AZIMUTH,
) -> Array:
    """Return a stick figure on a floor, from the side, without perspective.

    The scale is that of the skeleton and the floor is at the lowest joint, in a place of its own:
    in a video bones keep their lengths on the screen and feet their height. Sides have the colours
    of :func:`~gluon_dkpr.viz.draw_pose3d`; what is nearer is drawn thicker, darker and over what is
    farther away.

    Args:
        skeleton: an object in three dimensions.
        joints: (J, 3), skeleton's length unit, axes of the camera: x right, y down, z away.
        size: of the picture, px.
        elevation, azimuth: of the eye, degrees, as in :func:`~gluon_dkpr.viz.draw_pose3d`.

    Returns:
        RGB, uint8, (size, size, 3), white where nothing is.

    Raises:
        PictureError: for a planar skeleton, or joints of another shape or not finite.
    """
    joints = _checked(skeleton, joints)
    wide = size * _SUPERSAMPLING
    root = joints[skeleton.joint_names.index(skeleton.root.name)]
    joints = joints - [root[0], joints[:, 1].max(), root[2]]
    longest = _reach(skeleton)
    axes, scale = view_axes(elevation, azimuth), wide / (_REACHES * longest)
    canvas = np.full((wide, wide, 3), 255, np.uint8)
    place = np.array([wide / 2, wide * (1 - _BASE)])

    def pixels(points: Array) -> Array:
        return (points @ axes[:2].T) * [scale, -scale] + place

    step = floor_step(longest)
    for ends in pixels(floor_lines(step, 0.0)):
        _line(canvas, ends, _GRID_COLOR, max(1, wide // 500))
    _draw_bones(canvas, skeleton, pixels(joints), joints @ axes[2] / longest)
    picture = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    _write_legend(picture, skeleton, f"floor: lines {step:g} {skeleton.length_unit} apart")
    return picture


def _draw_bones(canvas: Array, skeleton: Skeleton, points: Array, nearness: Array) -> None:
    """Draw from the farthest bone to the nearest; nearness is about -1 to 1."""
    sides = joint_sides(skeleton)
    bones = np.array(skeleton.bone_indices)
    depth = nearness[bones].mean(axis=1)
    width = len(canvas) / 90
    for bone in np.argsort(depth):
        ends = points[bones[bone]]
        near = float(np.clip(0.5 + 0.7 * depth[bone], 0.0, 1.0))
        white = _FARTHEST_WHITE * (1 - near)
        color = np.array(SIDE_COLORS[sides[bones[bone, 1]]])
        color = tuple(np.round(color + white * (255 - color)).astype(int).tolist())
        thickness = max(2, round(width * (0.65 + 0.5 * near)))
        # A rim shows which of two limbs that cross is in front; not at the joints.
        rim = np.array([[0.75, 0.25], [0.25, 0.75]]) @ ends
        _line(canvas, rim, (255, 255, 255), thickness + max(2, round(width * 0.6)))
        _line(canvas, ends, color, thickness)


def _line(canvas: Array, ends: Array, color, thickness: int) -> None:
    limit = 16 * len(canvas)
    fixed = np.clip(ends, -limit, limit) * (1 << _FRACTION_BITS)
    first, second = np.round(fixed).astype(int).tolist()
    cv2.line(canvas, first, second, color, thickness, cv2.LINE_AA, _FRACTION_BITS)


def _write_legend(picture: Array, skeleton: Skeleton, text: str) -> None:
    size = len(picture)
    scale = size / 900
    if size < 240:
        # Too small to be read.
        return
    line = round(34 * scale)
    font = cv2.FONT_HERSHEY_SIMPLEX, scale
    y = size - round(14 * scale)
    cv2.putText(picture, text, (line // 2, y), *font, _TEXT_COLOR, 1, cv2.LINE_AA)
    sides = [side for side in SIDE_COLORS if side in joint_sides(skeleton)]
    for i, side in enumerate(sides if len(sides) > 1 else ()):
        y = line * (i + 1)
        middle = y - round(9 * scale)
        ends = np.array([[line // 2, middle], [line * 3 // 2, middle]])
        _line(picture, ends, SIDE_COLORS[side], max(2, round(8 * scale)))
        cv2.putText(picture, side, (line * 2, y), *font, _TEXT_COLOR, 1, cv2.LINE_AA)


def _checked(skeleton: Skeleton, joints: Array) -> Array:
    joints = np.asarray(joints, dtype=np.float64)
    if skeleton.dim != 3:
        raise PictureError(f"skeleton '{skeleton.name}' has {skeleton.dim} dimensions, expected 3")
    if joints.shape != (skeleton.num_joints, 3) or not np.isfinite(joints).all():
        raise PictureError(
            f"joints have shape {joints.shape} or are not finite, expected finite "
            f"({skeleton.num_joints}, 3) for skeleton '{skeleton.name}'"
        )
    return joints
