"""All benchmarks by one command: what is run, what a failure does, and the table."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import gluon_dkpr
from gluon_dkpr.engine.benchmark import all as everything
from gluon_dkpr.engine.benchmark.harness import BenchmarkError

ROOT = Path(gluon_dkpr.__file__).parent.parent
SPREAD = {"median": 2.5, "min": 1.0, "quartile1": 2.0, "quartile3": 3.0}
ABOUT = {
    "date": "2026-02-03T04:05:06+00:00",
    "command": "python tools/benchmark.py NAME",
    "threads": 2,
    "machine": {"cpu": "Abacus", "cores": 2},
    "versions": {"mxnet": "1.9.1"},
}
FIT = {"exponent": 0.98, "error": 0.03}
RESULTS = {
    "kinematics": {
        "races": [
            {"skeleton": "human", "batch": 1, "ratio": {"theirs": SPREAD}},
            {"skeleton": "human", "batch": 9, "ratio": {}, "limit": {"share": SPREAD}},
        ]
    },
    "fit": {"fit": {"ratio": {"SciPy": SPREAD}}},
    "pipeline": {"pipeline": {"ratio": {"ours": SPREAD}}},
    "train": {"batch": 8, "train": {"ratio": {"bare": SPREAD}}},
    "predict": {"batches": [{"batch": 8, "ratio": {"fused": SPREAD}}]},
    "growth": {name: {"fit": FIT} for name in ("chain", "batch", "data")},
    "scaling": {"groups": [{"workers": 1}, {"workers": 2, "efficiency": SPREAD}]},
}
RESULTS["kinematics-1-thread"] = RESULTS["kinematics"]
ROWS = {"kinematics": 2, "kinematics-1-thread": 2, "growth": 3}


def write_result(out, name):
    path = everything.result_file(out, name)
    path.write_text(json.dumps({**ABOUT, **RESULTS[name]}))


def name_of(command):
    """Return the benchmark by the file it writes, ``b-NAME.json``."""
    return Path(command[command.index("--out") + 1]).stem[2:]


@pytest.fixture
def children(monkeypatch):
    """Commands that were run. Each writes its result, unless it is in ``children.failing``."""

    class Children(list):
        failing = ()

    run = Children()

    def start(command, **options):
        name = name_of(command)
        run.append(command)
        if name not in run.failing:
            Path(command[command.index("--out") + 1]).write_text(
                json.dumps({**ABOUT, **RESULTS[name]})
            )
        return subprocess.CompletedProcess(command, 2 * (name in run.failing))

    # Not subprocess itself: the platform's name is asked of a process, too.
    stand_in = SimpleNamespace(run=start, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr(everything, "subprocess", stand_in)
    return run


def load_tool():
    spec = importlib.util.spec_from_file_location("tool", ROOT / "tools" / "benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_benchmark_has_its_own_process(children, tmp_path):
    out = tmp_path / "b.json"
    arguments = ["all", "--out", str(out), "--seconds", "0.5", "--seed", "3"]
    load_tool().main([*arguments, "--model", "runs/x", "--peer-python", "py", "--no-peer"])
    tool = load_tool()
    assert [name_of(command) for command in children] == list(everything.BENCHMARKS)
    assert {command[2] for command in children} == set(tool.BENCHMARKS) - {"all"}
    for command in children:
        assert Path(command[1]) == ROOT / "tools" / "benchmark.py"
        args = tool.parse(command[2:])  # it is a command line that the tool understands
        assert args.out == str(tmp_path / f"b-{name_of(command)}.json")
        assert name_of(command) in (args.benchmark, f"{args.benchmark}-1-thread")
        assert (args.seconds, args.seed) == (0.5, 3)
        assert args.threads == (1 if name_of(command) in everything.ONE_THREAD else 2)
        given = {name: getattr(args, name, None) for name in ("model", "peer_python", "no_peer")}
        assert given == {
            "model": "runs/x" if args.benchmark == "predict" else None,
            "peer_python": "py" if args.benchmark in ("kinematics", "train") else None,
            "no_peer": True if args.benchmark == "train" else None,
        }
    assert [c for c in children if "--compiled" in c] == children[:2]


def test_table_has_every_ratio(children, tmp_path, capsys):
    load_tool().main(["all", "--out", str(tmp_path / "b.json")])
    result = json.loads((tmp_path / "b.json").read_text())
    page = (tmp_path / "b.md").read_text()
    assert page in capsys.readouterr().out
    for name, found in result["benchmarks"].items():
        assert len(found["rows"]) == page.count(f"[{name}](b-{name}.md)") == ROWS.get(name, 1)
        assert {key: found[key] for key in ABOUT} == ABOUT
    assert result["failed"] == {} and "failed" not in page
    assert page.count("| 2.5 (2–3) |") == 9 and page.count("| exponent 0.98 ± 0.03 |") == 3
    assert "| KinematicLayer, human, batch 9 | limit: " in page
    assert "| training step of 2 workers | limit: " in page and "of 1 workers" not in page
    command = "python tools/benchmark.py all --seconds 4 --threads 2 --seed 0"
    assert result["command"] == f"{command} --out {tmp_path / 'b.json'}"  # not the usual one


def test_the_others_run_when_one_fails(children, tmp_path):
    children.failing = ("kinematics", "growth")
    names = ("growth ended with status 2", "kinematics ended with status 2")
    with pytest.raises(BenchmarkError, match=f"b.json is written, but: {names[1]}; {names[0]}"):
        load_tool().main(["all", "--out", str(tmp_path / "b.json")])
    assert len(children) == len(everything.BENCHMARKS)
    result = json.loads((tmp_path / "b.json").read_text())
    assert list(result["failed"]) == ["kinematics", "growth"]
    assert set(result["benchmarks"]) == set(RESULTS) - {"kinematics", "growth"}
    assert "**growth failed**: ended with status 2." in (tmp_path / "b.md").read_text()


def test_some_are_run_and_all_that_are_there_collected(children, tmp_path):
    out = tmp_path / "b.json"
    write_result(out, "fit")
    load_tool().main(["all", "--out", str(out), "--only", "predict", "train", "--skip", "train"])
    assert [command[2] for command in children] == ["predict"]
    assert list(json.loads(out.read_text())["benchmarks"]) == ["fit", "predict"]
    assert json.loads(out.read_text())["command"].endswith(" --only predict train --skip train")


def test_collecting_runs_nothing_and_names_what_it_cannot_read(children, tmp_path):
    out = tmp_path / "b.json"
    for name in ("fit", "train", "scaling"):
        write_result(out, name)
    everything.result_file(out, "train").write_text("{")
    old = json.loads(everything.result_file(out, "scaling").read_text())
    del old["groups"][1]["efficiency"]
    everything.result_file(out, "scaling").write_text(json.dumps(old))
    unread = r"train has a b-train.json of another version .*; scaling .*KeyError: 'efficiency'"
    with pytest.raises(BenchmarkError, match=unread):
        load_tool().main(["all", "--out", str(out), "--collect"])
    assert children == []
    assert list(json.loads(out.read_text())["benchmarks"]) == ["fit"]


def test_nothing_to_collect(tmp_path):
    with pytest.raises(BenchmarkError, match="no results to collect"):
        load_tool().main(["all", "--out", str(tmp_path / "b.json"), "--collect"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--only", "fit", "nothing"], "benchmark 'nothing' is not known, expected some of kin"),
        (["--skip", "all"], "benchmark 'all' is not known"),
        (["--only", "fit", "--skip", "fit"], "leave no benchmark"),
    ],
)
def test_wrong_names(flags, message, children, tmp_path):
    with pytest.raises(BenchmarkError, match=message):
        load_tool().main(["all", "--out", str(tmp_path / "b.json"), *flags])
    assert children == []


def test_status_of_a_real_process(capfd):
    failures = everything.run_each(
        ["good", "bad"],
        {
            "good": [sys.executable, "-c", "print('a page')"],
            "bad": [sys.executable, "-c", "raise SystemExit('no peer')"],
        },
    )
    assert failures == [("bad", "ended with status 1")]
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["good (1 of 2)", "bad (2 of 2)", "no peer"]
