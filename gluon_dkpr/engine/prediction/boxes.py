"""Boxes: what to look at in a picture, given by hand or by a file."""

from __future__ import annotations

import bisect
import csv
import io
import json
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from gluon_dkpr.engine.pictures import PictureFileError
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.files import read_bounded_text
from gluon_dkpr.geometry import Crop

#: x and y of the upper left corner, width and height, px, from the picture's outer corner.
Box = Tuple[float, float, float, float]
# A larger file takes many times its size in memory.
MAX_BYTES = 256 << 20
# Beyond are no pixels of a picture; a side that is lost in the rounding of its place would leave a
# crop without any size.
MAX_PX, MIN_SIDE_PX = 1e6, 1.0
_COLUMNS = ("x", "y", "w", "h")


def check_box(box: Sequence[float]) -> Box:
    """Return a box as four floats.

    Raises:
        PredictionError: unless it is x, y, width and height in px, the last two 1 or more.
    """
    try:
        values = () if isinstance(box, str) else tuple(float(value) for value in box)
    except (TypeError, ValueError, OverflowError):
        values = ()
    if len(values) != 4 or not all(abs(value) <= MAX_PX for value in values):
        raise PredictionError(f"box is {box!r:.80}, expected x, y, width, height in px")
    if min(values[2:]) < MIN_SIDE_PX:
        raise PredictionError(
            f"box is {values[2]:g} px wide and {values[3]:g} px high, expected both at least "
            f"{MIN_SIDE_PX:g}"
        )
    return values


def parse_box(text: str) -> Box:
    """Return the box that ``"X,Y,W,H"`` says.

    Raises:
        PredictionError: as :func:`check_box`.
    """
    return check_box(text.split(","))


def check_inside(box: Box, shape: Sequence[int]) -> None:
    """Raise PictureFileError if nothing of a picture of shape (H, W, ...) is in the box."""
    x, y, width, height = box
    if x >= shape[1] or y >= shape[0] or x + width <= 0 or y + height <= 0:
        raise PictureFileError(
            f"its box {x:g},{y:g},{width:g},{height:g} lies beside it, expected a part of the "
            f"picture of {shape[1]} x {shape[0]} px"
        )


def crop_around(box: Box, size: int, margin: float) -> Crop:
    """Return the smallest square around a box and a margin, as a crop of ``size`` px."""
    x, y, width, height = box
    return Crop.around_box(np.array([x, y, x + width, y + height]), size, margin)


class Boxes:
    """Which box belongs to which picture and frame.

    Args:
        default: for pictures of which the file says nothing; ``None`` is the whole picture.
    """

    def __init__(self, default: Optional[Box] = None):
        self.default = default
        self._boxes: Dict[str, Tuple[List[int], List[Box]]] = {}
        self._path: Optional[Path] = None

    @classmethod
    def read(cls, path, default: Optional[Box] = None) -> Boxes:
        """Read a file of boxes.

        CSV: a header ``name,x,y,w,h`` or ``name,frame,x,y,w,h`` and a line for each box. JSON: a
        list of ``{"name": ..., "frame": ..., "box": [x, y, w, h]}``. The name is that of the
        picture or video, or its path as it is given. The frame counts from 0; where it is missing
        it is 0. A frame without a box has that of the frame before, the first ones that of the
        first given.

        Raises:
            PredictionError: if it cannot be read or is malformed; names the file, and the line or
                entry.
        """
        path = Path(path)
        boxes = cls(default)
        boxes._path = path
        text = read_bounded_text(path, MAX_BYTES, PredictionError, "utf-8-sig")
        rows = _json_rows if path.suffix.lower() == ".json" else _csv_rows
        found: Dict[str, Dict[int, Box]] = {}
        for where, name, frame, box in rows(path, text):
            own = found.setdefault(_name(path, where, name), {})
            number = _frame(path, where, frame)
            if number in own:
                raise PredictionError(
                    f"{path}: {where}: a second box of {name!r:.80}, frame {number}"
                )
            try:
                own[number] = check_box(box)
            except PredictionError as error:
                raise PredictionError(f"{path}: {where}: {error}") from None
        if not found:
            raise PredictionError(f"{path}: holds no box")
        for name, own in found.items():
            numbers = sorted(own)
            boxes._boxes[name] = numbers, [own[number] for number in numbers]
        return boxes

    def check_names(self, names: Sequence[str]) -> None:
        """Raise PredictionError if the file has a box for none of these pictures."""
        if self._boxes and not any(self._own(name) for name in names):
            raise PredictionError(
                f"{self._path}: names none of the inputs; its first name is "
                f"'{next(iter(self._boxes)):.80}'"
            )

    def of(self, name: str, frame: int = 0) -> Optional[Box]:
        """Return the box of a picture, or of a frame of a video; ``None`` is the whole picture."""
        own = self._own(name)
        if own is None:
            return self.default
        numbers, boxes = own
        return boxes[max(0, bisect.bisect_right(numbers, frame) - 1)]

    def _own(self, name: str):
        return self._boxes.get(name) or self._boxes.get(Path(name).name)


def _csv_rows(path: Path, text: str) -> Iterator[tuple]:
    """Yield place, name, frame and box of each line."""
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        header = next(reader, [])
        plain, with_frame = ["name", *_COLUMNS], ["name", "frame", *_COLUMNS]
        if header not in (plain, with_frame):
            raise PredictionError(
                f"{path}: line 1: {','.join(header)!r:.80}, expected '{','.join(plain)}' or "
                f"'{','.join(with_frame)}'"
            )
        for row in reader:
            if not row:
                continue
            where = f"line {reader.line_num}"
            if len(row) != len(header):
                raise PredictionError(f"{path}: {where}: {len(row)} cells, expected {len(header)}")
            yield where, row[0], row[1] if len(row) == 6 else 0, row[-4:]
    except csv.Error as error:
        raise PredictionError(f"{path}: line {reader.line_num}: {error}") from None


def _json_rows(path: Path, text: str) -> Iterator[tuple]:
    """Yield place, name, frame and box of each entry."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PredictionError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(tree, list):
        raise PredictionError(f"{path}: {type(tree).__name__}, expected a list of boxes")
    for i, entry in enumerate(tree):
        where = f"entry {i}"
        keys = set(entry) if isinstance(entry, dict) else set()
        if not {"name", "box"} <= keys <= {"name", "frame", "box"}:
            raise PredictionError(
                f"{path}: {where}: {entry!r:.80}, expected 'name', 'box' and perhaps 'frame'"
            )
        yield where, entry["name"], entry.get("frame", 0), entry["box"]


def _name(path: Path, where: str, name) -> str:
    if not isinstance(name, str) or not name:
        raise PredictionError(f"{path}: {where}: name is {name!r:.80}, expected a file's name")
    return name


def _frame(path: Path, where: str, frame) -> int:
    try:
        number = int(frame)
    except (TypeError, ValueError, OverflowError):
        number = -1
    if number < 0 or isinstance(frame, (bool, float)):
        raise PredictionError(
            f"{path}: {where}: frame is {frame!r:.80}, expected a whole number from 0"
        )
    return number
