#!/usr/bin/env python
"""Find the pose in pictures and videos: `python tools/predict.py MODEL docs/samples/*.png`.

Writes NAME.json and NAME-overlay.png of every picture; NAME.json, NAME.bvh and NAME-overlay.mp4 of
every video of people.
"""

from __future__ import annotations

import sys
from typing import Optional, Sequence

from gluon_dkpr.cli import EXIT_USER_ERROR, Parser, run


def parse(arguments: Optional[Sequence[str]]):
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", help="run folder, checkpoint .params in it, or export")
    add("inputs", metavar="INPUT", nargs="+",
        help="PNG or JPEG, video, folder of them, pattern in quotes ('in/**/*.jpg'), webcam or "
        "webcam:1")  # fmt: skip
    add("--out", metavar="DIR", default="predictions", help="folder for the results")
    add("--box", metavar="X,Y,W,H",
        help="look at this box, px (default: the whole picture); --box=-9,0,80,80 if it begins "
        "with a minus")  # fmt: skip
    add("--boxes", metavar="FILE",
        help="CSV with the header name,x,y,w,h or name,frame,x,y,w,h, or JSON; --box for those "
        "that it does not name")  # fmt: skip
    add("--focal", metavar="F or FX,FY,CX,CY",
        help="camera, px: true perspective, and where people are (default: weak "
        "perspective)")  # fmt: skip
    add("--model-fit", action="store_true",
        help="fit the skeleton to what direct joint predicts: gives angles and BVH")  # fmt: skip
    add("--smooth", metavar="S", type=float, default=0.0,
        help="smooth videos over time, standard deviation in s, as 0.1; bones keep their "
        "lengths")  # fmt: skip
    add("--format", metavar="F,F", help="of json, csv, npz, bvh (default: see above)")
    add("--no-draw", action="store_true", help="no pictures and videos of the poses")
    add("--frames", metavar="N", type=int, help="end a video or webcam after N frames")
    add("--batch", metavar="N", type=int, default=32, help="pictures at a time")
    add("--checkpoint", choices=("best", "last"), help="of a run folder (default: best)")
    add("--ctx", default="cpu", help="device: cpu or gpu0")
    return parser.prog, parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Predict the inputs that the command line names; return the exit status."""
    program, args = parse(arguments)
    # After the flags are known to be right: MXNet takes seconds to import.
    from tqdm import tqdm

    from gluon_dkpr.backend import parse_contexts
    from gluon_dkpr.engine.evaluate import check_checkpoint
    from gluon_dkpr.engine.load import load_predictor
    from gluon_dkpr.engine.prediction import predict_inputs
    from gluon_dkpr.engine.prediction.flags import describe, options_of
    from gluon_dkpr.engine.stop import StopRequest

    options = options_of(args)
    kind = args.checkpoint or "best"
    predictor = load_predictor(args.model, kind, parse_contexts(args.ctx)[0])
    check_checkpoint([args.model], args.checkpoint)
    failed = 0
    with StopRequest() as stop, stop.at_once():
        for result in predict_inputs(predictor, args.inputs, args.out, options):
            if result.error is not None:
                failed += 1
                tqdm.write(f"{program}: error: {result.name}: {result.error}", file=sys.stderr)
            if result.files:
                tqdm.write(describe(result))
    return EXIT_USER_ERROR if failed else 0


if __name__ == "__main__":
    run(main)
