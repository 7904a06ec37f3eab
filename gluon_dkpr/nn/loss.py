"""Losses. Each returns one number for each sample, (B,); the trainer averages over the batch."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Tensor

# Nearer than this, in the network's unit, the gradient of a distance falls to 0: 0.1 px, 1 mm.
SMALLEST_DISTANCE = 1e-3


class JointLoss(mx.gluon.HybridBlock):
    """Eq. 3 of the paper: half the squared distance, *summed* over all coordinates.

    (``gluon.loss.L2Loss`` averages over them: J * D times smaller.)
    """

    def hybrid_forward(self, F, joints: Tensor, target: Tensor) -> Tensor:
        """Return (B,) of joints and target, both (B, J, D) in one unit and frame."""
        return F.sum(F.square(joints - target), axis=0, exclude=True) / 2


class DistanceLoss(mx.gluon.HybridBlock):
    """The distances of the joints, summed: what the joint error is the mean of.

    Beside Eq. 3 it asks less of joints that cannot be known, and more of those that nearly are.
    """

    def hybrid_forward(self, F, joints: Tensor, target: Tensor) -> Tensor:
        """Return (B,) of joints and target, both (B, J, D) in one unit and frame."""
        squares = F.sum(F.square(joints - target), axis=2)
        return F.sum(F.sqrt(squares + SMALLEST_DISTANCE**2), axis=1)


class BoneLoss(mx.gluon.HybridBlock):
    """A loss of the bones as vectors, each joint seen from the one that it hangs on.

    The errors of joints are mostly those of the whole object's position; bones tell of the angles
    (Sun et al., Compositional Human Pose Regression, 2017, section 3.2).

    Args:
        skeleton: the object.
        loss: of joints (B, J, D) and target.
    """

    def __init__(self, skeleton: Skeleton, loss: mx.gluon.HybridBlock, **kwargs):
        super().__init__(**kwargs)
        self.loss = loss
        parents, children = skeleton.bone_indices.T
        with self.name_scope():
            self.parents = self.params.get_constant("parents", parents.astype(np.float32))
            self.children = self.params.get_constant("children", children.astype(np.float32))

    def hybrid_forward(
        self, F, joints: Tensor, target: Tensor, parents: Tensor, children: Tensor
    ) -> Tensor:
        """Return (B,) of joints and target, both (B, J, D) in one unit."""
        bones = (F.take(x, children, axis=1) - F.take(x, parents, axis=1) for x in (joints, target))
        return self.loss(*bones)


class ParameterLoss(mx.gluon.HybridBlock):
    """Half the squared difference of the motion parameters, summed (direct parameter).

    Angles count in radians and lengths in the network's unit, as in the paper.
    """

    def hybrid_forward(self, F, motion: Tensor, target: Tensor) -> Tensor:
        """Return (B,) of motion and target, both (B, P)."""
        return F.sum(F.square(motion - target), axis=1) / 2


class ParameterBoundLoss(mx.gluon.HybridBlock):
    """The soft joint limits of [40]: the sum of squared violations of the parameters' bounds.

    Args:
        skeleton: its parameters' bounds, in the unit of the motion.
    """

    def __init__(self, skeleton: Skeleton, **kwargs):
        super().__init__(**kwargs)
        # An infinite bound would give 0 * inf in the gradient; the largest float is never passed.
        largest = np.finfo(np.float32).max
        lower, upper = (np.clip(b, -largest, largest)[None] for b in skeleton.bounds())
        with self.name_scope():
            self.lower = self.params.get_constant("lower", lower.astype(np.float32))
            self.upper = self.params.get_constant("upper", upper.astype(np.float32))

    def hybrid_forward(self, F, motion: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
        """Return (B,) of motion (B, P)."""
        below = F.relu(F.broadcast_sub(lower, motion))
        above = F.relu(F.broadcast_sub(motion, upper))
        return F.sum(F.square(below) + F.square(above), axis=1)
