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
    add(
        "--seeds",
        type=int,
        nargs="+",
        help="for every level (default: 0 and 1 at 3 and 10, else 0)",
    )
    add("--paper", action="store_true", help="the paper's hyper-parameters instead of ours")
    add("--quick", action="store_true", help="few images and epochs, results under runs/quick")
    add("--collect", action="store_true", help="train nothing, only write table and figures")
    args = parser.parse_args()

    from gluon_dkpr.engine import reproduce

    runs = Path("runs", "quick" if args.quick else "toy")
    out = runs / "results" if args.quick else Path("docs", "results")
    cells = reproduce.plan(args.levels, tuple(args.seeds) if args.seeds else None)
    if args.paper:
        cells = [reproduce.Cell(c.level, c.method, c.seed, paper=True) for c in cells]
    for cell in [] if args.collect else cells:
        reproduce.run_cell(cell, runs, out / "toy", reproduce.default_context(), args.quick)
    for path in reproduce.write_pages(out):
        print(path)


if __name__ == "__main__":
    cli.run(main)
