"""Frames in chunks, one after the other or in several processes."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Callable

import numpy as np

from gluon_dkpr.fit.checks import FitError
from gluon_dkpr.fit.problem import Solution

# Frames at a time, which bounds the memory.
CHUNK = 2048
# Fewer frames than this are done before a second process has started.
FEWEST = 256

# What the processes of a pool work on. They are forked, so that it need not be sent to them.
_task = None


def in_chunks(
    task: Callable[[np.ndarray], Solution], count: int, size: int, workers: int
) -> Solution:
    """Return the solution (size, count) that ``task`` finds for chunks of frame numbers.

    Threads would share the interpreter's lock, which NumPy holds between its many short calls, so
    several workers are processes. The result does not depend on how many there are.

    Args:
        task: from frame numbers (n,) to their solution.
        count: number of frames.
        size: number of unknowns.
        workers: processes.

    Raises:
        FitError: if a process was ended from outside.
    """
    # As many chunks for every worker, of the same length.
    rounds = -(-count // (CHUNK * workers))
    length = max(FEWEST, -(-count // max(1, rounds * workers)))
    chunks = [np.arange(b, min(b + length, count)) for b in range(0, count, length)]
    solution = Solution.empty(np.zeros((size, count)))
    if min(workers, len(chunks)) < 2:
        _join(solution, chunks, (_of_chunk(task, frames) for frames in chunks))
        return solution
    pool = ProcessPoolExecutor(
        min(workers, len(chunks)), multiprocessing.get_context("fork"), _adopt, (task,)
    )
    with pool:
        try:
            _join(solution, chunks, pool.map(_of_adopted, chunks))
        except BrokenProcessPool:
            raise FitError("a process of the fit was ended from outside") from None
    return solution


def _join(solution: Solution, chunks, parts) -> None:
    for frames, part in zip(chunks, parts):
        solution.put(frames, part)


def _of_chunk(task, frames) -> Solution:
    # NumPy adds up a single column in another order: two frames at least.
    part = task(np.resize(frames, max(2, len(frames))))
    return part.part(np.arange(len(frames)))


def _adopt(task) -> None:
    global _task
    _task = task


def _of_adopted(frames) -> Solution:
    return _of_chunk(_task, frames)
