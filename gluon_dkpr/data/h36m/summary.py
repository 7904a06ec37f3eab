"""What a conversion has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Sequence

from gluon_dkpr.data.h36m.names import H36mError, Problem
from gluon_dkpr.data.record import RecordInfo

# Of each kind of problem; all of them are in the files.
SHOWN = 7


class StrictError(H36mError):
    """There is a problem, and none was to be tolerated.

    Args:
        problems: all that are known.
    """

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        kind, where, message = self.problems[0]
        count = f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)}"
        super().__init__(f"{count} and --strict, first {kind}: {where}: {message}")


@dataclass(frozen=True)
class Summary:
    """How a conversion went.

    Attributes:
        info: of the data set.
        problems: all of them.
        videos: for each video what ``convert_clip`` reported; no frame is wanted of the others.
        resumed: names of the videos that an earlier run had converted.
    """

    info: RecordInfo
    problems: List[Problem]
    videos: Dict[str, dict]
    resumed: List[str]

    @property
    def samples(self) -> int:
        """How many this run has converted."""
        return sum(report["samples"] for report in self._converted)

    @property
    def worker_seconds(self) -> float:
        """Time that the workers of this run took, all together."""
        return sum(report["seconds"] for report in self._converted)

    @property
    def peak_mb(self) -> float:
        """The most memory that a worker of this run had, MB."""
        return max((report["peak_mb"] for report in self._converted), default=0.0)

    @property
    def _converted(self) -> List[dict]:
        return [report for name, report in self.videos.items() if name not in self.resumed]

    def lines(self) -> List[str]:
        """Return what was converted and what was not, as lines of text."""
        runs = ", ".join(f"{count} {name}" for name, (_, count) in self.info.splits.items())
        boxes = self.info.source["boxes"]
        errors = [report["motion_error_mm"] * report["samples"] for report in self.videos.values()]
        return [
            f"{runs}; {self.info.rec_bytes / 1e6:.1f} MB",
            f"boxes: {boxes['masks']} from masks, {boxes['joints']} from joints",
            f"residual of the model fit: {sum(errors) / self.info.count:.1f} mm on average",
            *problem_lines(self.problems),
        ]

    def speed(self) -> str:
        """Return how fast the workers of this run were, as a line of text."""
        if not self.samples:
            return "every video was converted by an earlier run"
        rate = self.samples / self.worker_seconds
        return f"{rate:.0f} frames/s and at most {self.peak_mb:.0f} MB a worker"

    def to_dict(self) -> dict:
        """Return all of it as JSON data."""
        return {
            "splits": {name: count for name, (_, count) in self.info.splits.items()},
            "problems": [problem._asdict() for problem in self.problems],
            "videos": self.videos,
        }


def problem_lines(problems: Iterable[Problem]) -> List[str]:
    """Return problems as lines of text, by kind."""
    kinds: Dict[str, List[Problem]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem)
    if not kinds:
        return ["no problems"]
    lines = []
    for kind, some in kinds.items():
        lines.append(f"{kind}: {len(some)}")
        lines += [f"  {problem.where}: {problem.message}" for problem in some[:SHOWN]]
        if len(some) > SHOWN:
            lines.append(f"  ... and {len(some) - SHOWN} more")
    return lines
