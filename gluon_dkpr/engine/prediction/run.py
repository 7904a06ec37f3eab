"""From inputs to files: what ``tools/predict.py`` does."""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from tqdm import tqdm

from gluon_dkpr.engine.pictures import PictureFileError, read_picture
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import PoseEstimate, Seen, estimate_seen, see
from gluon_dkpr.engine.prediction.options import Options
from gluon_dkpr.engine.prediction.outputs import (
    check_folder,
    formats_of,
    has_motion,
    open_sink,
    output_files,
    suffixes_of,
)
from gluon_dkpr.engine.prediction.smoothing import smooth_poses
from gluon_dkpr.engine.prediction.sources import Source, find_sources
from gluon_dkpr.engine.prediction.tables import About
from gluon_dkpr.engine.prediction.video import VideoReader
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.engine.stop import StopRequest
from gluon_dkpr.types import Array

# Pictures wait for their batch in memory, up to so many bytes together.
_BATCH_BYTES = 256 << 20
# What goes wrong with the files of one input, and may not with those of the next.
_NOT_WRITTEN = (PredictionError, OSError)


class Prediction(NamedTuple):
    """What became of one input.

    Attributes:
        name: what the user calls it.
        files: that were written.
        frames: number of poses in them.
        pose: the last one.
        error: what went wrong; a video that ends too early has files and an error.
    """

    name: str
    files: Tuple[Path, ...] = ()
    frames: int = 0
    pose: Optional[PoseEstimate] = None
    error: Optional[str] = None


class _Frame(NamedTuple):
    number: int
    picture: Array
    seen: Optional[Seen]


def predict_inputs(
    predictor: ImagePredictor,
    inputs: Sequence[Union[str, Path]],
    folder,
    options: Optional[Options] = None,
) -> Iterator[Prediction]:
    """Predict pictures, folders, patterns, videos and webcams, and write the files.

    An input that fails does not stop the others, neither if it cannot be read nor if its files
    cannot be written. A webcam ends with Ctrl-C, and keeps its files.

    Args:
        predictor: from :func:`~gluon_dkpr.engine.load.load_predictor`.
        inputs: as :func:`~gluon_dkpr.engine.prediction.sources.find_sources` takes them.
        folder: for the files; made if it is missing.
        options: see there; without it the defaults.

    Yields:
        One :class:`Prediction` for each input, each file of a folder or pattern.

    Raises:
        PredictionError: for options that do not fit the model or the inputs.
        OSError: if the folder is none or is not to be written to.
    """
    options = options or Options()
    sources, failures = find_sources(inputs)
    options.check(predictor, sources)
    check_folder(Path(folder))
    for name, message in failures:
        yield Prediction(name, error=message)
    run = _Run(predictor, sources, Path(folder), options)
    with tqdm(total=len(sources), unit="input", leave=False, disable=None) as bar:
        for result in run.results():
            bar.update()
            yield result


