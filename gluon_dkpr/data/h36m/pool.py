"""Videos in parallel, each in a process of its own.

So a worker's memory ends with its video, and a decoder that crashes on a damaged file takes
nothing but that file along. Processes are forked from a server that has everything imported, which
takes some milliseconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection, wait
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence

from gluon_dkpr.data.h36m.convert import Task, convert_clip, set_up_process
from gluon_dkpr.data.h36m.names import H36mError

# Ways to die that are the file's fault, not the machine's.
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Outcome(NamedTuple):
    """How the conversion of a video ended.

    Attributes:
        index: of the task.
        report: what ``convert_clip`` returned, ``None`` after a crash.
        crash: what ended the process, ``None`` for nothing.
    """

    index: int
    report: Optional[dict]
    crash: Optional[str]


class _Worker(NamedTuple):
    index: int
    process: multiprocessing.Process
    messages: Connection


def convert_all(
    tasks: Sequence[Task], workers: int, progress: Callable[[int, int], None]
) -> Iterator[Outcome]:
    """Convert videos; yield how each ended, in the order in which they end.

    Closing the iterator, or an exception, ends all workers; what they were writing is left behind
    under temporary names.

    Args:
        tasks: one for each video.
        workers: how many processes at a time.
        progress: called with the index of a task and the frames done since the last call.

    Raises:
        H36mError: if a worker was killed from outside.
        OSError: if one could not write.
        RuntimeError: for a bug in one, with its traceback.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    waiting = list(enumerate(tasks))[::-1]
    running: List[_Worker] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(context, *waiting.pop()))
            ready = set(wait([worker.messages for worker in running]))
            for worker in [w for w in running if w.messages in ready]:
                outcome = _listen(worker, tasks[worker.index], progress)
                if outcome is not None:
                    running.remove(worker)
                    yield outcome
    finally:
        for worker in running:
            worker.process.terminate()
            worker.process.join()


def _start(context, index: int, task: Task) -> _Worker:
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, task), daemon=True)
    with _one_thread():
        process.start()
    # The other end is then open in the worker alone, so that its death ends the connection.
    theirs.close()
    return _Worker(index, process, ours)


@contextlib.contextmanager
def _one_thread():
    """Let a server that is started in the block, and so all workers, use one core each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _listen(worker: _Worker, task: Task, progress) -> Optional[Outcome]:
    """Take one message of a worker; return the outcome if it was the last."""
    try:
        kind, content = worker.messages.recv()
    except EOFError:
        kind, content = "died", None
    if kind == "frames":
        progress(worker.index, content)
        return None
    worker.process.join()
    if kind == "done":
        return Outcome(worker.index, content, None)
    if kind == "os error":
        raise OSError(*content)
    if kind == "bug":
        raise RuntimeError(f"converting {task.clip.video}:\n{content}")
    code = worker.process.exitcode
    if code >= 0:
        raise RuntimeError(
            f"converting {task.clip.video}: the worker ended with status {code}; a script that "
            "starts workers needs `if __name__ == '__main__':`"
        )
    if -code in CRASHES:
        return Outcome(worker.index, None, f"the decoder crashed ({signal.Signals(-code).name})")
    raise H36mError(
        f"the worker of {task.clip.video} was killed (signal {-code}): was there not enough "
        "memory? The same command continues"
    )


def _work(messages: Connection, task: Task) -> None:
    # Ctrl-C reaches every process of the terminal; the parent ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    set_up_process()
    try:
        report = convert_clip(task, lambda frames: messages.send(("frames", frames)))
        messages.send(("done", report))
    except BrokenPipeError:
        # The parent is gone.
        sys.exit(1)
    except OSError as error:
        messages.send(("os error", (error.errno, error.strerror, error.filename)))
    except Exception:
        messages.send(("bug", traceback.format_exc()))
