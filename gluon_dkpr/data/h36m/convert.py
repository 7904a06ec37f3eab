"""One video into samples: decode, crop, encode, label."""

from __future__ import annotations

import collections
import contextlib
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import cv2
import numpy as np

from gluon_dkpr.data.h36m.boxes import JOINT_MARGIN, MaskBoxes, cut_out, joint_box, square_crop
from gluon_dkpr.data.h36m.camera import Camera, fit_camera
from gluon_dkpr.data.h36m.layouts import Clip
from gluon_dkpr.data.h36m.names import H36mError, Problem
from gluon_dkpr.data.h36m.parts import write_part
from gluon_dkpr.data.h36m.poses import read_joints
from gluon_dkpr.data.h36m.video import Video
from gluon_dkpr.data.human import Targets, fit_targets, human_layout
from gluon_dkpr.data.images import ImageFormat
from gluon_dkpr.geometry import Crop
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

#: Section 4.2 of the paper; ``JPEG_QUALITY`` is that of ``gluon_dkpr.data.images``.
IMAGE = ImageFormat(224, 224, 3, "jpeg")
BOX_CHOICES = ("auto", "joints")
# How many frames are converted before progress is told.
TELL_EVERY = 20


@dataclass(frozen=True)
class Task:
    """What a worker needs to convert a video.

    Args:
        raw: folder of the data set, for names in reports.
        clip: the video and its files.
        wanted: numbers of the frames, ascending, shape (N,).
        skeleton: the mean subject, mm.
        scale: of the clip's subject.
        boxes: one of ``BOX_CHOICES``.
        keep_damaged: go on after decoding errors.
        folder: NAME.parts.
    """

    raw: Path
    clip: Clip
    wanted: Array
    skeleton: Skeleton
    scale: float
    boxes: str
    keep_damaged: bool
    folder: Path


def convert_clip(task: Task, tell: Callable[[int], None]) -> dict:
    """Convert a video into a part; what is wrong with it is reported, not raised.

    Args:
        task: what to convert.
        tell: called with the number of frames converted since the last call.

    Returns:
        JSON data: ``samples``, ``problems``, ``boxes`` from masks and joints, the ``camera`` with
        its residual, the mean ``motion_error_mm``, ``seconds`` and ``peak_mb`` of this process.
    """
    begin = time.perf_counter()
    work = _Conversion(task, tell)

    def report() -> dict:
        seconds = time.perf_counter() - begin
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {**work.report(), "seconds": round(seconds, 3), "peak_mb": round(peak_mb, 1)}

    return write_part(task.folder, task.clip.name, work.run(), report)


def write_crashed(task: Task, message: str) -> dict:
    """Write the part of a video that ended its worker, and return its report."""
    work = _Conversion(task, lambda frames: None)
    work.add("unreadable video", task.clip.video, f"{message}: not converted")
    report = {**work.report(), "seconds": 0.0, "peak_mb": 0.0}
    return write_part(task.folder, task.clip.name, iter(()), lambda: report)


