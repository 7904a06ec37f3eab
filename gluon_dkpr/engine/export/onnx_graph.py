"""MXNet's graphs as ONNX, for any batch size.

MXNet's own converter translates node by node. It labels its output with the newest opset that the
onnx package knows but writes operators of opset 13, so it is called with that one; what it cannot
translate of our graphs is prepared here or in ``onnx_ops``. What it translates wrongly is found out
when the export is compared with its network.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.graph import INPUT_NAME
from gluon_dkpr.engine.signature import ExportError
from gluon_dkpr.types import Tensor

OPSET = 13
# The newest file format that onnxruntime 1.19 and onnxruntime-web of its age read.
IR_VERSION = 8
# Two batch sizes tell which axes depend on it.
_BATCHES = (2, 3)
BATCH_AXIS = "batch"


def import_onnx():
    """Return the modules onnx and MXNet's converter; onnx is an extra.

    Raises:
        ExportError: if it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ExportError(
            f'an export as ONNX wants onnx ({error}); run: pip install "gluon_dkpr[onnx]"'
        ) from None
    from gluon_dkpr.engine.export import onnx_ops

    return onnx, onnx_ops


def to_onnx(
    symbol: mx.sym.Symbol,
    arrays: Mapping[str, Tensor],
    input_shape: Tuple[int, ...],
    input_dtype: str,
    names: Sequence[str],
) -> bytes:
    """Return a graph of one input as the bytes of an ONNX file.

    Args:
        symbol: the graph; the first axis of the input and of every output is the batch.
        arrays: parameters by name.
        input_shape: of the input, without the batch.
        input_dtype: ``"float32"`` or ``"uint8"``.
        names: of the outputs, as the nodes that make them are called.

    Raises:
        ExportError: without onnx, or if an operator cannot be translated.
    """
    onnx, onnx_ops = import_onnx()
    given = {name: array.shape for name, array in arrays.items()}
    shapes = [_node_shapes(symbol, {INPUT_NAME: (b, *input_shape), **given}) for b in _BATCHES]
    prepared = _prepare(symbol, _join(*shapes), onnx_ops)
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(input_dtype))
    converter = onnx_ops.MXNetGraph()
    try:
        with _quiet(), _opset(onnx.checker.DEFAULT_CONTEXT):
            graph = converter.create_onnx_graph_proto(
                prepared,
                dict(arrays),
                [(_BATCHES[0], *input_shape)],
                [kind],
                opset_version=OPSET,
                dynamic=True,
                dynamic_input_shapes=[(BATCH_AXIS, *input_shape)],
            )
    except (AttributeError, NotImplementedError, AssertionError, KeyError) as error:
        raise ExportError(f"MXNet's converter to ONNX fails: {error}") from None
    _set_ends(graph, onnx, {name: shapes[0][name][0][1:] for name in names})
    model = onnx.helper.make_model(
        graph,
        producer_name="gluon_dkpr",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def _set_ends(graph, onnx, outputs: Mapping[str, tuple]) -> None:
    """Give a graph of ONNX its one input and its outputs, whose shapes have no batch here."""
    # The converter lists parameters as inputs, too: a runtime could not fold them.
    inputs = [value for value in graph.input if value.name == INPUT_NAME]
    del graph.input[:]
    graph.input.extend(inputs)
    found = [value.name for value in graph.output]
    if found != list(outputs):
        raise ExportError(f"the ONNX graph gives {found}, expected {list(outputs)}")
    for value in graph.output:
        shape = [BATCH_AXIS, *outputs[value.name]]
        info = onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape)
        value.CopyFrom(info)


def _node_shapes(symbol: mx.sym.Symbol, given: Mapping) -> Dict[str, List[tuple]]:
    """Return the shapes of every node's outputs by its name."""
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(**given)
    found: Dict[str, List[tuple]] = {}
    for index, shape in enumerate(shapes):
        found.setdefault(internals[index].name, []).append(tuple(shape))
    return found


def _join(first: dict, second: dict) -> Dict[str, List[list]]:
    """Return shapes with -1 for every axis that depends on the batch."""
    return {
        name: [[a if a == b else -1 for a, b in zip(*pair)] for pair in zip(shapes, second[name])]
        for name, shapes in first.items()
    }


def _prepare(symbol: mx.sym.Symbol, shapes: dict, onnx_ops) -> mx.sym.Symbol:
    """Return the graph with plain target shapes, and shapes as attributes where they are needed."""
    graph = json.loads(symbol.tojson())
    nodes = graph["nodes"]
    for node in nodes:
        if node["op"] == "null":
            continue
        attributes = node.setdefault("attrs", {})
        target = shapes[node["name"]][0]
        inputs = [shapes[nodes[source]["name"]][output] for source, output, *_ in node["inputs"]]
        if node["op"] == "Reshape":
            if target.count(-1) > 1:
                raise ExportError(f"{node['name']}: two axes of {target} depend on the batch")
            attributes["shape"] = str(tuple(target))
        elif node["op"] in onnx_ops.NEED_SHAPES:
            attributes[onnx_ops.SHAPES] = json.dumps([*inputs, target])
    return mx.sym.load_json(json.dumps(graph))


@contextlib.contextmanager
def _opset(context):
    """Let the converter check its nodes against the opset that they are of."""
    before = dict(context.opset_imports)
    context.opset_imports = {"": OPSET}
    try:
        yield
    finally:
        context.opset_imports = before


@contextlib.contextmanager
def _quiet():
    """Leave out what the converter says: it warns of cases that are dealt with here."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logging.disable(level)
