"""The parameter-free endings in which the paper's methods differ (section 3.3).

A head receives the network's last outputs z (B, ``num_inputs``), brings them to scale with constant
statistics of the training poses and returns normalised joints (B, J, D) or motion (B, P). The scale
of the subject (section 3.1), a factor of all bones that is known in training, is an optional second
input of the kinematic head; the other two know no bones.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import PoseStatistics, middle_of_bounds, orientation_parameters
from gluon_dkpr.nn.inverse import InverseKinematics
from gluon_dkpr.nn.inverse_frames import told_by_joints
from gluon_dkpr.nn.kinematic import KinematicLayer
from gluon_dkpr.nn.motion import AffineMotion, TurningMotion
from gluon_dkpr.nn.planar_inverse import PlanarInverse, told_by_bones
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Tensor


class MethodError(DkprError, ValueError):
    """A method is not one of the paper's."""


class Head(mx.gluon.HybridBlock):
    """Base of the heads.

    Args:
        skeleton: the object, in the unit of the network.
        statistics: of the training poses in that unit; without them z passes unscaled.
    """

    def __init__(self, skeleton: Skeleton, statistics: Optional[PoseStatistics] = None, **kwargs):
        super().__init__(**kwargs)
        self._skeleton = skeleton

    def _constant(self, name: str, array):
        setattr(self, name, self.params.get_constant(name, np.asarray(array, dtype=np.float32)))

    @property
    def num_inputs(self) -> int:
        """Length of z."""
        return self._skeleton.num_parameters

    def pose(self, F, z: Tensor):
        """Return joints (B, J, D) and motion (B, P), ``None`` for what the head does not make."""
        raise NotImplementedError


class DirectJoint(Head):
    """Direct joint: z is the joints, ``joints = mean + std * z``."""

    def __init__(self, skeleton: Skeleton, statistics: Optional[PoseStatistics] = None, **kwargs):
        super().__init__(skeleton, statistics, **kwargs)
        shape = (1, skeleton.num_joints, skeleton.dim)
        mean = np.zeros(shape) if statistics is None else statistics.joints_mean.reshape(shape)
        std = np.ones(shape) if statistics is None else statistics.joints_std.reshape(shape)
        with self.name_scope():
            self._constant("mean", mean)
            self._constant("std", std)

    @property
    def num_inputs(self) -> int:
        """Length of z: J * D."""
        return self._skeleton.num_joints * self._skeleton.dim

    def hybrid_forward(self, F, z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return joints (B, J, D)."""
        joints = F.reshape(z, shape=(-1, self._skeleton.num_joints, self._skeleton.dim))
        return F.broadcast_add(F.broadcast_mul(joints, std), mean)

    def pose(self, F, z: Tensor):
        """Return joints and no motion."""
        return self(z), None


class KinematicJoint(Head):
    """Kinematic joint, the paper's proposal: the kinematic layer makes the joints of a motion.

    How the motion follows from z depends on the skeleton, by constants alone:

    - From joints by inverse kinematics in closed form where there is one: in three dimensions
      :class:`~gluon_dkpr.nn.inverse.InverseKinematics`, in the plane
      :class:`~gluon_dkpr.nn.planar_inverse.PlanarInverse`.
    - Else ``motion = mean + W z`` with W of :func:`gluon_dkpr.geometry.pose_statistics`: all
      outputs of the network matter equally. An angle of the global orientation that may go all
      the way round is the direction of a point in the plane, whose two coordinates are outputs:
      no continuous function from images to the angle itself follows a turning object.
    - With ``raw_outputs`` z is the motion, as in the paper.

    Attributes:
        has_guide: z holds joints that are not yet a valid skeleton, for :meth:`guided`.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        statistics: Optional[PoseStatistics] = None,
        raw_outputs: bool = False,
        **kwargs,
    ):
        super().__init__(skeleton, **kwargs)
        with self.name_scope():
            inverse = None if raw_outputs else _inverse(skeleton, statistics)
            self.has_guide = inverse is not None
            if self.has_guide:
                self.motion, self._num_inputs = inverse, inverse.num_inputs
            else:
                self.motion, self._num_inputs = _motion(skeleton, statistics, raw_outputs)
            self.kinematic = KinematicLayer(skeleton, prefix="kinematic_")

    @property
    def num_inputs(self) -> int:
        """Length of z."""
        return self._num_inputs

    def hybrid_forward(self, F, z: Tensor, scale: Optional[Tensor] = None) -> Tensor:
        """Return joints (B, J, D) of z and, if the subjects differ in size, scale (B, 1)."""
        return self.pose(F, z, scale)[0]

    def pose(self, F, z: Tensor, scale: Optional[Tensor] = None):
        """Return joints and motion."""
        return self.guided(F, z, scale)[:2]

    def guided(self, F, z: Tensor, scale: Optional[Tensor] = None):
        """Return joints, motion and the joints (B, J, D) that z tells of, or ``None``."""
        more = () if scale is None else (scale,)
        if not self.has_guide:
            motion = self.motion(z)
            return self.kinematic(motion, *more), motion, None
        motion, guide = self.motion(z)
        if scale is not None:
            # As in the layer, the root stays where it is.
            index = self._skeleton.joint_names.index(self._skeleton.root.name)
            root = F.slice_axis(guide, axis=1, begin=index, end=index + 1)
            bones = F.broadcast_mul(F.broadcast_sub(guide, root), F.expand_dims(scale, axis=2))
            guide = F.broadcast_add(bones, root)
        return self.kinematic(motion, *more), motion, guide


