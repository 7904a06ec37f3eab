"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Set

CPUS = Path("/sys/devices/system/cpu")


def usable_cores() -> int:
    """Return the number of cores as the system counts them, those of hyper-threading included."""
    return len(_usable()) or os.cpu_count() or 1


def physical_cores() -> int:
    """Return the number of real cores: threads that share one count once."""
    siblings = set()
    for number in _usable():
        topology = CPUS / f"cpu{number}/topology/thread_siblings_list"
        if not topology.is_file():  # not Linux, or a container that hides it
            return usable_cores()
        siblings.add(topology.read_text(encoding="ascii"))
    return len(siblings) or usable_cores()


def openmp_threads() -> str:
    """Return what OpenMP is told: ``OMP_NUM_THREADS``, by default the number of real cores."""
    return os.environ.get("OMP_NUM_THREADS", str(physical_cores()))


def _usable() -> Set[int]:
    """Return the numbers of the cores; none where the system does not tell, as macOS."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
