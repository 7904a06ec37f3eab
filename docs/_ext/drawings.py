"""Draws the skeletons that the pages show, from the code, when the site is built.

Every drawing is made twice, for light and for dark pages, into docs/_generated.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Callable, Dict, NamedTuple

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from gluon_dkpr.data import sample_motion
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import Skeleton, hand, human36m, planar
from gluon_dkpr.skeleton.planar import LEVELS
from gluon_dkpr.viz.style import joint_sides

AXIS_NAMES = {(1.0, 0.0, 0.0): "x", (0.0, 1.0, 0.0): "y", (0.0, 0.0, 1.0): "z"}


class Ink(NamedTuple):
    """Colours of a drawing on a light or a dark page."""

    text: str
    faint: str
    sides: Dict[str, str]
    axes: Dict[str, str]


LIGHT = Ink(
    "#202020",
    "#b9b9b9",
    {"left": "#0072b2", "centre": "#5a5a5a", "right": "#d55e00"},
    {"x": "#c1272d", "y": "#007a4d", "z": "#3b4cc0"},
)
DARK = Ink(
    "#e6e6e6",
    "#666666",
    {"left": "#56b4e9", "centre": "#b8b8b8", "right": "#ff9a4d"},
    {"x": "#ff8080", "y": "#5fd6a0", "z": "#a3b1ff"},
)
# For the human: how the body stands so that no label covers another, degrees.
STANCE = {
    "left_shoulder_abduction": 52,
    "right_shoulder_abduction": 52,
    "left_elbow_flexion": 0,
    "left_hip_abduction": 13,
    "right_hip_abduction": 13,
}
HINGES = {
    f"{side}_{joint}_twist": f"{side}_{hinge}_flexion"
    for side in ("left", "right")
    for joint, hinge in (("hip", "knee"), ("shoulder", "elbow"))
}
# Where the numbers stand beside their joint, mm to the right and down.
SHIFTS = {"pelvis": (0, 95), "spine": (0, -75), "skull": (0, -330)}


def parameter_number(skeleton: Skeleton, name: str) -> int:
    return skeleton.parameter_names.index(name) + 1


def motion_of(skeleton: Skeleton, degrees: Dict[str, float]) -> np.ndarray:
    motion = np.zeros((1, skeleton.num_parameters))
    for name, angle in degrees.items():
        motion[0, skeleton.parameter_names.index(name)] = np.radians(angle)
    return motion


def draw_bones(axis, skeleton: Skeleton, joints, colors, width: float, only=None) -> None:
    sides = joint_sides(skeleton)
    for i, (parent, child) in enumerate(skeleton.bone_indices):
        if only is not None and not only[i]:
            continue
        color = colors if isinstance(colors, str) else colors[sides[child]]
        ends = joints[[parent, child]]
        axis.plot(ends[:, 0], ends[:, 1], color=color, linewidth=width, solid_capstyle="round")


def anchor(skeleton: Skeleton, joints, name: str):
    """Return where a joint is; a hidden one is at the visible joint above it."""
    while skeleton.joint(name).hidden:
        name = skeleton.joint(name).parent
    return joints[skeleton.joint_names.index(name)]


def human_parameters(ink: Ink) -> Figure:
    """The body from the front, with the number of every parameter at the joint that it turns."""
    body = human36m()
    joints = forward_kinematics(body, motion_of(body, STANCE))[0][:, :2]
    figure = Figure(figsize=(6.4, 7.0))
    axis = figure.add_axes((0, 0, 1, 1))
    draw_bones(axis, body, joints, ink.sides, 5)
    axis.scatter(*joints.T, s=34, color=ink.text, zorder=3)
    for joint in body.joints:
        turns = [r for r in joint.rotations if r.parameter]
        if not turns:
            continue
        x, y = anchor(body, joints, joint.name)
        right, down = SHIFTS.get(joint.name, (110 if x > 20 else -110, 0))
        if joint.name.endswith(("elbow", "shoulder")):
            down -= 60
        for i, rotation in enumerate(turns):
            place = x + right + 92 * (i - (len(turns) - 1) / 2)
            if abs(right) == 110:
                place = x + right + np.sign(right) * 92 * (len(turns) - 1) / 2
                place += 92 * (i - (len(turns) - 1) / 2)
            color = ink.axes[AXIS_NAMES[rotation.axis]]
            number(axis, place, y + down, parameter_number(body, rotation.parameter), color)
    pelvis = joints[0]
    for i, name in enumerate(body.position):
        place = pelvis[0] + 92 * (i - 1), pelvis[1] + 190
        number(axis, *place, parameter_number(body, name), ink.text)
    for i, (name, color) in enumerate(ink.axes.items()):
        axis.text(-880, -640 + 75 * i, f"turns about {name}", color=color, fontsize=12)
    axis.text(-880, -640 + 225, "moves", color=ink.text, fontsize=12)
    axis.text(880, 900, "left of the body", color=ink.sides["left"], fontsize=12, ha="right")
    axis.text(-880, 900, "right", color=ink.sides["right"], fontsize=12)
    axis.set(xlim=(-930, 930), ylim=(985, -1050))
    axis.set_aspect("equal")
    axis.axis("off")
    return figure


def number(axis, x: float, y: float, value: int, color: str) -> None:
    box = {"boxstyle": "circle,pad=0.22", "facecolor": "none", "edgecolor": color, "linewidth": 1.4}
    axis.text(x, y, f"{value:02d}"[-2:] if value > 9 else f" {value} ", color=color, fontsize=10.5,
        ha="center", va="center", bbox=box, weight="bold")  # fmt: skip


def parameter_atlas(skeleton: Skeleton, columns: int, ink: Ink, view) -> Figure:
    """A panel for each angle: the zero pose, pale, and in colour what this angle alone moves.

    Where a limb twists, its hinge is bent: a straight one would not show it.
    """
    names = [p.name for p in skeleton.parameters if p.unit == "radian"]
    rows = -(-len(names) // columns)
    colors = {**ink.sides, "centre": ink.axes["x"]}

    def joints_of(degrees: Dict[str, float]) -> np.ndarray:
        return forward_kinematics(skeleton, motion_of(skeleton, degrees))[0]

    rest = view(joints_of({}))
    low, high = rest.min(axis=0), rest.max(axis=0)
    centre, reach = (low + high) / 2, 0.62 * (high - low).max()
    figure = Figure(figsize=(1.75 * columns, 2.0 * rows))
    for i, name in enumerate(names):
        axis = figure.add_subplot(rows, columns, i + 1)
        bend = {HINGES.get(name, ""): 75.0} if name in HINGES else {}
        upper = skeleton.parameters[parameter_number(skeleton, name) - 1].upper
        angle = 50.0 if upper is None else min(50.0, float(np.degrees(upper)))
        before, after = joints_of(bend), joints_of({**bend, name: angle})
        bones = skeleton.bone_indices
        moved = np.abs(after - before)[bones].max(axis=(1, 2)) > 1e-6
        draw_bones(axis, skeleton, view(before), ink.faint, 1.8)
        draw_bones(axis, skeleton, view(after), colors, 2.6, moved)
        title = f"{parameter_number(skeleton, name)}  " + name.replace("_", " ")
        axis.set_title(title, color=ink.text, fontsize=8.4, pad=3)
        axis.set(xlim=(centre[0] - reach, centre[0] + reach))
        axis.set(ylim=(centre[1] + reach, centre[1] - reach))
        axis.set_aspect("equal")
        axis.axis("off")
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.96, 0.02, 0.14)
    return figure


def oblique(joints: np.ndarray) -> np.ndarray:
    """Look at the camera frame (x right, y down, z away) from the left above."""
    turn, tilt = np.radians(38), np.radians(14)
    x, y, z = joints.T
    across, away = np.cos(turn) * x - np.sin(turn) * z, np.sin(turn) * x + np.cos(turn) * z
    return np.stack([across, np.cos(tilt) * y - np.sin(tilt) * away], axis=1)


def toy_objects(ink: Ink) -> Figure:
    """The paper's planar objects."""
    figure = Figure(figsize=(8.4, 2.5))
    for i, level in enumerate(LEVELS):
        axis = figure.add_subplot(1, 4, i + 1)
        skeleton = planar(level)
        joints = forward_kinematics(skeleton, sample_motion(skeleton, 1, seed=1, start=3))[0]
        draw_bones(axis, skeleton, joints, ink.sides, 3)
        axis.scatter(*joints.T, s=16, color=ink.text, zorder=3)
        axis.set_title(f"{level} parameters", color=ink.text, fontsize=11)
        axis.set(xlim=(0, 127), ylim=(127, 0), xticks=[], yticks=[], facecolor="none")
        for spine in axis.spines.values():
            spine.set_color(ink.faint)
        axis.set_aspect("equal")
    figure.subplots_adjust(0.01, 0.02, 0.99, 0.88, 0.06)
    return figure


