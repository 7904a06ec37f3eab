"""A skeleton as the kinematic layer sees it: turns, and bones carried by turns. NumPy only.

A *turn* is one rotation by a motion parameter. Constant rotations (rest angles, rotations without a
parameter) are folded into constant quaternions, so that the turns alone form a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from gluon_dkpr.nn import quaternion
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


@dataclass(frozen=True)
class Turn:
    """One rotation by a motion parameter.

    Attributes:
        parent: index of the turn before it on the way from the root, or ``None``.
        depth: number of turns before it.
        angle: row of shape (P,), the turn's angle in radians as a linear form of the motion.
        basis: (4, 2), its quaternion, all constant rotations since its parent included, is
            ``basis @ (cos(angle / 2), sin(angle / 2))``.
    """

    parent: Optional[int]
    depth: int
    angle: Array
    basis: Array


@dataclass(frozen=True)
class Bone:
    """A rest vector (3,) in the frame after ``turn`` (``None``: the world)."""

    turn: Optional[int]
    vector: Array


@dataclass(frozen=True)
class Topology:
    """All turns, parents first; the bones of nonzero length; which bones lead to which output.

    ``paths`` is (J, number of bones), 1 where the bone is on the way from the root to the joint.
    """

    turns: Tuple[Turn, ...]
    bones: Tuple[Bone, ...]
    paths: Array

    def ancestor(self, turn: int, depth: int) -> int:
        """Return the turn at ``depth`` on the way from the root to ``turn``."""
        while self.turns[turn].depth > depth:
            turn = self.turns[turn].parent
        return turn


def build_topology(skeleton: Skeleton) -> Topology:
    """Fold constant rotations and list the turns and bones of a skeleton."""
    turns: List[Turn] = []
    frames = {}  # joint name -> (last turn, constant quaternion after it)
    bones: List[Bone] = []
    on_path = {}
    for index in skeleton.topological_order:
        joint = skeleton.joints[index]
        turn, constant = frames.get(joint.parent, (None, np.array([1.0, 0, 0, 0])))
        if joint.parent is not None:
            on_path[joint.name] = list(on_path[joint.parent])
            if any(joint.offset):
                vector = np.zeros(3)
                vector[: skeleton.dim] = joint.offset
                vector = quaternion.to_matrix(constant) @ vector
                on_path[joint.name].append(len(bones))
                bones.append(Bone(turn, vector))
        else:
            on_path[joint.name] = []
        for rotation in joint.rotations:
            if rotation.parameter is None or rotation.coefficient == 0.0:
                rest = quaternion.from_axis_angle(rotation.axis, rotation.rest)
                constant = quaternion.multiply(constant, rest)
            else:
                turns.append(_turn(skeleton, rotation, turn, turns, constant))
                turn, constant = len(turns) - 1, np.array([1.0, 0, 0, 0])
        frames[joint.name] = (turn, constant)
    paths = np.zeros((skeleton.num_joints, len(bones)))
    for row, name in enumerate(skeleton.joint_names):
        paths[row, on_path[name]] = 1.0
    return Topology(tuple(turns), tuple(bones), paths)


def _turn(skeleton, rotation, parent, turns, constant) -> Turn:
    angle = np.zeros(skeleton.num_parameters)
    angle[skeleton.parameter_names.index(rotation.parameter)] = rotation.coefficient
    # A rotation by angle + rest about one axis is the product of the two.
    rest = quaternion.from_axis_angle(rotation.axis, rotation.rest)
    half_turn = quaternion.from_axis_angle(rotation.axis, np.pi)
    half_turn[0] = 0.0  # cos(pi / 2) to the last bit
    before = quaternion.left_matrix(constant)
    basis = np.stack([before @ rest, before @ quaternion.multiply(half_turn, rest)], axis=1)
    return Turn(parent, 0 if parent is None else turns[parent].depth + 1, angle, basis)
