"""Joints of no valid skeleton, brought to the lengths of its bones."""

from __future__ import annotations

from typing import Dict

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.nn.linear import linear
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array, Tensor

# On the toy objects a fiftieth to a fourteenth of what the nearest valid pose is better than none
# is left after three, a quarter after one (with 3 parameters, whose bones share an angle, a fifth).
ROUNDS = 3
# Of Jacobi's iteration, which converges below 2.
RELAXATION = 1.5
# A shorter bone has the gradient of one of this length, in the network's unit.
SMALLEST_LENGTH = 1e-4


class LengthProjection(mx.gluon.HybridBlock):
    """Joints (B, J * 2) moved towards the nearest ones whose bones have the right lengths.

    In a round every bone moves both of its ends along itself, by equal parts of what it is too long
    or too short; the more bones meet at its ends, the less. That is Jacobi's iteration for the
    distance constraints of position based dynamics (Müller et al. 2007, section 3.3). The centre of
    all joints stays where it is; but the root of an object without a position is where the object
    has it.

    Args:
        skeleton: a planar object whose bones keep their lengths, in the unit of the network.
        rounds: with infinitely many the lengths are right.
    """

    def __init__(self, skeleton: Skeleton, rounds: int = ROUNDS, **kwargs):
        super().__init__(**kwargs)
        self._rounds = rounds
        self._outputs, self._bones = 2 * skeleton.num_joints, len(skeleton.bones)
        with self.name_scope():
            for name, value in _constants(skeleton).items():
                array = np.asarray(value, dtype=np.float32)
                setattr(self, name, self.params.get_constant(name, array))

    def hybrid_forward(
        self,
        F,
        joints: Tensor,
        vectors: Tensor,
        part: Tensor,
        pull: Tensor,
        ends: Tensor,
        free: Tensor = None,
        fixed: Tensor = None,
    ) -> Tensor:
        """Return joints (B, J * 2)."""
        if free is not None:
            joints = F.broadcast_add(F.broadcast_mul(joints, free), fixed)
        for _ in range(self._rounds):
            own = linear(F, joints, vectors, 2 * self._bones)
            own = F.reshape(own, shape=(-1, 2, self._bones))
            squares = F.sum(F.square(own), axis=1, keepdims=True)
            length = F.sqrt(squares + SMALLEST_LENGTH**2)
            moves = F.broadcast_mul(own, F.broadcast_sub(part, F.broadcast_div(pull, length)))
            moves = F.reshape(moves, shape=(-1, 2 * self._bones))
            joints = joints - linear(F, moves, ends, self._outputs)
        return joints


def bone_vectors(num_joints: int, parents: Array, children: Array) -> Array:
    """Return the map from the coordinates of joints to those of bones, shape (J, 2, 2, bones)."""
    bones = np.arange(len(parents))
    vectors = np.zeros((num_joints, 2, 2, len(parents)))
    vectors[children, :, :, bones] += np.eye(2)
    vectors[parents, :, :, bones] -= np.eye(2)
    return vectors


def _constants(skeleton: Skeleton) -> Dict[str, Array]:
    """Return the constants by their names; of bones first all x, then all y."""
    count = skeleton.num_joints
    parents, children = skeleton.bone_indices.T
    moving = np.ones(count)
    root = skeleton.joint_names.index(skeleton.root.name)
    moving[root] = float(bool(skeleton.position))
    meeting = np.bincount(skeleton.bone_indices.ravel(), minlength=count) * moving
    part = RELAXATION / (meeting[parents] + meeting[children])
    vectors = bone_vectors(count, parents, children).reshape(2 * count, -1)
    constants = {
        "vectors": vectors.T,
        "part": part.reshape(1, 1, -1),
        "pull": (part * skeleton.bone_lengths).reshape(1, 1, -1),
        "ends": np.repeat(moving, 2)[:, None] * vectors,
    }
    if not skeleton.position:
        fixed = np.zeros((count, 2))
        fixed[root] = skeleton.root.offset
        constants["free"] = np.repeat(moving, 2)[None]
        constants["fixed"] = fixed.reshape(1, -1)
    return constants
