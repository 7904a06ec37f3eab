"""The parameter-free endings in which the paper's methods differ (section 3.3).

A head receives the network's last outputs z (B, ``num_inputs``), brings them to scale with constant
statistics of the training poses and returns normalised joints (B, J, D) or motion (B, P).
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import PoseStatistics
from gluon_dkpr.nn.kinematic import KinematicLayer
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
    """Kinematic joint, the paper's proposal: z is a motion, the kinematic layer makes the joints.

    ``motion = mean + W z`` with W of :func:`gluon_dkpr.geometry.pose_statistics`: one constant
    matrix, no parameter, the same functions; but all outputs of the network matter equally.
    """

    def __init__(self, skeleton: Skeleton, statistics: Optional[PoseStatistics] = None, **kwargs):
        super().__init__(skeleton, statistics, **kwargs)
        count = skeleton.num_parameters
        mean = np.zeros(count) if statistics is None else statistics.motion_mean
        matrix = np.eye(count) if statistics is None else statistics.motion_map
        with self.name_scope():
            self.motion = _Affine(mean, matrix, prefix="motion_")
            self.kinematic = KinematicLayer(skeleton, prefix="kinematic_")

    def hybrid_forward(self, F, z: Tensor) -> Tensor:
        """Return joints (B, J, D)."""
        return self.kinematic(self.motion(z))

    def pose(self, F, z: Tensor):
        """Return joints and motion."""
        motion = self.motion(z)
        return self.kinematic(motion), motion


class DirectParameter(Head):
    """Direct parameter: z is a motion, ``mean + std * z``; its joints are made at test time."""

    def __init__(self, skeleton: Skeleton, statistics: Optional[PoseStatistics] = None, **kwargs):
        super().__init__(skeleton, statistics, **kwargs)
        count = skeleton.num_parameters
        mean = np.zeros(count) if statistics is None else statistics.motion_mean
        std = np.ones(count) if statistics is None else statistics.motion_std
        with self.name_scope():
            self.motion = _Affine(mean, np.diag(std), prefix="motion_")

    def hybrid_forward(self, F, z: Tensor) -> Tensor:
        """Return motion (B, P)."""
        return self.motion(z)

    def pose(self, F, z: Tensor):
        """Return no joints and the motion."""
        return None, self.motion(z)


class _Affine(mx.gluon.HybridBlock):
    """``mean + z @ matrix`` with constant mean (P,) and symmetric matrix (P, P)."""

    def __init__(self, mean, matrix, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.mean = self.params.get_constant("mean", np.asarray(mean, np.float32)[None])
            self.matrix = self.params.get_constant("matrix", np.asarray(matrix, np.float32))

    def hybrid_forward(self, F, z: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
        """Return (B, P)."""
        return F.broadcast_add(F.dot(z, matrix), mean)


HEADS = {"kinematic": KinematicJoint, "direct": DirectJoint, "parameter": DirectParameter}
METHODS = tuple(HEADS)


def make_head(method: str, skeleton: Skeleton, statistics=None, **kwargs) -> Head:
    """Return the head of a method.

    Raises:
        MethodError: for an unknown method.
    """
    if method not in HEADS:
        raise MethodError(f"method {method!r} is not known, expected one of {list(METHODS)}")
    return HEADS[method](skeleton, statistics, **kwargs)
