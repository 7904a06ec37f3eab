"""A skeleton compiled for the fit: fast forward kinematics over many frames. NumPy only.

Everything is laid out with the frames last: one NumPy call works on one number of every frame, and
a chunk of frames stays in the processor's cache. ``gluon_dkpr.geometry.kinematics`` is the oracle.

Every rotation by a motion parameter is a *turn*. Constant rotations and rest angles are folded into
the constant matrix in front of a turn, which also brings the turn's axis to z: turning a frame then
mixes its first two columns and leaves the third, the axis, as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from gluon_dkpr.geometry import rotation_matrix
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


@dataclass(frozen=True)
class Turn:
    """One rotation by a motion parameter.

    Attributes:
        parent: index of the turn before it on the way from the root, -1 for the world.
        joint: index of the joint that it belongs to.
        column: index of its motion parameter.
        coefficient: radians of the turn per radian of the parameter.
        before: (3, 3), from the frame with the axis along z to the frame after ``parent``.
        axis: (3,), unit axis in the frame of ``parent``.
    """

    parent: int
    joint: int
    column: int
    coefficient: float
    before: Array
    axis: Array


@dataclass(frozen=True)
class Bone:
    """A rest offset (3,) of ``joint`` from ``parent`` in the frame after ``turn`` (-1: world)."""

    joint: int
    parent: int
    turn: int
    offset: Array


@dataclass(frozen=True)
class Pose:
    """World frames of B poses, measured from the root of each.

    Attributes:
        joints: visible joints, (J, 3, B).
        axes: of the turns, (T, 3, B).
        centres: points that the turns turn about, (T, 3, B).
    """

    joints: Array
    axes: Array
    centres: Array


class Tree:
    """The turns and bones of a skeleton, parents first.

    Args:
        skeleton: the object.
        scale: factor of all its bones.

    Attributes:
        turns, bones: see :class:`Turn` and :class:`Bone`; a bone for each joint but the root.
        position: columns of the root's coordinates, ``()`` or ``dim`` of them.
        visible: indices of the visible joints.
        origin: rest position of the root, (3, 1).
        reach: sum of all rest bones, the length that tolerances are relative to; 1 for a point.
    """

    def __init__(self, skeleton: Skeleton, scale: float = 1.0):
        self.skeleton = skeleton
        self.num_parameters = skeleton.num_parameters
        names = {name: i for i, name in enumerate(skeleton.parameter_names)}
        self.position = tuple(names[name] for name in skeleton.position)
        self.visible = [i for i, joint in enumerate(skeleton.joints) if not joint.hidden]
        self.root = skeleton.topological_order[0]
        self.turns, self.bones = _compile(skeleton, names, scale)
        self.origin = np.zeros((3, 1))
        self.origin[: skeleton.dim, 0] = skeleton.root.offset
        self.reach = float(sum(np.linalg.norm(bone.offset) for bone in self.bones)) or 1.0
        self._turn_levels = _turn_levels(self.turns)
        self._bone_levels = _bone_levels(self.bones)
        self._turn_joints = np.array([turn.joint for turn in self.turns], dtype=int)
        self._columns = np.array([turn.column for turn in self.turns], dtype=int)
        self._coefficients = np.array([[turn.coefficient] for turn in self.turns]).reshape(-1, 1)

    def chain(self, turn: int) -> List[int]:
        """Return the turns on the way from the root to ``turn``, itself included."""
        chain = []
        while turn >= 0:
            chain.insert(0, turn)
            turn = self.turns[turn].parent
        return chain

    def last_turns(self) -> List[int]:
        """Return for each joint the last turn that moves it (-1: none)."""
        last = [-1] * len(self.skeleton.joints)
        for bone in self.bones:
            last[bone.joint] = bone.turn
        return last

    def frames(self, motion: Array, scale: Array) -> Tuple[Array, Array]:
        """Return the axes x, y, z of the frame after each turn, (T, 3, 3, B), and all joints.

        The axis of the turn itself is z. Joints are measured from the root, (all joints, 3, B);
        arguments as :meth:`pose`.
        """
        count = motion.shape[1]
        angles = self._coefficients * motion[self._columns]
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        # The last frame is the world's: index -1 is what turns without a parent say.
        frames = np.empty((len(self.turns) + 1, 3, 3, count))
        frames[-1] = np.eye(3)[:, :, None]
        for turns, parents, before in self._turn_levels:
            outer = np.einsum("tck,tcxb->ktxb", before, frames[parents])
            frames[turns, 0] = cos[turns] * outer[0] + sin[turns] * outer[1]
            frames[turns, 1] = cos[turns] * outer[1] - sin[turns] * outer[0]
            frames[turns, 2] = outer[2]
        points = np.zeros((len(self.skeleton.joints), 3, count))
        for joints, parents, turns, offsets in self._bone_levels:
            bones = np.einsum("jc,jcxb->jxb", offsets, frames[turns])
            points[joints] = points[parents] + scale * bones
        return frames[:-1], points

    def pose(self, motion: Array, scale: Array) -> Pose:
        """Return the axes and points of B poses (Eq. 2).

        Args:
            motion: (P, B), radians and the skeleton's length unit.
            scale: (B,), factor of the bones.
        """
        frames, points = self.frames(motion, scale)
        return Pose(points[self.visible], frames[:, 2], points[self._turn_joints])

    def root_position(self, motion: Array) -> Array:
        """Return where the root is, (3, B), from the motion (P, B)."""
        root = np.repeat(self.origin, motion.shape[1], axis=1)
        for axis, column in enumerate(self.position):
            root[axis] += motion[column]
        return root

    def joints(self, motion: Array, scale: Array) -> Array:
        """Return the visible joints in the world, (J, 3, B); arguments as :meth:`pose`."""
        return self.pose(motion, scale).joints + self.root_position(motion)


def _compile(skeleton: Skeleton, names, scale: float) -> Tuple[List[Turn], List[Bone]]:
    turns, bones = [], []
    frames = {None: (-1, np.eye(3))}  # joint name -> (last turn, constant rotation after it)
    for index in skeleton.topological_order:
        joint = skeleton.joints[index]
        last, constant = frames[joint.parent]
        if joint.parent is not None:
            offset = np.zeros(3)
            offset[: skeleton.dim] = joint.offset
            parent = skeleton.joint_index(joint.parent)
            bones.append(Bone(index, parent, last, scale * (constant @ offset)))
        for rotation in joint.rotations:
            constant = constant @ rotation_matrix(rotation.axis, np.array([rotation.rest]))[0]
            if rotation.parameter is None or rotation.coefficient == 0.0:
                continue
            to_z = _frame_with_z(np.array(rotation.axis))
            column, before = names[rotation.parameter], constant @ to_z
            axis = constant @ np.array(rotation.axis)
            turns.append(Turn(last, index, column, rotation.coefficient, before, axis))
            last, constant = len(turns) - 1, to_z.T
        frames[joint.name] = (last, constant)
    return turns, bones


def _turn_levels(turns: List[Turn]):
    """Return turns of equal depth together: their indices, parents and constant rotations."""
    depths = []
    for turn in turns:
        depths.append(0 if turn.parent < 0 else depths[turn.parent] + 1)
    levels = []
    for depth in range(max(depths, default=-1) + 1):
        level = [i for i, other in enumerate(depths) if other == depth]
        parents = np.array([turns[i].parent for i in level])
        levels.append((np.array(level), parents, np.array([turns[i].before for i in level])))
    return levels


def _bone_levels(bones: List[Bone]):
    """Return bones of equal depth together: joints, parents, turns and rest offsets."""
    depths, levels = {}, {}
    for bone in bones:
        depths[bone.joint] = depths.get(bone.parent, 0) + 1
        levels.setdefault(depths[bone.joint], []).append(bone)
    fields = ("joint", "parent", "turn", "offset")
    return [
        tuple(np.array([getattr(bone, field) for bone in level]) for field in fields)
        for level in levels.values()
    ]


def _frame_with_z(axis: Array) -> Array:
    """Return a rotation matrix whose third column is a unit axis."""
    # For a coordinate axis this is a permutation: exact, and free to multiply with.
    helper = np.eye(3)[(int(np.argmax(np.abs(axis))) + 1) % 3]
    x = helper - axis * axis.dot(helper)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(axis, x), axis], axis=1)
