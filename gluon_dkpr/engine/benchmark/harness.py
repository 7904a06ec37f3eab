"""What every benchmark shares: fair timing in pairs, statistics, a table, a result file."""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from gluon_dkpr.backend import versions
from gluon_dkpr.cores import usable_cores
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write

ROUNDS = 21
#: More of the cores' time than this for other processes and the numbers speak of them, not of us.
BUSY_SHARE = 0.1
#: Seconds to watch the others for.
WATCH_SECONDS = 2.0


class BenchmarkError(DkprError):
    """A benchmark cannot run, or what it compares does not compute the same."""


@dataclass(frozen=True)
class Contestant:
    """Something to be timed.

    Args:
        name: as the table calls it.
        time: takes a number of calls, makes them, and returns the seconds of one.
    """

    name: str
    time: Callable[[int], float]


class Row(NamedTuple):
    """One comparison of a benchmark, for the table of all.

    Attributes:
        what: of ours is measured.
        against: the other, or the limit.
        ratio: a spread, above 1 where ours is faster; or ``exponent`` and its standard ``error``.
    """

    what: str
    against: str
    ratio: Dict[str, float]


def repeated(name: str, call: Callable[[], object]) -> Contestant:
    """Return a contestant that makes a call as often as it is asked to."""

    def timed(calls: int) -> float:
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - begin) / calls

    return Contestant(name, timed)


def interleave(
    contestants: Sequence[Contestant], seconds: float, rounds: Optional[int] = None
) -> Dict[str, List[float]]:
    """Time all contestants in turn, so that whatever else the machine does meets all alike.

    Each round (A B A B ...) begins with untimed calls, which bring back the caches that the others
    have taken. Only one contestant computes at any time.

    Args:
        contestants: the first one is ours.
        seconds: roughly the timed seconds of each.
        rounds: how many; by default ``ROUNDS``.

    Returns:
        Seconds of one call, one number a round for each name.
    """
    rounds = rounds or ROUNDS
    calls = {}
    for contestant in contestants:
        contestant.time(2)  # whatever is built on first use
        once = contestant.time(1)
        if once < seconds / rounds:
            once = min(contestant.time(2) for _ in range(3))
        calls[contestant.name] = max(1, round(seconds / rounds / once))
    samples: Dict[str, List[float]] = {contestant.name: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            contestant.time(max(1, calls[contestant.name] // 5))
            samples[contestant.name].append(contestant.time(calls[contestant.name]))
    return samples


def spread(samples: Sequence[float]) -> Dict[str, float]:
    """Return median, minimum and quartiles."""
    low, median, high = np.percentile(samples, [25, 50, 75])
    return {"median": median, "min": min(samples), "quartile1": low, "quartile3": high}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Dict[str, float]:
    """Return the spread of theirs / ours, each round with its neighbour: above 1 we are faster."""
    return spread(np.array(theirs) / np.array(ours))


def machine() -> dict:
    """Return the machine and how busy it is."""
    found = versions()
    return {
        "cpu": found["cpu"],
        "cores": found["cores"],
        "platform": found["platform"],
        "busy_before": _busy_share(),
    }


def _busy_share() -> float:
    """Return the part of all cores' time that is used while this process waits."""
    stat = Path("/proc/stat")
    if not stat.exists():
        # Of the last minute: it remembers work that has ended.
        return os.getloadavg()[0] / usable_cores()

    def times() -> Tuple[int, int]:
        ticks = [int(text) for text in stat.read_text().splitlines()[0].split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]  # all, and those of waiting

    before = times()
    time.sleep(WATCH_SECONDS)
    everything, idle = (new - old for new, old in zip(times(), before))
    return 1 - idle / max(1, everything)


def check_seed(seed: int) -> None:
    """Raise BenchmarkError for a number that seeds no generator: one of them takes 31 bits."""
    if not 0 <= seed < 1 << 31:
        raise BenchmarkError(f"seed is {seed}, expected 0 to 2**31 - 1")


def conditions(command: str, seed: int, threads: int) -> dict:
    """Return the entries with which every result begins; warn if the machine is busy.

    Args:
        command: what makes the result, for whoever wants to make it again.
        seed: of what is random.
        threads: of each contestant.

    Raises:
        BenchmarkError: as :func:`check_seed`.
    """
    check_seed(seed)
    found = machine()
    if is_busy(found):
        busy = f"{found['busy_before']:.0%} of {found['cores']} cores"
        print(f"the machine is busy ({busy}): expect noise", file=sys.stderr)
    return {"command": command, "seed": seed, "threads": threads, "machine": found}


def is_busy(found: dict) -> bool:
    """Tell whether other processes disturbed a measurement on a machine as ``machine`` tells it."""
    return found["busy_before"] > BUSY_SHARE


def footer(result: dict, peers: str = "") -> str:
    """Return the lines with which every page ends.

    Args:
        result: that begins with ``conditions``.
        peers: sentences about others that took part.
    """
    found = result["machine"]
    return f"""{found["cpu"]}, {found["cores"]} cores; threads of each: {result["threads"]}; others
used {found["busy_before"]:.0%} of the cores' time before the run. {peers}Made by
`{result["command"]}`.
"""


def cell(spread: Dict[str, float], pattern: str, factor: float = 1.0) -> str:
    """Return median and quartiles for a table, each times ``factor`` and by a format pattern."""
    low, median, high = (
        format(spread[key] * factor, pattern) for key in ("quartile1", "median", "quartile3")
    )
    return f"{median} ({low}–{high})"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row is its head, the first column reads from the left."""
    marks = ["---", *["---:"] * (len(rows[0]) - 1)]
    lines = [" | ".join(row) for row in (rows[0], marks, *rows[1:])]
    return "\n".join(f"| {line} |" for line in lines)


def write_result(out: Path, result: dict, page: str) -> List[Path]:
    """Write the numbers as JSON and the page for readers beside it; return both paths."""
    found = versions()
    result = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "versions": {key: found[key] for key in found if key not in ("cpu", "cores", "platform")},
        **result,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    paths = [out, out.with_suffix(".md")]
    for path, text in zip(paths, (json.dumps(result, indent=2, allow_nan=False) + "\n", page)):
        with atomic_write(path) as file:
            file.write(text)
    return paths
