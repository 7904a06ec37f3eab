"""What synchronised training moves and costs: measured on this machine, reckoned for others."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence

from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.launch import Request, launch

WORKER = "gluon_dkpr.engine.benchmark.scaling_worker"
KVSTORE = "dist_sync"
BATCH, SIZE_PX, BACKBONE = 8, 224, "resnet50_v1b"
WORKERS = (1, 2)


class Assumption(NamedTuple):
    """What a plan takes for granted; nothing of it was measured here.

    Attributes:
        name: of the machines.
        step_ms: forward, backward and update of one GPU on its part of the batch.
        link: bytes per second and direction between machines, or between GPUs in one.
        servers: processes of MXNet's parameter server on each machine; 0 where there are none.
        members: workers that are looked at.
    """

    name: str
    step_ms: float
    link: float
    servers: int
    members: Sequence[int]


#: Round numbers for a GPU that trains ResNet-50 with 360 images/s in float32 or 800 in float16, on
#: 26 images, its half of the paper's batch of 52 on 2 GPUs.
FLOAT32_MS, FLOAT16_MS = 72.0, 33.0
PLANS = (
    Assumption("GPUs in one machine at 10 GB/s, float32", FLOAT32_MS, 10e9, 0, (2, 4, 8)),
    Assumption("GPUs in one machine at 10 GB/s, --amp", FLOAT16_MS, 10e9, 0, (2, 4, 8)),
    Assumption("machines at 10 Gbit/s, 1 server each, float32", FLOAT32_MS, 1.25e9, 1, (2, 8, 16)),
    Assumption("machines at 10 Gbit/s, 4 servers each, float32", FLOAT32_MS, 1.25e9, 4, (2, 8, 16)),
    Assumption("machines at 10 Gbit/s, all-reduce, float32", FLOAT32_MS, 1.25e9, 0, (2, 8, 16)),
    Assumption(
        "machines at 100 Gbit/s, 4 servers each, float32", FLOAT32_MS, 12.5e9, 4, (2, 8, 16)
    ),
    Assumption("machines at 100 Gbit/s, all-reduce, float32", FLOAT32_MS, 12.5e9, 0, (2, 8, 16)),
    Assumption("machines at 100 Gbit/s, all-reduce, --amp", FLOAT16_MS, 12.5e9, 0, (2, 8, 16)),
)
#: Of the time in which members compute, below which more of them are not worth it.
WANTED = 0.9


def moved_bytes(gradient_bytes: int, workers: int) -> float:
    """Return what each member sends, and receives, in a step.

    The same for a ring of all-reduce and for parameter servers that are spread evenly over the
    workers' machines: of a worker's gradients all but the share of its own machine's servers go
    out, and that share's sums go to all others.
    """
    return 2.0 * gradient_bytes * (workers - 1) / workers


def sum_seconds(gradient_bytes: int, workers: int, plan: Assumption, server_rate: float) -> float:
    """Return how long gradients take to be summed and to come back, by what is slowest.

    Args:
        gradient_bytes: of one worker.
        workers: how many.
        plan: with links and servers.
        server_rate: bytes per second that one server takes in and gives out. With as many on every
            machine each handles ``2 * gradient_bytes / servers``, whatever the number of machines.
    """
    link = moved_bytes(gradient_bytes, workers) / plan.link
    servers = 2.0 * gradient_bytes / (plan.servers * server_rate) if plan.servers else 0.0
    return max(link, servers)


def efficiency(step_seconds: float, summing: float) -> Dict[str, float]:
    """Return the part of the time in which a member computes.

    Args:
        step_seconds: of computing.
        summing: seconds of summing gradients over the members.

    Returns:
        ``apart``: one after the other. ``overlapped``: at the same time, the most that can be had.
    """
    return {
        "apart": step_seconds / (step_seconds + summing),
        "overlapped": step_seconds / max(step_seconds, summing),
    }


def needed_link(gradient_bytes: int, workers: int, step_seconds: float, wanted: float) -> float:
    """Return the bytes per second and direction for an efficiency without overlap, links alone."""
    return moved_bytes(gradient_bytes, workers) / (step_seconds * (1 / wanted - 1))


def reckon(gradient_bytes: int, plan: Assumption, server_rate: float) -> List[dict]:
    """Return what a plan expects of each number of workers."""
    rows = []
    for count in plan.members:
        summing = sum_seconds(gradient_bytes, count, plan, server_rate)
        found = efficiency(plan.step_ms / 1000, summing)
        rows.append({"workers": count, "sum_ms": 1000 * summing, **found})
    return rows


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let processes that are started meanwhile use so many threads."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def measure(workers: int, threads: int, options: Sequence) -> dict:
    """Start a group with one server on this machine and return what its leader has found.

    Args:
        workers: how many.
        threads: of each.
        options: what each is told, see ``scaling_worker``.

    Raises:
        BenchmarkError: if the group fails.
    """
    with tempfile.TemporaryDirectory(prefix="gluon_dkpr-") as folder, _threads(threads):
        out = Path(folder) / "found.json"
        words = (sys.executable, "-m", WORKER, KVSTORE, out, *options)
        status = launch(Request(tuple(map(str, words)), workers, 1, kvstore=KVSTORE))
        if status or not out.is_file():
            raise BenchmarkError(f"a group of {workers} workers ended with status {status}")
        found = json.loads(out.read_text())
    found["efficiency"] = harness.ratios(found["step"]["seconds"], found["compute"]["seconds"])
    for what in ("compute", "synchronise", "step"):
        found[what] = {key: harness.spread(v) for key, v in found[what].items() if v}
    return found


def _measured(result: dict) -> str:
    """Return the table of what was measured."""
    names = ("computing (ms)", "summing (ms)", "loopback in a sum (MB)", "whole step (ms)")
    rows = [["workers", *names, "images/s"]]
    for group in result["groups"]:
        compute, total, step = group["compute"], group["synchronise"], group["step"]
        moved = total.get("bytes")
        speed = group["workers"] * result["batch"] / step["seconds"]["median"]
        cells = [harness.cell(part["seconds"], ".0f", 1e3) for part in (compute, total, step)]
        cells.insert(2, harness.cell(moved, ".1f", 1e-6) if moved else "not counted")
        rows.append([str(group["workers"]), *cells, f"{speed:.2f}"])
    return harness.markdown_table(rows)


def _reckoned(result: dict) -> str:
    """Return the table of what is expected under assumptions."""
    rows = [["assumed", "step (ms)", "workers", "sum (ms)", "efficiency, apart", "overlapped"]]
    for plan in result["plans"]:
        for row in plan["rows"]:
            shares = [f"{row[name]:.0%}" for name in ("apart", "overlapped")]
            step = f"{plan['step_ms']:g}"
            rows.append([plan["name"], step, str(row["workers"]), f"{row['sum_ms']:.1f}", *shares])
    return harness.markdown_table(rows)


def summary(result: dict) -> List[harness.Row]:
    """Return the ratios for the table of all benchmarks."""
    limit = "limit: the same step without a sum"
    return [
        harness.Row(f"training step of {group['workers']} workers", limit, group["efficiency"])
        for group in result["groups"]
        if group["workers"] > 1
    ]


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    first, machine, rate = result["groups"][0], result["machine"], result["server_rate"]
    bytes_, members = first["gradient_bytes"], PLANS[-1].members[-1]
    link = needed_link(bytes_, members, FLOAT32_MS / 1000, WANTED)
    busy = ""
    if harness.is_busy(machine):
        busy = """
