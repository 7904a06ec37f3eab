"""Pictures that would keep a decoder busy: small files, made to be slow to read.

The number of pixels bounds what a picture costs only if its file is built as usual. A JPEG can send
all of its pixels again and again (a scan takes some 30 bytes), and either format can consist of
millions of empty parts, which Pillow reads one by one.
"""

from __future__ import annotations

import struct

from gluon_dkpr.engine.pictures import PictureFileError

PNG_BEGIN = b"\x89PNG\r\n\x1a\n"
JPEG_BEGIN = b"\xff\xd8"
# Usual are about 10 for a progressive JPEG, and a part for each 8 kB or more.
MAX_SCANS = 32
MAX_PARTS = 10_000
MAX_JUNK = 65_536

_START_OF_SCAN = 0xDA


def check_parts(data: bytes, name: str) -> None:
    """Refuse a file of too many parts; it takes milliseconds, whatever the file holds.

    Args:
        data: of a file that should be PNG or JPEG; any other passes.
        name: for messages.

    Raises:
        PictureFileError: says of what there is too much.
    """
    if data.startswith(PNG_BEGIN):
        _check_png(data, name)
    elif data.startswith(JPEG_BEGIN):
        _check_jpeg(data, name)


def _check_png(data: bytes, name: str) -> None:
    place = len(PNG_BEGIN)
    for _ in range(MAX_PARTS):
        if place + 8 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, place)
        place += 12 + length
    raise PictureFileError(f"{name}: more than {MAX_PARTS} chunks, expected fewer")


def _check_jpeg(data: bytes, name: str) -> None:
    # Within the pixels' data 0xFF is always followed by 0: the mark can only be what it is, or part
    # of a small preview.
    scans = data.count(bytes([0xFF, _START_OF_SCAN]))
    if scans > MAX_SCANS:
        raise PictureFileError(f"{name}: {scans} scans, expected at most {MAX_SCANS}")
    place, junk = len(JPEG_BEGIN), 0
    for _ in range(MAX_PARTS):
        mark = data.find(b"\xff", place)
        junk += (len(data) if mark < 0 else mark) - place
        if junk > MAX_JUNK:
            raise PictureFileError(f"{name}: more than {MAX_JUNK} bytes between its segments")
        if mark < 0 or mark + 4 > len(data) or data[mark + 1] == _START_OF_SCAN:
            return
        if data[mark + 1] in (0x00, 0xFF):  # no segment: stuffing
            junk, place = junk + 1, mark + 1
            continue
        (length,) = struct.unpack_from(">H", data, mark + 2)
        place = mark + 2 + max(length, 2)
    raise PictureFileError(f"{name}: more than {MAX_PARTS} segments, expected fewer")