DRAWINGS: Dict[str, Callable[[Ink], Figure]] = {
    "human-parameters": human_parameters,
    "human-atlas": lambda ink: parameter_atlas(human36m(), 5, ink, oblique),
    "hand-atlas": lambda ink: parameter_atlas(hand(), 5, ink, oblique),
    "toy-objects": toy_objects,
}


def parameter_table(skeleton: Skeleton) -> str:
    """The motion parameters, as a table in Markdown."""
    turns = {r.parameter: (j, r) for j in skeleton.joints for r in j.rotations if r.parameter}
    lines = ["| | parameter | turns | about | bounds |", "|---|---|---|---|---|"]
    for i, parameter in enumerate(skeleton.parameters, 1):
        what, about, bounds = "moves the root", "", ""
        if parameter.name in turns:
            joint, rotation = turns[parameter.name]
            sign = "−" if rotation.coefficient < 0 else ""
            what, about = f"`{joint.name}`", sign + AXIS_NAMES[rotation.axis]
        if parameter.lower is not None:
            low, high = (round(float(np.degrees(b))) for b in (parameter.lower, parameter.upper))
            bounds = f"{low}° to {high}°".replace("-", "−")
        lines.append(f"| {i} | `{parameter.name}` | {what} | {about} | {bounds} |")
    return "\n".join(lines) + "\n"


def write_if_changed(path: Path, content: bytes) -> None:
    """Leave a file alone that is right already: Sphinx would build its pages again."""
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def draw_all(app) -> None:
    folder = Path(app.srcdir, "_generated")
    folder.mkdir(exist_ok=True)
    write_if_changed(folder / "human-table.md", parameter_table(human36m()).encode("utf-8"))
    with matplotlib.rc_context({"svg.hashsalt": "gluon_dkpr", "svg.fonttype": "path"}):
        for name, draw in DRAWINGS.items():
            for mode, ink in (("light", LIGHT), ("dark", DARK)):
                figure = draw(ink)
                figure.patch.set_alpha(0)
                FigureCanvasSVG(figure)
                drawn = io.BytesIO()
                figure.savefig(drawn, format="svg", metadata={"Date": None}, transparent=True)
                write_if_changed(folder / f"{name}-{mode}.svg", drawn.getvalue())


def setup(app):
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
