"""A running process of a group, here or behind ssh, and its output with a name before each line."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import BinaryIO, Dict, List, Optional, Tuple

from gluon_dkpr.engine.launch import guard
from gluon_dkpr.engine.launch.hosts import LaunchError, on_host
from gluon_dkpr.engine.launch.plan import Member

# What a worker elsewhere gets of the present environment; the rest is its machine's own, and may
# hold what is nobody else's business.
PASSED_ON = re.compile(
    r"(PATH|PYTHONPATH|LD_LIBRARY_PATH|VIRTUAL_ENV|LANG|LC_ALL|CUDA_VISIBLE_DEVICES)$"
    r"|(MXNET|OMP|KMP|OPENBLAS|PS|DMLC|NCCL|GLOO|HOROVOD)_"
)
# A machine elsewhere ends its processes when it has heard nothing for so long.
SILENCE_SECONDS = 60
BEAT_SECONDS = 2.0
# A progress bar writes many times a second over the same line; here every one takes a line.
BAR_SECONDS = 5.0
LONGEST_LINE = 1 << 16
_SSH_FAILED = 255


class Writer:
    """Writes whole lines of several threads to a stream; ``lost`` when nobody reads it any more."""

    def __init__(self, stream: BinaryIO):
        self._stream, self._lock = stream, threading.Lock()
        self.lost = False

    def write(self, line: bytes) -> None:
        """Write a line."""
        with self._lock:
            try:
                self._stream.write(line + b"\n")
                self._stream.flush()
            except (OSError, ValueError):
                self.lost = True


class Reader(threading.Thread):
    """Copies a pipe line by line, with a name before each.

    What ends in a carriage return and is written over, a progress bar, is shown from time to time.
    """

    def __init__(self, pipe: BinaryIO, name: str, writer: Writer):
        super().__init__(daemon=True)
        self._pipe, self._prefix, self._writer = pipe, f"[{name}] ".encode(), writer
        self._shown = -BAR_SECONDS
        self.last_line = b""

    def run(self) -> None:
        """Copy until the pipe is closed."""
        rest = b""
        with self._pipe:
            while True:
                data = self._pipe.read1(LONGEST_LINE)
                if not data:
                    break
                rest = self._take(rest + data)
        if rest.strip():
            self._show(rest.rstrip(b"\r"))

    def _take(self, text: bytes) -> bytes:
        """Show the lines of a text and return what may go on."""
        # A \r at the end may belong to a \n that is still to come.
        # Only the first \r of several begins a match: tried from each, many would take for ever.
        *lines, rest = re.split(rb"(?<!\r)\r*\n|(?<=\r)(?=[^\r\n])", text)
        for line in lines:
            if not line.endswith(b"\r"):
                self._show(line)
            elif line.strip() and time.monotonic() - self._shown > BAR_SECONDS:
                self._shown = time.monotonic()
                self._show(line.rstrip(b"\r"))
        if len(rest) > LONGEST_LINE:
            self._show(rest)
            return b""
        return rest

    def _show(self, line: bytes) -> None:
        if line.strip():
            self.last_line = line.strip()
        self._writer.write(self._prefix + line)


def guarded(member: Member) -> Tuple[List[str], Dict[str, str]]:
    """Return what starts a member under its guard, on whichever machine, and its environment."""
    local, environment = member.host.is_local, dict(os.environ)
    silence = 0 if local else SILENCE_SECONDS
    path = str(Path(guard.__file__).resolve())
    command = [sys.executable, "-I", path, str(silence), *member.command]
    if local:
        environment.update(member.settings)
    else:
        kept = {name: text for name, text in os.environ.items() if PASSED_ON.match(name)}
        settings = {**kept, **member.settings}
        command = ["env", *(f"{name}={text}" for name, text in settings.items()), *command]
    return on_host(member.host, command), environment


class Process:
    """A member of the group, running from here on.

    Args:
        member: what to start.
        out, error: where its output goes.

    Raises:
        LaunchError: if there is no ssh, or no Python any more.
    """

    def __init__(self, member: Member, out: Writer, error: Writer):
        self.member = member
        command, environment = guarded(member)
        pipe = subprocess.PIPE
        try:
            # In a session of its own, out of reach of the terminal's Ctrl-C.
            self._popen = subprocess.Popen(
                command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as problem:
            raise LaunchError(f"{command[0]}: cannot be started: {problem.strerror}") from None
        self._readers = [
            Reader(self._popen.stdout, member.name, out),
            Reader(self._popen.stderr, member.name, error),
        ]
        for reader in self._readers:
            reader.start()
        self._beat_at = time.monotonic() + BEAT_SECONDS

    @property
    def status(self) -> Optional[int]:
        """Exit status, 128 + N for signal N; ``None`` while it runs."""
        status = self._popen.poll()
        return status if status is None or status >= 0 else 128 - status

    def beat(self) -> None:
        """Let the machine of the process know that the group is still wanted."""
        if time.monotonic() > self._beat_at:
            self._beat_at = time.monotonic() + BEAT_SECONDS
            self._send(guard.ALIVE)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._send(guard.INTERRUPT)

    def end(self) -> None:
        """Ask for its end, gently at first."""
        with contextlib.suppress(OSError):
            self._popen.stdin.close()

    def kill(self) -> None:
        """End what still holds on, here."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def finish_output(self, end_at: float) -> None:
        """Wait until what it has written is shown, or until a time of ``time.monotonic``."""
        for reader in self._readers:
            reader.join(max(0.0, end_at - time.monotonic()))

    def describe_death(self) -> str:
        """Return who died and why."""
        status = self.status
        if status > 128 and status - 128 in set(signal.Signals):
            why = f"killed by {signal.Signals(status - 128).name}"
        elif status == _SSH_FAILED and not self.member.host.is_local:
            why = f"ssh to {self.member.host.name} ended"
        else:
            why = f"exit status {status}"
        last = self._readers[1].last_line.decode("utf-8", "replace")
        return f"{self.member.name} died: {why}" + (f"; its last line: {last}" if last else "")

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended, or was told to
            self._popen.stdin.write(message)
            self._popen.stdin.flush()
