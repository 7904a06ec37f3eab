"""A pose network: features, one dense layer, and the parameter-free head of a method."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import PoseStatistics
from gluon_dkpr.nn import KinematicLayer, make_head
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Tensor

# [40] draws the last layer's weights so small that the first prediction is the mean pose.
LAST_LAYER_SIGMA = 0.001


class Pose(NamedTuple):
    """A batch of predicted poses.

    Attributes:
        joints: (B, J, D) in the skeleton's length unit.
        motion: (B, P), radians and that unit; ``None`` for the direct joint method.
    """

    joints: Tensor
    motion: Optional[Tensor]


class PoseNet(mx.gluon.HybridBlock):
    """Features and a head over one dense layer; the methods share everything but the head.

    Inside the network, lengths are normalised: 1 stands for ``length`` units of the skeleton.

    Args:
        features: block from images to (B, F).
        skeleton: the object, in its own unit.
        method: ``"kinematic"``, ``"direct"`` or ``"parameter"``.
        length: length in the skeleton's unit that is 1 inside the network.
        statistics: of the training poses, in the network's unit.
        with_motion: ``"kinematic"`` also outputs the motion, for a loss on it.
        with_guide: ``"kinematic"`` also outputs the joints that its head starts from, if it does,
            for a loss on them.
        raw_outputs: see :func:`gluon_dkpr.nn.make_head`.

    Inputs:
        - **data**: (B, C, H, W) float32.
        - **scale**: (B, 1), of the subjects' bones, for ``"kinematic"`` alone; optional, used in
          training only (section 3.1). All calls of a hybridized network give it, or none.

    Outputs:
        - normalised joints (B, J, D), or normalised motion (B, P) for ``"parameter"``.
        - **motion**: normalised (B, P), only if ``with_motion``.
        - **guide**: normalised (B, J, D), only if ``with_guide``.
    """

    def __init__(
        self,
        features: mx.gluon.HybridBlock,
        skeleton: Skeleton,
        method: str,
        length: float,
        statistics: Optional[PoseStatistics] = None,
        with_motion: bool = False,
        with_guide: bool = False,
        raw_outputs: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._skeleton, self._method, self._length = skeleton, method, float(length)
        with self.name_scope():
            self.features = features
            self.head = make_head(
                method, skeleton.scaled(1.0 / length), statistics, raw_outputs, prefix="head_"
            )
            self.output = mx.gluon.nn.Dense(
                self.head.num_inputs,
                weight_initializer=mx.init.Normal(LAST_LAYER_SIGMA),
                prefix="output_",
            )
        self._output_names = ("motion",) if method == "parameter" else ("joints",)
        if method == "kinematic":
            more = ("motion", with_motion), ("guide", with_guide and self.head.has_guide)
            self._output_names += tuple(name for name, wanted in more if wanted)
        # Outside the tree of children: it holds the same blocks.
        self.__dict__["_predictor"] = None

    @property
    def skeleton(self) -> Skeleton:
        """The object, in its own length unit."""
        return self._skeleton

    @property
    def method(self) -> str:
        """Name of the method."""
        return self._method

    @property
    def length(self) -> float:
        """Length in the skeleton's unit that is 1 inside the network."""
        return self._length

    @property
    def output_names(self) -> Tuple[str, ...]:
        """What the network returns, in order: of ``joints``, ``motion`` and ``guide``."""
        return self._output_names

    @property
    def predictor(self) -> Predictor:
        """A block with the same parameters whose outputs are poses in the skeleton's unit."""
        if self._predictor is None:
            self.__dict__["_predictor"] = Predictor(self, prefix=self.prefix)
        return self._predictor

    def hybrid_forward(self, F, data: Tensor, scale: Optional[Tensor] = None) -> Tensor:
        """Return the head's output; shapes as in the class."""
        return self.from_features(F, self.features(data), scale)

    def from_features(self, F, features: Tensor, scale: Optional[Tensor] = None) -> Tensor:
        """Return the output that belongs to features (B, F); shapes as in the class."""
        z = self.output(features)
        more = () if scale is None else (scale,)
        if len(self._output_names) == 1:
            return self.head(z, *more)
        found = dict(zip(("joints", "motion", "guide"), self.head.guided(F, z, *more)))
        return tuple(found[name] for name in self._output_names)

    def predict_pose(self, images: Tensor) -> Pose:
        """Return the poses in images (B, C, H, W), whatever the method."""
        outputs = self.predictor(images)
        return Pose(*outputs) if isinstance(outputs, (list, tuple)) else Pose(outputs, None)

    def motion_units(self) -> np.ndarray:
        """Return the factors (P,) from normalised motion to the skeleton's unit and radians."""
        return np.where(self._skeleton.is_angle(), 1.0, self._length)


class Predictor(mx.gluon.HybridBlock):
    """What is exported: joints (B, J, D) and, unless direct, motion (B, P), not normalised."""

    def __init__(self, net: PoseNet, **kwargs):
        super().__init__(**kwargs)
        self.features, self.output, self.head = net.features, net.output, net.head
        self._length = net.length
        with self.name_scope():
            if net.method != "direct":
                units = net.motion_units().astype(np.float32)[None]
                self.units = self.params.get_constant("units", units)
            if net.method == "parameter":
                normalised = net.skeleton.scaled(1.0 / net.length)
                self.kinematic = KinematicLayer(normalised, prefix="kinematic_")
        for constant in self._own_constants():
            constant.initialize(ctx=net.output.weight.list_ctx())

    def _own_constants(self):
        """Return the parameters that the network does not have and so did not initialise."""
        own = [self.units] if hasattr(self, "units") else []
        if hasattr(self, "kinematic"):
            own += self.kinematic.collect_params().values()
        return own

    def hybrid_forward(self, F, data: Tensor, units: Optional[Tensor] = None):
        """Return joints, or joints and motion."""
        joints, motion = self.head.pose(F, self.output(self.features(data)))
        joints = (self.kinematic(motion) if joints is None else joints) * self._length
        return joints if motion is None else (joints, F.broadcast_mul(motion, units))
