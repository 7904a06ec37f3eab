"""Images as they are stored, and as a network takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Optional, Tuple

import cv2
import numpy as np

from gluon_dkpr.data.image_size import PNG_HEAD, image_size, png_head
from gluon_dkpr.data.recordio import Buffer, RecordError
from gluon_dkpr.types import Array

JPEG_QUALITY = 95
# Memory for images is made by what a data set claims of their size.
MAX_SIDE_PX = 4096
# One bit a pixel: an eighth of the pixels to unpack, so it decodes twice as fast as 8-bit PNG.
_BINARY_PNG = [cv2.IMWRITE_PNG_BILEVEL, 1, cv2.IMWRITE_PNG_COMPRESSION, 6]
_CODECS = {
    "png-binary": (".png", _BINARY_PNG),
    "png": (".png", []),
    "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]),
}
ENCODINGS = tuple(_CODECS)
_MODES = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR}


@dataclass(frozen=True)
class ImageFormat:
    """Size and encoding of every image of a data set.

    Args:
        height, width: in px.
        channels: 1 (grey) or 3 (in the order red, green, blue).
        encoding: ``"png-binary"`` (1 channel, only 0 and 255), ``"png"`` or ``"jpeg"``.

    Raises:
        RecordError: for another value.
    """

    height: int
    width: int
    channels: int
    encoding: str

    def __post_init__(self):
        if self.encoding not in ENCODINGS:
            raise RecordError(f"image encoding is {self.encoding!r}, expected one of {ENCODINGS}")
        if not all(type(size) is int and size > 0 for size in (self.height, self.width)):
            raise RecordError(
                f"image size is {self.height!r} x {self.width!r}, expected px above 0"
            )
        if max(self.height, self.width) > MAX_SIDE_PX:
            raise RecordError(
                f"image size is {self.height!r:.40} x {self.width!r:.40}, expected at most "
                f"{MAX_SIDE_PX} px each way"
            )
        allowed = (1,) if self.encoding == "png-binary" else (1, 3)
        if type(self.channels) is not int or self.channels not in allowed:
            raise RecordError(
                f"{self.encoding} image of {self.channels!r} channels, expected one of {allowed}"
            )
        # Not fields: looked up for each image, where making them anew would be felt.
        object.__setattr__(self, "_png_head", png_head(self.height, self.width))
        object.__setattr__(self, "_mode", _MODES[self.channels])

    @property
    def shape(self) -> Tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    @property
    def is_grey(self) -> bool:
        """Whether it has one channel of more than black and white."""
        return self.channels == 1 and self.encoding != "png-binary"

    def encode(self, image: Array) -> bytes:
        """Return the file bytes of a uint8 image of shape (H, W, C).

        Raises:
            RecordError: for another shape or type, or grey values in a binary image.
        """
        if image.dtype != np.uint8 or image.shape != self.shape:
            raise RecordError(f"image is {image.dtype} {image.shape}, expected uint8 {self.shape}")
        if self.encoding == "png-binary" and not ((image == 0) | (image == 255)).all():
            raise RecordError("binary image holds grey values, expected only 0 and 255")
        suffix, settings = _CODECS[self.encoding]
        ok, data = cv2.imencode(suffix, image if self.channels == 1 else image[..., ::-1], settings)
        if not ok:
            raise RecordError(f"image of shape {image.shape} cannot be encoded as {self.encoding}")
        return data.tobytes()

    def decode(self, data: Buffer, out: Optional[Array] = None) -> Array:
        """Return the uint8 image of shape (H, W, C).

        Args:
            data: the bytes of a file.
            out: a contiguous array to decode into; without it a new one.

        Raises:
            RecordError: if the bytes are no image or one of another size, or ``out`` is another
                array.
        """
        out = check_out(out, self.shape)
        self.decode_into(data, out)
        return out

    def decode_into(self, data: Buffer, out: Array) -> None:
        """Decode as :meth:`decode` does, into an array that is known to be right."""
        # Of most images the size is known by one comparison. A turned one is decoded, too.
        if data[:PNG_HEAD] != self._png_head:
            size = image_size(data)
            if size is None:
                raise RecordError(f"{len(data)} bytes that are not a {self.encoding} image")
            if set(size) != {self.height, self.width}:
                self._refuse(size)
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), self._mode)
        except cv2.error:
            image = None
        if image is None:
            raise RecordError(f"{len(data)} bytes that are not a {self.encoding} image")
        if image.shape[:2] != (self.height, self.width):
            self._refuse(image.shape)
        if self.channels == 1:
            out[..., 0] = image
        else:
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=out)

    def _refuse(self, size) -> NoReturn:
        raise RecordError(
            f"image is {size[0]} x {size[1]} px, expected {self.height} x {self.width} px"
        )


def check_out(out: Optional[Array], shape: Tuple[int, ...]) -> Array:
    """Return an array for images of this shape, ``out`` if it is given.

    Raises:
        RecordError: if it is not contiguous, writable, uint8 and of this shape.
    """
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != shape:
        found = f"{getattr(out, 'dtype', type(out).__name__)} {getattr(out, 'shape', '')}"
        raise RecordError(f"out is {found}, expected uint8 {shape}")
    if not out.flags.carray:
        raise RecordError("out is not contiguous or read only, expected an array to decode into")
    return out


def to_network_input(images: Array) -> Array:
    """Return images as a network takes them, in training and in prediction alike.

    Args:
        images: uint8, shape (B, H, W, C).

    Returns:
        float32, shape (B, C, H, W), 0 to 1.

    Raises:
        RecordError: for another type or number of axes.
    """
    if images.dtype != np.uint8 or images.ndim != 4:
        raise RecordError(f"images are {images.dtype} {images.shape}, expected uint8 (B, H, W, C)")
    batch, height, width, channels = images.shape
    planes = np.empty((batch, channels, height, width), np.uint8)
    for own, image in zip(planes, images):
        # A third of the time of NumPy's transposed copy.
        cv2.split(image, list(own))
    return np.divide(planes, np.float32(255), dtype=np.float32)
