"""Which directions of a skeleton's parts joints tell of, and whether they tell of enough."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.geometry import Part, part_levers, skeleton_parts
from gluon_dkpr.geometry.parts import LEAST_SHARE, NO_LEVER, bone_levers
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# Bones that lean on an axis by less than this share of the longest do not tell where it points.
LEAST_LEVER = 0.05
# Bones that are a smaller share of the skeleton's longest do not tell what hangs on them.
LEAST_BONE = 1e-3


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
    lengths = np.linalg.norm(bone_levers(skeleton, levers), axis=0)
    moves, carries = list(lengths.any(axis=1)), [False] * len(parts)
    for i in reversed(range(len(parts))):
        if moves[i] and parts[i].parent is not None:
            moves[parts[i].parent] = carries[parts[i].parent] = True
    if not any(moves):
        return None
    for i, frame in enumerate(part_frames(skeleton, parts, levers)):
        unknown = [axis for axis, known in zip(frame.order, frame.known) if not known]
        missed = (lengths[i, unknown] > NO_LEVER * lengths[i].max()).any()
        short = carries[i] and lengths[i].max() < LEAST_BONE * skeleton.bone_lengths.max()
        if moves[i] and (missed or short or not frame.seen[0]):
            return None
    return parts


def part_frames(skeleton: Skeleton, parts: Tuple[Part, ...], levers: Array) -> List[Frame]:
    """Return which axes of the parts tell their orientation.

    The first is the one along the bones, the second one that other bones of the part lean on, else
    one that the hinge below swings its bones along, else the next one.

    Args:
        skeleton: the object.
        parts: from :func:`gluon_dkpr.geometry.skeleton_parts`.
        levers: from :func:`gluon_dkpr.geometry.part_levers`.
    """
    frames = []
    bones = bone_levers(skeleton, levers)
    everywhere = _known(levers, bones)
    for index, part in enumerate(parts):
        lever, length = (
            np.abs(levers[:, index]).sum(axis=0),
            np.linalg.norm(bones[:, index], axis=0),
        )
        known = everywhere[index]
        seen = known & (length > LEAST_LEVER * length.max())
        below = [other for other in parts if other.parent == index]
        best = sorted(range(3), key=lambda axis: (seen[axis], lever[axis]), reverse=True)
        first, rest = best[0], sorted(best[1:])
        hinge = next((p.rotations[0].axis for p in below if len(p.rotations) == 1), None)
        if seen[rest].any():
            second = best[1]
        elif hinge is not None:
            second = min(rest, key=lambda axis: abs(part.frame[axis] @ np.array(hinge)))
        else:
            second = rest[0]
        order = (first, second, 3 - first - second)
        hinted = not seen[second] and (len(part.rotations) > 1 or bool(below))
        told = (tuple(bool(mask[axis]) for axis in order) for mask in (known, seen))
        frames.append(Frame(order, *told, hinted))
    return frames


def _known(levers: Array, bones: Array) -> Array:
    """Return which axes joints tell of, (parts, 3): as many as can be told apart, longest first.

    Args:
        levers: of the joints.
        bones: of these, from :func:`gluon_dkpr.geometry.parts.bone_levers`.
    """
    lengths = np.abs(levers).sum(axis=0)
    rank = np.argsort(np.argsort(-lengths, axis=1), axis=1)
    known = np.zeros(lengths.shape, dtype=bool)
    sizes = np.linalg.norm(bones, axis=0)
    apart: List[Array] = []
    # The axis along the bones of each part, then the second axes, then the third ones.
    for part, axis in sorted(np.ndindex(lengths.shape), key=lambda place: rank[place]):
        if sizes[part, axis] <= NO_LEVER * sizes[part].max():
            continue
        column = bones[:, part, axis] / sizes[part, axis]
        for _ in range(2):  # the second time for what rounding has left
            column = column - sum((column @ other) * other for other in apart)
        size = np.linalg.norm(column)
        if size > LEAST_SHARE:
            apart.append(column / size)
            known[part, axis] = True
    return known
