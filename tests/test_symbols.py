"""Graphs and signatures are those in symbols/, node by node and entry by entry."""

import difflib
import importlib.util
import json
from pathlib import Path

import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.export import export_model
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import METHODS, KinematicLayer
from gluon_dkpr.skeleton import human36m, planar

SYMBOLS = Path(__file__).resolve().parents[1] / "symbols"
MAX_BYTES = 30_000
# The features of the human network, once for all methods.
LARGE = {"resnet50_v1b-features": 80_000}


def load_regenerate():
    spec = importlib.util.spec_from_file_location("regenerate", SYMBOLS / "regenerate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REGENERATE = load_regenerate()
BUILDERS = REGENERATE.builders()
SIGNATURES = REGENERATE.signatures()


def difference(name, graph):
    """Return the lines in which a graph differs from its file, in the form of `diff -u`."""
    return changed_lines(name, REGENERATE.to_lines(graph))


def changed_lines(name, lines):
    golden = (SYMBOLS / f"{name}.json").read_text(encoding="utf-8").splitlines()
    return "\n".join(difflib.unified_diff(golden, lines, "golden", "now", lineterm=""))


@pytest.mark.parametrize("name", BUILDERS)
def test_graph_is_the_golden_one(name):
    changed = difference(name, BUILDERS[name]())
    assert not changed, (
        f"symbols/{name}.json is another graph; if that is meant: python symbols/regenerate.py\n"
        f"{changed}"
    )


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature_is_the_golden_one(name):
    changed = changed_lines(f"signatures/{name}", REGENERATE.signature_lines(SIGNATURES[name]))
    assert not changed, (
        f"symbols/signatures/{name}.json is another; other programs read it: is a new format meant?"
        f"\n{changed}"
    )


@pytest.mark.parametrize("preprocess", [False, True])
def test_an_export_has_graph_and_signature_of_these(preprocess, tmp_path):
    name = "toy3-kinematic" + ("-bytes" if preprocess else "")
    net = get_model("toy_cnn", planar(3), "kinematic")
    net.initialize()
    written = export_model(net, tmp_path, name, (128, 128, 1), preprocess=preprocess)
    symbol = mx.sym.load(str(written.paths["symbol"]))
    shape = (1, *written.signature.input_shape)
    assert not difference(name, REGENERATE.canonical(symbol, shape))
    found = json.loads(written.paths["signature"].read_text())
    golden = SIGNATURES["toy3-kinematic" + ("-mxnet-bytes" if preprocess else "")].to_dict()
    for key in set(golden) - {"name", "files", "versions"}:
        assert found[key] == golden[key], key


def test_the_human_methods_share_their_features():
    files = [SYMBOLS / f"resnet50_v1b-{method}.json" for method in METHODS]
    for graph in (json.loads(file.read_text()) for file in files):
        assert graph["beside"] == "resnet50_v1b-features"
        assert graph["outputs"][0] == "joints"
        assert not [node for node in graph["nodes"] if node["op"] == "Convolution"]
    features = json.loads((SYMBOLS / "resnet50_v1b-features.json").read_text())
    operators = [node["op"] for node in features["nodes"]]
    assert operators.count("Convolution") == 53


def test_every_file_has_a_graph():
    assert sorted(path.stem for path in SYMBOLS.glob("*.json")) == sorted(BUILDERS)
    assert len(BUILDERS) == 4 * 3 + 1 + 1 + 3 + 6
    signatures = sorted(path.stem for path in SYMBOLS.glob("signatures/*.json"))
    assert signatures == sorted(SIGNATURES)
    assert len(SIGNATURES) == 4 * 3 + 3 + 4


def test_files_are_small_and_whole():
    for path in SYMBOLS.glob("*.json"):
        assert path.stat().st_size < LARGE.get(path.stem, MAX_BYTES)
        graph = json.loads(path.read_text(encoding="utf-8"))
        names = [node["name"] for node in graph["nodes"]]
        assert len(set(names)) == len(names)
        known = set()
        if "beside" in graph:
            before = json.loads((SYMBOLS / f"{graph['beside']}.json").read_text(encoding="utf-8"))
            known = {node["name"] for node in before["nodes"]}
        for node in graph["nodes"]:
            assert known.issuperset(source.split(":")[0] for source in node["in"])
            known.add(node["name"])
        assert known.issuperset(graph["outputs"])


def test_a_changed_graph_is_told_by_the_lines_that_changed():
    graph = BUILDERS["kinematic-planar3"]()
    next(node for node in graph["nodes"] if node["op"] == "sin")["op"] = "cos"
    changed = difference("kinematic-planar3", graph)
    assert '-{"name": "kinematic_sin0", "op": "sin"' in changed
    assert '+{"name": "kinematic_sin0", "op": "cos"' in changed
    assert changed.count("\n-{") == 1


def test_graphs_do_not_depend_on_what_was_built_before():
    for name in ("toy6-kinematic", "kinematic-human36m", "resnet50_v1b-kinematic"):
        first = BUILDERS[name]()
        KinematicLayer(human36m())
        KinematicLayer(planar(6))
        assert BUILDERS[name]() == first


def test_regenerate_writes_what_is_compared(tmp_path):
    REGENERATE.main(["--out", str(tmp_path)])
    files = [path.relative_to(SYMBOLS) for path in SYMBOLS.rglob("*.json")]
    assert len(files) == len(BUILDERS) + len(SIGNATURES)
    for path in files:
        assert (tmp_path / path).read_bytes() == (SYMBOLS / path).read_bytes()
