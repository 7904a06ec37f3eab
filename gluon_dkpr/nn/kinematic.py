"""The differentiable kinematic layer (paper section 3.2, Eq. 2)."""

from __future__ import annotations

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.nn.linear import linear
from gluon_dkpr.nn.programs import DenseProgram, PlanarProgram
from gluon_dkpr.nn.scan_program import ScanProgram
from gluon_dkpr.nn.topology import build_topology
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Tensor

# Beyond this many multiplications for one pose gathers beat constant dense matrices. Measured on
# two CPU cores: a chain of 20 turns, 183,000, takes 0.5 of the time of gathers at batch 1, 0.8 at
# batch 52 and 1.6 at batch 1024, one of 24 turns, 289,000, takes 0.55, 1.0 and 1.8; the human body
# takes 56,000. The matrices grow with the square of the number of turns, so that beyond the second
# limit it is not worth building them to find out.
DENSE_LIMIT = 200_000
DENSE_TURNS = 64


class KinematicLayer(mx.gluon.HybridBlock):
    """Forward kinematics composed of ordinary operators, without a trainable parameter.

    Works on NDArrays, hybridized and as a Symbol, in float32 and (after ``cast``) in float64, for
    any batch size of 1 or more. Its constants live in the block's parameters, so that an exported
    graph is complete in itself. It initialises itself on the device of its first input; inside a
    larger network the network's ``initialize`` does so.

    Args:
        skeleton: the object. Lengths of the motion and of the joints are in its length unit.

    Inputs:
        - **motion**: (B, P), radians and length units, in the order of ``skeleton.parameters``.
        - **scale**: optional (B, 1), factor of all bones of a pose (the paper's subject scale).

    Outputs:
        - **joints**: (B, J, D) in the world frame, in the order of ``skeleton.joint_names``.
    """

    def __init__(self, skeleton: Skeleton, **kwargs):
        super().__init__(**kwargs)
        self._skeleton = skeleton
        topology = build_topology(skeleton)
        self._program = _choose_program(skeleton, topology)
        arrays = {} if self._program is None else dict(self._program.constants)
        arrays.update(_rigid_constants(skeleton, topology))
        self._arrays = arrays
        with self.name_scope():
            for name, array in arrays.items():
                # Kept in float64, so that a cast to it finds every digit.
                value = mx.nd.array(array, dtype="float64")
                constant = self.params.get_constant(name, value)
                constant.cast("float32")
                setattr(self, name, constant)

    @property
    def skeleton(self) -> Skeleton:
        """The object whose joints the layer computes."""
        return self._skeleton

    def cast(self, dtype):
        """Cast inputs and outputs to another dtype; constants are rounded from float64 anew."""
        super().cast(dtype)
        for name, array in self._arrays.items():
            constant = getattr(self, name)
            if constant._data is not None:
                constant.set_data(mx.nd.array(array, dtype=dtype))

    def forward(self, motion, scale=None):
        """Compute joints; see the class."""
        args = () if scale is None else (scale,)
        if isinstance(motion, mx.nd.NDArray):
            # All are initialised together; asking one is quick and this is called at every step.
            if getattr(self, next(iter(self._arrays)))._data is None:
                self.collect_params().initialize(ctx=motion.context)
            # A graph is traced for a number of inputs; the other number needs one of its own.
            if self._active and getattr(self, "_traced_inputs", len(args)) != len(args):
                self._clear_cached_op()
            self._traced_inputs = len(args)
        return super().forward(motion, *args)

    def hybrid_forward(
        self, F, motion: Tensor, scale: Tensor = None, **constants: Tensor
    ) -> Tensor:
        """Compose the graph; shapes as in the class."""
        skeleton, joints = self._skeleton, None
        if self._program is not None:
            joints = self._program.run(F, motion, constants)
            if "still_bones" in constants:
                joints = F.broadcast_add(joints, constants["still_bones"])
        elif "still_bones" in constants:
            ones = F.ones_like(F.slice_axis(motion, axis=1, begin=0, end=1))  # (B, 1)
            joints = F.broadcast_mul(F.expand_dims(ones, axis=2), constants["still_bones"])
        if scale is not None and joints is not None:
            joints = F.broadcast_mul(joints, F.expand_dims(scale, axis=2))
        if "position" in constants:
            count, dim = skeleton.num_joints, skeleton.dim
            placed = linear(F, motion, constants["position"], count * dim)
            placed = F.reshape(placed, shape=(0, count, dim))
            joints = placed if joints is None else joints + placed
        if "origin" in constants:
            joints = F.broadcast_add(joints, constants["origin"])
        return joints


def _choose_program(skeleton: Skeleton, topology):
    if not any(bone.turn is not None for bone in topology.bones):
        return None
    if skeleton.dim == 2:
        return PlanarProgram(topology)
    if len(topology.turns) <= DENSE_TURNS:
        dense = DenseProgram(topology)
        if dense.cost <= DENSE_LIMIT:
            return dense
    return ScanProgram(topology)


def _rigid_constants(skeleton: Skeleton, topology):
    """Return what does not turn: root position, root offset, bones fixed to the world."""
    dim, count = skeleton.dim, skeleton.num_joints
    constants = {}
    still = [i for i, bone in enumerate(topology.bones) if bone.turn is None]
    if still:
        vectors = np.array([topology.bones[i].vector[:dim] for i in still])
        constants["still_bones"] = (topology.paths[:, still] @ vectors)[None]
    if any(skeleton.root.offset):
        constants["origin"] = np.array(skeleton.root.offset, float)[None, None]
    # Where nothing else gives the joints their number of rows, zeros do.
    if skeleton.position or not topology.bones:
        position = np.zeros((count, dim, skeleton.num_parameters))
        for axis, name in enumerate(skeleton.position):
            position[:, axis, skeleton.parameter_names.index(name)] = 1.0
        constants["position"] = position.reshape(count * dim, -1)
    return constants
