"""Images beside stick figures of truth and predictions, as in the paper's table 2."""

from __future__ import annotations

from typing import Mapping, Sequence, Tuple

import numpy as np
from matplotlib.lines import Line2D

from gluon_dkpr.skeleton import Skeleton, reach
from gluon_dkpr.types import Array
from gluon_dkpr.viz.style import (
    SIDE_COLORS,
    PictureError,
    joint_sides,
    length_text,
    new_figure,
    save_figure,
    unit_interval,
)

# To the right of the camera and above: depth shows, and the image is still recognised.
ELEVATION, AZIMUTH = 15.0, -50.0
TILE_INCHES = 2.0
# A prediction that leaves the truth's surroundings by far is cut off, not the scale of all others.
_FARTHEST = 1.6
# Lines of the floor are so far apart, of the longest way from the root to a joint at most.
_GRID_PART = 0.5
_GRID_LINES = 2
_NEAR_WIDTH, _FAR_WIDTH = 3.6, 2.0
# What is farthest away is mixed with this much white.
_FARTHEST_WHITE = 0.5
_PALE = (0.86, 0.86, 0.86)
# Where the rim of a bone begins and ends, between parent and child.
_RIM = np.array([[0.75, 0.25], [0.25, 0.75]])


def view_axes(elevation: float, azimuth: float) -> Array:
    """Return the directions right, up and towards the eye, in the camera's frame, shape (3, 3).

    The camera's frame is x right, y down, z away from it. The angles are those of
    :func:`gluon_dkpr.viz.draw_pose3d`, in degrees: elevation 0 and azimuth -90 is the camera's own
    view, a larger azimuth goes round to the right.
    """
    e, a = np.radians([elevation, azimuth])
    # In the axes (x, z, -y), whose third one is up.
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    eye = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    directions = np.stack([right, np.cross(eye, right), eye])
    return np.stack([directions[:, 0], -directions[:, 2], directions[:, 1]], axis=1)


def floor_step(longest: float) -> float:
    """Return how far apart a floor's lines are: the largest of 1, 2, 5, 10, ... that fits.

    Args:
        longest: way from the root to a joint, in the unit of the result; at most half of it.
    """
    most = _GRID_PART * longest
    power = 10.0 ** np.floor(np.log10(most))
    return max(power * factor for factor in (1, 2, 5) if power * factor <= most)


def floor_lines(step: float, height: float) -> Array:
    """Return the ends of the lines of a horizontal grid at y = height, (L, 2, 3)."""
    steps = step * np.arange(-_GRID_LINES, _GRID_LINES + 1)
    far = steps[-1]
    along_x = [[(-far, height, z), (far, height, z)] for z in steps]
    along_z = [[(x, height, -far), (x, height, far)] for x in steps]
    return np.array(along_x + along_z)


def qualitative_sheet(
    skeleton: Skeleton,
    images: Sequence[Array],
    captions: Sequence[Tuple[str, str]],
    joints_true: Array,
    predictions: Mapping[str, Array],
    errors: Mapping[str, Array],
    path,
    elevation: float = ELEVATION,
    azimuth: float = AZIMUTH,
) -> None:
    """Write a sheet with a row for each case: image, truth and each prediction in 3-D.

    All stick figures have one scale and one viewpoint (no perspective); a row has one centre and
    one floor, at the truth's lowest joint, with lines 1, 2, 5, 10, ... units apart, as far as half
    of the skeleton's reach allows. Left and right have different colours; what is nearer is drawn
    over what is farther away, thicker and darker.

    Args:
        skeleton: an object in three dimensions; its length unit is that of all numbers.
        images: N images, uint8, (H, W, 3) in the order red, green, blue, or grey (H, W, 1).
        captions: for each case what stands beside its row and what stands under its image.
        joints_true: (N, J, 3), from the root, camera frame: x right, y down, z away.
        predictions: name of a column and its joints, same shape, unit and frame, finite.
        errors: for the same names the joint error of each case, (N,), printed under it.
        path: picture to write.
        elevation, azimuth: of the eye, degrees, as in :func:`draw_pose3d`.

    Raises:
        PictureError: for a planar skeleton, no case, or numbers of cases that differ.
    """
    poses = _checked(skeleton, images, captions, joints_true, predictions, errors, path)
    axes3d = view_axes(elevation, azimuth)
    # (columns, N, J, 3): right, up, towards the eye.
    seen = poses @ axes3d.T
    low, high = seen[0].min(axis=1)[:, :2], seen[0].max(axis=1)[:, :2]
    centres = (low + high) / 2
    own = np.abs(seen[0, ..., :2] - centres[:, None]).max() or 1.0
    half = 1.1 * min(np.abs(seen[..., :2] - centres[:, None]).max(), _FARTHEST * own)
    step, unit = floor_step(reach(skeleton)), skeleton.length_unit
    height = 0.6 + 1.06 * TILE_INCHES * len(images)
    figure = new_figure(TILE_INCHES * (1 + len(poses)) + 0.4, height)
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04)
    grid = figure.subplots(len(images), 1 + len(poses), squeeze=False)
    for row, axes in enumerate(grid):
        _show_image(axes[0], images[row], *captions[row])
        floor = floor_lines(step, poses[0, row, :, 1].max()) @ axes3d.T
        for axis, joints in zip(axes[1:], seen[:, row]):
            _draw_figure(axis, skeleton, joints, floor, half)
            _frame(axis, centres[row], half)
        for axis, name in zip(axes[2:], predictions):
            axis.set_xlabel(length_text(float(errors[name][row]), unit), fontsize=9)
    for axis, title in zip(grid[0], ("image", "truth", *predictions)):
        axis.set_title(title, fontsize=10)
    sides = [side for side in SIDE_COLORS if side in joint_sides(skeleton)]
    handles = [Line2D([], [], color=unit_interval(SIDE_COLORS[s]), lw=3, label=s) for s in sides]
    handles.append(Line2D([], [], color=_PALE, lw=1, label=f"floor, lines {step:g} {unit} apart"))
    figure.legend(handles=handles, loc="outside lower center", ncol=len(handles), frameon=False)
    save_figure(figure, path)


