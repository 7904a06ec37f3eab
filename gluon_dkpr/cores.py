"""How many processor cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Set


def usable_cores() -> int:
    """Return the number of cores as the system counts them, those of hyper-threading included."""
    return len(_usable()) or os.cpu_count() or 1


def physical_cores() -> int:
    """Return the number of real cores: threads that share one count once."""
    siblings = set()
    for number in _usable():
        topology = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        if not topology.is_file():  # not Linux, or a container that hides it
            return usable_cores()
        siblings.add(topology.read_text(encoding="ascii"))
    return len(siblings) or usable_cores()


def _usable() -> Set[int]:
    """Return the numbers of the cores; none where the system does not tell, as macOS."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
