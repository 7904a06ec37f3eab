#!/usr/bin/env python
"""Export a trained network as a graph that runs anywhere: `python tools/export.py runs/RUN`.

Beside the graph a signature tells what goes in and what comes out; docs/export.md explains it.
"""

from __future__ import annotations

from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, run


def parse(arguments: Optional[Sequence[str]]):
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help="run folder, or a .params in it")
    add(
        "--format",
        choices=("mxnet", "onnx", "int8"),
        default="mxnet",
        help="MXNet in float32 (default), ONNX, or MXNet quantised to int8",
    )
    add(
        "--preprocess",
        action="store_true",
        help="the graph takes bytes: uint8 (B, H, W, 3), red, green, blue",
    )
    add("--out", metavar="DIR", help="folder (default: export, export-onnx, export-int8, with "
        "--preprocess export-bytes and so on, in the run folder)")  # fmt: skip
    add("--name", help="of the files (default: PRESET-METHOD of the run, or DATA-METHOD)")
    add(
        "--checkpoint",
        dest="kind",
        choices=("best", "last"),
        default="best",
        help="which checkpoint of the run folder",
    )
    group = parser.add_argument_group("int8")
    add = group.add_argument
    add("--calibration", metavar="NAME", dest="record",
        help="data set, NAME.rec/.idx/.json: ranges are measured on its training split, the error "
        "on its test split (default: the run's own)")  # fmt: skip
    add("--samples", type=int, metavar="N", help="images to calibrate on (default: 256)")
    add("--max-loss", type=float, metavar="PERCENT", dest="max_loss_percent",
        help="refuse when the joint error grows by more (default: 5)")  # fmt: skip
    args = parser.parse_args(arguments)
    names = ("record", "samples", "max_loss_percent")
    args.int8 = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.int8 and args.format != "int8":
        parser.error("--calibration, --samples and --max-loss are for --format int8")
    return args


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Export the checkpoint that the command line names."""
    args = parse(arguments)
    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.engine.export import Calibration
    from gluon_dkpr.engine.export_run import describe, export_run

    how = None
    if args.format == "int8":
        how = Calibration(**{"record": None, **args.int8})
    written = export_run(
        args.checkpoint, args.kind, args.out, args.name, args.format, args.preprocess, how
    )
    print(*describe(written), sep="\n")


if __name__ == "__main__":
    run(main)
