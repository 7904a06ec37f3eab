"""Starts the processes of a group, watches them, and ends all when one of them dies."""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Callable, List, NamedTuple, Sequence

from gluon_dkpr.engine.launch import guard
from gluon_dkpr.engine.launch.plan import Member
from gluon_dkpr.engine.launch.process import Process, Writer

TICK = 0.05
# Together below 10 s: the gentle end, what a slow machine may add to it, and the hard one.
END_SECONDS = guard.GRACE + 3.0
# After Ctrl-C the leader, worker 0, may write a checkpoint. The others may wait for it for ever.
LEADER_SECONDS = 20.0
FOLLOWER_SECONDS = 2.0
# Scheduler and servers end by themselves after the workers.
SERVER_SECONDS = 5.0
OUTPUT_SECONDS = 1.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Outcome(NamedTuple):
    """How a group ended.

    Attributes:
        status: exit status: 0, that of the process that died first, or 128 + N after signal N.
        failed: whether a process died by itself.
    """

    status: int
    failed: bool


class Signals:
    """Counts what is sent to the launcher, in place of dying of it. Used as a context."""

    def __init__(self):
        self.received: List[int] = []
        self._before = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _) -> None:
        self.received.append(number)


def run_group(
    members: Sequence[Member], announce: Callable[[str], None], signals: Signals
) -> Outcome:
    """Run a group to its end; nothing of it is left running afterwards.

    Raises:
        LaunchError: if ssh or Python cannot be started.
    """
    out, error = Writer(sys.stdout.buffer), Writer(sys.stderr.buffer)
    processes: List[Process] = []
    try:
        for member in members:
            processes.append(Process(member, out, error))
        return _watch(processes, announce, signals, out)
    finally:
        _end(processes)


def _watch(processes, announce, signals: Signals, out: Writer) -> Outcome:
    """Wait until all workers have ended, one process has died, or a signal comes."""
    workers = [process for process in processes if process.member.role == "worker"]
    others = [process for process in processes if process not in workers]
    while True:
        if signals.received:
            return _stop(workers, announce, signals)
        dead = [process for process in (*workers, *others) if process.status]
        if dead:
            _finish_output(dead)
            for process in dead:
                announce(process.describe_death())
            if len(dead) < len(processes):
                announce("ending the others")
            return Outcome(dead[0].status, True)
        if all(worker.status == 0 for worker in workers):
            _wait(processes, SERVER_SECONDS, lambda: bool(signals.received))
            return Outcome(0, False)
        if out.lost:  # as after `| head`
            return Outcome(1, False)
        time.sleep(TICK)
        for process in processes:
            process.beat()


def _stop(workers, announce, signals: Signals) -> Outcome:
    """End the group as the signal asks: Ctrl-C lets the workers save what they have."""
    number = signals.received[0]
    announce(f"{signal.Signals(number).name}: ending the group")
    if number == signal.SIGINT:
        for worker in workers:
            worker.interrupt()
        for some, seconds in ((workers[:1], LEADER_SECONDS), (workers, FOLLOWER_SECONDS)):
            _wait(some, seconds, lambda: len(signals.received) > 1)
    return Outcome(128 + number, False)


def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        process.end()
    _wait(processes, END_SECONDS, lambda: False)
    for process in processes:
        if process.status is None:
            process.kill()
    _finish_output(processes)


def _finish_output(processes: Sequence[Process]) -> None:
    end_at = time.monotonic() + OUTPUT_SECONDS
    for process in processes:
        process.finish_output(end_at)


def _wait(processes, seconds: float, enough: Callable[[], bool]) -> None:
    """Wait until the processes have ended, for so long, or until it is enough."""
    end_at = time.monotonic() + seconds
    while any(process.status is None for process in processes):
        if time.monotonic() > end_at or enough():
            return
        time.sleep(TICK)
        for process in processes:
            process.beat()