def _inverse(skeleton: Skeleton, statistics: Optional[PoseStatistics]):
    """Return a block from joints to the motion, or ``None``."""
    parts, bones = told_by_joints(skeleton), told_by_bones(skeleton)
    if parts is not None:
        return InverseKinematics(skeleton, parts, statistics, prefix="motion_")
    if bones is not None:
        return PlanarInverse(skeleton, bones, statistics, prefix="motion_")
    return None


def _motion(skeleton: Skeleton, statistics: Optional[PoseStatistics], raw_outputs: bool):
    """Return a block from z to the motion without points, and the length of z."""
    count = skeleton.num_parameters
    mean = np.zeros(count) if statistics is None else statistics.motion_mean
    matrix = np.eye(count) if statistics is None else statistics.motion_map
    turning = orientation_parameters(skeleton)
    if raw_outputs or not turning.any():
        return AffineMotion(mean, matrix, prefix="motion_"), count
    direction = None if statistics is None else statistics.motion_direction[turning]
    block = TurningMotion(mean, matrix, turning, direction, _whole_turn(skeleton), prefix="motion_")
    return block, count + int(turning.sum())


def _whole_turn(skeleton: Skeleton):
    """Return angles around which a whole turn is within the bounds, where these are so wide."""
    lower, upper = skeleton.bounds()
    inside = np.where(np.isfinite(lower), lower + np.pi, upper - np.pi)
    one = np.isfinite(lower) != np.isfinite(upper)
    return np.where(one, inside, middle_of_bounds(skeleton))


class DirectParameter(Head):
    """Direct parameter: z is a motion, ``mean + std * z``; its joints are made at test time."""

    def __init__(self, skeleton: Skeleton, statistics: Optional[PoseStatistics] = None, **kwargs):
        super().__init__(skeleton, statistics, **kwargs)
        count = skeleton.num_parameters
        mean = np.zeros(count) if statistics is None else statistics.motion_mean
        std = np.ones(count) if statistics is None else statistics.motion_std
        with self.name_scope():
            self.motion = AffineMotion(mean, np.diag(std), prefix="motion_")

    def hybrid_forward(self, F, z: Tensor) -> Tensor:
        """Return motion (B, P)."""
        return self.motion(z)

    def pose(self, F, z: Tensor):
        """Return no joints and the motion."""
        return None, self.motion(z)


HEADS = {"kinematic": KinematicJoint, "direct": DirectJoint, "parameter": DirectParameter}
METHODS = tuple(HEADS)


def make_head(
    method: str, skeleton: Skeleton, statistics=None, raw_outputs: bool = False, **kwargs
) -> Head:
    """Return the head of a method.

    Args:
        method: of ``METHODS``.
        skeleton: the object, in the unit of the network.
        statistics: of the training poses.
        raw_outputs: for ``"kinematic"``: all outputs are motion parameters, as in the paper.

    Raises:
        MethodError: for an unknown method.
    """
    if method not in HEADS:
        raise MethodError(f"method {method!r} is not known, expected one of {list(METHODS)}")
    if method == "kinematic":
        kwargs["raw_outputs"] = raw_outputs
    return HEADS[method](skeleton, statistics, **kwargs)
