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
        cos, sin = np.cos(angles), np.sin(angles)
        frames = np.empty((len(self.turns), 3, 3, count))
        world = np.broadcast_to(np.eye(3)[:, :, None], (3, 3, count))
        for i, turn in enumerate(self.turns):
            outer = world if turn.parent < 0 else frames[turn.parent]
            x, y, axis = (_combined(column, outer) for column in turn.before.T)
            frames[i, 0] = cos[i] * x + sin[i] * y
            frames[i, 1] = cos[i] * y - sin[i] * x
            frames[i, 2] = axis
        points = np.zeros((len(self.skeleton.joints), 3, count))
        for bone in self.bones:
            outer = world if bone.turn < 0 else frames[bone.turn]
            offset = scale * _combined(bone.offset, outer)
            np.add(points[bone.parent], offset, out=points[bone.joint])
        return frames, points

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


def _combined(numbers: Array, columns: Array) -> Array:
    """Return ``numbers @ columns``, (3, B); most of the numbers are 0.

    Written out instead of a matrix product: BLAS may add up in another order for another number of
    frames, and a frame's result must not depend on its neighbours.
    """
    total = None
    for number, column in zip(numbers, columns):
        if number == 1.0:
            term = column
        elif number != 0.0:
            term = number * column
        else:
            continue
        total = term if total is None else total + term
    return np.zeros_like(columns[0]) if total is None else total


def _frame_with_z(axis: Array) -> Array:
    """Return a rotation matrix whose third column is a unit axis."""
    # For a coordinate axis this is a permutation: exact, and free to multiply with.
    helper = np.eye(3)[(int(np.argmax(np.abs(axis))) + 1) % 3]
    x = helper - axis * axis.dot(helper)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(axis, x), axis], axis=1)
