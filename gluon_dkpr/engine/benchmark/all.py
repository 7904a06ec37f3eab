"""Every benchmark, each in a process of its own, and one table of what they found."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from gluon_dkpr.engine.benchmark import harness
from gluon_dkpr.engine.benchmark.harness import BenchmarkError

TOOL = Path(__file__).resolve().parents[3] / "tools" / "benchmark.py"
#: Benchmark, the name of its module before the first hyphen -> the flags that its page is made
#: with, beside those that are handed through.
BENCHMARKS: Dict[str, Sequence[str]] = {
    "kinematics": ("--compiled",),
    "kinematics-1-thread": ("--compiled",),
    "fit": (),
    "pipeline": (),
    "train": (),
    "predict": (),
    "growth": (),
    "scaling": (),
}
#: Whatever the others have: at small batches kinematics is faster on one thread than on two, and
#: scaling's two workers, each a process, fill two cores.
ONE_THREAD = ("kinematics-1-thread", "scaling")
#: Flag that is handed through -> the benchmarks that have it.
SHARED = {
    "--peer-python": ("kinematics", "kinematics-1-thread", "train"),
    "--no-peer": ("train",),
    "--model": ("predict",),
}
#: What is kept of a result for the table.
_ABOUT = ("date", "command", "threads", "machine", "versions")


class Failure(NamedTuple):
    """A benchmark without result, or with one that cannot be read, and why."""

    name: str
    why: str


def chosen(only: Optional[Sequence[str]], skip: Optional[Sequence[str]]) -> List[str]:
    """Return the benchmarks to run, in order.

    Raises:
        BenchmarkError: for a name that is none, or if nothing is left.
    """
    for name in [*(only or ()), *(skip or ())]:
        if name not in BENCHMARKS:
            known = ", ".join(BENCHMARKS)
            raise BenchmarkError(f"benchmark {name!r} is not known, expected some of {known}")
    names = [n for n in BENCHMARKS if (not only or n in only) and n not in (skip or ())]
    if not names:
        raise BenchmarkError("--only and --skip leave no benchmark")
    return names


def result_file(out: Path, name: str) -> Path:
    """Return where a benchmark's numbers are, beside those of all."""
    return out.with_name(f"{out.stem}-{name}.json")


def command_line(
    name: str, out: Path, seconds: float, threads: int, seed: int, shared: Dict[str, object]
) -> List[str]:
    """Return the command that runs a benchmark; ``shared`` maps flags of ``SHARED`` to values."""
    command = [sys.executable, str(TOOL), _module(name), "--out", str(result_file(out, name))]
    command += ["--seconds", f"{seconds:g}", "--seed", str(seed)]
    command += ["--threads", "1" if name in ONE_THREAD else str(threads), *BENCHMARKS[name]]
    for flag, value in shared.items():
        if value and name in SHARED[flag]:
            command += [flag] if value is True else [flag, str(value)]
    return command


def _module(name: str) -> str:
    return name.split("-")[0]


def run_each(names: Sequence[str], commands: Dict[str, List[str]]) -> List[Failure]:
    """Run benchmarks one after the other; return those that failed, after the others have run.

    What a failing one says about it stands on standard error before.
    """
    failures = []
    for i, name in enumerate(names, start=1):
        print(f"{name} ({i} of {len(names)})", file=sys.stderr, flush=True)
        # Its page is in its file.
        status = subprocess.run(commands[name], stdout=subprocess.DEVNULL).returncode
        if status:
            failures.append(Failure(name, f"ended with status {status}"))
    return failures


def collect(out: Path) -> tuple:
    """Read the result files that are there.

    Returns:
        dict by benchmark of what a result depends on, its ``page`` and its ``rows``; and the list
        of failures, for files that were made by another version or are damaged.
    """
    found, failures = {}, []
    for name in BENCHMARKS:
        path = result_file(out, name)
        if not path.is_file():
            continue
        module = importlib.import_module(f"gluon_dkpr.engine.benchmark.{_module(name)}")
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            rows = [row._asdict() for row in module.summary(result)]
            about = {key: result[key] for key in _ABOUT}
            about["peer_versions"] = result.get("peer_versions", {})
            found[name] = {**about, "page": path.with_suffix(".md").name, "rows": rows}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"has a {path.name} of another version ({type(error).__name__}: {error})"
            failures.append(Failure(name, why))
    return found, failures


def _cell(ratio: dict) -> str:
    if "exponent" in ratio:
        return f"exponent {ratio['exponent']:.2f} ± {ratio['error']:.2f}"
    return harness.cell(ratio, ".3g")


def page(result: dict) -> str:
    """Return the result as a page in Markdown."""
    rows = [["what", "beside", "ratio (quartiles)", "page"]]
    made = [["measured", "date", "processor", "command"]]
    for name, found in result["benchmarks"].items():
        link = f"[{name}]({found['page']})"
        rows += [[r["what"], r["against"], _cell(r["ratio"]), link] for r in found["rows"]]
        made.append([name, found["date"][:10], found["machine"]["cpu"], f"`{found['command']}`"])
    failed = "".join(f"\n**{name} failed**: {why}.\n" for name, why in result["failed"].items())
    return f"""# All measurements

Every comparison of the benchmarks; the page of each explains it. A ratio is how many times as fast
ours is: above 1 it is faster. Beside a *limit* it is the share of what can be had, 1 at most.
Median (quartiles) of rounds that take turns in one run; growth has a fitted exponent and its
standard error instead.

{harness.markdown_table(rows)}
{failed}
{harness.markdown_table(made)}

Made by `{result["command"]}`.
"""


def run(
    out: Path,
    command: str,
    seconds: float,
    threads: int,
    seed: int,
    only: Optional[Sequence[str]] = None,
    skip: Optional[Sequence[str]] = None,
    collect_only: bool = False,
    **shared: object,
) -> str:
    """Run benchmarks, write their files and pages, and ``out`` with its page of all; return it.

    Args:
        out: the JSON file of all; ``benchmark.json`` has ``benchmark-train.json`` beside it.
        command: what made it, for whoever wants to make it again.
        seconds: timed seconds of each number.
        threads: of each contestant, but for scaling.
        seed: of the inputs.
        only, skip: names of benchmarks; the table has all that are there.
        collect_only: make the table of the files that are there, and run nothing.
        shared: values of the flags in ``SHARED``, with ``_`` for ``-``.

    Raises:
        BenchmarkError: for a name or a seed that is none; after everything else is done and
            written, if a benchmark failed; if there is nothing to collect.
    """
    names = chosen(only, skip)
    harness.check_seed(seed)
    flags = {flag: shared.get(flag.strip("-").replace("-", "_")) for flag in SHARED}
    failures: List[Failure] = []
    if not collect_only:
        commands = {n: command_line(n, out, seconds, threads, seed, flags) for n in names}
        failures += run_each(names, commands)
    found, unread = collect(out)
    failures += unread
    failed = "; ".join(f"{name} {why}" for name, why in failures)
    if not found:
        raise BenchmarkError(failed or f"{result_file(out, '*')}: there are no results to collect")
    result = {
        "command": command,
        "machine": {"cpu": "; ".join(sorted({one["machine"]["cpu"] for one in found.values()}))},
        "failed": dict(failures),
        "benchmarks": found,
    }
    text = page(result)
    harness.write_result(out, result, text)
    if failures:
        raise BenchmarkError(f"{out} is written, but: {failed}")
    return text
