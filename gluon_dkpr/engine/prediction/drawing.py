"""Poses over their pictures, beside a view in 3-D, as arrays, PNG and MP4."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Callable, Iterator, Optional, Tuple

import cv2
import numpy as np

from gluon_dkpr.engine.pictures import PictureFileError
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import PoseEstimate
from gluon_dkpr.engine.prediction.sources import Source
from gluon_dkpr.engine.prediction.video import VideoReader, opencv_name
from gluon_dkpr.files import atomic_path, atomic_write
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz import PREDICTED_COLOR, draw_pose, draw_view

# Small pictures are enlarged to about this many px, so that the skeleton does not hide them.
_OVERLAY_PX = 512
#: Frames of a video are made smaller to this many px each way.
VIDEO_PX = 720
_VIEW_PX = (360, 1080)
# OpenCV brings an encoder for it everywhere; H.264 it cannot write.
_CODEC = "mp4v"


def draw_estimate(
    picture: Array,
    skeleton: Skeleton,
    pose: Optional[PoseEstimate],
    limit_px: Optional[int] = None,
) -> Array:
    """Return a picture with a pose over it, and beside it in 3-D if it has three dimensions.

    Args:
        picture: uint8, (H, W, 3), red, green, blue. A small one is enlarged.
        skeleton: the object.
        pose: of the picture; ``None`` leaves the picture as it is and the place beside it white.
        limit_px: a larger picture is made smaller to this, each way.

    Returns:
        RGB, uint8.
    """
    factor = 1.0 if limit_px is None else min(1.0, limit_px / max(picture.shape[:2]))
    if factor < 1:
        height, width = (max(1, round(side * factor)) for side in picture.shape[:2])
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    scale, thickness = _overlay_size(picture.shape)
    points = np.full((skeleton.num_joints, 2), np.nan)
    if pose is not None:
        points = (pose.joints_px + 0.5) * factor - 0.5
    drawn = draw_pose(picture, skeleton, points, PREDICTED_COLOR, scale, thickness)
    if skeleton.dim != 3:
        return drawn
    size = min(max(len(drawn), _VIEW_PX[0]), _VIEW_PX[1])
    view = np.full((size, size, 3), 255, np.uint8)
    if pose is not None:
        view = draw_view(skeleton, pose.joints, size)
    height = max(len(drawn), size)
    return np.hstack([_centred(part, height) for part in (drawn, view)])


def write_png(path: Path, picture: Array) -> None:
    """Write an RGB picture."""
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    with atomic_write(path, "wb") as file:
        file.write(data.tobytes())


@contextlib.contextmanager
def mp4_writer(path: Path, fps: float) -> Iterator[Callable[[Array], None]]:
    """Give a function that appends an RGB frame; the file appears when the block ends well.

    Raises:
        PredictionError: if the video cannot be written, or not whole.
    """
    with atomic_path(path) as temporary, contextlib.ExitStack() as stack:
        writer: Optional[cv2.VideoWriter] = None
        count = 0

        def write(frame: Array) -> None:
            nonlocal writer, count
            frame = _even(frame)
            if writer is None:
                code = cv2.VideoWriter_fourcc(*_CODEC)
                name = opencv_name(temporary, PredictionError)
                writer = cv2.VideoWriter(name, code, fps, frame.shape[1::-1])
                stack.callback(writer.release)
                if not writer.isOpened():
                    raise PredictionError(f"{path}: OpenCV cannot write MPEG-4 video")
            writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
            count += 1

        yield write
        stack.close()
        # OpenCV does not tell of a full disk. FFmpeg writes nothing after its first failure, and
        # the list of the frames comes last.
        if count and _frames_in(temporary) != count:
            raise PredictionError(f"{path}: not written whole; is the disk full?")


def _frames_in(path: Path) -> Optional[int]:
    """Return how many frames a video says it has, ``None`` if it cannot be opened."""
    try:
        with VideoReader(Source(str(path), "video", path)) as reader:
            return reader.frames_stated
    except PictureFileError:
        return None


def _overlay_size(shape: Tuple[int, ...]) -> Tuple[int, int]:
    """Return enlargement and line thickness for a picture of shape (H, W, 3)."""
    longer = max(shape[:2])
    scale = max(1, round(_OVERLAY_PX / longer))
    return scale, max(2, round(longer * scale / 200))


def _centred(picture: Array, height: int) -> Array:
    above = (height - len(picture)) // 2
    below = height - len(picture) - above
    return np.pad(picture, [(above, below), (0, 0), (0, 0)], constant_values=255)


def _even(frame: Array) -> Array:
    """Return a frame of even height and width, which encoders want."""
    height, width = frame.shape[:2]
    return np.pad(frame, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
