"""The rigid parts of a skeleton and how they are turned: what an analytic inverse works on."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.geometry.kinematics import rotation_matrix, world_rotations
from gluon_dkpr.skeleton import Rotation, Skeleton
from gluon_dkpr.types import Array

# Axes are perpendicular to within this.
TOLERANCE = 1e-9
# A lever that is a smaller share of the part's longest is none.
NO_LEVER = 1e-6
# Directions whose levers differ by a smaller share are hard to tell from each other.
LEAST_SHARE = 0.05


class Part(NamedTuple):
    """What turns as one: a joint with rotations of its own, and the bones that leave it.

    Attributes:
        joint: index of the joint in ``skeleton.joints``.
        parent: index of the part that it is on, in the tuple of parts; ``None`` for the world.
        before: constant rotation between the parent and the first of the rotations, (3, 3).
        rotations: one to three about perpendicular axes, in order.
        basis: the axes of the rotations, filled up to three, as rows, (3, 3).
        frame: three perpendicular directions that the part's joints tell of one by one, as rows,
            (3, 3): the basis where bones lie along its axes, else along the bones.
    """

    joint: int
    parent: Optional[int]
    before: Array
    rotations: Tuple[Rotation, ...]
    basis: Array
    frame: Array

    @property
    def sign(self) -> float:
        """1 if the axes are right-handed in their order, else -1."""
        return float(np.sign(np.linalg.det(self.basis)))


def skeleton_parts(skeleton: Skeleton) -> Optional[Tuple[Part, ...]]:
    """Return the parts, parents first, or ``None`` where angles do not follow from orientations.

    They do in three dimensions if every angle belongs to one rotation, as it is or with the other
    sign, the rotations of a joint are at most three about perpendicular axes, constant ones come
    first, and the root turns and can be seen.
    """
    if skeleton.dim != 3 or skeleton.root.hidden:
        return None
    if not any(rotation.parameter for rotation in skeleton.root.rotations):
        return None
    turned = [r.parameter for joint in skeleton.joints for r in joint.rotations if r.parameter]
    if len(turned) != len(set(turned)):
        return None
    parts: List[Part] = []
    for index in skeleton.topological_order:
        rotations = list(skeleton.joints[index].rotations)
        before = np.eye(3)
        while rotations and rotations[0].parameter is None:
            first = rotations.pop(0)
            before = before @ rotation_matrix(first.axis, np.array([first.rest]))[0]
        if not rotations:
            if not np.allclose(before, np.eye(3)):
                return None
            continue
        basis = _basis([np.array(rotation.axis) for rotation in rotations])
        proper = all(r.parameter and abs(r.coefficient) == 1 for r in rotations)
        if basis is None or not proper:
            return None
        parent = part_of(skeleton, parts, index)
        parts.append(Part(index, parent, before, tuple(rotations), basis, basis))
    bones = bone_levers(skeleton, part_levers(skeleton, tuple(parts)))
    return tuple(
        part._replace(frame=_along_bones(bones[:, i], part.basis)) for i, part in enumerate(parts)
    )


def part_of(skeleton: Skeleton, parts, index: int) -> Optional[int]:
    """Return the part that holds the bone to a joint, ``None`` for the root.

    Args:
        skeleton: the object.
        parts: from :func:`skeleton_parts`, at least those above the joint.
        index: of the joint in ``skeleton.joints``.
    """
    place = {part.joint: i for i, part in enumerate(parts)}
    parent = skeleton.joints[index].parent
    while parent is not None:
        above = skeleton.joint_index(parent)
        if above in place:
            return place[above]
        parent = skeleton.joints[above].parent
    return None


def part_axes(skeleton: Skeleton, parts: Tuple[Part, ...], motion: Array) -> Array:
    """Return where the axes of the parts point.

    Args:
        skeleton: the object.
        parts: from :func:`skeleton_parts`.
        motion: shape (N, P).

    Returns:
        Shape (N, parts, 3, 3), unit vectors of the world: ``[n, i, k]`` is direction k of the frame
        of part i.
    """
    rotations = world_rotations(skeleton, motion)[:, [part.joint for part in parts]]
    return np.einsum("npxy,pky->npkx", rotations, np.stack([part.frame for part in parts]))


def part_levers(skeleton: Skeleton, parts: Tuple[Part, ...]) -> Array:
    """Return how far the visible joints are out along the directions of the parts' frames.

    Returns:
        Shape (J, parts, 3), in the length unit. ``joint - root`` is the sum of the levers times the
        axes of :func:`part_axes`: joints are linear in the axes.
    """
    levers = np.zeros((len(skeleton.joints), len(parts), 3))
    for index in skeleton.topological_order:
        joint = skeleton.joints[index]
        if joint.parent is None:
            continue
        levers[index] = levers[skeleton.joint_index(joint.parent)]
        part = part_of(skeleton, parts, index)
        if part is not None:
            levers[index, part] += parts[part].frame @ np.array(joint.offset)
    return levers[[i for i, joint in enumerate(skeleton.joints) if not joint.hidden]]


def bone_levers(skeleton: Skeleton, levers: Array) -> Array:
    """Return by how much the levers at the ends of the visible bones differ, (J-1, parts, 3).

    What is told apart by these is told apart by joints, however long the chains are.

    Args:
        skeleton: the object.
        levers: from :func:`part_levers`.
    """
    parent, child = np.reshape(skeleton.bone_indices, (-1, 2)).T
    return levers[child] - levers[parent]


def _along_bones(levers: Array, basis: Array) -> Array:
    """Return directions along which bones lie independently of each other, as rows, (3, 3).

    Args:
        levers: of one part's bones along its basis, (J-1, 3).
        basis: of the part.
    """
    lengths = np.linalg.norm(levers, axis=0)
    own = lengths > NO_LEVER * lengths.max()
    apart = np.linalg.svd(levers[:, own] / lengths[own], compute_uv=False)
    if len(apart) == own.sum() and apart.min(initial=1.0) > LEAST_SHARE:
        return basis
    _, spread, directions = np.linalg.svd(levers)
    rank = np.count_nonzero(spread > NO_LEVER * spread.max(initial=0.0))
    # Signs are left open by the decomposition, and are the same on every machine here.
    turned = directions[np.arange(3), np.abs(directions).round(6).argmax(axis=1)] < 0
    rows = list(np.where(turned, -1.0, 1.0)[:rank, None] * directions[:rank] @ basis)
    # Rounded, so that equal ones keep their order on every machine.
    overlap = np.round(np.square(np.stack(rows) @ basis.T).sum(axis=0), 6)
    for axis in basis[np.argsort(overlap, kind="stable")][: 3 - rank]:
        across = axis - sum((axis @ row) * row for row in rows)
        rows.append(across / np.linalg.norm(across))
    return np.stack(rows)


def _basis(axes: List[Array]) -> Optional[Array]:
    """Return up to three perpendicular axes as the rows of an orthogonal matrix, else ``None``."""
    if len(axes) > 3:
        return None
    rows = list(axes)
    for unit in np.eye(3):
        if len(rows) < 3 and all(abs(unit @ row) < TOLERANCE for row in rows):
            rows.append(unit)
    if len(rows) < 3 or not np.allclose(np.stack(rows) @ np.stack(rows).T, np.eye(3), atol=1e-9):
        return None
    return np.stack(rows)
