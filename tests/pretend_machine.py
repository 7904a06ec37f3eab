"""A machine that only pretends to have Pythons, for the tests of tools/bootstrap.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What the bootstrap calls besides Python.
UTILITIES = "cat cksum cp flock grep mkdir mv rm sed sh sleep tail".split()


class Machine:
    """A copy of what the bootstrap needs, and a PATH of programs that only pretend."""

    def __init__(self, folder: Path):
        self.programs = folder / "bin"
        self.utilities = folder / "utilities"
        self.home = folder / "home"
        self.tree = folder / "a tree"  # with a blank, as people have them
        self.calls = folder / "calls"
        package = self.tree / "gluon_dkpr"
        for path in (self.programs, self.utilities, self.home, self.tree / "tools", package):
            path.mkdir(parents=True)
        for name in UTILITIES:
            if shutil.which(name):
                (self.utilities / name).symlink_to(shutil.which(name))
        shutil.copy(ROOT / "tools" / "bootstrap.sh", self.tree / "tools")
        shutil.copytree(ROOT / "requirements", self.tree / "requirements")
        shutil.copy(ROOT / "gluon_dkpr" / "errors.py", package)
        for name in ("__init__.py", "backend.py"):
            (package / name).touch()
        self.add_program("nvidia-smi", "exit 9")

    def add_program(self, name: str, script: str) -> Path:
        path = self.programs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    def add_python(self, name: str, version: str = "3.10.4", lacks: str = "", bits: int = 64):
        """Make a Python that answers probes as told; its venv and pip only note that they ran."""
        pretend = (
            "import sys; sys.prefix = sys.base_prefix; "
            f"sys.version_info = {(*map(int, version.split('.')), 'final', 0)}; "
            f"sys.maxsize = 2**{bits - 1} - 1; "
            f"sys.modules.update(dict.fromkeys({lacks.split()})); exec(sys.argv[1])"
        )
        return self.add_program(
            name,
            f"""[ "$1" = -c ] && exec '{sys.executable}' -c "{pretend}" "$2"
echo "$*" >>'{self.calls}'
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    *" -r "*) eval "${{DURING_PIP:-}}" ;;
esac""",
        )

    def bootstrap(self, *args: str, path: str = "", **settings: str):
        """Run tools/bootstrap.sh; no real Python and no real pip can be reached."""
        env = dict(PATH=path or str(self.programs), HOME=str(self.home), **settings)
        command = ["/bin/sh", str(self.tree / "tools" / "bootstrap.sh"), *args]
        return subprocess.run(
            command, env=env, capture_output=True, text=True, check=False, timeout=30
        )

    def find(self, **settings: str):
        """Have the Python found, with nothing but Pythons on the PATH."""
        return self.bootstrap("find", **settings)

    def setup(self, *args: str, **settings: str):
        """Have .venv made."""
        path = f"{self.programs}{os.pathsep}{self.utilities}"
        return self.bootstrap(*args, path=path, **settings)

    def count(self, call: str) -> int:
        return self.calls.read_text().count(call) if self.calls.exists() else 0
