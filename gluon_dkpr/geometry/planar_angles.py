"""Motion parameters of a planar object from its joints, by trigonometry.

This is how the paper gets angles out of *direct joint*, which predicts joints only (section 4.1,
figure 5). In the plane rotations commute, so the direction of a bone is a linear function of the
parameters that turn it: their sum with coefficients, plus the rest angles and the direction of the
rest bone.
"""

from __future__ import annotations

import cmath
import math
from typing import List, NamedTuple, Optional

import numpy as np

from gluon_dkpr.geometry.kinematics import MotionError
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


class PlanarBones(NamedTuple):
    """The n visible bones with a direction, and how the angles of the motion follow from these.

    Attributes:
        parents, children: joints at their ends, indices into ``skeleton.joint_names``, (n,).
        references: the bone that each hangs on, an index into these lists; -1 for the world, (n,).
        rests: direction relative to that bone at the middle of the bounds, radians, (n,).
        middle: the motion there, with 0 for lengths, (P,).
        solution: (P, n). The angles are ``middle + solution @ deviations``, least squares, where
            deviations are those of the bones' relative directions from ``rests``.
        determined: every set of deviations is that of a motion.
        spans: how far each turns from ``rests`` to the bounds, radians, infinite without, (n,).
    """

    parents: Array
    children: Array
    references: Array
    rests: Array
    middle: Array
    solution: Array
    determined: bool
    spans: Array


class _Turn(NamedTuple):
    """An angle in the world as a linear function of the motion: ``row @ motion + rest``."""

    row: Array
    rest: float


class _Bone(NamedTuple):
    """A visible bone with a direction; ``reference`` is its parent bone's place in the list."""

    parent: int
    child: int
    turn: _Turn
    reference: Optional[int]


def angles_from_joints(skeleton: Skeleton, joints: Array) -> Array:
    """Return the motion whose bone directions fit the joints best.

    Every bone is measured relative to the bone it hangs on (to the world for bones that leave the
    root) and taken in the turn nearest to where it points at the middle of the parameter bounds.
    A parameter without bounds has its middle at 0. The unwrapped directions in the world are then
    solved for the angles by linear least squares, every bone with the same weight. Position
    parameters are the root joint itself.

    A motion comes back exactly if no bone is more than half a turn, relative to its parent bone,
    from its direction at the middle of the bounds. Joints do not have to keep the bone lengths:
    only directions count. A bone that was predicted with no length at all has no direction; it is
    taken as pointing, relative to its parent bone, as at the middle of the bounds.

    Args:
        skeleton: a planar object.
        joints: visible joints in the world frame, shape (B, J, 2), in the skeleton's length unit.

    Returns:
        Motion of shape (B, P), radians and the skeleton's length unit. It may lie outside of the
        bounds when the joints do.

    Raises:
        MotionError: for a skeleton in three dimensions or one whose angles do not follow from the
            directions of its bones, and for joints of the wrong shape or not finite.
    """
    bones = planar_bones(skeleton)
    joints = _checked_joints(skeleton, joints)
    motion = bones.middle + _deviations(bones, joints) @ bones.solution.T
    root = joints[:, skeleton.joint_names.index(skeleton.root.name)]
    for axis, name in enumerate(skeleton.position):
        column = skeleton.parameter_names.index(name)
        motion[:, column] = root[:, axis] - skeleton.root.offset[axis]
    return motion


def planar_bones(skeleton: Skeleton) -> PlanarBones:
    """Return the bones that tell the angles of a planar object.

    Args:
        skeleton: a planar object.

    Raises:
        MotionError: for a skeleton in three dimensions or one whose angles do not follow from the
            directions of its bones.
    """
    _check_planar(skeleton)
    bones, angles = _bones(skeleton), np.flatnonzero(skeleton.is_angle())
    matrix = np.array([bone.turn.row[angles] for bone in bones]).reshape(len(bones), len(angles))
    _check_identifiable(skeleton, matrix, angles)
    middle = np.where(skeleton.is_angle(), middle_of_bounds(skeleton), 0.0)
    directions = [bone.turn.row @ middle + bone.turn.rest for bone in bones]
    references = np.array([-1 if b.reference is None else b.reference for b in bones], dtype=int)
    # Which deviations add up to the direction of a bone in the world.
    sums, rests, relative = np.eye(len(bones)), np.array(directions), matrix.copy()
    for i, reference in enumerate(references):
        if reference >= 0:
            sums[i] += sums[reference]
            rests[i] -= directions[reference]
            relative[i] -= matrix[reference]
    solution = np.zeros((skeleton.num_parameters, len(bones)))
    solution[angles] = np.linalg.pinv(matrix) @ sums
    return PlanarBones(
        np.array([bone.parent for bone in bones], dtype=int),
        np.array([bone.child for bone in bones], dtype=int),
        references,
        rests,
        middle,
        solution,
        len(bones) == len(angles),
        _spans(skeleton, relative, angles),
    )


def _spans(skeleton: Skeleton, rows: Array, angles: Array) -> Array:
    """Return how far angles within the bounds turn from their middle what ``rows`` make of them."""
    lower, upper = skeleton.bounds()
    half = (upper - lower)[angles] / 2
    free = ~np.isfinite(half)
    spans = np.abs(rows) @ np.where(free, 0.0, half)
    return np.where((rows[:, free] != 0).any(axis=1), np.inf, spans)


