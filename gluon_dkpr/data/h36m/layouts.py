"""Where the files are, in both layouts in which people have Human3.6M.

The archives unpack to ``S1/MyPoseFeatures/D3_Positions_mono/Directions 1.54138969.cdf``; a common
download script flattens that to ``extracted/S1/Poses_D3_Positions_mono/...``. Both are accepted,
also for different files of one subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from gluon_dkpr.data.h36m.metadata import read_subactions
from gluon_dkpr.data.h36m.names import (
    CAMERAS,
    SUBJECTS,
    H36mError,
    Problem,
    Take,
    is_skipped,
    parse_take,
)
from gluon_dkpr.data.human import ACTIONS

# Beneath the raw folder.
BASES = (".", "extracted")


class Kind(NamedTuple):
    """One of the files that a video has: what it is called in reports, its suffix, its folders."""

    text: str
    suffix: str
    folders: Tuple[str, ...]


KINDS = {
    "joints_mm": Kind(
        "3-D joints", ".cdf", ("MyPoseFeatures/D3_Positions_mono", "Poses_D3_Positions_mono")
    ),
    "joints_px": Kind("2-D joints", ".cdf", ("MyPoseFeatures/D2_Positions", "Poses_D2_Positions")),
    "video": Kind("video", ".mp4", ("Videos",)),
    "masks": Kind("boxes", ".mat", ("MySegmentsMat/ground_truth_bb", "Segments_mat_gt_bb")),
}
NEEDED = ("joints_mm", "joints_px", "video")
# What is in the place of the right positions, and why it will not do.
WRONG_POSITIONS = {
    "D3_Positions_mono_universal": "they hide the size of the subject",
    "D3_Positions": "they are not in the camera's frame",
}


@dataclass(frozen=True)
class Clip:
    """One video of one camera with its poses.

    Attributes:
        subject, action, camera: one of ``SUBJECTS``, ``ACTIONS``, ``CAMERAS``.
        subaction: from 1.
        joints_mm, joints_px, video: files.
        masks: file of the boxes, ``None`` if there is none.
    """

    subject: str
    action: str
    subaction: int
    camera: str
    joints_mm: Path
    joints_px: Path
    video: Path
    masks: Optional[Path]

    @property
    def name(self) -> str:
        """Name in reports, and of its files while converting: ``S1.Directions.1.54138969``."""
        return f"{self.subject}.{self.action}.{self.subaction}.{self.camera}"

    @property
    def numbers(self) -> Tuple[int, int, int, int]:
        """(subject, action, subaction, camera) as a label counts them; clips are sorted by it."""
        return (
            SUBJECTS.index(self.subject),
            ACTIONS.index(self.action),
            self.subaction,
            CAMERAS.index(self.camera),
        )


@dataclass
class Catalogue:
    """What is in a raw folder.

    Attributes:
        raw: the folder.
        clips: complete ones, sorted.
        problems: of the rest.
        subactions: ``"metadata.xml"`` or ``"file names"``: what the subactions were taken from.
    """

    raw: Path
    clips: List[Clip]
    problems: List[Problem]
    subactions: str

    def relative(self, path: Path) -> str:
        """Return the name of a file below the raw folder."""
        return path.relative_to(self.raw).as_posix()

    def files(self) -> Dict[str, int]:
        """Return every file that a clip needs, with its size in bytes."""
        paths = (p for c in self.clips for p in (c.joints_mm, c.joints_px, c.video, c.masks) if p)
        return {self.relative(path): path.stat().st_size for path in paths}


def find_clips(raw, metadata=None) -> Catalogue:
    """Look for the files of every subject, action and camera.

    Args:
        raw: folder that holds ``S1`` ... or ``extracted/S1`` ...
        metadata: path of metadata.xml; that in the raw folder if not given.

    Raises:
        H36mError: if there is no such folder, no subject in it, or ``metadata`` cannot be read.
    """
    raw = Path(raw)
    if not raw.is_dir():
        raise H36mError(f"{raw}: is no folder, expected one with the subjects' folders S1, S5, ...")
    found = Catalogue(raw, [], [], "file names")
    folders = _subject_folders(raw)
    if not folders:
        inside = ", ".join(sorted(path.name for path in raw.iterdir())[:8]) or "nothing"
        raise H36mError(
            f"{raw}: no subject in it, found {inside}; expected S1/MyPoseFeatures/... or "
            "extracted/S1/Poses_D3_Positions_mono/..."
        )
    known = _known_subactions(found, metadata)
    for subject in SUBJECTS:
        if subject in folders:
            _add_subject(found, subject, folders.pop(subject), known.get(subject, {}))
        else:
            found.problems.append(Problem("missing subject", subject, "no folder of that name"))
    for subject in sorted(folders):
        message = "not converted: none of the seven subjects whose poses are public"
        found.problems.append(Problem("other subject", subject, message))
    found.clips.sort(key=lambda clip: clip.numbers)
    return found


def _subject_folders(raw: Path) -> Dict[str, List[Path]]:
    folders: Dict[str, List[Path]] = {}
    for base in BASES:
        for path in sorted((raw / base).glob("S[0-9]*")):
            if path.name[1:].isdigit() and path.is_dir():
                folders.setdefault(path.name, []).append(path)
    return folders


def _known_subactions(found: Catalogue, metadata) -> dict:
    candidates = [found.raw / base / "metadata.xml" for base in BASES]
    path = next((p for p in candidates if p.is_file()), None) if metadata is None else metadata
    if path is None:
        return {}
    try:
        known = read_subactions(path)
    except H36mError as error:
        if metadata is not None:
            raise
        message = f"{error}; subactions are told from the file names".replace(f"{path}: ", "", 1)
        found.problems.append(Problem("metadata.xml", found.relative(path), message))
        return {}
    found.subactions = "metadata.xml"
    return known


def _add_subject(found: Catalogue, subject: str, folders: List[Path], known: dict) -> None:
    """Add the clips of a subject; ``known`` has the subactions of its takes."""
    files: Dict[Tuple[Take, str], Dict[str, Path]] = {}
    for kind in KINDS:
        for path in _files_of_kind(found, subject, folders, kind):
            key = _take_and_camera(found, path)
            if key is None:
                continue
            first = files.setdefault(key, {}).setdefault(kind, path)
            if first != path:
                message = f"the same take as {found.relative(first)}, which is used"
                found.problems.append(Problem("second file", found.relative(path), message))
    takes = {take for take, _ in files}
    subactions = _count_subactions(takes, known)
    for (take, camera), paths in sorted(files.items(), key=lambda item: str(item[0])):
        missing = [kind for kind in NEEDED if kind not in paths]
        number = "" if take.number is None else f" {take.number}"
        where = f"{subject}/{take.action}{number}.{camera}"
        if missing == ["joints_mm", "joints_px", "video"]:
            found.problems.append(Problem("missing file", where, "boxes, but nothing else"))
        elif missing:
            texts = " and ".join(KINDS[kind].text for kind in missing)
            message = f"no {texts}: not converted{_hint(folders, missing)}"
            found.problems.append(Problem("missing file", where, message))
        else:
            ours = {kind: paths.get(kind) for kind in KINDS}
            found.clips.append(Clip(subject, take.action, subactions[take], camera, **ours))


def _hint(folders: List[Path], missing: List[str]) -> str:
    if "joints_mm" in missing:
        for name, why in WRONG_POSITIONS.items():
            places = (f"MyPoseFeatures/{name}", f"Poses_{name}")
            if any((folder / place).is_dir() for folder in folders for place in places):
                return f"; there are {name}, but {why}: get D3_Positions_mono"
    return ""


def _files_of_kind(found: Catalogue, subject: str, folders: List[Path], kind: str) -> List[Path]:
    """Return the files of one kind, those of the first layout first."""
    text, suffix, inner = KINDS[kind]
    places = [folder / place for folder in folders for place in inner]
    paths = [path for place in places for path in sorted(place.glob(f"*{suffix}"))]
    paths = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    if not paths and kind != "masks":
        message = f"no {text}: no *{suffix} in {' or '.join(inner)}"
        found.problems.append(Problem("missing files", subject, message))
    return paths


def _take_and_camera(found: Catalogue, path: Path) -> Optional[Tuple[Take, str]]:
    name, _, camera = path.stem.rpartition(".")
    if is_skipped(path.stem):
        return None
    take = parse_take(name)
    if take is None or camera not in CAMERAS:
        message = "not converted: expected ACTION.CAMERA or ACTION NUMBER.CAMERA"
        found.problems.append(Problem("unknown file name", found.relative(path), message))
        return None
    return take, camera


def _count_subactions(takes, known: Dict[Take, int]) -> Dict[Take, int]:
    """Return the subaction of each take: by metadata.xml, else by rank within its action."""
    subactions = {take: known[take] for take in takes if take in known}
    for take in sorted(takes - set(subactions), key=lambda take: (take.action, take.order)):
        used = {number for other, number in subactions.items() if other.action == take.action}
        subactions[take] = next(n for n in range(1, len(takes) + 2) if n not in used)
    return subactions
