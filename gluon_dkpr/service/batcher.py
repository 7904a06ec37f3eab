"""One thread that does all the work, in batches."""

from __future__ import annotations

import collections
import threading
import time
from concurrent.futures import Future
from typing import Any, Callable, Deque, List, Optional, Tuple

# A batch goes when its preparation has taken so long, seconds: the first need not wait for the
# pictures of all others to be decoded, should they be large.
PREPARE_S = 0.25


class Batcher:
    """Collects single jobs of many threads and has them done together by one.

    MXNet must not be called from several threads: whatever does the work is made, and called, in
    the batcher's own thread only.

    Args:
        make_work: called once in the thread. What it returns has ``prepare``, which is called for
            every job alone, and ``finish``, which is given a list of what that has returned and
            returns as many results in their order. An exception that is raised in the first, or
            is a result of the second, is raised to whoever asked.
        size: jobs in a batch, at most.
        wait_s: how long the first job waits for others, seconds.
        on_batch: is told the size of every batch.
    """

    def __init__(
        self,
        make_work: Callable[[], Any],
        size: int,
        wait_s: float,
        on_batch: Callable[[int], None] = lambda size: None,
    ):
        self._make_work, self._on_batch = make_work, on_batch
        self._size, self._wait_s = size, wait_s
        self._jobs: Deque[Tuple[Any, Future]] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._made: Future = Future()

    def start(self) -> Any:
        """Start the thread and return what ``make_work`` has made, for reading only.

        Raises:
            Exception: what ``make_work`` raises.
        """
        self._thread.start()
        return self._made.result()

    def submit(self, job: Any) -> Future:
        """Add a job; the future can be cancelled as long as its batch has not begun.

        Raises:
            RuntimeError: after :meth:`close`.
        """
        future: Future = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._jobs.append((job, future))
            self._changed.notify()
        return future

    def __len__(self) -> int:
        """Return how many jobs wait."""
        return len(self._jobs)

    def close(self, timeout: Optional[float] = None) -> bool:
        """Have what waits done, then end the thread.

        Args:
            timeout: seconds to wait for it.

        Returns:
            Whether it has ended in time.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            work = self._make_work()
        except BaseException as error:  # whoever has started the thread is told, whatever it is
            self._made.set_exception(error)
            return
        self._made.set_result(work)
        while self._wait():
            batch = self._prepare(work)
            if batch:
                self._on_batch(len(batch))
                _finish(work, batch)

    def _wait(self) -> bool:
        """Wait until there is a batch to do; tell whether there is, or no more will come."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            deadline = time.monotonic() + self._wait_s
            while len(self._jobs) < self._size and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return bool(self._jobs)

    def _prepare(self, work: Any) -> List[Tuple[Any, Future]]:
        """Take a batch of those jobs that are still wanted, and prepare them."""
        batch: List[Tuple[Any, Future]] = []
        deadline = time.monotonic() + PREPARE_S
        while len(batch) < self._size and not (batch and time.monotonic() > deadline):
            # Others only add: what is there, is there.
            if not self._jobs:
                break
            job, future = self._jobs.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                batch.append((work.prepare(job), future))
            except Exception as error:
                future.set_exception(error)
        return batch


def _finish(work: Any, batch: List[Tuple[Any, Future]]) -> None:
    """Finish a batch; whatever happens, every future is set."""
    try:
        results = work.finish([prepared for prepared, _ in batch])
        if len(results) != len(batch):
            raise RuntimeError(f"{len(results)} results of {len(batch)} jobs")
    except Exception as error:
        results = [error] * len(batch)
    for (_, future), result in zip(batch, results):
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)
