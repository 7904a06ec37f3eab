#!/usr/bin/env python
"""Make the networks of the page in the browser: `python docs/demo/make.py RUN RUN`.

Of each run its best network as ONNX, the large matrices in int8 with a scale for each output: a
quarter of the size. measured.json tells their errors on the run's test images, before and after.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Optional, Sequence, Tuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.config import load_config
from gluon_dkpr.engine import load_export
from gluon_dkpr.engine.evaluate import evaluate
from gluon_dkpr.engine.export_run import export_run
from gluon_dkpr.engine.load import open_split
from gluon_dkpr.engine.signature import FileStamp, Signature
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write
from gluon_dkpr.types import Array

# Of [40]'s network the two matrices of a million numbers; all others together are 2 % of it.
LARGE = 100_000
LEVELS = 127


def quantise_rows(weight: Array) -> Tuple[Array, Array]:
    """Return a matrix as int8 and the scale of each row: weight is about int8 * scale.

    Args:
        weight: float32, shape (outputs, inputs).
    """
    largest = np.abs(weight).max(axis=1)
    scale = (np.where(largest > 0, largest, 1) / LEVELS).astype(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


def compress(data: bytes) -> bytes:
    """Return an ONNX file whose large matrices are int8 and become float32 when it is run.

    Raises:
        DkprError: if it has none.
    """
    model = onnx.load_from_string(data)
    graph = model.graph
    large = [w for w in graph.initializer if len(w.dims) == 2 and np.prod(w.dims) >= LARGE]
    if not large:
        raise DkprError(
            f"no matrix of {LARGE} numbers or more in the graph, expected a toy network"
        )
    for weight in large:
        # Gemm of MXNet's converter multiplies with the transpose: the outputs are the rows.
        (reader,) = (node for node in graph.node if weight.name in node.input)
        if {a.name: a.i for a in reader.attribute}.get("transB") != 1:
            raise DkprError(f"{reader.name} does not multiply with a transpose, expected transB=1")
        integers, scale = quantise_rows(numpy_helper.to_array(weight))
        names = [f"{weight.name}_int8", f"{weight.name}_scale"]
        graph.node.insert(
            0, helper.make_node("DequantizeLinear", names, [weight.name], weight.name, axis=0)
        )
        graph.initializer.remove(weight)
        pairs = zip((integers, scale), names)
        graph.initializer.extend(numpy_helper.from_array(array, name) for array, name in pairs)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def write(folder: Path, signature: Signature, data: bytes) -> None:
    """Write an ONNX file and its signature."""
    signature = dataclasses.replace(signature, files={"model": FileStamp.of(data)})
    with atomic_write(folder / f"{signature.name}.onnx", "wb") as file:
        file.write(data)
    with atomic_write(folder / f"{signature.name}-signature.json") as file:
        json.dump(signature.to_dict(), file, indent=1)
        file.write("\n")


def make(path: Path, folder: Path) -> dict:
    """Write the network of a run, and return what was measured."""
    config = load_config(path / "config.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        before_path = export_run(path, folder=temporary, format="onnx").paths["model"]
        before = load_export(before_path)
        data = before_path.read_bytes()
    small = compress(data)
    write(folder, before.signature, small)
    after = load_export(folder / f"{before.signature.name}.onnx")
    dataset = open_split(path, before, None, "test")
    return {
        "preset": config.preset,
        "method": config.model.method,
        "epochs": config.train.epochs,
        "seed": config.train.seed,
        "float32": {"bytes": len(data), **evaluate(before, dataset)},
        "int8": {"bytes": len(small), **evaluate(after, dataset)},
    }


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Write the networks and measured.json."""
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="folder of a run")
    here = Path(__file__).parent
    parser.add_argument("--out", default=here, type=Path, metavar="DIR", help="folder to write to")
    args = parser.parse_args(arguments)
    measured = [make(path, args.out) for path in args.runs]
    with atomic_write(args.out / "measured.json") as file:
        json.dump(measured, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    run(main)
