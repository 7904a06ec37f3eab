"""From a raw folder of Human3.6M to a data set, as section 4.2 of the paper has it."""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional

import cv2
import numpy as np

import gluon_dkpr
from gluon_dkpr.data.h36m import parts
from gluon_dkpr.data.h36m.boxes import JOINT_MARGIN
from gluon_dkpr.data.h36m.convert import BOX_CHOICES, IMAGE, Task, write_crashed
from gluon_dkpr.data.h36m.layouts import Catalogue, find_clips
from gluon_dkpr.data.h36m.names import CAMERAS, SUBJECTS, H36mError, Problem
from gluon_dkpr.data.h36m.plan import Plan, PlannedClip, Selection, make_plan
from gluon_dkpr.data.h36m.pool import convert_all
from gluon_dkpr.data.h36m.summary import StrictError, Summary
from gluon_dkpr.data.human import ACTIONS, human_layout
from gluon_dkpr.data.images import JPEG_QUALITY
from gluon_dkpr.data.record import record_paths, write_record
from gluon_dkpr.files import atomic_write

# A photograph has more than that at this size and quality.
LEAST_SAMPLE_BYTES = 8000


@dataclass(frozen=True)
class Options:
    """How to convert.

    Args:
        selection: which frames.
        boxes: ``"auto"`` takes the data set's masks where there are any, else the joints;
            ``"joints"`` never looks at masks.
        keep_damaged: go on after decoding errors, of which damaged pictures come.
        metadata: path of metadata.xml, if it is not in the raw folder.
        workers: processes; the data set is the same for any number.
        strict: raise for whatever would only be reported.
        fresh: throw away what an unfinished run left.

    Raises:
        H36mError: for a value out of range.
    """

    selection: Selection = field(default_factory=Selection)
    boxes: str = "auto"
    keep_damaged: bool = False
    metadata: Optional[str] = None
    workers: int = 1
    strict: bool = False
    fresh: bool = False

    def __post_init__(self):
        if self.boxes not in BOX_CHOICES:
            raise H36mError(f"boxes is {self.boxes!r}, expected one of {BOX_CHOICES}")
        if not 1 <= self.workers <= 1024:
            raise H36mError(f"workers is {self.workers}, expected 1 to 1024")

    @property
    def parameters(self) -> dict:
        """All that the samples depend on, besides the raw folder; plain JSON data."""
        return {
            **vars(self.selection),
            "boxes": self.boxes,
            "keep_damaged": self.keep_damaged,
            "size_px": IMAGE.height,
            "jpeg_quality": JPEG_QUALITY,
            "joint_margin": JOINT_MARGIN,
        }


Progress = Callable[[int, int], None]


def make_h36m_record(
    raw, path, options: Optional[Options] = None, progress: Optional[Progress] = None
) -> Summary:
    """Convert a raw folder of Human3.6M into a data set.

    Equal arguments give equal files, byte for byte, whatever the number of workers. A run that is
    ended leaves the folder NAME.parts; the same call goes on from there. Beside the data set,
    NAME.summary.json says what became of every video.

    Args:
        raw: folder that holds ``S1`` ... or ``extracted/S1`` ...
        path: NAME of the data set, with or without suffix.
        options: how to convert.
        progress: called with the frames dealt with since the last call, and the frames of all.

    Returns:
        The data set's info and the problems.

    Raises:
        H36mError: if there is nothing to convert, too little space, or an unfinished run had other
            arguments.
        StrictError: for the first problem, if ``options.strict`` is set.
        RecordError, OSError: if it cannot be written.
    """
    options = options or Options()
    rec_path = record_paths(path)[0]
    catalogue = find_clips(raw, options.metadata)
    run = _Run(catalogue, make_plan(catalogue, options.selection), options, rec_path)
    run.check_strict()
    run.check_space()
    with parts.open_parts(run.folder, run.manifest(), options.fresh):
        run.convert(progress or (lambda done, total: None))
        summary = run.join()
        parts.remove_parts(run.folder)
    return summary


