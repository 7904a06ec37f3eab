"""The graphs are those in symbols/, node by node."""

import difflib
import importlib.util
import json
from pathlib import Path

import pytest

from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.skeleton import human36m, planar

SYMBOLS = Path(__file__).resolve().parents[1] / "symbols"
MAX_BYTES = 30_000


def load_regenerate():
    spec = importlib.util.spec_from_file_location("regenerate", SYMBOLS / "regenerate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REGENERATE = load_regenerate()
BUILDERS = REGENERATE.builders()


def difference(name, graph):
    """Return the lines in which a graph differs from its file, in the form of `diff -u`."""
    golden = (SYMBOLS / f"{name}.json").read_text(encoding="utf-8").splitlines()
    lines = difflib.unified_diff(golden, REGENERATE.to_lines(graph), "golden", "now", lineterm="")
    return "\n".join(lines)


@pytest.mark.parametrize("name", BUILDERS)
def test_graph_is_the_golden_one(name):
    changed = difference(name, BUILDERS[name]())
    assert not changed, (
        f"symbols/{name}.json is another graph; if that is meant: python symbols/regenerate.py\n"
        f"{changed}"
    )


def test_every_file_has_a_graph():
    assert sorted(path.stem for path in SYMBOLS.glob("*.json")) == sorted(BUILDERS)
    assert len(BUILDERS) == 4 * 3 + 6


def test_files_are_small_and_whole():
    for path in SYMBOLS.glob("*.json"):
        assert path.stat().st_size < MAX_BYTES
        graph = json.loads(path.read_text(encoding="utf-8"))
        names = [node["name"] for node in graph["nodes"]]
        assert len(set(names)) == len(names)
        known = set()
        for node in graph["nodes"]:
            assert known.issuperset(source.split(":")[0] for source in node["in"])
            known.add(node["name"])
        assert known.issuperset(graph["outputs"])


def test_a_changed_graph_is_told_by_the_lines_that_changed():
    graph = BUILDERS["kinematic-planar3"]()
    next(node for node in graph["nodes"] if node["op"] == "cos")["op"] = "sin"
    changed = difference("kinematic-planar3", graph)
    assert '-{"name": "kinematic_cos0", "op": "cos"' in changed
    assert '+{"name": "kinematic_cos0", "op": "sin"' in changed
    assert changed.count("\n-{") == 1


def test_graphs_do_not_depend_on_what_was_built_before():
    for name in ("toy6-kinematic", "kinematic-human36m"):
        first = BUILDERS[name]()
        KinematicLayer(human36m())
        KinematicLayer(planar(6))
        assert BUILDERS[name]() == first


def test_regenerate_writes_what_is_compared(tmp_path):
    REGENERATE.main(["--out", str(tmp_path)])
    for path in SYMBOLS.glob("*.json"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
