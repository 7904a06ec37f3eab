"""Frames of a video, in order and each with its true number.

Of 1000 x 1002 px H.264 OpenCV decodes and converts 430 frames in a second of processor time,
imageio-ffmpeg, which sends every frame through a pipe, 250; of MPEG-4 part 2 it is 780 and 280 (500
frames of noisy synthetic scenes, one thread). OpenCV also tells each frame's time, so that a frame
that the decoder drops is noticed.

Frames are never sought by number, which is not exact with every codec.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Iterator, Optional, Tuple

import cv2
import numpy as np

from gluon_dkpr.data.h36m.names import FPS, H36mError
from gluon_dkpr.data.standard_error import StandardError, quoted
from gluon_dkpr.types import Array

# Of a picture, in each direction.
MAX_SIDE_PX = 8192
# How far a video may be from 50 frames/s: headers round.
FPS_TOLERANCE = 1.0
# Either of them makes OpenCV send FFmpeg's messages to standard output, through a buffer.
_UNWANTED = ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_FFMPEG_DEBUG")


class Video:
    """A video that is read once from its first frame on.

    FFmpeg conceals what it cannot decode and goes on; it only says so on standard error, which is
    therefore kept and watched while a video is open.

    Args:
        path: of the file.
        keep_damaged: go on after decoding errors.

    Raises:
        H36mError: if it cannot be opened or is not one of 50 frames/s.

    Attributes:
        frames_read: how many have been decoded and are good.
        frames_stated: how many the file says it has.
        ending: why no more frames could be read, ``None`` as long as they could.
        errors: number of lines that FFmpeg complained with while decoding.
    """

    def __init__(self, path: Path, keep_damaged: bool = False):
        self.keep_damaged = keep_damaged
        self.frames_read, self.errors = 0, 0
        self.ending: Optional[str] = None
        with contextlib.ExitStack() as stack:
            self._log = stack.enter_context(contextlib.closing(StandardError()))
            stack.enter_context(self._log)
            self._capture = _open(path)
            stack.callback(self._capture.release)
            read = self._capture.get
            self.frames_stated = max(0, int(read(cv2.CAP_PROP_FRAME_COUNT)))
            fps = read(cv2.CAP_PROP_FPS)
            sides = read(cv2.CAP_PROP_FRAME_HEIGHT), read(cv2.CAP_PROP_FRAME_WIDTH)
            if not all(0 < side <= MAX_SIDE_PX for side in sides):
                raise H36mError(f"cannot be opened{quoted(self._log.text())}")
            if not abs(fps - FPS) <= FPS_TOLERANCE:
                raise H36mError(
                    f"{fps:.2f} frames/s, expected {FPS:g}: not the original video, its frames are "
                    "not those of the poses"
                )
            self._period_ms, self._time_ms = 1000 / fps, -1000 / fps
            # Looking for the format, FFmpeg decodes some frames; they come again.
            self._log.skip()
            self._stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def frames(self, wanted: Array, count: int) -> Iterator[Tuple[int, Array]]:
        """Yield the number and the picture of the wanted frames; reads ``count`` frames and one.

        The generator ends early where no further frame can be had with certainty.

        Args:
            wanted: numbers from 0, ascending, below ``count``.
            count: of frames that have poses.

        Yields:
            Number, and uint8 (H, W, 3) in the order blue, green, red, valid until the next.
        """
        wanted = iter([*wanted.tolist(), -1])
        following = next(wanted)
        while self.frames_read < count and self._advance():
            number = self.frames_read
            self.frames_read += 1
            if number == following:
                following = next(wanted)
                picture = self._picture()
                if picture is None:
                    self.frames_read = number
                    return
                yield number, picture

    def has_more(self) -> bool:
        """Tell whether a further frame can be read."""
        return self.ending is None and self._advance()

    def _advance(self) -> bool:
        """Decode a frame; False, with a reason in ``ending``, if none can be had with certainty."""
        decoded = self._capture.grab()
        lines = self._log.new_lines()
        self.errors += len(lines)
        if lines and not self.keep_damaged:
            self.ending = f"damaged: the decoder says{quoted(lines[0])}"
        elif not decoded:
            self.ending = "ended"
        else:
            now = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            step = (now - self._time_ms) / self._period_ms
            if not 0.5 < step < 1.5:
                self.ending = f"damaged: the next frame is {step:.1f} frames after the one before"
            self._time_ms = now
        return self.ending is None

    def _picture(self) -> Optional[Array]:
        good, picture = self._capture.retrieve()
        if not good or picture.ndim != 3 or picture.dtype != np.uint8:
            self.ending = "damaged: a frame without a picture"
            return None
        return picture


def _open(path: Path):
    # OpenCV reads them when it opens its first video.
    for name in _UNWANTED:
        os.environ.pop(name, None)
    try:
        # One thread: the workers keep the cores busy, and messages come with the frame they mean.
        return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    except cv2.error as error:
        raise H36mError(f"cannot be opened: {error}") from None
