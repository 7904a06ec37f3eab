"""What the kinematic layer's time is made of: the least traffic of memory, and its operators."""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, List

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.engine.benchmark.harness import Contestant
from gluon_dkpr.skeleton import Skeleton

COPY = "copy"
#: Of an array that is copied: more than the caches hold.
COPY_BYTES = 64 << 20
#: Of the profiler: it waits for arrays and frees them, which is no work of its own.
_NO_OPERATORS = ("WaitForVar", "DeleteVariable")


def least_bytes(skeleton: Skeleton, batch: int) -> int:
    """Return what forward and backward must move at least: float32 inputs and outputs, once each.

    Motion and gradient of the joints come in, joints and gradient of the motion go out.
    """
    return 4 * batch * 2 * (skeleton.num_parameters + skeleton.num_joints * skeleton.dim)


def copy_contestant(threads: int) -> Contestant:
    """Return NumPy copying ``COPY_BYTES`` from one array to another, each thread a part."""
    source = np.ones(COPY_BYTES // 4, np.float32)
    target = np.zeros_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads)))
    pool = ThreadPoolExecutor(threads)

    def copy():
        list(pool.map(lambda part: np.copyto(*part), parts))

    return harness.repeated(COPY, copy)


def share_of_limit(least: int, ours: List[float], copies: List[float]) -> dict:
    """Return the machine's bandwidth, and what share of it ours reaches.

    Args:
        least: bytes of one call of ours.
        ours: seconds of a call, one number a round.
        copies: seconds of a copy in the same rounds.

    Returns:
        ``bytes``; ``copy_bytes_per_second``, read and written together; ``share``, the time that
        the bytes take at that rate relative to ours.
    """
    rates = 2 * COPY_BYTES / np.array(copies)
    return {
        "bytes": least,
        "copy_bytes_per_second": harness.spread(rates),
        "share": harness.spread(least / rates / np.array(ours)),
    }


def operators(step: Callable[[], object], calls: int) -> List[dict]:
    """Return the operators of a step by MXNet's profiler, the longest first.

    Args:
        step: waits for its end.
        calls: how often it is made.

    Returns:
        ``name``; ``count`` and ``milliseconds`` of one call; ``share`` of the time of all
        operators. The gradient of an operator has the prefix ``_backward_``.
    """
    step()
    # A trace is written whether wanted or not, now or when the process ends, and whatever has its
    # name is removed first: as root even /dev/null.
    with tempfile.TemporaryDirectory() as folder:
        mx.profiler.set_config(
            profile_symbolic=True, profile_imperative=True, aggregate_stats=True,
            filename=os.path.join(folder, "trace.json"),
        )  # fmt: skip
        mx.profiler.set_state("run")
        try:
            for _ in range(calls):
                step()
        finally:
            mx.profiler.set_state("stop")
        table = json.loads(mx.profiler.dumps(reset=True, format="json"))["Time"]["operator"]
    rows = {name: row for name, row in table.items() if name not in _NO_OPERATORS}
    total = sum(row["Total"] for row in rows.values())
    found = [
        {
            "name": name,
            "count": row["Count"] / calls,
            "milliseconds": row["Total"] / calls,
            "share": row["Total"] / total,
        }
        for name, row in rows.items()
    ]
    return sorted(found, key=lambda row: -row["share"])
