"""Three-dimensional stick figures, as in the paper's Table 2."""

from __future__ import annotations

from typing import Optional, Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz.style import (
    SIDE_COLORS,
    PictureError,
    joint_sides,
    new_figure,
    save_figure,
    unit_interval,
)

_COLORS = {side: unit_interval(color) for side, color in SIDE_COLORS.items()}


def draw_pose3d(
    skeleton: Skeleton,
    poses: Sequence[Array],
    path,
    labels: Optional[Sequence[str]] = None,
    elevation: float = 12.0,
    azimuth: float = -65.0,
) -> None:
    """Write stick figures side by side, all from one viewpoint and to one scale.

    Args:
        skeleton: an object in three dimensions.
        poses: visible joints of each pose, shape (J, 3), in the skeleton's length unit, camera
            frame: x right, y down, z away from the camera. Each figure has its pose in the middle.
            Missing joints are NaN and left out with their bones.
        path: picture to write.
        labels: a title for each pose.
        elevation, azimuth: of the eye, degrees. Elevation 0 and azimuth -90 is the camera's own
            view; a larger azimuth goes round to the right.

    Raises:
        PictureError: for a planar skeleton, no pose, joints of another shape or all missing, or
            another number of labels.
    """
    poses = _checked(skeleton, poses, labels)
    centres = [(np.nanmin(pose, axis=0) + np.nanmax(pose, axis=0)) / 2 for pose in poses]
    # All joints at one point still need a box to be drawn in.
    reach = 1.1 * max(np.nanmax(np.abs(pose - c)) for pose, c in zip(poses, centres)) or 1.0
    figure = new_figure(4.6 * len(poses), 4.8)
    for i, (pose, centre) in enumerate(zip(poses, centres)):
        axis = figure.add_subplot(1, len(poses), i + 1, projection="3d", proj_type="ortho")
        axis.view_init(elev=elevation, azim=azimuth)
        _draw_bones(axis, skeleton, pose)
        _frame(axis, centre, reach, skeleton.length_unit)
        if labels is not None:
            axis.set_title(labels[i])
    sides = [side for side in _COLORS if side in joint_sides(skeleton)]
    handles = [Line2D([], [], color=_COLORS[side], linewidth=3, label=side) for side in sides]
    figure.legend(handles=handles, loc="outside lower center", ncol=len(handles), frameon=False)
    save_figure(figure, path)


def _draw_bones(axis, skeleton: Skeleton, pose: Array) -> None:
    """Draw one pose; the axes are x, z and y, so that the camera's y points down."""
    x, y, z = pose.T
    sides = joint_sides(skeleton)
    for parent, child in skeleton.bone_indices:
        ends = [parent, child]
        axis.plot(x[ends], z[ends], y[ends], color=_COLORS[sides[child]], linewidth=3)
    colors = [_COLORS[side] for side in sides]
    axis.scatter(x, z, y, c=colors, s=14, depthshade=False)


def _frame(axis, centre: Array, reach: float, unit: str) -> None:
    """Give the three axes the same scale and their names."""
    x, y, z = centre
    axis.set_xlim(x - reach, x + reach)
    axis.set_ylim(z - reach, z + reach)
    axis.set_zlim(y + reach, y - reach)
    # As large as leaves room for the labels, which the layout does not see in 3-D.
    axis.set_box_aspect((1, 1, 1), zoom=1.0)
    names = (f"x right ({unit})", f"z away ({unit})", f"y down ({unit})")
    for direction, name in zip((axis.xaxis, axis.yaxis, axis.zaxis), names):
        direction.set_major_locator(MaxNLocator(4))
        direction.set_tick_params(labelsize=7, pad=0)
        direction.set_label_text(name, fontsize=8)
        direction.labelpad = 0


def _checked(skeleton: Skeleton, poses, labels) -> list:
    if skeleton.dim != 3:
        raise PictureError(f"skeleton '{skeleton.name}' has {skeleton.dim} dimensions, expected 3")
    poses = [np.asarray(pose, dtype=np.float64) for pose in poses]
    if not poses:
        raise PictureError("no pose to draw")
    for i, pose in enumerate(poses):
        if pose.shape != (skeleton.num_joints, 3):
            raise PictureError(
                f"poses[{i}] has shape {pose.shape}, expected ({skeleton.num_joints}, 3) "
                f"for skeleton '{skeleton.name}'"
            )
        if not np.isfinite(pose).any(axis=0).all():
            raise PictureError(f"poses[{i}] has no joint")
    if labels is not None and len(labels) != len(poses):
        raise PictureError(f"{len(labels)} labels, expected {len(poses)}, one for each pose")
    return poses
