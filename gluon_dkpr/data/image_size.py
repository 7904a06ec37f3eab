"""The size of a PNG or JPEG by its header: what is too large is refused before it is decoded."""

from __future__ import annotations

import struct
from typing import Optional, Tuple

from gluon_dkpr.data.recordio import Buffer

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_JPEG = b"\xff\xd8\xff"
#: Bytes of :func:`png_head`.
PNG_HEAD = len(_PNG) + 8
# Frames of all kinds. Between them are tables and what does not belong before a frame.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# Markers without a length: a decoder would go on at another place than this does.
_BARE = frozenset(range(0xD0, 0xDB)) | {0, 1}


def png_head(height: int, width: int) -> bytes:
    """Return the first bytes of every PNG of this size."""
    return _PNG + struct.pack(">II", width, height)


def image_size(data: Buffer) -> Optional[Tuple[int, int]]:
    """Return (height, width), px, as the file says; ``None`` if it is neither PNG nor JPEG.

    A decoder may still turn the picture, and find it damaged.
    """
    try:
        if data[: len(_PNG)] == _PNG:
            width, height = struct.unpack_from(">II", data, len(_PNG))
            return height, width
        return _jpeg_size(data) if data[: len(_JPEG)] == _JPEG else None
    except struct.error:  # it ends before that
        return None


def _jpeg_size(data: Buffer) -> Optional[Tuple[int, int]]:
    place = 2
    while True:
        begin, marker, length = struct.unpack_from(">BBH", data, place)
        if begin != 0xFF or marker in _BARE:
            return None
        if marker in _FRAMES:
            return struct.unpack_from(">HH", data, place + 5)
        # A marker may stand behind any number of 0xFF.
        place += 1 if marker == 0xFF else 2 + length
