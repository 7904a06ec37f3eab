#!/usr/bin/env python
"""Write the golden graphs beside this file: `python symbols/regenerate.py`.

Only after a change of a graph that is meant; README.md tells what to check before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from gluon_dkpr.backend import mx
from gluon_dkpr.cli import Parser, run
from gluon_dkpr.engine.graph import graph_json, trace
from gluon_dkpr.files import atomic_write
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import METHODS, KinematicLayer
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m, planar
from gluon_dkpr.skeleton.planar import IMAGE_SIZE_PX, LEVELS

CHAIN_BONES = 64
Graph = Dict[str, list]


def chain(bones: int = CHAIN_BONES) -> Skeleton:
    """Return bones in a row, each 10 mm long, that turn about x, y and z by turns."""
    parameters = [Parameter(axis, "length") for axis in ("x", "y", "z")]
    parameters += [Parameter(f"angle_{i}") for i in range(bones)]
    joints = []
    for i in range(bones + 1):
        turns = (Rotation("xyz"[i % 3], f"angle_{i}"),) if i < bones else ()
        parent, offset = (f"joint_{i - 1}", (0.0, 10.0, 0.0)) if i else (None, (0.0, 0.0, 0.0))
        joints.append(Joint(f"joint_{i}", parent, offset, turns))
    return Skeleton("chain", 3, tuple(parameters), tuple(joints), ("x", "y", "z"))


def builders() -> Dict[str, Callable[[], Graph]]:
    """Return what builds each golden graph, by its name."""
    found = {}
    for level in LEVELS:
        for method in METHODS:
            found[f"toy{level}-{method}"] = lambda n=level, m=method: network_graph(planar(n), m)
    skeletons = [planar(level) for level in LEVELS] + [human36m(), chain()]
    for skeleton in skeletons:
        found[f"kinematic-{skeleton.name}"] = lambda s=skeleton: kinematic_graph(s)
    return found


def network_graph(skeleton: Skeleton, method: str) -> Graph:
    """Return the graph that is exported of a toy network."""
    net = get_model("toy_cnn", skeleton, method)
    net.initialize()
    return canonical(trace(net.predictor), (1, 1, IMAGE_SIZE_PX, IMAGE_SIZE_PX))


def kinematic_graph(skeleton: Skeleton) -> Graph:
    """Return the graph of a kinematic layer."""
    layer = KinematicLayer(skeleton, prefix="kinematic_")
    return canonical(trace(layer), (1, skeleton.num_parameters))


def canonical(symbol: mx.sym.Symbol, input_shape: Sequence[int]) -> Graph:
    """Return a graph as plain data, without numbers of nodes and values of parameters.

    Returns:
        ``outputs``: names of nodes. ``nodes``: in the order of the graph, each with name, op,
        the names of its inputs, where ``name:1`` is the second output of a node, and attributes
        (of a parameter: its shape).
    """
    graph = json.loads(graph_json(symbol, tuple(input_shape)))
    names = [node["name"] for node in graph["nodes"]]

    def entry(index: int, output: int, *_) -> str:
        return f"{names[index]}:{output}" if output else names[index]

    nodes: List[dict] = []
    for node in graph["nodes"]:
        attributes = node.get("attrs", {})
        if node["op"] == "null":
            attributes = {"shape": attributes["__shape__"]} if attributes else {}
        inputs = [entry(*source) for source in node["inputs"]]
        nodes.append({"name": node["name"], "op": node["op"], "in": inputs, "attrs": attributes})
    return {"outputs": [entry(*head) for head in graph["heads"]], "nodes": nodes}


def to_lines(graph: Graph) -> List[str]:
    """Return a graph as lines of JSON, one for each node, so that differences can be read."""
    lines = [json.dumps(node) for node in graph["nodes"]]
    outputs = json.dumps(graph["outputs"])
    return [f'{{"outputs": {outputs}, "nodes": [', *_with_commas(lines), "]}"]


def _with_commas(lines: List[str]) -> List[str]:
    return [line + "," for line in lines[:-1]] + lines[-1:]


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Write every golden graph."""
    parser = Parser(description=__doc__)
    here = Path(__file__).parent
    parser.add_argument("--out", default=str(here), metavar="DIR", help="folder to write to")
    folder = Path(parser.parse_args(arguments).out)
    for name, build in builders().items():
        with atomic_write(folder / f"{name}.json") as file:
            file.write("\n".join(to_lines(build())) + "\n")


if __name__ == "__main__":
    run(main)
