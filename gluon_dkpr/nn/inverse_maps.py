"""The constants of the inverse kinematics in a network: from points to angles."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

import numpy as np

from gluon_dkpr.geometry import Part, PoseStatistics, middle_of_bounds, part_levers
from gluon_dkpr.geometry.parts import NO_LEVER
from gluon_dkpr.nn.inverse_frames import LEAST_LEVER, Frame, part_frames
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# A direction that is this well known from a bone of the next part is told by that bone.
LEAST_COSINE = 0.2
# A coordinate of a direction that moves by less than this in training is constant.
STILL = 1e-6
# What a direction is at first where training poses point everywhere, see motion.py.
LEAST_MEAN = 0.3


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
    frames = part_frames(skeleton, parts, levers)
    return {
        **_joint_constants(skeleton, statistics),
        **_axis_constants(skeleton, parts, frames, levers, statistics),
        **_angle_constants(skeleton, parts, frames, statistics),
    }


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
    mean, spread = statistics.axes_mean[part, axis], statistics.axes_std[part, axis]
    if np.linalg.norm(mean) >= LEAST_MEAN:
        return mean, spread
    # Longer along what moves; what no output moves has to be right as it is.
    moving = spread >= STILL
    still, along = np.where(moving, 0.0, mean), np.where(moving, mean, 0.0)
    length = np.linalg.norm(along)
    unit = along / length if length > 1e-6 else np.eye(3)[axis if moving[axis] else moving.argmax()]
    return still + unit * np.sqrt(LEAST_MEAN**2 - still @ still), spread


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
    bounds, so that an angle may leave these by half a turn before it jumps. Of the two answers of
    three rotations the one is taken whose middle angle is within a quarter turn of the multiple of
    half a turn that is next to the middle of its bounds.
    """
    count, columns = len(parts), sum(len(part.rotations) for part in parts)
    names = skeleton.parameter_names
    sine, cosine, beside = (np.zeros((count, 3, 3, columns)) for _ in range(3))
    middle = np.zeros((1, columns))
    turn, zero = np.zeros((len(names), columns)), np.zeros(len(names))
    bounds = middle_of_bounds(skeleton)
    column = 0
    for i, part in enumerate(parts):
        places = [names.index(rotation.parameter) for rotation in part.rotations]
        begins = [r.coefficient * bounds[p] + r.rest for r, p in zip(part.rotations, places)]
        halves = round(begins[1] / np.pi) if len(places) == 3 else 0
        for rotation, place, begin, (y, x) in zip(
            part.rotations, places, begins, _sine_and_cosine(part, frames[i])
        ):
            turn[place, column], zero[place] = rotation.coefficient, bounds[place]
            if len(places) == 3 and place == places[1]:
                beside[i, :, :, column] = np.outer(part.basis[2], part.basis[2])
                middle[0, column] = 1.0
                turn[place, column] *= (-1.0) ** halves
                zero[place] = rotation.coefficient * (halves * np.pi - rotation.rest)
                begin = 0.0
            else:
                begin = begin - halves * np.pi
            cosine[i, :, :, column] = np.cos(begin) * x + np.sin(begin) * y
            sine[i, :, :, column] = np.cos(begin) * y - np.sin(begin) * x
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


def _sine_and_cosine(part: Part, frame: Frame) -> List[Tuple[Array, Array]]:
    """Return for each rotation of a part the entries of M, (3, 3), whose sums are its y and x."""
    a, b, c = part.basis
    s, outer = part.sign, np.outer
    if len(part.rotations) == 1:
        told = 3 if frame.seen[1] or frame.hinted else 1
        u = _across(a, part.frame[list(frame.order[:told])])
        return [(outer(np.cross(a, u), u), outer(u, u))]
    if len(part.rotations) == 2:
        return [(s * outer(c, b), outer(b, b)), (s * outer(a, c), outer(a, a))]
    return [
        (-s * outer(b, c), outer(c, c)),
        (s * outer(a, c), outer(b, c)),
        (-s * outer(a, b), outer(a, a)),
    ]


def _across(axis: Array, directions: Array) -> Array:
    """Return what is perpendicular to an axis of the first direction that is not along it.

    If all lie nearly along it, that of the one that does so least; of one along it, nothing.
    """
    across = directions - np.outer(directions @ axis, axis)
    lengths = np.linalg.norm(across, axis=1)
    clear = np.flatnonzero(lengths > LEAST_LEVER)
    best = clear[0] if len(clear) else int(lengths.argmax())
    return across[best] / max(lengths[best], NO_LEVER)
