"""The constants of the inverse kinematics in a network: which points tell which angles."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.geometry import Part, PoseStatistics, part_levers
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# A bone whose offset leans on an axis by less than this share says nothing about the axis.
LEAST_LEVER = 0.05
# A direction that is this well known from a bone of the next part is told by that bone.
LEAST_COSINE = 0.2
# What a direction is at first where training poses point everywhere, see motion.py.
LEAST_MEAN = 0.3


class Frame(NamedTuple):
    """Which two axes of a part tell its orientation.

    Attributes:
        order: indices into the part's basis: the axis along its bones, the second, the third.
        seen: which of the three are known from joints, in this order.
        hinted: the second is an output of its own.
    """

    order: Tuple[int, int, int]
    seen: Tuple[bool, bool, bool]
    hinted: bool


def inverse_constants(
    skeleton: Skeleton, parts: Tuple[Part, ...], statistics: Optional[PoseStatistics] = None
) -> Dict[str, Array]:
    """Return the constants of :class:`gluon_dkpr.nn.inverse.InverseKinematics` by their names.

    Args:
        skeleton: the object, in the unit of the network.
        parts: its parts.
        statistics: of the training poses in that unit.
    """
    levers = part_levers(skeleton, parts)
    frames = part_frames(parts, levers)
    return {
        **_joint_constants(skeleton, statistics),
        **_axis_constants(skeleton, parts, frames, levers, statistics),
        **_angle_constants(skeleton, parts, frames, statistics),
    }


def part_frames(parts: Tuple[Part, ...], levers: Array) -> List[Frame]:
    """Return which axes of the parts tell their orientation.

    The first is the one along the bones, the second one that other bones of the part lean on, else
    one that the hinge below swings its bones along, else the next one.

    Args:
        parts: of a skeleton.
        levers: from :func:`gluon_dkpr.geometry.part_levers`.
    """
    frames = []
    everywhere = _seen(levers)
    for index, part in enumerate(parts):
        lever, seen = np.abs(levers[:, index]).sum(axis=0), everywhere[index]
        below = [other for other in parts if other.parent == index]
        first = int(lever.argmax())
        rest = [axis for axis in range(3) if axis != first]
        hinge = next((p.rotations[0].axis for p in below if len(p.rotations) == 1), None)
        if seen[rest].any():
            second = max(rest, key=lambda axis: lever[axis])
        elif hinge is not None:
            second = min(rest, key=lambda axis: abs(part.basis[axis] @ np.array(hinge)))
        else:
            second = rest[0]
        order = (first, second, 3 - first - second)
        hinted = not seen[second] and (len(part.rotations) > 1 or bool(below))
        frames.append(Frame(order, tuple(bool(seen[axis]) for axis in order), hinted))
    return frames


def _seen(levers: Array) -> Array:
    """Return which axes joints tell of, (parts, 3): as many as can be told apart, longest first."""
    lengths = np.abs(levers).sum(axis=0)
    rank = np.argsort(np.argsort(-lengths, axis=1), axis=1)
    seen = np.zeros(lengths.shape, dtype=bool)
    columns: List[Array] = []
    # The axis along the bones of each part, then the second axes, then the third ones.
    for part, axis in sorted(np.ndindex(lengths.shape), key=lambda place: rank[place]):
        if lengths[part, axis] <= LEAST_LEVER * lengths[part].max():
            continue
        column = levers[:, part, axis]
        if np.linalg.matrix_rank(np.stack([*columns, column])) > len(columns):
            columns.append(column)
            seen[part, axis] = True
    return seen


def _joint_constants(skeleton: Skeleton, statistics: Optional[PoseStatistics]) -> Dict[str, Array]:
    shape = (1, 3 * skeleton.num_joints)
    if statistics is None:
        return {"mean": np.zeros(shape), "std": np.ones(shape)}
    return {
        "mean": statistics.joints_mean.reshape(shape),
        "std": statistics.joints_std.reshape(shape),
    }


def _axis_constants(skeleton, parts, frames, levers, statistics) -> Dict[str, Array]:
    """Return the affine map from joints and hints to two axes of each part, and their frames."""
    joints, count = skeleton.num_joints, len(parts)
    # joint - root = levers times axes; least squares the other way round.
    seen = [(i, k) for i, frame in enumerate(frames) for k in range(3) if frame.seen[k]]
    solve = np.linalg.pinv(np.stack([levers[:, i, frames[i].order[k]] for i, k in seen], axis=1))
    root = skeleton.joint_names.index(skeleton.root.name)
    solve[:, root] -= solve.sum(axis=1)
    rows = 3 * joints + 3 * sum(frame.hinted for frame in frames)
    points, start = np.zeros((rows, count, 3, 3)), np.zeros((count, 3, 3))
    for share, (i, k) in zip(solve, seen):
        for axis in range(3):
            points[axis : 3 * joints : 3, i, k, axis] = share
    row = 3 * joints
    for i, frame in enumerate(frames):
        if not frame.hinted:
            continue
        begin, spread = _hint(statistics, i, frame.order[1])
        points[row : row + 3, i, 1] = np.diag(spread)
        start[i, 1] = begin
        row += 3
    for i, child, sign in _followed(parts, frames, statistics):
        points[:, i, 1] += sign * points[:, child, 0]
        start[i, 1] += sign * start[child, 0]
    basis = []
    for part, frame in zip(parts, frames):
        first, second = part.basis[list(frame.order[:2])]
        basis.append([first, second, np.cross(first, second)])
    return {
        "points": points[:, :, :2].reshape(rows, 6 * count).T,
        "start": start[:, :2].reshape(-1),
        "basis": np.array(basis)[None],
    }


def _hint(statistics: Optional[PoseStatistics], part: int, axis: int) -> Tuple[Array, Array]:
    """Return what an axis that is an output is at z = 0, and how much z moves it."""
    if statistics is None or statistics.axes_mean is None:
        return np.eye(3)[axis], np.ones(3)
    mean = statistics.axes_mean[part, axis]
    length = np.linalg.norm(mean)
    unit = mean / length if length > 1e-6 else np.eye(3)[axis]
    return unit * max(length, LEAST_MEAN), statistics.axes_std[part, axis]


def _followed(parts, frames, statistics) -> List[Tuple[int, int, float]]:
    """Return parts whose second axis follows the first of one below, that one, and the sign."""
    found = []
    if statistics is None or statistics.axes_cosine is None:
        return found
    for i, frame in enumerate(frames):
        below = [c for c, part in enumerate(parts) if part.parent == i]
        if not frame.hinted or not below:
            continue
        cosines = [statistics.axes_cosine[c, frame.order[1], frames[c].order[0]] for c in below]
        best = int(np.argmax(np.abs(cosines)))
        if abs(cosines[best]) > LEAST_COSINE:
            found.append((i, below[best], float(np.sign(cosines[best]))))
    return found


def _angle_constants(skeleton, parts, frames, statistics) -> Dict[str, Array]:
    """Return what makes angles of the relative orientations M: sums of entries of M.

    With axes a, b, c of right-handed order and M = R_a R_b R_c: tan of the first angle is
    -M_bc / M_cc, of the last -M_ab / M_aa, sin of the middle one M_ac. With two rotations tan of
    the first is M_cb / M_bb, of the second M_ac / M_aa. One rotation about a turns the part's bones
    u in the plane of u and a x u.
    """
    count, columns = len(parts), sum(len(part.rotations) for part in parts)
    names = skeleton.parameter_names
    sine, cosine, beside = (np.zeros((count, 3, 3, columns)) for _ in range(3))
    middle = np.zeros((1, columns))
    turn, zero = np.zeros((len(names), columns)), np.zeros(len(names))
    column = 0
    for i, part in enumerate(parts):
        a, b, c = part.basis
        s, amount = part.sign, len(part.rotations)
        if amount == 1:
            u = part.basis[frames[i].order[0]]
            u = b if abs(u @ a) > 0.5 else u
            entries = [((np.cross(a, u), u, 1.0), (u, u))]
        elif amount == 2:
            entries = [((c, b, s), (b, b)), ((a, c, s), (a, a))]
        else:
            entries = [((b, c, -s), (c, c)), ((a, c, s), (b, c)), ((a, b, -s), (a, a))]
            beside[i, :, :, column + 1] = np.outer(c, c)
            middle[0, column + 1] = 1.0
        for rotation, ((row, col, sign), straight) in zip(part.rotations, entries):
            sine[i, :, :, column] = sign * np.outer(row, col)
            cosine[i, :, :, column] = np.outer(*straight)
            place = names.index(rotation.parameter)
            turn[place, column] = rotation.coefficient
            zero[place] = -rotation.rest * rotation.coefficient
            column += 1
    constants = {"middle": middle, "turn": turn, "zero": zero}
    for name, entries in (("sine", sine), ("cosine", cosine), ("beside", beside)):
        constants[name] = entries.reshape(9 * count, columns)
    constants["before"] = np.stack([part.before for part in parts])[None]
    above = np.zeros((count, count + 1))
    for i, part in enumerate(parts):
        above[i, count if part.parent is None else part.parent] = 1.0
    constants["above"] = above
    constants["world"] = np.eye(3)[None, None]
    angles = {rotation.parameter for part in parts for rotation in part.rotations}
    others = [i for i, name in enumerate(names) if name not in angles]
    if others:
        moved = np.zeros((len(names), len(others)))
        for column, place in enumerate(others):
            moved[place, column] = 1.0 if statistics is None else statistics.motion_std[place]
            zero[place] = 0.0 if statistics is None else statistics.motion_mean[place]
        constants["moved"] = moved
    return constants
