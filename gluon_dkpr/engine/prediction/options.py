"""How inputs are predicted, and whether that can be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Sequence

from gluon_dkpr.engine.prediction.boxes import Boxes
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import BATCH, Camera, check_batch, intrinsics_of
from gluon_dkpr.engine.prediction.outputs import check_formats, has_motion
from gluon_dkpr.engine.prediction.sources import Source
from gluon_dkpr.engine.predictor import ImagePredictor

# An hour is far beyond any motion, and a video of so many frames takes years.
MAX_SMOOTH_S = 3600.0
MAX_FRAMES = 10**9


@dataclass(frozen=True)
class Options:
    """How inputs are predicted and what is written.

    Args:
        boxes: what to look at; by default whole pictures.
        camera, batch, model_fit: as in
            :func:`~gluon_dkpr.engine.prediction.estimate_poses`.
        smooth_s: standard deviation of the smoothing of videos, s, at most an hour; 0 for none.
        formats: some of ``"json"``, ``"csv"``, ``"npz"``, ``"bvh"``; ``None``: JSON, and BVH of
            videos where there is a motion in three dimensions.
        draw: also write ``<stem>-overlay.png`` or ``.mp4``.
        max_frames: of each video or webcam.
    """

    boxes: Boxes = field(default_factory=Boxes)
    camera: Optional[Camera] = None
    batch: int = BATCH
    model_fit: bool = False
    smooth_s: float = 0.0
    formats: Optional[Sequence[str]] = None
    draw: bool = True
    max_frames: Optional[int] = None

    def check(self, predictor: ImagePredictor, sources: Sequence[Source]) -> None:
        """Raise PredictionError unless they fit the model and the inputs."""
        check_batch(self.batch)
        if not 0 <= self.smooth_s <= MAX_SMOOTH_S:
            raise PredictionError(
                f"smoothing over {self.smooth_s!r:.40} s, expected 0 to {MAX_SMOOTH_S:g}"
            )
        if self.camera is not None:
            intrinsics_of(self.camera, (1, 1))
        check_formats(self.formats, predictor, self.model_fit)
        if self.max_frames is not None and not 1 <= self.max_frames <= MAX_FRAMES:
            raise PredictionError(f"{self.max_frames!r:.40} frames, expected 1 to {MAX_FRAMES}")
        if self.smooth_s and not has_motion(predictor, self.model_fit):
            raise PredictionError(
                "smoothing wants a motion and direct joint predicts none; --model-fit finds it"
            )
        if sources:
            self.boxes.check_names([source.name for source in sources])
