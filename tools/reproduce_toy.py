"""Reproduce figure 5 of the paper: every level and method of the toy problem, one file a run.

What exists is not trained again, so that an interrupted pass goes on where it stopped.
"""

from pathlib import Path

from gluon_dkpr import cli
from gluon_dkpr.skeleton.planar import LEVELS


def main():
    """Train what is missing, then write table and figures."""
    parser = cli.Parser(__doc__)
    add = parser.add_argument
    add("--levels", type=int, nargs="+", choices=LEVELS, default=list(LEVELS),
        help="numbers of motion parameters")  # fmt: skip
    add("--methods", nargs="+", choices=["kinematic", "direct", "parameter"],
        help="of section 3.3 (default: all)")  # fmt: skip
    add("--seeds", type=int, nargs="+", help="for every level (default: 0 and 1 at 3 and 10, "
        "else 0)")  # fmt: skip
    add("--paper", action="store_true", help="the paper's hyper-parameters instead of ours")
    add("--quick", action="store_true", help="few images and epochs, results under runs/quick")
    add("--jobs", type=int, help="trainings at a time, if more than one in processes of their own "
        "(default: one for each core, or one for a GPU)")  # fmt: skip
    add("--collect", action="store_true", help="train nothing, only write table and figures")
    add("--no-pages", action="store_true", help="train only")
    args = parser.parse_args()
    if args.jobs is not None and args.jobs < 1:
        parser.error(f"--jobs {args.jobs}: expected 1 or more")

    from gluon_dkpr.engine import reproduce, reproduce_jobs

    runs = Path("runs", "quick" if args.quick else "toy")
    out = runs / "results" if args.quick else Path("docs", "results")
    cells = reproduce.plan(args.levels, args.seeds, args.methods, args.paper)
    jobs = args.jobs or reproduce_jobs.default_jobs()
    if args.collect:
        pass
    elif jobs > 1:
        reproduce_jobs.run_cells(cells, runs, out / "toy", jobs, args.quick)
    else:
        for cell in cells:
            reproduce.run_cell(cell, runs, out / "toy", reproduce.default_context(), args.quick)
    if not args.no_pages:
        for path in reproduce.write_pages(out):
            print(path)


if __name__ == "__main__":
    cli.run(main)
