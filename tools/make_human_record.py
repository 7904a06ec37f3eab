#!/usr/bin/env python
"""Make a human data set for everybody: rendered people in the schema of Human3.6M."""

from __future__ import annotations

import sys
import time
from typing import Optional, Sequence

from tqdm import tqdm

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.cores import usable_cores
from gluon_dkpr.data import record_paths
from gluon_dkpr.data.body import CLOTHES, SIZE_PX, TEST_IMAGES, TRAIN_IMAGES, make_human_record
from gluon_dkpr.engine.preview import write_preview
from gluon_dkpr.viz import check_sheet_name


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line asks for."""
    args = parse(arguments)
    if args.preview:
        check_sheet_name(args.preview)
    total = args.train + args.test
    begin = time.perf_counter()
    # Silent when nobody watches.
    with tqdm(total=total, unit="images", disable=not sys.stderr.isatty()) as bar:
        info = make_human_record(
            args.out, args.train, args.test, args.size, args.seed, args.workers, bar.update,
            clothes=args.clothes,
        )  # fmt: skip
    seconds = time.perf_counter() - begin
    runs = ", ".join(f"{count} {name}" for name, (_, count) in info.splits.items())
    print(f"{', '.join(map(str, record_paths(args.out)))}: {runs}, {info.rec_bytes / 1e6:.1f} MB")
    print(f"{seconds:.1f} s with {args.workers} workers, {info.count / seconds:.0f} images/s")
    error = info.source["retarget_error_mm"]["mean"]
    print(f"motion capture as 27 parameters: {error:.1f} mm from the captured joints")
    for split, error in info.source["fit_error_mm"].items():
        print(f"motion parameters in the labels, {split}: {error:.1f} mm from the joints shown")
    if args.preview:
        write_preview(args.out, args.preview)
        print(args.preview)


def parse(arguments):
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("--train", type=int, default=TRAIN_IMAGES, help="training images")
    add("--test", type=int, default=TEST_IMAGES, help="test images")
    add("--size", type=int, default=SIZE_PX, help="height and width of an image, px")
    add("--clothes", choices=sorted(CLOTHES), default="varied",
        help="of all kinds, or a suit whose colours tell the parts of the body")  # fmt: skip
    add("--seed", type=int, default=0, help="of everything that is drawn")
    add("--workers", type=int, default=usable_cores(), help="processes")
    add("--out", metavar="PATH", default="data/people", help="data set to write: PATH.rec, ...")
    add("--preview", metavar="FILE.png", help="contact sheet to write too, with the skeletons")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run(main)
