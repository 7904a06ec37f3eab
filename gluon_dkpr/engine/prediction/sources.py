"""What the user names as input: pictures, folders, patterns, videos and webcams."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

PICTURES = (".png", ".jpg", ".jpeg")
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
WEBCAM = "webcam"
#: How the names of what is drawn of a picture and of a video end.
PICTURE_DRAWN, VIDEO_DRAWN = "-overlay.png", "-overlay.mp4"


class Source(NamedTuple):
    """One input.

    Attributes:
        name: what the user calls it.
        kind: ``"picture"``, ``"video"`` or ``"webcam"``.
        path: of the file; ``None`` for a webcam.
        device: number of the webcam.
    """

    name: str
    kind: str
    path: Optional[Path] = None
    device: int = 0

    @property
    def stem(self) -> str:
        """What the files that are written of it are called."""
        return self.name.replace(":", "") if self.path is None else self.path.stem


class Failure(NamedTuple):
    """An input that brought no pose, or not all it should, and why."""

    name: str
    message: str


def find_sources(
    inputs: Sequence[Union[str, Path]],
) -> Tuple[List[Source], List[Failure]]:
    """Return what the inputs name, in order, and those that name nothing.

    A folder means the pictures and videos in it, sorted by name, without those of its subfolders;
    a pattern with ``*``, ``?`` or ``[]`` the files that match, ``**`` also in subfolders;
    ``webcam`` or ``webcam:N`` a camera. What an earlier prediction has drawn,
    ``<stem>-overlay.png`` or ``.mp4``, is taken only where it is named itself. A file counts as a
    video by its suffix, all others are taken for pictures.
    """
    sources, failures = [], []
    for given in inputs:
        text = str(given)
        path = Path(text)
        device = _device(text)
        if device is not None:
            sources.append(Source(text, "webcam", None, device))
        elif path.is_dir():
            found = [one for one in sorted(path.iterdir()) if _is_known(one)]
            _expand(text, found, "a folder without pictures or videos", sources, failures)
        elif glob.has_magic(text) and not path.exists():
            found = [Path(one) for one in sorted(glob.glob(text, recursive=True))]
            found = [one for one in found if one.is_file()]
            _expand(text, found, "no file matches", sources, failures)
        else:
            sources.append(_source(path))
    return sources, failures


def _source(path: Path) -> Source:
    return Source(str(path), "video" if path.suffix.lower() in VIDEOS else "picture", path)


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in PICTURES + VIDEOS and path.is_file()


def _expand(
    text: str, found: List[Path], nothing: str, sources: List[Source], failures: List[Failure]
) -> None:
    """Add what a folder or pattern means to the sources, or that it means nothing to the others."""
    own = [one for one in found if not one.name.endswith((PICTURE_DRAWN, VIDEO_DRAWN))]
    sources += [_source(one) for one in own]
    if not own:
        but = " but overlays of earlier predictions" if found else ""
        failures.append(Failure(text, nothing + but))


def _device(text: str) -> Optional[int]:
    """Return the number of the webcam that an input names."""
    name, _, number = text.partition(":")
    if name != WEBCAM or (number and not number.isdecimal()):
        return None
    return int(number or 0)
