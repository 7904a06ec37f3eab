"""The rendered people as a data set in the schema of Human3.6M: a human data set for everybody."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import cv2
import numpy as np

from gluon_dkpr.data.body.files import BodyError
from gluon_dkpr.data.body.motion import TEST_CLIPS
from gluon_dkpr.data.body.render import CLOTHES, SCENE_IMAGES, draw_picture, draw_scene
from gluon_dkpr.data.body.scene import CAMERAS, IMAGE_PX
from gluon_dkpr.data.body.subjects import SUBJECTS, TEST_SUBJECTS, Studio, open_studio
from gluon_dkpr.data.human import fit_targets, human_layout
from gluon_dkpr.data.images import JPEG_QUALITY, ImageFormat
from gluon_dkpr.data.layout import LabelLayout
from gluon_dkpr.data.record import RecordInfo, write_record
from gluon_dkpr.types import Array

TRAIN_IMAGES = 16000
TEST_IMAGES = 2000
SIZE_PX = 224
SIZES_PX = (32, 1024)
# Images that a process makes at a time.
UNIT = 8 * SCENE_IMAGES


class Job(NamedTuple):
    """What every process needs to make images; it is inherited, not sent."""

    studio: Studio
    layout: LabelLayout
    image: ImageFormat
    seed: int
    clothes: str


class Made(NamedTuple):
    """Encoded images with their labels, and what the model fit leaves of each, mm."""

    samples: List[Tuple[bytes, Array]]
    errors: Array


def make_human_record(
    path,
    train: int = TRAIN_IMAGES,
    test: int = TEST_IMAGES,
    size: int = SIZE_PX,
    seed: int = 0,
    workers: int = 1,
    progress: Optional[Callable[[int], None]] = None,
    clothes: str = "varied",
) -> RecordInfo:
    """Write a data set of rendered people; equal arguments give equal files, byte for byte.

    Real motion capture, varied, moves human meshes of several shapes; four calibrated cameras look
    at them. The label is that of Human3.6M (:func:`~gluon_dkpr.data.human.human_layout`). Training
    and test share no subject and no clip.

    Args:
        path: NAME of the data set, with or without suffix.
        train, test: images of the two splits, 0 or more and not both 0.
        size: height and width of an image, px.
        seed: 0 or more.
        workers: processes; the result is the same for any number.
        progress: called with the number of images made since the last call.
        clothes: ``"varied"``, or ``"suit"``, whose colours tell the parts of the body.

    Raises:
        BodyError: for a number out of range, other clothes, or if mesh or photos are missing.
        MocapError: if the motion capture is missing.
        RecordError, OSError: if it cannot be written.
    """
    counts = {"train": train, "test": test}
    _check(counts, size, seed, workers)
    if clothes not in CLOTHES:
        raise BodyError(f"clothes are {clothes!r}, expected one of {list(CLOTHES)}")
    studio = open_studio()
    layout, image = human_layout(studio.skeleton), ImageFormat(size, size, 3, "jpeg")
    job = Job(studio, layout, image, seed, clothes)
    source = _source(job, counts)

    def samples(split: str) -> Iterator[Tuple[bytes, Array]]:
        errors = []
        for made in _units(job, split, counts[split], workers):
            yield from made.samples
            errors.append(made.errors)
            if progress:
                progress(len(made.samples))
        if errors:
            # The .json is written after the last sample.
            source["fit_error_mm"][split] = round(float(np.concatenate(errors).mean()), 3)

    splits = {split: samples(split) for split in counts}
    return write_record(path, studio.skeleton, layout, image, splits, source)


def make_unit(job: Job, split: str, begin: int, count: int) -> Made:
    """Return the images ``begin`` to ``begin + count - 1`` of a split with their labels.

    Args:
        job: what to make.
        split: ``"train"`` or ``"test"``.
        begin: a multiple of ``SCENE_IMAGES``.
        count: 1 or more.
    """
    studio, size = job.studio, job.image.height
    pictures = []
    for index in range(begin, begin + count):
        if not index % SCENE_IMAGES:
            scene = draw_scene(studio, job.seed, split, index // SCENE_IMAGES, job.clothes)
        pictures.append(draw_picture(studio, scene, job.seed, split, index, size))
    names = list(SUBJECTS)
    scales = np.array([studio.scales[names[picture.label["subject"]]] for picture in pictures])
    joints = np.array([picture.label["joints"] for picture in pictures])
    # One fit for subjects of all scales: the joints are brought to the mean subject's size.
    targets = fit_targets(studio.skeleton, joints / scales[:, None, None], 1.0)
    samples = []
    for picture, scale, motion, error in zip(pictures, scales, targets.motion, targets.error):
        fitted = {"scale": scale, "motion": motion, "motion_error": scale * error}
        label = job.layout.pack({**picture.label, **fitted})
        samples.append((job.image.encode(picture.image), label))
    return Made(samples, scales * targets.error)


def _check(counts: Mapping[str, int], size: int, seed: int, workers: int) -> None:
    numbers = {**counts, "seed": seed}
    for name, value in numbers.items():
        if value < 0:
            raise BodyError(f"{name} is {value}, expected 0 or more")
    if not sum(counts.values()):
        raise BodyError("train and test are both 0, expected an image or more")
    if not SIZES_PX[0] <= size <= SIZES_PX[1]:
        raise BodyError(f"size is {size}, expected {SIZES_PX[0]} to {SIZES_PX[1]} px")
    if workers < 1:
        raise BodyError(f"workers is {workers}, expected 1 or more")


def _source(job: Job, counts: Mapping[str, int]) -> dict:
    """Return what the .json says about the making; the fit's residual is added at the end."""
    studio = job.studio
    retargeted = {name: float(action.error.mean()) for name, action in studio.actions.items()}
    frames = [len(action.error) for action in studio.actions.values()]
    return {
        "generator": "gluon_dkpr.data.body",
        "seed": job.seed,
        "parameters": {
            **counts,
            "size": job.image.height,
            "jpeg_quality": JPEG_QUALITY,
            "clothes": job.clothes,
        },
        "camera_image_px": [IMAGE_PX, IMAGE_PX],
        "subjects": list(SUBJECTS),
        "test_subjects": list(TEST_SUBJECTS),
        "actions": list(studio.actions),
        "test_actions": list(TEST_CLIPS),
        "cameras": list(CAMERAS),
        "scales": {name: round(scale, 6) for name, scale in studio.scales.items()},
        "retarget_error_mm": {
            "mean": round(float(np.average(list(retargeted.values()), weights=frames)), 3),
            **{name: round(error, 3) for name, error in retargeted.items()},
        },
        "fit_error_mm": {},
    }


# What the processes of a pool work on.
_job: Optional[Job] = None


def _units(job: Job, split: str, count: int, workers: int) -> Iterator[Made]:
    units = [(split, begin, min(UNIT, count - begin)) for begin in range(0, count, UNIT)]
    if min(workers, len(units)) < 2:
        yield from (make_unit(job, *unit) for unit in units)
        return
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(min(workers, len(units)), context, _adopt, (job,))
    with _one_thread(), pool:
        results = pool.map(_make_adopted, units)
        try:
            yield from results
        except BrokenProcessPool:
            raise BodyError("a process that draws was ended from outside") from None
        finally:
            # What has not begun is not begun any more.
            results.close()


@contextlib.contextmanager
def _one_thread():
    """Keep OpenCV to one thread: a fork does not copy the others, and whoever waits for them hangs.

    The number is set here and inherited, because setting it ends threads and waits for that, too.
    """
    count = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(count)


def _adopt(job: Job) -> None:
    global _job
    _job = job
    # Ctrl-C is the parent's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make_adopted(unit: Tuple[str, int, int]) -> Made:
    return make_unit(_job, *unit)
