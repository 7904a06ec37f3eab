"""Frames of videos and webcams, one after the other."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Callable, Iterator, Optional, Tuple

import cv2

from gluon_dkpr.data.standard_error import StandardError, quoted
from gluon_dkpr.engine.pictures import MAX_PIXELS, PictureFileError
from gluon_dkpr.engine.prediction.sources import Source
from gluon_dkpr.types import Array

#: Taken where a video or a camera does not tell.
FPS = 25.0
_FPS_RANGE = (0.1, 1000.0)
# The number of frames in a header is an estimate in some containers: so many may be missing, and
# this part of them.
_MISSING, _MISSING_PART = 2, 0.02


def opencv_name(path: Path, error: Callable[[str], Exception]) -> str:
    """Return a video's name for OpenCV; raise ``error`` of a message if it is not in UTF-8.

    OpenCV ends the process at such a name.
    """
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        raise error(f"{name}: not a name in UTF-8, which OpenCV wants of a video") from None
    return name


class VideoReader:
    """A video or webcam that is read once, from its first frame on. Used as a context.

    Decoding errors do not end it: FFmpeg conceals them and goes on. :attr:`problem` tells.

    Args:
        source: with a path or a device.

    Raises:
        PictureFileError: if it cannot be opened; names the source.

    Attributes:
        fps: frames in a second.
        size: (height, width), px.
        frames_stated: how many frames the file says it has; ``None`` if it does not.
        frames_read: how many were read.
    """

    def __init__(self, source: Source):
        self.source = source
        self.frames_read = 0
        self._complaint: Optional[str] = None
        self._ended = False
        with contextlib.ExitStack() as stack:
            self._log = stack.enter_context(contextlib.closing(StandardError()))
            with self._log:
                self._capture = self._open()
            stack.callback(self._capture.release)
            get = self._capture.get
            height, width = get(cv2.CAP_PROP_FRAME_HEIGHT), get(cv2.CAP_PROP_FRAME_WIDTH)
            self.size: Tuple[int, int] = (int(height), int(width))
            if not 0 < height * width <= MAX_PIXELS:
                raise PictureFileError(f"{source.name}: {self._why()}")
            fps, count = get(cv2.CAP_PROP_FPS), get(cv2.CAP_PROP_FRAME_COUNT)
            known = math.isfinite(fps) and _FPS_RANGE[0] <= fps <= _FPS_RANGE[1]
            self.fps = float(fps) if known else FPS
            counted = source.kind == "video" and 0 < count < 1e9
            self.frames_stated = int(count) if counted else None
            # Looking for the format, FFmpeg decodes some frames; they come again.
            self._log.skip()
            self._stack = stack.pop_all()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

    def frames(self) -> Iterator[Array]:
        """Yield the frames, uint8, (H, W, 3), red, green, blue, until the end."""
        while True:
            with self._log:
                good, picture = self._capture.read()
            for line in self._log.new_lines():
                self._complaint = self._complaint or line
            if not good or picture is None or picture.shape[:2] != self.size:
                self._ended = True
                return
            self.frames_read += 1
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

    @property
    def problem(self) -> Optional[str]:
        """What is wrong with what was read; ``None`` if nothing is."""
        read, stated = self.frames_read, self.frames_stated
        if self._ended and not read:
            return "no frame can be read" + quoted(self._complaint or "")
        missing = 0 if stated is None or not self._ended else stated - read
        if missing > max(_MISSING, _MISSING_PART * (stated or 0)):
            return f"damaged: ends after {read} of {stated} frames"
        if self._complaint is not None:
            return f"damaged: the decoder says{quoted(self._complaint)}"
        return None

    def _open(self):
        if self.source.path is None:
            return cv2.VideoCapture(self.source.device)
        # One thread: others would say what is wrong when nobody listens.
        settings = [cv2.CAP_PROP_N_THREADS, 1]
        name = opencv_name(self.source.path, PictureFileError)
        return cv2.VideoCapture(name, cv2.CAP_FFMPEG, settings)

    def _why(self) -> str:
        path = self.source.path
        if path is None:
            return f"no camera of number {self.source.device} can be opened"
        if not path.is_file():
            what = "not a file" if path.exists() else "no such file"
            return f"{what}, expected a video"
        if max(self.size) > 0:
            return f"{self.size[1]} x {self.size[0]} px, expected at most {MAX_PIXELS} px"
        said = [line for line in self._log.text().split("\n") if not line.startswith("[ WARN")]
        return "cannot be opened as a video" + quoted("\n".join(said))
