"""What a network is trained for: targets of a batch, loss, and the joint error to look at."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.config import TrainConfig
from gluon_dkpr.data import Batch, LabelLayout, to_network_input
from gluon_dkpr.data.human import is_root_relative
from gluon_dkpr.engine.mixed_precision import mixed_network
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.nn import (
    BoneLoss,
    DistanceLoss,
    JointLoss,
    KinematicLayer,
    ParameterBoundLoss,
    ParameterLoss,
)
from gluon_dkpr.types import Array, Tensor


class Part(NamedTuple):
    """One device's share of a batch, b samples; lengths as inside the network.

    Attributes:
        images: (b, C, H, W), 0 to 1.
        joints: (b, J, D).
        motion: (b, P).
        scale: of the subject's bones, (b, 1); ``None`` where all objects have one size.
        weight: of the joints in the loss, (b, 1, 1); ``None`` where all count alike.
        idle: there were fewer samples than devices; this part stands in and must not count.
    """

    images: Tensor
    joints: Tensor
    motion: Tensor
    scale: Optional[Tensor]
    weight: Optional[Tensor]
    idle: bool = False


class Objective:
    """Losses of a method on a kind of data.

    Args:
        net: the network.
        config: of the training.
        layout: of the labels. Where joints are measured from the root, those of people, the joint
            error is measured so too.
        ctx: devices.
    """

    def __init__(self, net: PoseNet, config: TrainConfig, layout: LabelLayout, ctx: List):
        self._net, self._ctx = net, ctx
        skeleton = net.skeleton.scaled(1.0 / net.length)
        self._root = None
        if is_root_relative(layout):
            self._root = skeleton.joint_names.index(skeleton.root.name)
        self._scaled = "scale" in layout.names
        self._boxed = config.box_target and "box_mm" in layout.names
        self._sized = self._scaled and net.method == "kinematic"
        # What computes the outputs, with the network's parameters.
        self._forward = mixed_network(net, self._sized) if config.amp else net
        self._by_parameter = net.method == "parameter"
        losses = {"squares": JointLoss, "distances": DistanceLoss}
        self._loss = ParameterLoss() if self._by_parameter else losses[config.joint_loss]()
        self._loss.hybridize(static_alloc=True)
        self._kinematic = self._bounds = self._bones = None
        if self._by_parameter:
            self._kinematic = _ready(KinematicLayer(skeleton), ctx)
        self._guide_weight, self._bound_weight = config.guide_weight, config.bound_weight
        if config.bound_weight and net.method != "direct":
            self._bounds = _ready(ParameterBoundLoss(skeleton), ctx)
        self._bone_weight = config.bone_weight
        if config.bone_weight and skeleton.bones and not self._by_parameter:
            self._bones = _ready(BoneLoss(skeleton, self._loss), ctx)

    def split(self, batch: Batch) -> List[Part]:
        """Return a batch as evenly as possible over the devices."""
        labels, net = batch.labels, self._net
        arrays = [
            to_network_input(batch.images),
            labels["joints"] / net.length,
            labels["motion"] / net.motion_units(),
            labels["scale"][:, None] if self._scaled else None,
            (net.length / labels["box_mm"])[:, None, None] if self._boxed else None,
        ]
        count, devices = len(batch), len(self._ctx)
        # Of fewer samples than devices the first one is lent to the devices without any.
        lent = max(0, devices - count)
        rows = np.concatenate([np.arange(count), np.zeros(lent, dtype=int)])
        parts = [[None] * devices if a is None else self._share(a[rows]) for a in arrays]
        idle = [False] * (devices - lent) + [True] * lent
        return [Part(*own) for own in zip(*parts, idle)]

    def outputs(self, part: Part):
        """Return the network's output for a part."""
        return self._forward(part.images, *((part.scale,) if self._sized else ()))

    def loss(self, outputs, part: Part, decay: float = 1.0) -> Tensor:
        """Return the loss of each sample, (b,); the trainer averages over the batch.

        Args:
            outputs: of the network.
            part: what they are of.
            decay: of the learning rate, from 1 on; the guide's weight falls with it.
        """
        found = self._named(outputs)
        if self._by_parameter:
            loss = self._loss(found["motion"], part.motion)
        else:
            loss = self._joint_loss(found["joints"], part)
        if "guide" in found:
            # A mean, so that it asks for no other learning rate than Eq. 3 alone.
            weight = decay * self._guide_weight
            share = weight / (1 + weight)
            loss = (1 - share) * loss + share * self._joint_loss(found["guide"], part)
        if self._bounds is not None:
            loss = loss + self._bound_weight * self._bounds(found["motion"])
        return loss

    def joint_error(self, outputs, part: Part) -> Tensor:
        """Return the mean joint error of each sample, (b,)."""
        output = self._named(outputs)[self._net.output_names[0]]
        if self._by_parameter:
            more = (part.scale,) if self._scaled else ()
            output = self._kinematic(output, *more)
        difference = output - part.joints
        if self._root is not None:
            root = mx.nd.slice_axis(difference, axis=1, begin=self._root, end=self._root + 1)
            difference = mx.nd.broadcast_sub(difference, root)
        return mx.nd.sqrt(mx.nd.square(difference).sum(axis=-1)).mean(axis=1)

    def _named(self, outputs) -> Dict[str, Tensor]:
        several = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
        return dict(zip(self._net.output_names, several))

    def _joint_loss(self, joints: Tensor, part: Part) -> Tensor:
        target = part.joints
        if part.weight is not None:
            joints, target = (mx.nd.broadcast_mul(x, part.weight) for x in (joints, target))
        loss = self._loss(joints, target)
        if self._bones is not None:
            loss = loss + self._bone_weight * self._bones(joints, target)
        return loss

    def _share(self, array: Array) -> List[Tensor]:
        array = mx.nd.array(np.ascontiguousarray(array), dtype="float32")
        return mx.gluon.utils.split_and_load(array, self._ctx, even_split=False)


def _ready(block: mx.gluon.HybridBlock, ctx: List) -> mx.gluon.HybridBlock:
    block.initialize(ctx=ctx)
    block.hybridize(static_alloc=True)
    return block