class _Conversion:
    """The samples of one video, and what is to report about it."""

    def __init__(self, task: Task, tell: Callable[[int], None]):
        self.task, self.tell = task, tell
        self.layout = human_layout(task.skeleton)
        self.samples, self.error_mm = 0, 0.0
        self.problems: List[Problem] = []
        self.boxes: Dict[str, int] = collections.Counter(masks=0, joints=0)
        self.camera: Optional[Camera] = None

    def report(self) -> dict:
        """Return what became of the video."""
        return {
            "samples": self.samples,
            "problems": self.problems,
            "boxes": dict(self.boxes),
            "camera": None if self.camera is None else self.camera._asdict(),
            "motion_error_mm": self.error_mm / max(self.samples, 1),
        }

    def run(self) -> Iterator[Tuple[Array, bytes]]:
        """Yield label (L,) and encoded image of each sample."""
        clip = self.task.clip
        try:
            joints_mm, joints_px = self._read(clip.joints_mm, 3), self._read(clip.joints_px, 2)
            count = self._count_poses(joints_mm, joints_px)
            self.joints_mm, self.joints_px = joints_mm[:count], joints_px[:count]
            self.camera = self._fit_camera()
            wanted = self._usable()
            if len(wanted):
                yield from self._samples(wanted)
        except _UnusableError as error:
            self.problems.append(error.problem)

    def _samples(self, wanted: Array) -> Iterator[Tuple[Array, bytes]]:
        task = self.task
        with contextlib.ExitStack() as stack:
            boxes = self._open_boxes(stack)
            try:
                video = stack.enter_context(Video(task.clip.video, task.keep_damaged))
            except H36mError as error:
                raise self._unusable("unreadable video", task.clip.video, str(error)) from None
            joints = self.joints_mm[wanted] - self.joints_mm[wanted, :1]
            targets = fit_targets(task.skeleton, joints, task.scale)
            rows = {number: row for row, number in enumerate(wanted.tolist())}
            for number, picture in video.frames(wanted, len(self.joints_mm)):
                crop = self._crop(boxes, number)
                if crop is None:
                    continue
                row = rows[number]
                label = self._label(number, crop, joints[row], targets, row)
                yield label, IMAGE.encode(cut_out(picture, crop)[..., ::-1])
                self.samples += 1
                self.error_mm += float(targets.error[row])
                if not self.samples % TELL_EVERY:
                    self.tell(TELL_EVERY)
            self._report_ending(video)
            self._report_boxes(boxes)

    def _label(self, number: int, crop: Crop, joints: Array, targets: Targets, row: int) -> Array:
        subject, action, subaction, camera = self.task.clip.numbers
        root = self.joints_mm[number, 0]
        fields = {
            "joints": joints,
            "motion": targets.motion[row],
            "motion_error": targets.error[row],
            "scale": self.task.scale,
            "root": root,
            "joints_px": crop.to_crop(self.joints_px[number]),
            "box": (crop.left, crop.top, crop.side),
            "box_mm": crop.side * root[2] / self.camera.focal,
            "intrinsics": self.camera.intrinsics,
            "subject": subject,
            "action": action,
            "subaction": subaction,
            "camera": camera,
            "frame": number,
        }
        return self.layout.pack(fields)

    def _crop(self, boxes: Optional[MaskBoxes], number: int) -> Optional[Crop]:
        """Return the crop of a frame; ``None``, and it is counted, for one without a person."""
        box, joints_px = None, self.joints_px[number]
        if boxes is not None:
            try:
                box = boxes.box(number)
            except H36mError:
                box = None
            # A few masks are known to be of something else.
            if box is not None and not _holds(box, joints_px[0]):
                box = None
        kind, margin = ("masks", 0.0) if box is not None else ("joints", JOINT_MARGIN)
        try:
            box = joint_box(joints_px) if box is None else box
            crop = square_crop(box, IMAGE.height, margin)
        except H36mError:
            self.boxes["none"] += 1
            return None
        self.boxes[kind] += 1
        return crop

    def _open_boxes(self, stack: contextlib.ExitStack) -> Optional[MaskBoxes]:
        path = self.task.clip.masks
        if path is None or self.task.boxes == "joints":
            return None
        try:
            return stack.enter_context(MaskBoxes(path))
        except H36mError as error:
            message = f"{error}: boxes are made from the joints"
            self.add("unreadable boxes", path, message)
            return None

    def _read(self, path: Path, dim: int) -> Array:
        try:
            return read_joints(path, dim)
        except H36mError as error:
            raise self._unusable("unreadable poses", path, str(error)) from None

    def _count_poses(self, joints_mm: Array, joints_px: Array) -> int:
        if len(joints_mm) != len(joints_px):
            message = (
                f"{len(joints_mm)} frames of 3-D and {len(joints_px)} of 2-D joints: the frames "
                "that have both are converted"
            )
            self.add("unequal poses", self.task.clip.joints_mm, message)
        return min(len(joints_mm), len(joints_px))

    def _fit_camera(self) -> Camera:
        try:
            return fit_camera(self.joints_mm, self.joints_px)
        except H36mError as error:
            raise self._unusable("camera", self.task.clip.joints_mm, str(error)) from None

    def _usable(self) -> Array:
        """Return the wanted frames whose joints are all known and in front of the camera."""
        wanted = self.task.wanted[self.task.wanted < len(self.joints_mm)]
        joints_mm, joints_px = self.joints_mm[wanted], self.joints_px[wanted]
        good = np.isfinite(joints_mm).all(axis=(1, 2)) & np.isfinite(joints_px).all(axis=(1, 2))
        # False for NaN too.
        good &= joints_mm[:, 0, 2] > 0
        if not good.all():
            message = (
                f"{np.count_nonzero(~good)} of {len(wanted)} frames have a joint that is no number "
                f"or a root behind the camera: left out, first frame {wanted[~good][0]}"
            )
            self.add("unusable poses", self.task.clip.joints_mm, message)
        return wanted[good]

    def _report_ending(self, video: Video) -> None:
        where, poses = self.task.clip.video, len(self.joints_mm)
        read, ending = video.frames_read, video.ending
        if video.errors and self.task.keep_damaged:
            message = f"the decoder complained {video.errors} times: damaged frames may be kept"
            self.add("damaged video", where, message)
        if read < poses:
            kind = "fewer video frames than poses" if ending == "ended" else "damaged video"
            stated = f", the file says {video.frames_stated} frames" if ending == "ended" else ""
            message = f"{ending} after {read} of {poses} frames that have poses{stated}"
            self.add(kind, where, f"{message}: the rest is left out")
        elif video.has_more():
            frames = max(video.frames_stated, poses + 1)
            message = f"{frames} frames, {poses} poses: the frames after the last pose are left out"
            self.add("more video frames than poses", where, message)

    def _report_boxes(self, boxes: Optional[MaskBoxes]) -> None:
        clip = self.task.clip
        if self.boxes["none"]:
            message = f"{self.boxes['none']} frames in which no box holds a person: left out"
            self.add("unusable boxes", clip.joints_px, message)
        if boxes is not None and self.boxes["joints"]:
            message = (
                f"{self.boxes['joints']} of {self.boxes['joints'] + self.boxes['masks']} frames "
                "without a mask, or with one beside the person: boxes are made from the joints"
            )
            self.add("unusable boxes", clip.masks, message)

    def _unusable(self, kind: str, path: Path, message: str) -> _UnusableError:
        return _UnusableError(Problem(kind, self._relative(path), f"{message}: not converted"))

    def add(self, kind: str, path: Path, message: str) -> None:
        """Note a problem with a file."""
        self.problems.append(Problem(kind, self._relative(path), message))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.task.raw).as_posix()


class _UnusableError(H36mError):
    """Nothing of the video can be converted."""

    def __init__(self, problem: Problem):
        super().__init__(problem.message)
        self.problem = problem


def _holds(box: Array, point: Array) -> bool:
    """Tell whether a box (left, top, right, bottom) holds a point, px of the image."""
    left, top, right, bottom = box
    return bool(left <= point[0] + 0.5 <= right and top <= point[1] + 0.5 <= bottom)


def set_up_process() -> None:
    """Make this process use one core."""
    cv2.setNumThreads(1)
