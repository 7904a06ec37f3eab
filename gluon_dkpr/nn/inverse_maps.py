"""The constants of the inverse kinematics in a network: which points tell which angles."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.geometry import Part, PoseStatistics, middle_of_bounds, part_levers, skeleton_parts
from gluon_dkpr.geometry.parts import NO_LEVER
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# A direction that is this well known from a bone of the next part is told by that bone.
LEAST_COSINE = 0.2
# Bones that lean on an axis by less than this share of the longest do not tell where it points.
LEAST_LEVER = 0.05
# A coordinate of a direction that moves by less than this in training is constant.
STILL = 1e-6
# What a direction is at first where training poses point everywhere, see motion.py.
LEAST_MEAN = 0.3


class Frame(NamedTuple):
    """Which two axes of a part tell its orientation.

    Attributes:
        order: indices into the part's frame: the axis along its bones, the second, the third.
        known: which of the three follow from joints, in this order.
        seen: which of them follow well.
        hinted: the second is an output of its own.
    """

    order: Tuple[int, int, int]
    known: Tuple[bool, bool, bool]
    seen: Tuple[bool, bool, bool]
    hinted: bool


def told_by_joints(skeleton: Skeleton) -> Optional[Tuple[Part, ...]]:
    """Return the parts, or ``None`` where visible joints do not tell where all of them point.

    That is so where joints that bend are hidden or in one place with others.
    """
    parts = skeleton_parts(skeleton)
    if parts is None:
        return None
    levers = part_levers(skeleton, parts)
    lengths = np.abs(levers).sum(axis=0)
    moves = list(lengths.any(axis=1))
    for i in reversed(range(len(parts))):
        if moves[i] and parts[i].parent is not None:
            moves[parts[i].parent] = True
    if not any(moves):
        return None
    for i, frame in enumerate(part_frames(parts, levers)):
        unknown = [axis for axis, known in zip(frame.order, frame.known) if not known]
        missed = (lengths[i, unknown] > LEAST_LEVER * lengths[i].max()).any()
        if moves[i] and (missed or not frame.seen[0]):
            return None
    return parts


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
    everywhere = _known(levers)
    for index, part in enumerate(parts):
        lever, known = np.abs(levers[:, index]).sum(axis=0), everywhere[index]
        seen = known & (lever > LEAST_LEVER * lever.max())
        below = [other for other in parts if other.parent == index]
        first = int(lever.argmax())
        rest = [axis for axis in range(3) if axis != first]
        hinge = next((p.rotations[0].axis for p in below if len(p.rotations) == 1), None)
        if seen[rest].any():
            second = max(rest, key=lambda axis: lever[axis])
        elif hinge is not None:
            second = min(rest, key=lambda axis: abs(part.frame[axis] @ np.array(hinge)))
        else:
            second = rest[0]
        order = (first, second, 3 - first - second)
        hinted = not seen[second] and (len(part.rotations) > 1 or bool(below))
        told = (tuple(bool(mask[axis]) for axis in order) for mask in (known, seen))
        frames.append(Frame(order, *told, hinted))
    return frames


def _known(levers: Array) -> Array:
    """Return which axes joints tell of, (parts, 3): as many as can be told apart, longest first."""
    lengths = np.abs(levers).sum(axis=0)
    rank = np.argsort(np.argsort(-lengths, axis=1), axis=1)
    known = np.zeros(lengths.shape, dtype=bool)
    columns: List[Array] = []
    # The axis along the bones of each part, then the second axes, then the third ones.
    for part, axis in sorted(np.ndindex(lengths.shape), key=lambda place: rank[place]):
        if lengths[part, axis] <= NO_LEVER * lengths[part].max():
            continue
        column = levers[:, part, axis]
        if np.linalg.matrix_rank(np.stack([*columns, column])) > len(columns):
            columns.append(column)
            known[part, axis] = True
    return known


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
    known = [(i, k) for i, frame in enumerate(frames) for k in range(3) if frame.known[k]]
    solve = np.linalg.pinv(np.stack([levers[:, i, frames[i].order[k]] for i, k in known], axis=1))
    root = skeleton.joint_names.index(skeleton.root.name)
    solve[:, root] -= solve.sum(axis=1)
    rows = 3 * joints + 3 * sum(frame.hinted for frame in frames)
    points, start = np.zeros((rows, count, 3, 3)), np.zeros((count, 3, 3))
    for share, (i, k) in zip(solve, known):
        for axis in range(3) if frames[i].seen[k] else ():
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
        first, second = part.frame[list(frame.order[:2])]
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
        # An output that moves nothing could not make up for what following adds.
        if not below or not frame.hinted or statistics.axes_std[i, frame.order[1]].min() < STILL:
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
    u in the plane of u and a x u. All but the middle one are measured from the middle of the
    bounds, so that an angle may leave these by half a turn before it jumps.
    """
    count, columns = len(parts), sum(len(part.rotations) for part in parts)
    names = skeleton.parameter_names
    sine, cosine, beside = (np.zeros((count, 3, 3, columns)) for _ in range(3))
    middle = np.zeros((1, columns))
    turn, zero = np.zeros((len(names), columns)), np.zeros(len(names))
    bounds = middle_of_bounds(skeleton)
    column = 0
    for i, part in enumerate(parts):
        a, b, c = part.basis
        s, amount = part.sign, len(part.rotations)
        if amount == 1:
            u = _across(a, part.frame[list(frames[i].order)])
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
            if not middle[0, column]:
                begin = rotation.coefficient * bounds[place] + rotation.rest
                pair = cosine[..., column].copy(), sine[..., column].copy()
                cosine[..., column] = np.cos(begin) * pair[0] + np.sin(begin) * pair[1]
                sine[..., column] = np.cos(begin) * pair[1] - np.sin(begin) * pair[0]
                zero[place] += rotation.coefficient * begin
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


def _across(axis: Array, directions: Array) -> Array:
    """Return what is perpendicular to an axis of the first direction that is not along it."""
    for direction in directions:
        across = direction - (direction @ axis) * axis
        length = np.linalg.norm(across)
        if length > LEAST_LEVER:
            break
    return across / length
