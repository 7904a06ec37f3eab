"""What a set of motions tells about the scale of a network's outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np

from gluon_dkpr.geometry.kinematics import MotionError, forward_kinematics, kinematic_jacobian
from gluon_dkpr.geometry.parts import part_axes, skeleton_parts
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# Directions in which the joints hardly move (the roll of a straight limb) are not blown up further
# than this, relative to the direction that moves them most.
SMALLEST_EIGENVALUE = 1e-5
# More poses do not change the mean of J^T J in its third digit.
MAX_POSES = 2000


@dataclass(frozen=True)
class PoseStatistics:
    """Constants that bring every output of a network to zero mean and unit scale.

    Attributes:
        joints_mean, joints_std: of every coordinate, shape (J, D).
        motion_mean, motion_std: of every parameter, shape (P,).
        motion_direction: mean of cosine and sine of every parameter, shape (P, 2).
        motion_map: W of shape (P, P). With ``motion = motion_mean + W z`` a step of z moves the
            joints equally far in every direction of z, on average over the poses. Rows and columns
            of the angles of :func:`orientation_parameters` are 0.
        axes_mean, axes_std: of the axes of the parts, :func:`part_axes`, (parts, 3, 3); ``None``
            where :func:`skeleton_parts` finds none.
        axes_cosine: mean cosine between the axes of the part above (rows) and a part's own, (parts,
            3, 3); likewise.
    """

    joints_mean: Array
    joints_std: Array
    motion_mean: Array
    motion_std: Array
    motion_direction: Array
    motion_map: Array
    axes_mean: Optional[Array] = None
    axes_std: Optional[Array] = None
    axes_cosine: Optional[Array] = None


def orientation_parameters(skeleton: Skeleton) -> Array:
    """Return which parameters are the object's global orientation and may go round: bool, (P,).

    No continuous function from images to angles does. They are those whose bounds, if they have
    any, are a whole turn apart.
    """
    counts = {}
    for joint in skeleton.joints:
        for rotation in joint.rotations:
            counts.setdefault(rotation.parameter, set()).add(joint.name)
    lower, upper = skeleton.bounds()
    free = (upper - lower > 2 * np.pi - 1e-6) & skeleton.is_angle()
    of_root = [counts.get(name) == {skeleton.root.name} for name in skeleton.parameter_names]
    return free & np.array(of_root, dtype=bool)


def pose_statistics(skeleton: Skeleton, motion: Array) -> PoseStatistics:
    """Measure typical motions.

    ``W = c * (mean of J^T J)^(-1/2)`` with ``J = d joints / d motion``; c gives joints of unit
    normal z the total variance that the joints of these motions have. Proximal angles move every
    joint, distal ones a few: without W the loss is badly conditioned in the network's outputs.

    Args:
        skeleton: the object, in the unit of the network.
        motion: typical motions, shape (N, P) with N at least 2, in the same unit.

    Raises:
        MotionError: for a wrong shape or fewer than 2 motions.
    """
    motion = np.asarray(motion, dtype=np.float64)
    joints = forward_kinematics(skeleton, motion)
    if len(motion) < 2:
        raise MotionError(f"{len(motion)} motions, expected at least 2 to measure their spread")
    stride = -(-len(motion) // MAX_POSES)
    jacobian = kinematic_jacobian(skeleton, motion[::stride]).reshape(-1, skeleton.num_parameters)
    shape = ~orientation_parameters(skeleton)
    jacobian = jacobian[:, shape]
    gram = jacobian.T @ jacobian * (stride / len(motion))
    values, vectors = np.linalg.eigh(gram)
    # 1 where no parameter moves a visible joint.
    values = np.maximum(values, SMALLEST_EIGENVALUE * (values.max(initial=0.0) or 1.0))
    inverse_root = vectors / np.sqrt(values) @ vectors.T
    variance = forward_kinematics(skeleton, np.where(shape, motion, 0.0)).var(axis=0).sum()
    motion_map = np.zeros((skeleton.num_parameters, skeleton.num_parameters))
    motion_map[np.ix_(shape, shape)] = np.sqrt(variance / max(1, shape.sum())) * inverse_root
    return PoseStatistics(
        joints_mean=joints.mean(axis=0),
        joints_std=_nonzero(joints.std(axis=0)),
        motion_mean=motion.mean(axis=0),
        motion_std=_nonzero(motion.std(axis=0)),
        motion_direction=np.stack([np.cos(motion).mean(0), np.sin(motion).mean(0)], axis=1),
        motion_map=motion_map,
        **_axes(skeleton, motion[::stride]),
    )


def _axes(skeleton: Skeleton, motion: Array) -> Dict[str, Array]:
    """Return the mean and the spread of the parts' axes, if there are parts."""
    parts = skeleton_parts(skeleton)
    if parts is None:
        return {}
    axes = part_axes(skeleton, parts, motion)
    above = np.stack(
        [
            np.broadcast_to(np.eye(3), axes[:, 0].shape) if p.parent is None else axes[:, p.parent]
            for p in parts
        ],
        axis=1,
    )
    cosine = np.einsum("npkx,npmx->pkm", above, axes) / len(motion)
    return {"axes_mean": axes.mean(0), "axes_std": axes.std(0), "axes_cosine": cosine}


def sample_within_bounds(skeleton: Skeleton, count: int, seed: int = 0) -> Array:
    """Return random motions, shape (count, P), for a skeleton of which no data is at hand.

    Uniform within the bounds. An angle without bounds lies within 60 degrees of zero, a length
    without bounds is zero.
    """
    limit = np.where(skeleton.is_angle(), np.pi / 3, 0.0)
    lower, upper = skeleton.bounds()
    lower = np.where(np.isfinite(lower), lower, np.minimum(-limit, upper))
    upper = np.where(np.isfinite(upper), upper, np.maximum(limit, lower))
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.uniform(lower, upper, size=(count, skeleton.num_parameters))


def _nonzero(std: Array) -> Array:
    """Return the deviations with 1 in place of 0: what never changes needs no scale."""
    return np.where(std > 1e-12 * std.max(initial=0.0), std, 1.0)
