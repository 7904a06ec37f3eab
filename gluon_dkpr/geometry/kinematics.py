"""Forward kinematics and its Jacobian in NumPy: the oracle of the kinematic layer.

Plain loops over the joints in float64, obviously right rather than fast. Conventions: see
``gluon_dkpr.skeleton.skeleton``.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


class MotionError(DkprError, ValueError):
    """Motion, joints or scale have the wrong shape or hold a number that is not finite."""


def rotation_matrix(axis, angle: Array) -> Array:
    """Return rotations about a unit axis (Rodrigues' formula).

    Args:
        axis: unit 3-vector.
        angle: shape (B,), radians.

    Returns:
        Matrices of shape (B, 3, 3) that take a vector of the turned frame to the outer frame.
    """
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=float)
    sin = np.sin(angle)[:, None, None]
    versine = (1 - np.cos(angle))[:, None, None]
    return np.eye(3) + sin * cross + versine * (cross @ cross)


def forward_kinematics(skeleton: Skeleton, motion: Array, scale: Optional[Array] = None) -> Array:
    """Return the joints of each pose (Eq. 2).

    Args:
        skeleton: the object.
        motion: motion parameters, shape (B, P), radians and the skeleton's length unit.
        scale: factor of the bones of each pose, shape (B,); 1 if not given.

    Returns:
        Visible joints in the world frame, shape (B, J, D), in the skeleton's length unit.

    Raises:
        MotionError: for a wrong shape.
    """
    motion, scale = _checked(skeleton, motion, scale)
    positions, _ = _world_frames(skeleton, motion, scale)
    return positions[:, _visible(skeleton), : skeleton.dim]


def kinematic_jacobian(skeleton: Skeleton, motion: Array, scale: Optional[Array] = None) -> Array:
    """Return the derivative of every joint coordinate by every parameter.

    A rotation by angle a about the world axis n through the point c moves a point p below it by
    ``dp/da = n x (p - c)``; parameters that turn several joints add up.

    Args: as :func:`forward_kinematics`.

    Returns:
        Array of shape (B, J, D, P).
    """
    motion, scale = _checked(skeleton, motion, scale)
    positions, rotations = _world_frames(skeleton, motion, scale)
    column = {name: i for i, name in enumerate(skeleton.parameter_names)}
    jacobian = np.zeros((len(motion), len(skeleton.joints), 3, skeleton.num_parameters))
    for axis, name in enumerate(skeleton.position):
        jacobian[:, :, axis, column[name]] = 1.0
    for index, joint in enumerate(skeleton.joints):
        below = _descendants(skeleton, index)
        frame = rotations[:, skeleton.joint_index(joint.parent)] if joint.parent else np.eye(3)
        for rotation in joint.rotations:
            world_axis = frame @ np.array(rotation.axis)
            if rotation.parameter is not None:
                arm = positions[:, below] - positions[:, index, None]
                axis = np.broadcast_to(world_axis, (len(motion), 3))[:, None]
                turned = rotation.coefficient * np.cross(axis, arm)
                by_parameter = jacobian[..., column[rotation.parameter]]
                by_parameter[:, below] += turned
            frame = frame @ rotation_matrix(rotation.axis, _angle(skeleton, rotation, motion))
    return jacobian[:, _visible(skeleton), : skeleton.dim]


def world_rotations(skeleton: Skeleton, motion: Array) -> Array:
    """Return the world rotations G of all N joints, hidden ones too, shape (B, N, 3, 3).

    Args, raises: as :func:`forward_kinematics`.
    """
    motion, scale = _checked(skeleton, motion, None)
    return _world_frames(skeleton, motion, scale)[1]


def _world_frames(skeleton: Skeleton, motion: Array, scale: Array) -> Tuple[Array, Array]:
    """Return positions (B, N, 3) and rotations (B, N, 3, 3) of all N joints, hidden ones too."""
    column = {name: i for i, name in enumerate(skeleton.parameter_names)}
    count = len(skeleton.joints)
    positions = np.zeros((len(motion), count, 3))
    rotations = np.zeros((len(motion), count, 3, 3))
    for index in skeleton.topological_order:
        joint = skeleton.joints[index]
        offset = np.zeros(3)
        offset[: skeleton.dim] = joint.offset
        if joint.parent is None:
            positions[:, index] = offset
            for axis, name in enumerate(skeleton.position):
                positions[:, index, axis] += motion[:, column[name]]
            rotations[:, index] = np.eye(3)
        else:
            parent = skeleton.joint_index(joint.parent)
            bone = rotations[:, parent] @ offset
            positions[:, index] = positions[:, parent] + scale[:, None] * bone
            rotations[:, index] = rotations[:, parent]
        for rotation in joint.rotations:
            angle = _angle(skeleton, rotation, motion)
            rotations[:, index] = rotations[:, index] @ rotation_matrix(rotation.axis, angle)
    return positions, rotations


def _angle(skeleton: Skeleton, rotation, motion: Array) -> Array:
    if rotation.parameter is None:
        return np.full(len(motion), rotation.rest)
    values = motion[:, skeleton.parameter_names.index(rotation.parameter)]
    return rotation.coefficient * values + rotation.rest


def _descendants(skeleton: Skeleton, index: int):
    """Return the indices of all joints strictly below the joint at ``index``."""
    below = {index}
    for i in skeleton.topological_order:
        parent = skeleton.joints[i].parent
        if parent is not None and skeleton.joint_index(parent) in below:
            below.add(i)
    return sorted(below - {index})


def _visible(skeleton: Skeleton):
    return [i for i, joint in enumerate(skeleton.joints) if not joint.hidden]


def _checked(skeleton: Skeleton, motion, scale) -> Tuple[Array, Array]:
    motion = np.asarray(motion, dtype=np.float64)
    if motion.ndim != 2 or motion.shape[1] != skeleton.num_parameters:
        raise MotionError(
            f"motion has shape {motion.shape}, expected (B, {skeleton.num_parameters}) "
            f"for skeleton '{skeleton.name}'"
        )
    scale = np.ones(len(motion)) if scale is None else np.asarray(scale, dtype=np.float64)
    if scale.shape != (len(motion),):
        raise MotionError(f"scale has shape {scale.shape}, expected ({len(motion)},)")
    return motion, scale
