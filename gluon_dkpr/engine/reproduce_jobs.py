"""Several trainings of the toy section at a time, each a process of its own.

On a CPU that is nearly as many times as fast as one training on all cores, whose small operators
do not fill them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Sequence

from gluon_dkpr.backend import mx
from gluon_dkpr.cores import usable_cores
from gluon_dkpr.engine.datasets import open_datasets
from gluon_dkpr.engine.reproduce import Cell, ReproductionError, read_result
from gluon_dkpr.engine.stop import StopRequest

TOOL = Path(__file__).parents[2] / "tools" / "reproduce_toy.py"
POLL_SECONDS = 0.2


def default_jobs() -> int:
    """Return one training for a GPU, else one for each core."""
    if mx.context.num_gpus():
        return 1
    return usable_cores()


def run_cells(
    cells: Sequence[Cell], runs: Path, results: Path, jobs: int, quick: bool = False
) -> None:
    """Train the cells whose result file is missing, ``jobs`` at a time.

    What a process prints goes to ``NAME.log`` beside its run folder. Ctrl-C and SIGTERM end all of
    them in good order; what they have trained is not lost.

    Args:
        cells: what to run.
        runs: folder of the run folders.
        results: folder of the result files.
        jobs: how many at a time.
        quick: a shortened pass.

    Raises:
        ReproductionError: if any has failed, after the others are done.
    """
    waiting = [cell for cell in cells if not (results / f"{cell.name}.json").exists()]
    for config in {cell.level: cell.config(quick) for cell in waiting}.values():
        open_datasets(config)  # made once, not by every process
    runs.mkdir(parents=True, exist_ok=True)
    running: Dict[Cell, subprocess.Popen] = {}
    failed: List[str] = []
    with StopRequest() as stop:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    cell = waiting.pop(0)
                    running[cell] = _start(cell, _log(runs, cell), jobs, quick)
                time.sleep(POLL_SECONDS)
                stop.check()
                for cell in [
                    cell for cell, process in running.items() if process.poll() is not None
                ]:
                    if running.pop(cell).returncode:
                        failed.append(f"{cell.name} ({_last_line(_log(runs, cell))})")
                        continue
                    found = read_result(results / f"{cell.name}.json")
                    minutes = found["seconds"] / 60
                    print(f"{cell.name}: {found['joint_error']:.2f} px after {minutes:.1f} min")
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()
    if failed:
        raise ReproductionError(f"failed: {', '.join(failed)}")


def _start(cell: Cell, log: Path, jobs: int, quick: bool) -> subprocess.Popen:
    numbers = ["--levels", cell.level, "--methods", cell.method, "--seeds", cell.seed, "--jobs", 1]
    flags = ["--paper"] * cell.paper + ["--quick"] * quick + ["--no-pages"]
    command = [sys.executable, "-u", TOOL, *numbers, *flags]
    threads = max(1, default_jobs() // jobs)
    print(f"{cell.name}: training, see {log}")
    with open(log, "ab") as output:
        # Of a session of its own: Ctrl-C is for the one that waits, which passes it on.
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={"OMP_NUM_THREADS": str(threads), **os.environ}, start_new_session=True,
        )  # fmt: skip


def _log(runs: Path, cell: Cell) -> Path:
    return runs / f"{cell.name}.log"


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return f"{lines[-1].strip()}; {log}" if lines else str(log)
