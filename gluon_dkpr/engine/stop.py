"""Ending a run when user or machine ask for it, at a moment when nothing is half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import Optional

from gluon_dkpr.engine.distributed import Group

EXIT_TERMINATED = 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM. The exit status is that of a process it has ended."""

    status = EXIT_TERMINATED


class StopRequest:
    """Remembers Ctrl-C and SIGTERM until the run can end.

    Used as a context. The first signal is kept until :meth:`check`; a second one ends the run at
    once. Outside the main thread, where Python allows no handlers, signals do what they always do.
    """

    def __init__(self):
        self._signal = None
        self._at_once = False
        self._before = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    def check(self, group: Optional[Group] = None) -> None:
        """Raise KeyboardInterrupt or Terminated if a signal has come, to any worker of the group.

        Signals reach the workers at different steps; all have to stop after the same one.
        """
        number = self._signal or 0
        if group is not None and group.size > 1:
            number = int(group.gather([number]).max())
        if number:
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self):
        """Within this block a signal is not kept: nothing there has to be finished."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, _) -> None:
        again = self._signal is not None
        self._signal = number
        if self._at_once or again:
            self.check()
