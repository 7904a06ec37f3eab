#!/usr/bin/env python
"""Convert Human3.6M: `make_h36m_record.py --raw h36m --out data/human36m --frames 800000`."""

import os
import sys
import time
from typing import Optional, Sequence

from tqdm import tqdm

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.cores import usable_cores
from gluon_dkpr.data import record_paths
from gluon_dkpr.data.h36m import Options, Selection, StrictError, make_h36m_record, problem_lines
from gluon_dkpr.data.h36m.convert import BOX_CHOICES


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line asks for."""
    args = parse(arguments)
    # Silent when nobody watches.
    bar = tqdm(total=0, unit="frames", disable=not sys.stderr.isatty())

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done)

    begin = time.perf_counter()
    try:
        with bar:
            summary = make_h36m_record(args.raw, args.out, options(args), progress)
    except StrictError as error:
        print("\n".join(problem_lines(error.problems)))
        raise
    except KeyboardInterrupt:
        print(
            f"{record_paths(args.out)[0].with_suffix('.parts')}: the same command goes on from here"
        )
        raise
    seconds = time.perf_counter() - begin
    print("\n".join([", ".join(map(str, record_paths(args.out))), *summary.lines()]))
    print(f"{seconds:.1f} s with {args.workers} workers: {summary.speed()}")


def parse(arguments):
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--raw", required=True, help="folder that holds S1, S5, ... or extracted/S1, ...")
    add("--out", default="data/human36m", help="data set to write, or a folder for human36m")
    add("--frames", type=int, help="training frames, drawn at random (default: all)")
    add("--every", type=int, default=1, metavar="N", help="each N-th frame of training videos")
    add("--every-test", type=int, default=1, metavar="N", help="each N-th frame of test videos")
    add("--seed", type=int, default=0, help="of the drawing")
    add("--boxes", choices=BOX_CHOICES, default="auto", help="auto: from masks where there are any")
    add("--metadata", metavar="FILE", help="metadata.xml (default: that in the raw folder)")
    add("--keep-damaged", action="store_true", help="go on after errors of the video decoder")
    add("--workers", type=int, default=usable_cores(), help="videos at a time")
    add("--strict", action="store_true", help="stop at whatever would only be reported")
    add("--fresh", action="store_true", help="throw away what an unfinished run left")
    args = parser.parse_args(arguments)
    if args.out.endswith(os.sep) or os.path.isdir(args.out):
        args.out = os.path.join(args.out, "human36m")
    return args


def options(args) -> Options:
    """Return what the command line says about how to convert."""
    selection = Selection(args.frames, args.every, args.every_test, args.seed)
    ways = args.boxes, args.keep_damaged, args.metadata, args.workers, args.strict, args.fresh
    return Options(selection, *ways)


if __name__ == "__main__":
    run(main)
