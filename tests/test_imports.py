"""Imports go one way, and the rooms that need no MXNet do without it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gluon_dkpr

PACKAGE = Path(gluon_dkpr.__file__).parent
TOOLS = PACKAGE.parent / "tools"

GROUND = {"types", "errors", "files", "cores"}
SHAPES = GROUND | {"skeleton", "geometry"}
NETWORKS = SHAPES | {"backend"}
# Room -> the other rooms it may import. The order of design/rooms; nn and data never meet below
# the engine.
ALLOWED = {
    "types": set(),
    "errors": set(),
    "cores": set(),
    "files": {"errors", "types"},
    "cli": GROUND,
    "backend": GROUND,
    "config": GROUND | {"skeleton"},
    "presets": GROUND | {"config"},
    "skeleton": GROUND,
    "geometry": GROUND | {"skeleton"},
    "metrics": SHAPES,
    "viz": SHAPES,
    "fit": SHAPES,
    "data": NETWORKS | {"fit"},
    "nn": NETWORKS,
    "model_zoo": NETWORKS | {"nn"},
    "engine": NETWORKS | {"nn", "data", "model_zoo", "metrics", "viz", "fit", "config", "presets"},
    "service": SHAPES | {"engine"},
}
# Modules that run in the virtual environment of another library, and what they find there.
PEER_MODULES = sorted(PACKAGE.glob("engine/benchmark/peer_*.py"))
PEER_PACKAGES = {"torch", "pytorch_kinematics"}
OUR_PACKAGES = {"gluon_dkpr", "mxnet", "gluoncv", "numpy", "cv2", "yaml"}


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name):
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(tree, path):
    """Return every module that a file imports anywhere, also inside functions."""
    package = list(path.relative_to(PACKAGE.parent).parent.parts)
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:
                # `from package import module` imports the module, not what the package offers.
                inner = f"{base}.{alias.name}"
                names.add(inner if is_module(inner) else base)
    return names


def modules():
    """Return {module name: names it imports} of the whole package."""
    return {
        module_name(path): imported(ast.parse(path.read_text(encoding="utf-8")), path)
        for path in sorted(PACKAGE.rglob("*.py"))
    }


MODULES = modules()


def room(name):
    """Return the room of a module of the package, None for the package itself and for others."""
    parts = name.split(".")
    return parts[1] if parts[0] == "gluon_dkpr" and len(parts) > 1 else None


def illegal(graph):
    """Return the imports of a graph that go the wrong way, as texts."""
    found = []
    for name, names in graph.items():
        for other in names:
            here, there = room(name), room(other)
            if there not in (None, here) and there not in ALLOWED.get(here, ()):
                found.append(f"{name} imports {other}")
    return sorted(found)


def find_cycle(graph):
    """Return a cycle of modules that import each other, or None."""
    edges = {name: sorted(names & set(graph) - {name}) for name, names in graph.items()}
    state = {}

    def visit(name, way):
        state[name] = "open"
        for other in edges[name]:
            if state.get(other) == "open":
                return [*way[way.index(other) :], other]
            if other not in state:
                cycle = visit(other, [*way, other])
                if cycle:
                    return cycle
        state[name] = "done"
        return None

    for name in edges:
        if name not in state:
            cycle = visit(name, [name])
            if cycle:
                return cycle
    return None


def test_every_room_is_known():
    rooms = {room(name) for name in MODULES} - {None}
    assert rooms <= set(ALLOWED), "a new room needs its place in the order"
    assert {"skeleton", "geometry", "nn", "data", "metrics"} <= rooms


def test_imports_go_one_way():
    assert illegal(MODULES) == []


def test_no_module_imports_itself_by_a_detour():
    """Imports inside functions count: they only hide a cycle."""
    assert find_cycle(MODULES) is None


def test_the_order_has_no_cycle():
    """The table above is an order, so that it cannot allow what it is there to forbid."""
    assert find_cycle(ALLOWED) is None


def test_nothing_imports_the_tools_or_the_tests():
    for name, names in MODULES.items():
        assert not {other.split(".")[0] for other in names} & {"tools", "tests", "setup"}, name


def test_tools_import_the_package_only_from_outside():
    """A tool is a thin command line: no tool imports another."""
    tools = {path.stem for path in TOOLS.glob("*.py")}
    for path in TOOLS.glob("*.py"):
        names = imported(ast.parse(path.read_text(encoding="utf-8")), path)
        assert not {name.split(".")[0] for name in names} & tools, path.name


def test_the_service_alone_needs_its_extra():
    for name, names in MODULES.items():
        if room(name) != "service":
            roots = {other.split(".")[0] for other in names}
            assert not roots & {"starlette", "uvicorn", "prometheus_client", "h11"}, name


def test_peers_stay_among_themselves():
    """Beside torch MXNet's GluonCV does not work: no other module may import it."""
    peers = {module_name(path) for path in PEER_MODULES}
    for name, names in MODULES.items():
        roots = {other.split(".")[0] for other in names}
        if name in peers:
            # NumPy is there, too: pytorch_kinematics needs it.
            assert not roots & (OUR_PACKAGES - {"numpy"}), name
        else:
            assert not roots & PEER_PACKAGES, name


@pytest.mark.parametrize(
    "module, source, wrong",
    [
        ("gluon_dkpr.nn.bad", "def f():\n    from gluon_dkpr.data import x", True),
        ("gluon_dkpr.metrics.bad", "import gluon_dkpr.nn.kinematic", True),
        ("gluon_dkpr.skeleton.bad", "from gluon_dkpr import geometry", True),
        ("gluon_dkpr.skeleton.bad", "from ..geometry import kinematics", True),
        ("gluon_dkpr.viz.bad", "from gluon_dkpr.backend import mx", True),
        ("gluon_dkpr.nn.good", "from gluon_dkpr.skeleton import Skeleton\nimport json", False),
        ("gluon_dkpr.engine.good", "from gluon_dkpr import __version__", False),
    ],
)
def test_a_wrong_import_is_found(module, source, wrong):
    path = PACKAGE.parent / Path(*module.split(".")).with_suffix(".py")
    graph = {module: imported(ast.parse(source), path)}
    assert bool(illegal(graph)) == wrong


def test_a_cycle_is_found():
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


WITHOUT_MXNET = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("mxnet", "gluoncv"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import gluon_dkpr.cli, gluon_dkpr.geometry, gluon_dkpr.metrics, gluon_dkpr.skeleton

skeleton = gluon_dkpr.skeleton.human36m()
joints = gluon_dkpr.geometry.forward_kinematics(skeleton, [[0.0] * 27])
assert joints.shape == (1, 17, 3)
assert not [name for name in sys.modules if name.startswith(("mxnet.", "gluoncv."))]
try:
    import gluon_dkpr.nn
except Exception as error:
    print(type(error).__name__)
"""


def test_skeleton_geometry_and_metrics_work_without_mxnet():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_MXNET], check=True, capture_output=True, text=True
    )
    # The block itself works: what needs MXNet fails.
    assert run.stdout.strip() in ("BackendError", "ImportError")