def _deviations(bones: PlanarBones, joints: Array) -> Array:
    """Return by how much the bones deviate from their rests, shape (B, n), radians."""
    directions = np.zeros((len(joints), len(bones.rests)))
    deviations = np.zeros_like(directions)
    for i, (parent, child) in enumerate(zip(bones.parents, bones.children)):
        expected = bones.rests[i]
        if bones.references[i] >= 0:
            expected = expected + directions[:, bones.references[i]]
        x, y = (joints[:, child] - joints[:, parent]).T
        known = (x != 0) | (y != 0)
        deviations[:, i] = np.where(known, _wrapped(np.arctan2(y, x) - expected), 0.0)
        directions[:, i] = expected + deviations[:, i]
    return deviations


def _wrapped(angle: Array) -> Array:
    """Return angles in radians brought into (-pi, pi]."""
    return math.pi - np.mod(math.pi - angle, 2 * math.pi)


def _bones(skeleton: Skeleton) -> List[_Bone]:
    """Return the visible bones that have a length, every bone after the one it hangs on."""
    turns = _turns(skeleton)
    place = {name: i for i, name in enumerate(skeleton.joint_names)}
    parents = {child: parent for parent, child in skeleton.bones}
    reached = {skeleton.root.name: None}
    bones = []
    for index in skeleton.topological_order:
        name = skeleton.joints[index].name
        if name not in parents:
            continue
        turn = _bone_turn(skeleton, turns, parents[name], name)
        reached[name] = reached[parents[name]]
        if turn is not None:
            bones.append(_Bone(place[parents[name]], place[name], turn, reached[name]))
            reached[name] = len(bones) - 1
    return bones


def _turns(skeleton: Skeleton) -> dict:
    """Return the world rotation of each joint's own frame by name."""
    column = {name: i for i, name in enumerate(skeleton.parameter_names)}
    turns = {}
    for index in skeleton.topological_order:
        joint = skeleton.joints[index]
        row, rest = np.zeros(skeleton.num_parameters), 0.0
        if joint.parent is not None:
            row, rest = turns[joint.parent].row.copy(), turns[joint.parent].rest
        for rotation in joint.rotations:
            rest += rotation.rest
            if rotation.parameter is not None:
                row[column[rotation.parameter]] += rotation.coefficient
        turns[joint.name] = _Turn(row, rest)
    return turns


def _bone_turn(skeleton: Skeleton, turns: dict, ancestor: str, child: str) -> Optional[_Turn]:
    """Return the direction of a bone, ``None`` if its length is 0.

    With hidden joints on the way the bone is a sum of offsets. It has a direction that is linear
    in the motion only if the same parameters turn all of them.
    """
    bone, first = 0j, None
    joint = skeleton.joint(child)
    while joint.name != ancestor:
        turn = turns[joint.parent]
        offset = complex(*joint.offset)
        if offset != 0:
            first = first or turn
            if not np.array_equal(turn.row, first.row):
                raise MotionError(
                    f"skeleton '{skeleton.name}': hidden joints bend the bone from '{ancestor}' "
                    f"to '{child}', its angles do not follow from joints"
                )
            bone += offset * cmath.exp(1j * (turn.rest - first.rest))
        joint = skeleton.joint(joint.parent)
    if bone == 0:
        return None
    return _Turn(first.row, first.rest + cmath.phase(bone))


def middle_of_bounds(skeleton: Skeleton) -> Array:
    """Return the middle of the bounds, shape (P,); with a bound missing, the value nearest to 0."""
    lower, upper = skeleton.bounds()
    bounded = np.isfinite(lower) & np.isfinite(upper)
    middle = np.clip(np.zeros_like(lower), lower, upper)
    middle[bounded] = (lower[bounded] + upper[bounded]) / 2
    return middle


def _check_planar(skeleton: Skeleton) -> None:
    if skeleton.dim != 2:
        raise MotionError(
            f"skeleton '{skeleton.name}' has {skeleton.dim} dimensions, angles follow from joints "
            "in 2 only; fit the model to the joints instead"
        )
    for parameter in skeleton.parameters:
        if parameter.unit == "length" and parameter.name not in skeleton.position:
            raise MotionError(
                f"skeleton '{skeleton.name}': nothing depends on the length '{parameter.name}'"
            )


def _check_identifiable(skeleton: Skeleton, matrix: Array, angles: Array) -> None:
    # The projector onto the rows has 1 on its diagonal where a parameter follows from them.
    determined = np.diag(np.linalg.pinv(matrix) @ matrix) > 1 - 1e-9
    if not determined.all():
        name = skeleton.parameter_names[angles[np.argmin(determined)]]
        raise MotionError(
            f"skeleton '{skeleton.name}': the directions of the bones do not determine "
            f"the parameter '{name}'"
        )


def _checked_joints(skeleton: Skeleton, joints) -> Array:
    joints = np.asarray(joints, dtype=np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (skeleton.num_joints, 2):
        raise MotionError(
            f"joints have shape {joints.shape}, expected (B, {skeleton.num_joints}, 2) "
            f"for skeleton '{skeleton.name}'"
        )
    if not np.isfinite(joints).all():
        pose, joint, _ = np.argwhere(~np.isfinite(joints))[0]
        raise MotionError(f"joints[{pose}, {joint}] is {joints[pose, joint]}, expected finite")
    return joints
