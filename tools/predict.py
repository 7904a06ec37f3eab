#!/usr/bin/env python
"""Find the pose in pictures: `python tools/predict.py MODEL docs/samples/*.png`."""

from __future__ import annotations

import sys
from typing import Optional, Sequence

from gluon_dkpr.cli import EXIT_USER_ERROR, Parser, run


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Predict the pictures that the command line names; return the exit status."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", help="run folder, checkpoint .params in it, or export")
    add("pictures", metavar="IMAGE", nargs="+", help="PNG or JPEG of any size, white on black")
    add("--out", metavar="DIR", default="predictions", help="folder for the results")
    add("--checkpoint", choices=("best", "last"), default="best", help="of a run folder")
    add("--ctx", default="cpu", help="device: cpu or gpu0")
    args = parser.parse_args(arguments)

    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.backend import parse_contexts
    from gluon_dkpr.engine.load import load_predictor
    from gluon_dkpr.engine.predict import predict_files

    predictor = load_predictor(args.model, args.checkpoint, parse_contexts(args.ctx)[0])
    failed = 0
    for result in predict_files(predictor, args.pictures, args.out):
        if result.error is not None:
            failed += 1
            print(f"{parser.prog}: error: {result.picture}: {result.error}", file=sys.stderr)
            continue
        angles = ", ".join(f"{k} {v:.1f}" for k, v in result.pose.angles_deg.items())
        root_x, root_y = result.pose.root_px
        print(
            f"{result.picture}: root ({root_x:.1f}, {root_y:.1f}) px, {angles} deg"
            f" -> {result.files.json}, {result.files.overlay}"
        )
    return EXIT_USER_ERROR if failed else 0


if __name__ == "__main__":
    run(main)
