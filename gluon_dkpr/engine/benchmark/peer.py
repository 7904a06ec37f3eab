"""Another library in a virtual environment and a process of its own, driven over pipes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Optional, Union

from gluon_dkpr.engine.benchmark.harness import BenchmarkError

COMPLETE = "complete"
#: Where the environment of the peers is made, and what goes into it. Never our own environment.
PEERS = Path(__file__).resolve().parents[3] / ".peers"
REQUIREMENTS = PEERS.parent / "requirements" / "peers.txt"


class PeerProcess:
    """A long-lived program that answers one line of JSON with one line of JSON.

    It sleeps while it is not asked. As a context manager it ends with the block.
    """

    def __init__(self, python: Union[str, Path], program: Path, *arguments: str):
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed with the process
        try:
            self._process = subprocess.Popen(
                [str(python), str(program), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                # Packages of our own environment must not come in by this door.
                env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
            )
        except OSError as error:
            self._errors.close()
            raise BenchmarkError(f"the peer's Python {python}: {error.strerror}") from None

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(self, *exception) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Return the program's answer.

        Raises:
            BenchmarkError: when it has ended; with the last line that it left on standard error.
        """
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._errors.seek(0)
            last = (self._errors.read().strip() or "no message").splitlines()[-1]
            raise BenchmarkError(f"the peer's process ended: {last}")
        return json.loads(line)


def make_environment(folder: Path, requirements: Path) -> Path:
    """Return the Python of a virtual environment with these requirements; make it where missing.

    Raises:
        BenchmarkError: in one line, when pip fails; nothing half-made is left.
    """
    python = folder / "bin" / "python"
    stamp = folder / COMPLETE
    wanted = requirements.read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making {folder} with {requirements.name}, once", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    failure = _run(sys.executable, "-m", "venv", str(folder)) or _run(
        *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("-r", str(requirements)),
    )
    if failure is not None:
        shutil.rmtree(folder, ignore_errors=True)
        raise BenchmarkError(
            f"{requirements.name} cannot be installed in {folder} ({failure}); with a network it "
            "can, or name a Python that has the packages: --peer-python PATH"
        )
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(*command: str) -> Optional[str]:
    """Run a command; return None, or the last line of what it said when it failed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"status {done.returncode}"])[-1]
