"""Which files are written of each input, and what writes them."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from gluon_dkpr.engine.prediction.drawing import VIDEO_PX, draw_estimate, mp4_writer, write_png
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import PoseEstimate
from gluon_dkpr.engine.prediction.sources import PICTURE_DRAWN, VIDEO_DRAWN, Source
from gluon_dkpr.engine.prediction.tables import WRITERS, About
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.types import Array

#: What a frame is written by: its number, the picture, and the pose if one was found in it.
Sink = Callable[[int, Array, Optional[PoseEstimate]], None]


def check_formats(
    formats: Optional[Sequence[str]], predictor: ImagePredictor, model_fit: bool
) -> None:
    """Raise PredictionError unless a model can fill the wanted files.

    Args:
        formats: keys of :data:`~gluon_dkpr.engine.prediction.tables.WRITERS`.
        predictor: the model.
        model_fit: its skeleton is fitted where it predicts no motion.
    """
    for name in formats or ():
        if name not in WRITERS:
            raise PredictionError(f"format is {name!r:.40}, expected some of {', '.join(WRITERS)}")
    if "bvh" not in (formats or ()):
        return
    if predictor.skeleton.dim != 3:
        raise PredictionError(
            f"BVH wants three dimensions, skeleton '{predictor.skeleton.name}' has 2"
        )
    if not has_motion(predictor, model_fit):
        raise PredictionError(
            "BVH wants a motion and direct joint predicts none; --model-fit finds it"
        )


def has_motion(predictor: ImagePredictor, model_fit: bool) -> bool:
    """Tell whether poses of a model have a motion."""
    return model_fit or predictor.method != "direct" or predictor.skeleton.dim == 2


def formats_of(
    source: Source, formats: Optional[Sequence[str]], predictor: ImagePredictor, model_fit: bool
) -> Tuple[str, ...]:
    """Return which tables are written of an input: the wanted ones, else JSON, and BVH of videos.

    Args:
        source: the input.
        formats: the wanted ones, ``None`` for the default.
        predictor, model_fit: as in :func:`check_formats`.
    """
    if formats is not None:
        return tuple(dict.fromkeys(formats))
    moving = source.kind != "picture" and predictor.skeleton.dim == 3
    return ("json", "bvh") if moving and has_motion(predictor, model_fit) else ("json",)


def check_folder(folder: Path) -> None:
    """Raise OSError, which names it, if files cannot be written to a folder that may be missing."""
    found = next(path for path in (folder, *folder.parents) if path.exists())
    if not found.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(found))
    if not os.access(found, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(found))


def output_files(
    sources: Sequence[Source], folder: Path, suffixes: Sequence[Sequence[str]]
) -> List[Dict[str, Path]]:
    """Return the files of each input by suffix, no two alike and none of them one of the inputs.

    They are called after the input; where that is taken, ``<stem>-2``, ``<stem>-3``, ...

    Args:
        sources: the inputs.
        folder: for the files.
        suffixes: of each input's files, as ``"-overlay.png"``.
    """
    taken = {source.path.resolve() for source in sources if source.path is not None}
    chosen = []
    for source, own in zip(sources, suffixes):
        number, stem = 1, source.stem
        files = {suffix: folder / (stem + suffix) for suffix in own}
        while any(file.resolve() in taken for file in files.values()):
            number += 1
            files = {suffix: folder / f"{stem}-{number}{suffix}" for suffix in own}
        taken.update(file.resolve() for file in files.values())
        chosen.append(files)
    return chosen


def suffixes_of(source: Source, formats: Sequence[str], draw: bool) -> List[str]:
    """Return how the names of an input's files end."""
    drawn = PICTURE_DRAWN if source.kind == "picture" else VIDEO_DRAWN
    return [f".{name}" for name in formats] + [drawn] * draw


@contextlib.contextmanager
def open_sink(files: Dict[str, Path], about: About) -> Iterator[Sink]:
    """Give what writes the frames of an input; files appear when the block ends well.

    Args:
        files: by suffix, from :func:`output_files`.
        about: what is the same for all frames.
    """
    with contextlib.ExitStack() as stack:
        tables, draw = [], None
        for suffix, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if suffix == VIDEO_DRAWN:
                draw = stack.enter_context(mp4_writer(path, about.fps))
            elif suffix != PICTURE_DRAWN:
                tables.append(stack.enter_context(WRITERS[suffix[1:]](path, about)))

        def write(frame: int, picture: Array, pose: Optional[PoseEstimate]) -> None:
            if pose is not None:
                for table in tables:
                    table(frame, pose)
            if draw is not None:
                draw(draw_estimate(picture, about.skeleton, pose, VIDEO_PX))
            elif PICTURE_DRAWN in files:
                write_png(files[PICTURE_DRAWN], draw_estimate(picture, about.skeleton, pose))

        yield write