def _show_image(axis, image: Array, title: str, caption: str) -> None:
    axis.imshow(np.broadcast_to(image, (*image.shape[:2], 3)))
    axis.set_ylabel(title, fontsize=9)
    axis.set_xlabel(caption, fontsize=8)
    axis.set_xticks([])
    axis.set_yticks([])


def _draw_figure(axis, skeleton: Skeleton, joints: Array, floor: Array, half: float) -> None:
    """Draw a pose seen from the eye, from the farthest part to the nearest."""
    for ends in floor:
        axis.plot(ends[:, 0], ends[:, 1], color=_PALE, linewidth=0.7, zorder=0)
    sides = joint_sides(skeleton)
    depth = joints[skeleton.bone_indices, 2].mean(axis=1)
    # Nearness 0 to 1 over the size of the figure, the same in every tile.
    for order, bone in enumerate(np.argsort(depth)):
        ends = skeleton.bone_indices[bone]
        nearness = float(np.clip(0.5 + depth[bone] / (1.5 * half), 0.0, 1.0))
        color = np.array(unit_interval(SIDE_COLORS[sides[ends[1]]]))
        color = color + _FARTHEST_WHITE * (1 - nearness) * (1 - color)
        width = _FAR_WIDTH + nearness * (_NEAR_WIDTH - _FAR_WIDTH)
        # A white rim shows which of two limbs that cross is in front; not at the joints, where it
        # would part the bones that meet.
        rim = _RIM @ joints[ends, :2]
        axis.plot(*rim.T, color="white", linewidth=width + 2.0, zorder=1 + 2 * order)
        line = {"linewidth": width, "solid_capstyle": "round", "zorder": 2 + 2 * order}
        axis.plot(*joints[ends, :2].T, color=color, **line)


def _frame(axis, centre: Array, half: float) -> None:
    axis.set_xlim(centre[0] - half, centre[0] + half)
    axis.set_ylim(centre[1] - half, centre[1] + half)
    axis.set_aspect("equal")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(_PALE)


def _checked(skeleton, images, captions, joints_true, predictions, errors, path) -> Array:
    """Return truth and predictions as one array (columns, N, J, 3)."""
    if skeleton.dim != 3:
        raise PictureError(f"skeleton '{skeleton.name}' has {skeleton.dim} dimensions, expected 3")
    expected = (len(images), skeleton.num_joints, 3)
    if not len(images) or len(captions) != len(images):
        raise PictureError(f"{path}: {len(images)} images, {len(captions)} captions, expected as "
                           "many, at least 1")  # fmt: skip
    poses = {"truth": joints_true, **predictions}
    for name, joints in poses.items():
        if np.shape(joints) != expected or not np.isfinite(joints).all():
            raise PictureError(
                f"{path}: joints of '{name}' have shape {np.shape(joints)} or are not finite, "
                f"expected finite {expected}"
            )
        if name in predictions and np.shape(errors.get(name)) != (len(images),):
            raise PictureError(f"{path}: expected an error of '{name}' for each image")
    return np.array(list(poses.values()), dtype=np.float64)
