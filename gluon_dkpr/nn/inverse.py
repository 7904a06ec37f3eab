"""Analytic inverse kinematics in a network: from points to the angles of a skeleton.

A convolutional network finds points in an image more easily than angles, which are nested and
meaningless where much is uncertain. So the kinematic head may be given points, those of direct
joint, and a few directions more, and computes the motion from them in closed form. The kinematic
layer makes the joints of that motion, so that bones are exact whatever the points are.
"""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import Part, PoseStatistics
from gluon_dkpr.nn.inverse_maps import inverse_constants
from gluon_dkpr.nn.linear import linear
from gluon_dkpr.nn.motion import direction_angle
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Tensor

# Vectors shorter than this have no direction; squared, inside square roots.
TINY = 1e-8


class InverseKinematics(mx.gluon.HybridBlock):
    """Motion (B, P) from outputs z (B, ``num_inputs``), in closed form.

    The first J * D numbers are joints, ``mean + std * z``. The axes of the parts follow from them
    and, where joints do not tell (the twist of an upper arm, the front of the pelvis), from
    directions that are the next outputs. Made perpendicular, they are orientations; the angles
    follow from the orientation of a part relative to the one above it. Parameters that are no
    angles come last, ``mean + std * z``.

    Args:
        skeleton: the object, in the unit of the network.
        parts: its parts, of :func:`gluon_dkpr.geometry.skeleton_parts`, told by joints one and all.
        statistics: of the training poses in that unit; without them z passes unscaled.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        parts: Tuple[Part, ...],
        statistics: Optional[PoseStatistics] = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        constants = inverse_constants(skeleton, parts, statistics)
        self._joints, self._parts = skeleton.num_joints, len(parts)
        self._points = constants["points"].shape[1]
        self._parameters = skeleton.num_parameters
        self._others = constants["moved"].shape[1] if "moved" in constants else 0
        with self.name_scope():
            for name, value in constants.items():
                array = np.asarray(value, dtype=np.float32)
                setattr(self, name, self.params.get_constant(name, array))

    @property
    def num_inputs(self) -> int:
        """Length of z."""
        return self._points + self._others

    def hybrid_forward(
        self, F, z, mean, std, points, start, basis, world, before, above, sine, cosine, beside,
        middle, turn, zero, moved=None
    ):  # fmt: skip
        """Return motion (B, P) and the joints (B, J, 3) that z tells of, the guide."""
        count = self._parts
        joints = F.slice_axis(z, axis=1, begin=0, end=3 * self._joints)
        joints = F.broadcast_add(F.broadcast_mul(joints, std), mean)
        known = joints
        if self._points > 3 * self._joints:
            hints = F.slice_axis(z, axis=1, begin=3 * self._joints, end=self._points)
            known = F.concat(joints, hints, dim=1)
        axes = F.reshape(linear(F, known, points, 6 * count, start), shape=(-1, count, 2, 3))
        own = _orientations(F, axes, basis, count)
        # Of each part the orientation of what it is on; the world's comes last in the list.
        unturned = F.slice_axis(F.zeros_like(own), axis=1, begin=0, end=1)
        unturned = F.broadcast_add(unturned, world)
        everything = F.reshape(F.concat(own, unturned, dim=1), shape=(0, 0, 9))
        below = linear(F, F.transpose(everything, axes=(0, 2, 1)), above, count)  # (B, 9, n)
        below = F.reshape(F.transpose(below, axes=(0, 2, 1)), shape=(-1, 3, 3))
        turned = F.broadcast_add(F.zeros_like(own), before)
        below = F.batch_dot(below, F.reshape(turned, shape=(-1, 3, 3)))
        relative = F.batch_dot(below, F.reshape(own, shape=(-1, 3, 3)), transpose_a=True)
        flat = F.reshape(relative, shape=(-1, 9 * count))
        # Not ``linear``: several operators take these.
        x, across, y = F.dot(flat, cosine), F.dot(flat, beside), F.dot(flat, sine)
        length = F.sqrt(F.square(x) + F.square(across) + TINY)
        x = F.broadcast_mul(length - x, middle) + x
        angle = direction_angle(F, x, y)
        motion = linear(F, angle, turn, self._parameters, zero)
        if moved is not None:
            rest = F.slice_axis(z, axis=1, begin=self._points, end=self.num_inputs)
            motion = motion + linear(F, rest, moved, self._parameters)
        return motion, F.reshape(joints, shape=(-1, self._joints, 3))


def _orientations(F, axes: Tensor, basis: Tensor, count: int) -> Tensor:
    """Return orthogonal matrices (B, n, 3, 3) from two axes of each part (B, n, 2, 3).

    ``basis`` (1, n, 3, 3) has as rows the part's own first and second axis and their cross product;
    a matrix takes vectors of the part's frame to the world.
    """
    first = _unit(F, F.slice_axis(axes, axis=2, begin=0, end=1))
    second = F.slice_axis(axes, axis=2, begin=1, end=2)
    along = F.sum(first * second, axis=3, keepdims=True)
    second = _unit(F, second - F.broadcast_mul(first, along))
    third = _turned(F, first, 1) * _turned(F, second, 2)
    third = third - _turned(F, first, 2) * _turned(F, second, 1)
    rows = F.concat(first, second, third, dim=2)
    own = F.broadcast_add(F.zeros_like(rows), basis)
    flat = F.batch_dot(
        F.reshape(rows, shape=(-1, 3, 3)), F.reshape(own, shape=(-1, 3, 3)), transpose_a=True
    )
    return F.reshape(flat, shape=(-1, count, 3, 3))


def _unit(F, vectors: Tensor) -> Tensor:
    return F.broadcast_div(vectors, F.sqrt(F.sum(F.square(vectors), axis=3, keepdims=True) + TINY))


def _turned(F, vectors: Tensor, by: int) -> Tensor:
    """Return vectors (..., 3) with their coordinates moved round."""
    end = F.slice_axis(vectors, axis=3, begin=by, end=3)
    return F.concat(end, F.slice_axis(vectors, axis=3, begin=0, end=by), dim=3)
