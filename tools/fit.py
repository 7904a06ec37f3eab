"""Fit a skeleton to joints (ModelFit): `python tools/fit.py walk.csv --skeleton human36m`."""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.data.joint_files import SUFFIXES, JointFileError, read_joints
from gluon_dkpr.engine.fit_files import joint_weights, report, table, write_fit
from gluon_dkpr.fit import fit_model
from gluon_dkpr.skeleton import BUILT_IN, estimate_bone_lengths, get_skeleton

DEFAULT_FPS = 50.0


def main(arguments=None) -> None:
    """Fit as the command line asks."""
    args = parse(arguments)
    skeleton = get_skeleton(args.skeleton)
    source = read_joints(args.joints, skeleton)
    joints = source.joints
    weights = joint_weights(skeleton, args.weights)
    if args.own_bones:
        skeleton = skeleton.with_bone_lengths(estimate_bone_lengths(skeleton, joints))
    missing = np.isnan(joints).any(-1)
    empty = missing.all(axis=1)
    if empty.all():
        raise JointFileError(f"{args.joints}: every joint is missing (NaN) in every frame")
    if missing.any():
        print(f"{missing.sum()} of {missing.size} joints are missing (NaN) and left out of the fit")
    if empty.any():
        print(f"{empty.sum()} frames have no joint: no motion, the BVH holds the pose before")
    options = {name: getattr(args, name) for name in ("scale", "solver", "sequence", "workers")}
    options.update(bounds=not args.no_bounds, weights=weights)
    begin = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit_model(skeleton, joints, **options)
    seconds = time.perf_counter() - begin
    for one in caught:
        print("fit.py: warning:", *str(one.message).split(), file=sys.stderr)
    summary = {**report(skeleton, joints, result), "input": args.joints, "seconds": seconds}
    frame_time = 1 / args.fps if args.fps else source.frame_time or 1 / DEFAULT_FPS
    write_fit(Path(args.out), skeleton, joints, result, summary, frame_time, args.y_up)
    print(f"{table(summary)}\n{len(joints) / seconds:.0f} poses/s; written to {args.out}")


def parse(arguments) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("joints", help=f"file of joints: {', '.join(SUFFIXES)} (NAME.json of a data set)")
    add("--skeleton", default="human36m", help=f"{', '.join(BUILT_IN)}, or a FILE.yaml")
    add("--sequence", action="store_true", help="frames follow each other: no jumps of angles")
    add("--fps", type=positive, help="frames per second of the BVH (default: the input's, or 50)")
    add("--weights", metavar="JOINT=W,...", default="", help="of the squared error; 0: left out")
    add("--own-bones", action="store_true", help="bone lengths measured on the input, by median")
    add("--scale", choices=["fixed", "estimate"], default="fixed", help="size of the subject")
    add("--solver", choices=["lm", "gd"], default="lm", help="least squares or gradient descent")
    add("--no-bounds", action="store_true", help="let angles leave the skeleton's bounds")
    add("--workers", type=int, default=1, help="processes; more pay off from 1000 frames")
    add("--y-up", action="store_true", help="turn the BVH from the camera frame (y down) upright")
    add("--out", default="fit", help="folder to write to")
    return parser.parse_args(arguments)


def positive(text: str) -> float:
    """Return a number above 0, for argparse."""
    value = float(text)
    if not 0 < value <= 1e6:
        raise ValueError(text)
    return value


if __name__ == "__main__":
    run(main)
