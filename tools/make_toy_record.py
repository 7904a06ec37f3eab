#!/usr/bin/env python
"""Make the toy data set of the paper (section 4.1): binary pictures of a planar object."""

from __future__ import annotations

import sys
import time
from typing import Optional, Sequence

from tqdm import tqdm

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.data import make_toy_record, record_paths
from gluon_dkpr.data.toy import TEST_SAMPLES, TRAIN_SAMPLES
from gluon_dkpr.skeleton.planar import LEVELS


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Make the data set that the command line asks for."""
    parser = Parser(description=__doc__)
    parser.add_argument(
        "--level", type=int, choices=LEVELS, default=3, help="number of motion parameters"
    )
    parser.add_argument("--train", type=int, default=TRAIN_SAMPLES, help="training samples")
    parser.add_argument("--test", type=int, default=TEST_SAMPLES, help="test samples")
    parser.add_argument("--seed", type=int, default=0, help="of the poses")
    parser.add_argument(
        "--out",
        metavar="PATH",
        default="data/toy{level}",
        help="data set to write: PATH.rec, .idx and .json; {level} stands for the level",
    )
    args = parser.parse_args(arguments)
    path = args.out.replace("{level}", str(args.level))
    begin = time.perf_counter()
    # Silent when nobody watches.
    with tqdm(total=args.train + args.test, unit="images", disable=not sys.stderr.isatty()) as bar:
        info = make_toy_record(path, args.level, args.train, args.test, args.seed, bar.update)
    seconds = time.perf_counter() - begin
    runs = ", ".join(f"{count} {name}" for name, (_, count) in info.splits.items())
    print(f"{', '.join(map(str, record_paths(path)))}: {runs}, {info.rec_bytes / 1e6:.1f} MB")
    print(f"{seconds:.1f} s, {info.count / seconds:.0f} images/s")


if __name__ == "__main__":
    run(main)
