"""From images to poses: what live networks and exported graphs have in common."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.data import to_network_input
from gluon_dkpr.errors import DkprError
from gluon_dkpr.model_zoo import Pose, PoseNet
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array, Tensor


class EvaluationError(DkprError, ValueError):
    """Images or a data set do not fit the network."""


class ImagePredictor:
    """What networks and exported graphs have in common: from images to poses.

    Args:
        skeleton: whose poses are predicted; lengths are in its unit.
        method: ``"kinematic"``, ``"direct"`` or ``"parameter"``.
        image_shape: (H, W, C) of the images it takes, ``None`` if it is not known.
        ctx: device.
        margin, grey: see :class:`~gluon_dkpr.engine.signature_parts.NetworkImages`.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        method: str,
        image_shape: Optional[Tuple[int, int, int]],
        ctx: mx.Context,
        margin: float = 0.0,
        grey: bool = False,
    ):
        self.skeleton, self.method, self.ctx = skeleton, method, ctx
        self.image_shape = None if image_shape is None else tuple(image_shape)
        self.margin, self.grey = margin, grey

    def __call__(self, images: Tensor) -> Pose:
        """Return the poses in images (B, C, H, W), float32, 0 to 1, as NDArrays."""
        raise NotImplementedError

    def predict(self, images: Array) -> Pose:
        """Return the poses in images.

        Args:
            images: uint8, shape (B, H, W, C), in the order red, green, blue.

        Returns:
            NumPy arrays, float64: joints (B, J, D) in the skeleton's unit and frame and motion
            (B, P), ``None`` for direct joint.

        Raises:
            EvaluationError: for images of another shape or type.
        """
        images = np.asarray(images)
        expected = "(B, H, W, C)"
        if self.image_shape is not None:
            expected = "(B, {}, {}, {})".format(*self.image_shape)
        fits = images.ndim == 4 and self._takes(images.shape[1:])
        if images.dtype != np.uint8 or not fits or not len(images):
            raise EvaluationError(
                f"images are {images.dtype} {images.shape}, expected uint8 {expected}"
            )
        values = self._to_input(images)
        pose = self(mx.nd.array(values, ctx=self.ctx, dtype=values.dtype))
        return Pose(*(None if a is None else a.asnumpy().astype(np.float64) for a in pose))

    def _takes(self, shape: Tuple[int, ...]) -> bool:
        """Tell whether images of shape (H, W, C) can be predicted."""
        return self.image_shape in (None, shape)

    def _to_input(self, images: Array) -> Array:
        """Return what ``__call__`` takes, of uint8 images (B, H, W, C)."""
        return to_network_input(images)


class NetworkPredictor(ImagePredictor):
    """Predicts with a live network, on its first device; always with its latest parameters.

    Args:
        net: initialised.
        image_shape: (H, W, C), if it is to be checked.
        margin, grey: as in :class:`ImagePredictor`.
    """

    def __init__(
        self,
        net: PoseNet,
        image_shape: Optional[Tuple[int, int, int]] = None,
        margin: float = 0.0,
        grey: bool = False,
    ):
        ctx = net.output.weight.list_ctx()[0]
        super().__init__(net.skeleton, net.method, image_shape, ctx, margin, grey)
        self._net = net

    def __call__(self, images: Tensor) -> Pose:
        """Return the poses in images (B, C, H, W), float32, 0 to 1, as NDArrays."""
        return self._net.predict_pose(images)
