"""Inputs that follow the branches of the code, by atheris: run as a module.

Of the targets that are read in Python; what C libraries do atheris cannot see. Each has a process
of its own, because libFuzzer ends the one it runs in.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = (
    *("skeleton", "configuration", "bvh", "mocap", "hosts", "h36m metadata", "record header"),
    *("record index", "joint tables", "boxes", "signature", "weights"),
)
RUNS = os.environ.get("DKPR_FUZZ_RUNS", "20000")


def attack(name: str, folder: Path) -> None:
    """Attack a target, in an empty folder; never returns."""
    import atheris

    with atheris.instrument_imports(include=["gluon_dkpr"]):
        from tests.fuzz.targets import TARGETS
    from tests.fuzz.runner import Session

    target = next(target for target in TARGETS if target.name == name)
    corpus = folder / "corpus"
    corpus.mkdir()
    (folder / "files").mkdir()
    session = Session(target, folder / "files").__enter__()
    for number, case in enumerate(session.cases):
        (corpus / str(number)).write_bytes(bytes([number]) + case.content)

    def one(data: bytes) -> None:
        if data:
            session.judge(session.cases[data[0] % len(session.cases)], data[1:])

    options = [f"-runs={RUNS}", "-timeout=10", "-rss_limit_mb=4096", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


def main() -> int:
    """Attack all targets, or those that are named."""
    if importlib.util.find_spec("atheris") is None:
        print("coverage-guided fuzzing is left out: atheris is not installed")
        return 0
    failed = []
    for name in sys.argv[1:] or NAMES:
        code = "import sys, pathlib; from tests.fuzz.coverage_guided import attack; "
        code += "attack(sys.argv[1], pathlib.Path(sys.argv[2]))"
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", code, name, folder]
            status = subprocess.run(command, check=False).returncode
        print(f"{name}: {RUNS} inputs, " + (f"status {status}" if status else "no failure"))
        failed += [name] if status else []
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