class _Run:
    def __init__(
        self, predictor: ImagePredictor, sources: List[Source], folder: Path, options: Options
    ):
        self.predictor, self.options = predictor, options
        formats = [
            formats_of(source, options.formats, predictor, options.model_fit) for source in sources
        ]
        suffixes = [suffixes_of(*pair, options.draw) for pair in zip(sources, formats)]
        self.jobs = list(zip(sources, output_files(sources, folder, suffixes)))

    def results(self) -> Iterator[Prediction]:
        """Yield what becomes of the inputs, in order."""
        for kind, jobs in itertools.groupby(self.jobs, lambda job: job[0].kind == "picture"):
            if kind:
                yield from self._pictures(jobs)
            else:
                yield from (self._video(*job) for job in jobs)

    def _pictures(self, jobs: Iterable[Tuple[Source, Dict[str, Path]]]) -> Iterator[Prediction]:
        batches = _batches(self._read(jobs), self.options.batch, lambda item: item[2])
        for batch in batches:
            seen = [one for *_, one, _ in batch if one is not None]
            poses = iter(estimate_seen(self.predictor, seen, self.options.model_fit))
            for source, files, picture, one, error in batch:
                if one is None:
                    yield Prediction(source.name, error=error)
                    continue
                pose = next(poses)
                try:
                    with open_sink(files, self._about(source, picture.shape, None)) as write:
                        write(0, picture, pose)
                except _NOT_WRITTEN as cause:
                    yield Prediction(source.name, error=_reason(cause, source))
                else:
                    yield Prediction(source.name, tuple(files.values()), 1, pose)

    def _read(self, jobs):
        """Yield input, files, picture, what the network sees of it, and an error."""
        for source, files in jobs:
            try:
                picture = read_picture(source.path)
                yield source, files, picture, self._see(source, picture, 0), None
            except PictureFileError as error:
                yield source, files, None, None, _reason(error, source)

    def _see(self, source: Source, picture: Array, frame: int) -> Seen:
        box = self.options.boxes.of(source.name, frame)
        return see(self.predictor, picture, box, self.options.camera)

    def _video(self, source: Source, files: Dict[str, Path]) -> Prediction:
        count, last = 0, None
        try:
            with VideoReader(source) as reader:
                about = self._about(source, reader.size, reader.fps)
                with open_sink(files, about) as write, contextlib.closing(
                    self._smoothed(self._estimated(source, reader), reader.fps)
                ) as frames:
                    for frame, pose in frames:
                        write(frame.number, frame.picture, pose)
                        if pose is not None:
                            count, last = count + 1, pose
                    if not count:
                        # Also takes the files back.
                        raise PictureFileError(reader.problem or "no frame shows what is expected")
        except (PictureFileError, *_NOT_WRITTEN) as error:
            return Prediction(source.name, error=_reason(error, source))
        problem = reader.problem
        if problem is None and count < reader.frames_read:
            problem = f"{reader.frames_read - count} of {reader.frames_read} frames have no pose"
        return Prediction(source.name, tuple(files.values()), count, last, problem)

    def _estimated(self, source: Source, reader: VideoReader):
        """Yield the frames of a video with their poses, ``None`` where there is none."""
        before: Optional[PoseEstimate] = None
        batches = _batches(
            self._frames(source, reader), self.options.batch, lambda frame: frame.picture
        )
        for batch in batches:
            seen = [frame.seen for frame in batch if frame.seen is not None]
            fit = self.options.model_fit
            poses = estimate_seen(self.predictor, seen, fit, sequence=True, before=before)
            before = poses[-1] if poses else before
            following = iter(poses)
            for frame in batch:
                yield frame, None if frame.seen is None else next(following)

    def _frames(self, source: Source, reader: VideoReader) -> Iterator[_Frame]:
        stated = reader.frames_stated
        total = min((n for n in (stated, self.options.max_frames) if n), default=None)
        bar = tqdm(total=total, desc=source.name, unit="frame", leave=False, disable=None)
        with bar, StopRequest() if source.kind == "webcam" else contextlib.nullcontext() as stop:
            pictures = itertools.islice(reader.frames(), self.options.max_frames)
            for number, picture in enumerate(pictures):
                bar.update()
                try:
                    yield _Frame(number, picture, self._see(source, picture, number))
                except PictureFileError:
                    yield _Frame(number, picture, None)
                if stop is not None and stop.requested:
                    return

    def _smoothed(self, frames, fps: float) -> Iterator[Tuple[_Frame, Optional[PoseEstimate]]]:
        if not self.options.smooth_s:
            yield from frames
            return
        waiting: deque = deque()

        def poses():
            for frame, pose in frames:
                waiting.append((frame, pose is not None))
                if pose is not None:
                    yield pose

        for pose in smooth_poses(poses(), self.options.smooth_s * fps):
            while not waiting[0][1]:
                yield waiting.popleft()[0], None
            yield waiting.popleft()[0], pose
        yield from ((frame, None) for frame, _ in waiting)

    def _about(self, source: Source, shape: Sequence[int], fps: Optional[float]) -> About:
        predictor, options = self.predictor, self.options
        in_space = predictor.skeleton.length_unit != "px"
        return About(
            source.kind,
            source.name if source.path is None else source.path.name,
            *shape[:2],
            predictor.skeleton,
            predictor.method,
            fps,
            has_motion(predictor, options.model_fit),
            in_space and options.camera is not None,
        )


def _batches(items: Iterable, size: int, picture_of) -> Iterator[list]:
    """Yield lists of up to ``size`` items, fewer where their pictures are large."""
    batch, held = [], 0
    for item in items:
        batch.append(item)
        picture = picture_of(item)
        held += 0 if picture is None else picture.nbytes
        if len(batch) == size or held > _BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _reason(error: Exception, source: Source) -> str:
    """Return an error's message without the input's name, which stands before it anyway."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return str(error).replace(f"{source.name}: ", "", 1)
