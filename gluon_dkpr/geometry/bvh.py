"""Motion as BVH files, which Blender and other programs for animation open.

A BVH joint turns the bones that leave it by the product of its rotation channels in their written
order: the same convention as ours. Angles are degrees in the file and radians here, lengths keep
the file's unit. The format says nothing of axes; by habit y points up.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from gluon_dkpr.files import atomic_write
from gluon_dkpr.geometry.bvh_text import MAX_NUMBER, BvhError, BvhNode, BvhText, read_text
from gluon_dkpr.geometry.kinematics import _checked, _world_frames
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, SkeletonError
from gluon_dkpr.skeleton.checks import MAX_NAME
from gluon_dkpr.types import Array

__all__ = ["BvhError", "load_bvh", "save_bvh"]

_ROOT_CHANNELS = "Xposition Yposition Zposition Zrotation Xrotation Yrotation"
_JOINT_CHANNELS = "Zrotation Xrotation Yrotation"
# A translation channel that moves less than this part of its bone is constant up to printing.
_CONSTANT = 1e-4
# Frames that are turned into text at a time: the motion may be one that lies on disk.
_BLOCK = 1024


def load_bvh(path, length_unit: str = "unit") -> Tuple[Skeleton, Array, float]:
    """Read a skeleton and its motion.

    Every joint becomes a visible joint of the same name, in the file's order; an end site becomes
    ``NAME_end`` of the joint it ends, unless its offset is 0. Every rotation channel becomes a
    parameter ``NAME_Xrotation``, the root's position ``NAME_Xposition``. As in Blender, position
    channels stand in place of the OFFSET.

    Args:
        path: a file in UTF-8 with one root, any order of channels, one frame a line.
        length_unit: what the file's unit is called; the format does not say it.

    Returns:
        Skeleton, motion (F, P) in radians and the file's unit, and the frame time in seconds.

    Raises:
        BvhError: if it cannot be read or is malformed, with the line; or if a joint other than the
            root moves along its translation channels. Constant ones are read as the joint's bone;
            if all are 0 the OFFSET is.
    """
    path = Path(path)
    text = read_text(path)
    columns = _columns(text)
    try:
        return _build(path, text, columns, length_unit)
    except SkeletonError as error:
        raise BvhError(f"{path}: {error}") from None


def save_bvh(
    path, skeleton: Skeleton, motion: Array, frame_time: float, y_up: bool = False
) -> None:
    """Write a motion.

    Hidden joints become joints of the file, any axes and shared parameters become Euler angles
    (Z X Y) of each joint, chosen near those of the frame before. Joints keep their names; a joint
    at the end of a limb has an end site of length 0.

    Args:
        path: file to write.
        skeleton: an object in three dimensions.
        motion: shape (F, P), radians and the skeleton's length unit, which is the file's.
        frame_time: seconds from frame to frame.
        y_up: turn the world half round about x: what is in the camera frame (y down, z away) then
            stands upright in programs whose y is up. Without it the world stays as it is.

    Raises:
        BvhError: for a planar skeleton, a name that a BVH file cannot hold, a number that is not
            finite or above 1e9.
        MotionError: for motion of another shape.
    """
    _check_writable(path, skeleton, frame_time)
    motion = np.asanyarray(motion)
    # Shape and type; the numbers are checked block by block.
    _checked(skeleton, motion[:0], None)
    order, lines = _hierarchy(skeleton)
    before: List[Optional[Array]] = [None] * len(order)
    with atomic_write(path) as file:
        file.write("HIERARCHY\n" + "\n".join(lines) + "\nMOTION\n")
        file.write(f"Frames: {len(motion)}\nFrame Time: {frame_time:.9g}\n")
        for begin in range(0, len(motion), _BLOCK):
            block = motion[begin : begin + _BLOCK]
            table = _channels(path, skeleton, block, order, before, y_up)
            row_format = " ".join(["%.8f"] * table.shape[1]) + "\n"
            file.writelines(row_format % tuple(row) for row in table)


def _channels(path, skeleton: Skeleton, motion: Array, order, before, y_up: bool) -> Array:
    """Return the channels of some frames, (F, C).

    Args:
        order: indices of the joints, in the file's order.
        before: the angles of each in the frame before the first; is set to those of the last.
    """
    positions, rotations = _world_frames(skeleton, *_checked(skeleton, motion, None))
    if not (np.isfinite(rotations).all() and (np.abs(positions) <= MAX_NUMBER).all()):
        raise BvhError(f"{path}: the motion is not finite or leaves {MAX_NUMBER:g}")
    if y_up:
        positions, rotations = positions * [1, -1, -1], rotations * [[1], [-1], [-1]]
    values = [positions[:, skeleton.joint_index(skeleton.root.name)]]
    for i, index in enumerate(order):
        own = rotations[:, index]
        parent = skeleton.joints[index].parent
        if parent is not None:
            own = rotations[:, skeleton.joint_index(parent)].transpose(0, 2, 1) @ own
        angles = _continuous(np.degrees(_zxy_angles(own)), before[i])
        before[i] = angles[-1]
        values.append(angles)
    return np.concatenate(values, axis=1)


def _columns(text: BvhText) -> List[Dict[str, int]]:
    """Return for each node its channels and their columns, in order."""
    columns, begin = [], 0
    for node in text.nodes:
        channels = node.channels or ()
        columns.append({name: begin + i for i, name in enumerate(channels)})
        begin += len(channels)
    return columns


def _build(path, text: BvhText, columns, length_unit) -> Tuple[Skeleton, Array, float]:
    root = text.nodes[0].name
    moves = any(name.endswith("position") for name in columns[0])
    position = tuple(f"{root}_{axis}position" for axis in "XYZ") if moves else ()
    parameters = [Parameter(name, "length") for name in position]
    values = []
    for i, axis in enumerate("XYZ" if moves else ""):
        column = columns[0].get(f"{axis}position")
        constant = np.full(len(text.frames), text.nodes[0].offset[i])
        values.append(constant if column is None else text.frames[:, column])
    joints = []
    names = _names(text.nodes)
    for i, node in enumerate(text.nodes):
        if node.is_end and not any(node.offset):
            continue
        rotations = []
        for channel, column in columns[i].items():
            if channel.endswith("rotation"):
                parameters.append(Parameter(f"{node.name}_{channel}"))
                rotations.append(Rotation(channel[0].lower(), parameters[-1].name))
                values.append(np.radians(text.frames[:, column]))
        offset = (0.0, 0.0, 0.0) if i == 0 and moves else node.offset
        if i:
            offset = _bone(path, node, columns[i], text.frames)
        parent = None if node.parent is None else names[node.parent]
        joints.append(Joint(names[i], parent, offset, tuple(rotations)))
    stem = Path(path).stem
    proper = stem and stem == stem.strip() and stem.isprintable()
    name = stem[:MAX_NAME].strip() if proper else "bvh"
    skeleton = Skeleton(name, 3, tuple(parameters), tuple(joints), position, length_unit)
    motion = np.stack(values, axis=1)
    return skeleton, motion, text.frame_time


def _names(nodes: List[BvhNode]) -> List[str]:
    """Return a name for every node, end sites included."""
    names = [node.name for node in nodes]
    taken = set(names)
    for i, node in enumerate(nodes):
        if node.is_end:
            name = f"{nodes[node.parent].name}_end"
            while name in taken:
                name += "_"
            taken.add(name)
            names[i] = name
    return names


def _bone(path, node: BvhNode, columns: Dict[str, int], frames: Array) -> Tuple[float, ...]:
    """Return the bone to a joint below the root, out of its OFFSET or constant translation."""
    moved = {c: i for c, i in columns.items() if c.endswith("position")}
    if not moved or not len(frames):
        return node.offset
    values = frames[:, list(moved.values())]
    bone = list(node.offset)
    for channel, value in zip(moved, np.median(values, axis=0)):
        bone["XYZ".index(channel[0])] = float(value)
    size = max(np.linalg.norm(bone), np.linalg.norm(node.offset))
    spread = np.ptp(values, axis=0)
    if spread.max() > _CONSTANT * size:
        channel = list(moved)[int(np.argmax(spread))]
        raise BvhError(
            f"{path}: line {node.line}: joint '{node.name}' moves along its channel {channel} by "
            f"{spread.max():.6g}; only the root can move, bones have a fixed length"
        )
    return tuple(bone) if values.any() else node.offset


def _check_writable(path, skeleton: Skeleton, frame_time: float) -> None:
    if skeleton.dim != 3:
        raise BvhError(f"{path}: skeleton '{skeleton.name}' has {skeleton.dim} dimensions, not 3")
    if not (math.isfinite(frame_time) and 1e-6 <= frame_time <= MAX_NUMBER):
        raise BvhError(f"{path}: frame time is {frame_time} s, expected at least 1e-6")
    for joint in skeleton.joints:
        words = joint.name.split()
        if " ".join(words) != joint.name or {"{", "}"} & set(words):
            raise BvhError(f"{path}: joint name {joint.name!r} cannot stand in a BVH file")
        if not all(abs(value) <= MAX_NUMBER for value in joint.offset):
            raise BvhError(f"{path}: joint '{joint.name}': offset above {MAX_NUMBER:g}")


def _hierarchy(skeleton: Skeleton) -> Tuple[List[int], List[str]]:
    """Return the joints in the file's order, each limb to its end, and the lines."""
    children = {joint.name: [] for joint in skeleton.joints}
    for joint in skeleton.joints:
        if joint.parent is not None:
            children[joint.parent].append(joint.name)
    order, lines = [], []
    stack: List[Tuple[Optional[str], int]] = [(skeleton.root.name, 0)]
    while stack:
        name, depth = stack.pop()
        indent = "\t" * depth
        if name is None:
            lines.append(f"{indent}}}")
            continue
        joint = skeleton.joint(name)
        order.append(skeleton.joint_index(name))
        is_root = joint.parent is None
        # The root's rest position is in its position channels.
        offset = (0.0, 0.0, 0.0) if is_root else joint.offset
        channels = _ROOT_CHANNELS if is_root else _JOINT_CHANNELS
        lines += [
            f"{indent}{'ROOT' if is_root else 'JOINT'} {name}",
            f"{indent}{{",
            f"{indent}\tOFFSET {' '.join(f'{value:.8f}' for value in offset)}",
            f"{indent}\tCHANNELS {len(channels.split())} {channels}",
        ]
        if not children[name]:
            lines += [f"{indent}\tEnd Site", f"{indent}\t{{"]
            lines += [f"{indent}\t\tOFFSET 0.0 0.0 0.0", f"{indent}\t}}"]
        stack.append((None, depth))
        stack.extend((child, depth + 1) for child in reversed(children[name]))
    return order, lines


