#!/usr/bin/env python
"""Write golden graphs and signatures beside this file: `python symbols/regenerate.py`.

Only after a change of a graph that is meant; README.md tells what to check before.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from gluon_dkpr.backend import mx
from gluon_dkpr.cli import Parser, run
from gluon_dkpr.engine.graph import graph_json, trace, trace_network
from gluon_dkpr.engine.signature import SUFFIXES, FileStamp, Signature
from gluon_dkpr.files import atomic_write
from gluon_dkpr.model_zoo import get_model, input_statistics
from gluon_dkpr.nn import METHODS, KinematicLayer
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m, planar
from gluon_dkpr.skeleton.planar import IMAGE_SIZE_PX, LEVELS

CHAIN_BONES = 64
BODY = "resnet50_v1b"
BODY_SHAPE = (224, 224, 3)
TOY_SHAPE = (IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1)
FEATURES = f"{BODY}-features"
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
    found = {FEATURES: features_graph}
    for level in LEVELS:
        for method in METHODS:
            found[f"toy{level}-{method}"] = lambda n=level, m=method: toy_graph(planar(n), m)
    for method in METHODS:
        found[f"{BODY}-{method}"] = lambda m=method: body_graph(m)
    found["toy3-kinematic-bytes"] = lambda: toy_graph(planar(3), "kinematic", True)
    skeletons = [planar(level) for level in LEVELS] + [human36m(), chain()]
    for skeleton in skeletons:
        found[f"kinematic-{skeleton.name}"] = lambda s=skeleton: kinematic_graph(s)
    return found


def toy_graph(skeleton: Skeleton, method: str, preprocess: bool = False) -> Graph:
    """Return the graph that is exported of a toy network."""
    net = get_model("toy_cnn", skeleton, method)
    net.initialize()
    shape = (1, *TOY_SHAPE[:2], 3) if preprocess else (1, 1, *TOY_SHAPE[:2])
    return canonical(trace_network(net, 1, preprocess), shape)


def body_graph(method: str) -> Graph:
    """Return what the graph that is exported of the human network has beside its features.

    ``beside`` names the graph of the features, the same for every method.
    """
    net = get_model(BODY, human36m(), method)
    net.initialize()
    graph = canonical(trace_network(net, 3), (1, 3, *BODY_SHAPE[:2]))
    features = features_graph()["nodes"]
    rest = [node for node in graph["nodes"] if node not in features]
    if len(rest) + len(features) != len(graph["nodes"]):
        raise ValueError(f"the graph of method '{method}' has other features")
    return {**graph, "beside": FEATURES, "nodes": rest}


def features_graph() -> Graph:
    """Return the human network up to its pooled features."""
    net = get_model(BODY, human36m())
    net.initialize()
    return canonical(trace(net.features), (1, 3, *BODY_SHAPE[:2]))


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
    head = json.dumps({key: value for key, value in graph.items() if key != "nodes"})
    return [f'{head[:-1]}, "nodes": [', *_with_commas(lines), "]}"]


def signatures() -> Dict[str, Signature]:
    """Return golden signatures by name; files and versions are left to the exports."""
    found = {}
    for level in LEVELS:
        for method in METHODS:
            found[f"toy{level}-{method}"] = ("toy_cnn", planar(level), method, TOY_SHAPE, {})
    for method in METHODS:
        found[f"{BODY}-{method}"] = (BODY, human36m(), method, BODY_SHAPE, {"margin": 0.06})
    for kind, preprocess in (("mxnet", True), ("onnx", False), ("onnx", True), ("int8", False)):
        options = {"format": kind, "preprocess": preprocess}
        options["quantization"] = {} if kind == "int8" else None
        name = f"toy3-kinematic-{kind}{'-bytes' if preprocess else ''}"
        found[name] = ("toy_cnn", planar(3), "kinematic", TOY_SHAPE, options)
    return {name: _signature(name, *entry) for name, entry in found.items()}


def _signature(name: str, backbone: str, skeleton, method: str, shape, options) -> Signature:
    net = get_model(backbone, skeleton, method)
    mean, std = input_statistics(net, shape[2])
    stamps = {key: FileStamp(0, "") for key in SUFFIXES[options.get("format", "mxnet")]}
    return Signature(name, method, skeleton, shape, stamps, {}, mean=mean, std=std, **options)


def signature_lines(signature: Signature) -> List[str]:
    """Return a signature as lines of JSON, one for each entry."""
    entries = [f"{json.dumps(k)}: {json.dumps(v)}" for k, v in signature.to_dict().items()]
    return ["{", *_with_commas(entries), "}"]


def _with_commas(lines: List[str]) -> List[str]:
    return [line + "," for line in lines[:-1]] + lines[-1:]


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Write every golden graph and signature."""
    parser = Parser(description=__doc__)
    here = Path(__file__).parent
    parser.add_argument("--out", default=str(here), metavar="DIR", help="folder to write to")
    folder = Path(parser.parse_args(arguments).out)
    lines = {f"{name}.json": to_lines(build()) for name, build in builders().items()}
    (folder / "signatures").mkdir(parents=True, exist_ok=True)
    for name, signature in signatures().items():
        lines[f"signatures/{name}.json"] = signature_lines(signature)
    for name, text in lines.items():
        with atomic_write(folder / name) as file:
            file.write("\n".join(text) + "\n")


if __name__ == "__main__":
    run(main)