**The machine was busy with other work. Bytes are right; times are too long and cannot be compared,
and what is reckoned from the server's rate below is too low.**
"""
    return f"""# What synchronised training moves

## Measured on this machine

{result["backbone"]} with kinematic head on `human36m()`: {first["arrays"]} gradients,
{bytes_:,} bytes in float32. Workers and one of MXNet's parameter servers (`{KVSTORE}`) share
{machine["cores"]} cores and the loopback device; batches
of {result["batch"]} images of {result["size"]} x {result["size"]} px a worker. *Computing* is
forward, backward and update without a sum, *summing* the sum alone, *whole step* both, where
backward and sum overlap. Median (quartiles) of rounds of all workers together.
{busy}
{_measured(result)}

Every worker sends its gradients to the server and fetches the sums: 2 x {bytes_ / 1e6:.1f} MB a
worker. With one worker the server handles {rate / 1e9:.2f} GB/s. That is what a process does on
these cores; no network was between.

## Reckoned for other machines

Nothing here was measured on such machines: step times and links are **assumptions**. Measured are
the number of bytes and the rate of a server, as above. One worker is one GPU. *Apart* is the
efficiency if computing and summing take turns, *overlapped* the most that can be had. The formula
stands in `docs/how-to/scale-out.md`.

{_reckoned(result)}

{members} workers of {FLOAT32_MS:g} ms a step need {link / 1e9:.1f} GB/s each way for {WANTED:.0%}
without overlap.

{harness.footer(result)}"""


def run(
    out: Path,
    command: str,
    seconds: float,
    threads: int,
    seed: int,
    batch: int = BATCH,
    size: int = SIZE_PX,
    backbone: str = BACKBONE,
) -> str:
    """Measure, write ``out`` and the page beside it; return the page.

    Args:
        out: the JSON file.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each number.
        threads: of each worker.
        seed: of weights and images.
        batch: images of a worker.
        size: height and width of the images, px.
        backbone: a residual network.

    Raises:
        BenchmarkError: if a group fails.
    """
    conditions = harness.conditions(command, seed, threads)
    options = seconds, seed, batch, size, backbone
    groups = [measure(n, threads, options) for n in WORKERS]
    bytes_ = groups[0]["gradient_bytes"]
    rate = 2 * bytes_ / groups[0]["synchronise"]["seconds"]["median"]
    result = {
        **conditions,
        "batch": batch,
        "size": size,
        "backbone": backbone,
        "groups": groups,
        "server_rate": rate,
        "plans": [{**plan._asdict(), "rows": reckon(bytes_, plan, rate)} for plan in PLANS],
    }
    text = page(result)
    harness.write_result(out, result, text)
    return text