def _zxy_angles(rotations: Array) -> Array:
    """Return angles (a, b, c), radians, shape (F, 3), with R = Rz(a) Rx(b) Ry(c).

    Also right where b is a quarter turn and a and c turn about the same axis: b and c are read
    off Rz(-a) R, whatever a is.
    """
    a = np.arctan2(-rotations[:, 0, 1], rotations[:, 1, 1])
    cos, sin = np.cos(a)[:, None], np.sin(a)[:, None]
    first = cos * rotations[:, 0] + sin * rotations[:, 1]
    second = cos * rotations[:, 1] - sin * rotations[:, 0]
    b = np.arctan2(rotations[:, 2, 1], second[:, 1])
    c = np.arctan2(first[:, 2], first[:, 0])
    return np.stack([a, b, c], axis=1)


def _continuous(angles: Array, before: Optional[Array] = None) -> Array:
    """Return the same rotations with angles, degrees, shape (F, 3), close to the frame before.

    (a, b, c) and (a + 180, 180 - b, c + 180) are the same, and so are angles a full turn apart.
    ``before`` are the angles of the frame before the first, if there is one.
    """
    flipped = (angles + 180.0) * [1, -1, 1] + [0, 360, 0]
    result = angles.copy()
    for i in range(len(angles)):
        if before is not None:
            both = np.stack([angles[i], flipped[i]])
            both -= 360.0 * np.round((both - before) / 360.0)
            result[i] = both[np.argmin(np.abs(both - before).sum(axis=1))]
        before = result[i]
    return result
