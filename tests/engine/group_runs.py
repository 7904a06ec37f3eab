"""Starting groups in tests, and looking for what they have left running."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "launch.py"
# What the launcher promises, from the death of a process to the end of the group.
LIMIT_SECONDS = 10


class GroupRun:
    """A running launcher whose processes all carry a mark in their environment."""

    def __init__(self, cwd, *arguments, **settings):
        # A name that the launcher passes on through ssh.
        self.mark = f"MXNET_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, str(TOOL), *map(str, arguments)],
            cwd=cwd, env={**os.environ, name: value, **settings}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Leave nothing behind, whatever the test found."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def finish(self, timeout=60):
        """Wait for the end; return (status, standard output, standard error)."""
        out, error = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, error

    def left(self):
        """Return the processes of the group that run."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with contextlib.suppress(OSError):
                    marked = self.mark.encode() in (folder / "environ").read_bytes().split(b"\0")
                    zombie = "\nState:\tZ" in (folder / "status").read_text()
                    if marked and not zombie:
                        found.append(int(folder.name))
        return found

    def is_gone(self, within=LIMIT_SECONDS):
        """Wait until nothing of the group runs; tell whether that came true."""
        return wait_for(lambda: not self.left(), within)


def wait_for(condition, seconds=60):
    """Wait until a condition holds and tell whether it does."""
    end_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end_at:
            return False
        time.sleep(0.05)
    return True


def run_group(cwd, *arguments, **settings):
    """Run a launcher to its end; return (status, standard output, standard error)."""
    with GroupRun(cwd, *arguments, **settings) as run:
        result = run.finish(timeout=120)
        assert not run.left()
        return result