class _Run:
    """One conversion; ``reports`` has those of the videos that are done."""

    def __init__(self, catalogue: Catalogue, plan: Plan, options: Options, rec_path: Path):
        self.catalogue, self.plan, self.options, self.rec_path = catalogue, plan, options, rec_path
        self.folder = rec_path.with_suffix(".parts")
        self.planned = plan.all_clips
        self.reports: Dict[str, dict] = {}
        self.resumed: List[str] = []

    @property
    def problems(self) -> List[Problem]:
        """All that are known, in an order that does not depend on the workers."""
        found = [*self.catalogue.problems, *self.plan.problems]
        for planned in self.planned:
            if planned.clip.name in self.reports:
                report = self.reports[planned.clip.name]
                found += [Problem(*problem) for problem in report["problems"]]
        return found

    def check_strict(self) -> None:
        problems = self.problems
        if self.options.strict and problems:
            raise StrictError(problems)

    def check_space(self) -> None:
        """Refuse a disk that cannot hold the data set twice, in parts and joined."""
        frames = sum(len(planned.wanted) for planned in self.planned)
        done = sum(path.stat().st_size for path in self.folder.glob("*.part"))
        self._need(2 * frames * LEAST_SAMPLE_BYTES - done)

    def manifest(self) -> dict:
        versions = {"numpy": np.__version__, "opencv": cv2.__version__}
        return {
            "parameters": self.options.parameters,
            "versions": {"gluon_dkpr": gluon_dkpr.__version__, **versions},
            "videos": {planned.clip.name: len(planned.wanted) for planned in self.planned},
            "files": self.catalogue.files(),
            "bone lengths": self.plan.skeleton.bone_lengths.tolist(),
            "scales": self.plan.scales,
        }

    def convert(self, progress: Progress) -> None:
        """Convert what is not done yet."""
        total = sum(len(planned.wanted) for planned in self.planned)
        tasks = []
        for planned in self.planned:
            name = planned.clip.name
            report = parts.read_report(self.folder, name)
            if report is None:
                tasks.append(self._task(planned))
            else:
                self.reports[name] = report
                self.resumed.append(name)
                progress(len(planned.wanted), total)
        self.check_strict()
        left = [len(task.wanted) for task in tasks]

        def advance(index: int, frames: int) -> None:
            left[index] -= frames
            progress(frames, total)

        with contextlib.closing(convert_all(tasks, self.options.workers, advance)) as outcomes:
            for index, report, crash in outcomes:
                task = tasks[index]
                self.reports[task.clip.name] = report or write_crashed(task, crash)
                # Frames that were left out count as dealt with.
                advance(index, left[index])
                self.check_strict()

    def join(self) -> Summary:
        """Write the data set from the parts, in their fixed order."""
        if not sum(report["samples"] for report in self.reports.values()):
            problems = self.problems
            parts.remove_parts(self.folder)
            raise H36mError(
                f"{self.catalogue.raw}: no frame could be converted; first of {len(problems)} "
                f"problems: {': '.join(problems[0])}"
            )
        self._need(sum(report["bytes"] for report in self.reports.values()))
        layout = human_layout(self.plan.skeleton)
        splits = {
            name: self._samples(clips, layout.length) for name, clips in self.plan.clips.items()
        }
        skeleton, source = self.plan.skeleton, self._source()
        info = write_record(self.rec_path, skeleton, layout, IMAGE, splits, source)
        videos = {planned.clip.name: self.reports[planned.clip.name] for planned in self.planned}
        summary = Summary(info, self.problems, videos, self.resumed)
        with atomic_write(self.rec_path.with_suffix(".summary.json")) as file:
            json.dump(summary.to_dict(), file, indent=1, allow_nan=False)
            file.write("\n")
        return summary

    def _samples(self, clips: List[PlannedClip], label_length: int):
        for planned in clips:
            report = self.reports.get(planned.clip.name)
            if report is not None:
                count = report["samples"]
                yield from parts.read_part(self.folder, planned.clip.name, count, label_length)

    def _source(self) -> dict:
        """Return what the data set says about itself: nothing that differs from run to run."""
        reports = self.reports.values()
        boxes = {
            kind: sum(report["boxes"][kind] for report in reports) for kind in ("masks", "joints")
        }
        return {
            "generator": "gluon_dkpr.data.h36m",
            # Beside this name the report shows the paper's numbers.
            "dataset": "human3.6m",
            "subjects": list(SUBJECTS),
            "actions": list(ACTIONS),
            "cameras": list(CAMERAS),
            "parameters": self.options.parameters,
            "scales": self.plan.scales,
            "subactions": self.catalogue.subactions,
            "videos": len(self.planned),
            "boxes": boxes,
            "problems": [problem._asdict() for problem in self.problems],
        }

    def _task(self, planned: PlannedClip) -> Task:
        return Task(
            raw=self.catalogue.raw,
            clip=planned.clip,
            wanted=planned.wanted,
            skeleton=self.plan.skeleton,
            scale=self.plan.scales[planned.clip.subject],
            boxes=self.options.boxes,
            keep_damaged=self.options.keep_damaged,
            folder=self.folder,
        )

    def _need(self, size: int) -> None:
        """Raise H36mError unless the disk has so many bytes left."""
        place = next(folder for folder in self.folder.parents if folder.exists())
        free = shutil.disk_usage(place).free
        if free < size:
            raise H36mError(
                f"{place}: {free / 1e9:.2f} GB free, expected {size / 1e9:.2f} GB for the data set "
                "in parts and joined; what has been converted is kept"
            )
