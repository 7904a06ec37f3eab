"""What a run's folder says of the data set that it was begun with, so that it can do without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple, Optional

from gluon_dkpr.data import RecordInfo
from gluon_dkpr.data.images import MAX_SIDE_PX
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write, read_bounded_text

NAME = "data.json"
FORMAT = "gluon_dkpr/run-data/1"
MAX_BYTES = 1 << 16
# Of the longer side of a box: a crop of more shows nothing.
MAX_MARGIN = 100.0


class RunDataError(DkprError):
    """A run's data.json cannot be used."""


class RunData(NamedTuple):
    """A data set as a run remembers it.

    Attributes:
        images: what its images, and so those of the network, are.
        rec_sha256: of the .rec file, hexadecimal.
    """

    images: NetworkImages
    rec_sha256: str

    @classmethod
    def of(cls, info: RecordInfo) -> RunData:
        """Return what is remembered of a data set."""
        return cls(NetworkImages.of(info), info.rec_sha256)


def save_run_data(folder: Path, data: RunData) -> None:
    """Write data.json into a run's folder.

    Raises:
        OSError: if it cannot be written.
    """
    images = data.images._asdict()
    images["shape"] = list(data.images.shape)
    with atomic_write(folder / NAME) as file:
        json.dump({"format": FORMAT, "images": images, "rec_sha256": data.rec_sha256}, file)
        file.write("\n")


def load_run_data(folder: Path) -> Optional[RunData]:
    """Return what a run's data.json says; ``None`` in a run of before there was one.

    Raises:
        RunDataError: if it cannot be read or is none; names the file.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        tree = json.loads(read_bounded_text(path, MAX_BYTES, RunDataError))
    except (ValueError, RecursionError):
        raise RunDataError(f"{path}: not valid JSON, expected what a run's images are") from None
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != FORMAT:
        raise RunDataError(f"{path}: format is {found!r:.80}, expected '{FORMAT}'")
    images, digest = tree.get("images"), tree.get("rec_sha256")
    if not isinstance(images, dict) or set(images) != set(NetworkImages._fields):
        raise RunDataError(
            f"{path}: images are {images!r:.80}, expected {list(NetworkImages._fields)}"
        )
    shape, margin, grey = (images[name] for name in NetworkImages._fields)
    if not _is_shape(shape):
        raise RunDataError(f"{path}: shape is {shape!r:.80}, expected [H, W, 1 or 3]")
    if type(margin) not in (int, float) or not 0 <= margin <= MAX_MARGIN:
        raise RunDataError(
            f"{path}: margin is {margin!r:.60}, expected a number from 0 to {MAX_MARGIN:g}"
        )
    if type(grey) is not bool or type(digest) is not str:
        raise RunDataError(
            f"{path}: grey and rec_sha256 are {grey!r:.60} and {digest!r:.80}, expected true or "
            "false and a text"
        )
    return RunData(NetworkImages(tuple(shape), float(margin), grey), digest)


def _is_shape(shape) -> bool:
    if not isinstance(shape, list) or [type(side) for side in shape] != [int] * 3:
        return False
    return all(0 < side <= MAX_SIDE_PX for side in shape[:2]) and shape[2] in (1, 3)
