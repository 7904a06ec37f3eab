"""Analytic inverse kinematics in a network, in the plane: from joints to angles by trigonometry."""

from __future__ import annotations

from typing import Dict, Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    MotionError,
    PlanarBones,
    PoseStatistics,
    planar_bones,
)
from gluon_dkpr.nn.bone_lengths import LengthProjection, bone_vectors
from gluon_dkpr.nn.linear import linear
from gluon_dkpr.nn.motion import direction_angle
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


class PlanarInverse(mx.gluon.HybridBlock):
    """Motion (B, P) from outputs z (B, ``num_inputs``), the inverse of the kinematic layer.

    z are joints, ``mean + std * z``. :class:`~gluon_dkpr.nn.bone_lengths.LengthProjection` brings
    them near to the bones' lengths, so that the kinematic layer's joints come near to all of them;
    directions alone would leave the errors of the lengths to add up along the bones. Then as in
    :func:`gluon_dkpr.geometry.angles_from_joints`: the position is the root joint, and of every
    bone the angle to the bone that it hangs on is taken, as the deviation from its middle;
    deviations become angles by least squares.

    Args:
        skeleton: the object, in the unit of the network.
        bones: from :func:`told_by_bones`.
        statistics: of the training poses in that unit; without them z passes unscaled.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        bones: PlanarBones,
        statistics: Optional[PoseStatistics] = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._joints, self._bones = skeleton.num_joints, len(bones.rests)
        self._parameters = skeleton.num_parameters
        with self.name_scope():
            self.lengths = LengthProjection(skeleton, prefix="lengths_")
            for name, value in _constants(skeleton, bones, statistics).items():
                array = np.asarray(value, dtype=np.float32)
                setattr(self, name, self.params.get_constant(name, array))

    @property
    def num_inputs(self) -> int:
        """Length of z: J * 2."""
        return 2 * self._joints

    def hybrid_forward(
        self, F, z, mean, std, bones, above, world, quarter, pairs, turn, place, middle
    ):
        """Return motion (B, P) and the joints (B, J, 2) that z tells of, the guide."""
        guide = F.broadcast_add(F.broadcast_mul(z, std), mean)
        joints = self.lengths(guide)
        own = linear(F, joints, bones, 2 * self._bones)
        # Where they would point if nothing were bent, and a quarter turn further.
        rest = linear(F, joints, above, 2 * self._bones, world)
        beside = linear(F, rest, quarter, 2 * self._bones)
        # Not ``linear``: several operators take these.
        x, y = F.dot(own * rest, pairs), F.dot(own * beside, pairs)
        motion = linear(F, direction_angle(F, x, y), turn, self._parameters)
        motion = motion + linear(F, joints, place, self._parameters, middle)
        return motion, F.reshape(guide, shape=(-1, self._joints, 2))


def told_by_bones(skeleton: Skeleton) -> Optional[PlanarBones]:
    """Return the bones of a planar skeleton, or ``None`` where :class:`PlanarInverse` must not be.

    That is where the angles do not follow from joints, and where a bone may turn by more than half
    a turn either way while more bones than angles tell how: one of them jumps before the others.
    """
    try:
        bones = planar_bones(skeleton)
    except MotionError:
        return None
    if skeleton.root.hidden or not len(bones.rests):
        return None
    if not bones.determined and (bones.spans >= np.pi).any():
        return None
    return bones


def _constants(
    skeleton: Skeleton, bones: PlanarBones, statistics: Optional[PoseStatistics]
) -> Dict[str, Array]:
    """Return the constants by their names; of bones first all x, then all y."""
    count, joints = len(bones.rests), skeleton.num_joints
    own = bone_vectors(joints, bones.parents, bones.children)
    above = np.zeros_like(own)
    world = np.zeros((2, count))
    for i, (reference, rest) in enumerate(zip(bones.references, bones.rests)):
        cos, sin = np.cos(rest), np.sin(rest)
        if reference >= 0:
            above[..., i] = own[..., reference] @ np.array([[cos, sin], [-sin, cos]])
        else:
            world[:, i] = cos, sin
    eye, root = np.eye(count), skeleton.joint_names.index(skeleton.root.name)
    place = np.zeros((joints, 2, skeleton.num_parameters))
    middle = bones.middle.copy()
    for axis, name in enumerate(skeleton.position):
        column = skeleton.parameter_names.index(name)
        place[root, axis, column] = 1.0
        middle[column] = -skeleton.root.offset[axis]
    known = statistics is not None
    return {
        "mean": (statistics.joints_mean if known else np.zeros((joints, 2))).reshape(1, -1),
        "std": (statistics.joints_std if known else np.ones((joints, 2))).reshape(1, -1),
        "bones": own.reshape(2 * joints, 2 * count).T,
        "above": above.reshape(2 * joints, 2 * count).T,
        "world": world.reshape(-1),
        "quarter": np.kron([[0.0, -1.0], [1.0, 0.0]], eye),
        "pairs": np.concatenate([eye, eye]),
        "turn": bones.solution,
        "place": place.reshape(2 * joints, -1).T,
        "middle": middle,
    }
