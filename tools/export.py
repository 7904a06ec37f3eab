#!/usr/bin/env python
"""Export a trained network as a graph that needs only MXNet: `python tools/export.py runs/RUN`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, run


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Export the checkpoint that the command line names."""
    parser = Parser(description=__doc__)
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="run folder, or a .params in it")
    parser.add_argument("--out", metavar="DIR", help="folder (default: export in the run folder)")
    parser.add_argument("--name", help="of the files (default: PRESET-METHOD of the run)")
    parser.add_argument(
        "--checkpoint",
        dest="kind",
        choices=("best", "last"),
        default="best",
        help="which checkpoint of the run folder",
    )
    args = parser.parse_args(arguments)

    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.config import load_config
    from gluon_dkpr.engine.checkpoint import load_run
    from gluon_dkpr.engine.export import ExportError, export_model
    from gluon_dkpr.engine.load import find_run, run_image_shape

    found = find_run(args.checkpoint, args.kind)
    if found is None:
        raise ExportError(f"{args.checkpoint}: no run folder or checkpoint, expected a config.yaml")
    folder, kind = found
    config = load_config(folder / "config.yaml")
    net = load_run(folder, kind)
    name = args.name or f"{config.preset}-{config.model.method}"
    out = Path(args.out) if args.out else folder / "export"
    for path in export_model(net, out, name, run_image_shape(config)):
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    run(main)
