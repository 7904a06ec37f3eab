"""Joints of no valid skeleton, brought to the lengths of its bones."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import PlanarBones
from gluon_dkpr.nn.linear import linear
from gluon_dkpr.nn.motion import SMALLEST_RADIUS
from gluon_dkpr.types import Tensor

# Three leave a third of what the nearest valid pose is better than none: see docs/results.
ROUNDS = 3
# Of Jacobi's iteration, which converges below 2.
RELAXATION = 1.5


class LengthProjection(mx.gluon.HybridBlock):
    """Joints (B, J * 2) moved towards the nearest ones whose bones have the right lengths.

    In a round every bone moves both of its ends along itself, by equal parts of what it is too long
    or too short; the more bones meet at its ends, the less. That is Jacobi's iteration for the
    distance constraints of position based dynamics (Müller et al. 2007, section 3.3). The centre of
    all joints stays where it is.

    Args:
        num_joints: J, in the plane.
        bones: whose lengths count.
        rounds: with infinitely many the lengths are right.
    """

    def __init__(self, num_joints: int, bones: PlanarBones, rounds: int = ROUNDS, **kwargs):
        super().__init__(**kwargs)
        self._rounds = rounds
        self._outputs, self._bones = 2 * num_joints, len(bones.lengths)
        ends = np.zeros((num_joints, self._bones))
        meeting = np.bincount(np.concatenate([bones.parents, bones.children]))
        ends[bones.children, np.arange(self._bones)] = 1.0
        ends[bones.parents, np.arange(self._bones)] = -1.0
        # Joints are x, y, x, y, ...; of bones all x come first, then all y.
        ends = np.einsum("jn,xy->jxyn", ends, np.eye(2)).reshape(self._outputs, 2 * self._bones)
        part = RELAXATION / (meeting[bones.parents] + meeting[bones.children])
        with self.name_scope():
            for name, value in {
                "ends": ends,
                "vectors": ends.T,
                "part": part.reshape(1, 1, -1),
                "pull": (part * bones.lengths).reshape(1, 1, -1),
            }.items():
                array = value.astype(np.float32)
                setattr(self, name, self.params.get_constant(name, array))

    def hybrid_forward(
        self, F, joints: Tensor, ends: Tensor, vectors: Tensor, part: Tensor, pull: Tensor
    ) -> Tensor:
        """Return joints (B, J * 2)."""
        for _ in range(self._rounds):
            own = linear(F, joints, vectors, 2 * self._bones)
            own = F.reshape(own, shape=(-1, 2, self._bones))
            squares = F.sum(F.square(own), axis=1, keepdims=True)
            length = F.sqrt(squares + SMALLEST_RADIUS**2)
            moves = F.broadcast_mul(own, F.broadcast_sub(part, F.broadcast_div(pull, length)))
            moves = F.reshape(moves, shape=(-1, 2 * self._bones))
            joints = joints - linear(F, moves, ends, self._outputs)
        return joints
