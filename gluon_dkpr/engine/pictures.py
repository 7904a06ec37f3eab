"""Picture files of any size and kind, and what becomes of them before a network sees them."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Optional, Tuple

import numpy as np
from PIL import Image, ImageFile, ImageOps

from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import Crop
from gluon_dkpr.types import Array

FORMATS = ("PNG", "JPEG")
# A file of a few kilobytes can claim to hold more than memory does.
MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 16_384
# The lines of a toy picture cover 1 to 3 % of it. Beyond this it is not white on black.
MAX_WHITE = 0.5
# ITU-R BT.601, the weights of every "to grey" in the project's libraries; of 1000, so that grey
# values are whole numbers, the same in every graph and on every machine.
LUMA = (299, 587, 114)
LUMA_SUM = sum(LUMA)
# Half of white.
WHITE_FROM = LUMA_SUM // 2 * 255


class PictureFileError(DkprError, ValueError):
    """A file cannot be used as a picture."""


class PictureKindError(PictureFileError):
    """It is neither PNG nor JPEG."""


class PictureSizeError(PictureFileError):
    """It has more pixels than are decoded."""


def read_picture(path) -> Array:
    """Return a PNG or JPEG as it is seen.

    Grey, colours, palettes, one to sixteen bits. Transparent parts are laid over black, and a
    photo that a camera marked as turned is turned.

    Returns:
        uint8, shape (H, W, 3), red, green, blue.

    Raises:
        PictureFileError: if it is missing, damaged, too large or of another format; names the file.
    """
    path = Path(path)
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise PictureFileError(f"{path}: {what}, expected a PNG or JPEG picture")
    return _read(path, str(path), MAX_PIXELS)


def decode_picture(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Array:
    """Return a PNG or JPEG of which the bytes are at hand, as :func:`read_picture` does.

    Args:
        data: what would be in the file.
        name: for messages.
        max_pixels: more are refused before anything is decoded.

    Raises:
        PictureKindError: if it is of another format.
        PictureSizeError: if it is too large.
        PictureFileError: if it is damaged.
    """
    return _read(io.BytesIO(data), name, max_pixels)


def _read(source, name: str, max_pixels: int) -> Array:
    """Return the picture in a path or a binary file."""
    try:
        with _strict_pillow(), Image.open(source, formats=FORMATS) as image:
            _check_size(name, image.size, max_pixels)
            return _rgb(ImageOps.exif_transpose(image))
    except PictureFileError:
        raise
    except Image.DecompressionBombError:
        raise PictureSizeError(f"{name}: huge, expected at most {max_pixels} px") from None
    except Image.UnidentifiedImageError:
        raise PictureKindError(f"{name}: neither PNG nor JPEG") from None
    except Exception as error:  # decoders raise whatever they stumble over in a damaged file
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureFileError(f"{name}: damaged or not readable: {reason:.120}") from None


def to_network_image(
    picture: Array,
    image_shape: Tuple[int, int, int],
    crop: Optional[Crop] = None,
    grey: bool = False,
) -> Tuple[Array, Crop]:
    """Return what a network sees of a picture, and where that lies in it.

    A square of the picture, padded with black and resized. For one channel it becomes grey and
    then, unless the network knows grey, black or white, from half of white on, as the toy's.

    Args:
        picture: uint8, shape (H, W, 3), red, green, blue.
        image_shape: (S, S, C) of the network's images.
        crop: the square, of S px; without it the smallest around the whole picture.
        grey: the network's images of one channel are more than black and white.

    Returns:
        uint8 image of this shape, and the crop that takes points there and back.

    Raises:
        PictureFileError: for a network whose images are not square, or a toy picture that is empty
            or mostly white.
    """
    height, width, channels = image_shape
    if height != width or channels not in (1, 3):
        raise PictureFileError(f"the network takes {image_shape}, expected (S, S, 1) or (S, S, 3)")
    if crop is None:
        crop = Crop.whole(*picture.shape[:2], height)
    # The crop is linear, so it may come before the grey, of fewer pixels.
    image = to_channels(crop.apply(picture), channels, grey)
    if channels == 3 or grey:
        return image, crop
    white = image > 0
    if not white.any():
        raise PictureFileError(
            f"nothing in it is white at {width} x {height} px; expected white lines on black, "
            f"{3 / width:.0%} of the picture wide"
        )
    if white.mean() > MAX_WHITE:
        raise PictureFileError(f"{white.mean():.0%} of it is white, expected white lines on black")
    return image, crop


def to_channels(pictures: Array, channels: int, grey: bool = False) -> Array:
    """Return uint8 pictures (..., 3) as a network sees them, uint8 (..., channels).

    Args:
        pictures: red, green, blue.
        channels: 1 or 3.
        grey: one channel has the nearest grey values, not only black and white.
    """
    if channels == 3:
        return pictures
    if not grey:
        return is_white(pictures).astype(np.uint8) * 255
    return ((_brightness(pictures) + LUMA_SUM // 2) // LUMA_SUM).astype(np.uint8)


def is_white(pictures: Array) -> Array:
    """Tell which pixels are white, from half of white on; uint8 (..., 3) to bool (..., 1)."""
    return _brightness(pictures) >= WHITE_FROM


def _brightness(pictures: Array) -> Array:
    return (pictures @ np.array(LUMA))[..., None]


@contextlib.contextmanager
def _strict_pillow():
    """Let Pillow refuse half a file, which GluonCV turns off for the whole process, and be quiet.

    Its warning about size comes at its own limit; ours is checked besides.
    """
    tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = tolerant


def _check_size(name: str, size: Tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels or max(size) > MAX_SIDE_PX:
        raise PictureSizeError(
            f"{name}: {width} x {height} px, expected at most {max_pixels} px and "
            f"{MAX_SIDE_PX} px each way"
        )


def _rgb(image: Image.Image) -> Array:
    """Return a decoded picture as uint8 (H, W, 3)."""
    if image.mode.startswith("I"):
        # 16-bit grey. convert() would cut it off at 255.
        grey = np.asarray(image).astype(np.int64) >> 8
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.array(image.convert("RGB"))
