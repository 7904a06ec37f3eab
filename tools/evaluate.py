#!/usr/bin/env python
"""Measure models on a data set: `python tools/evaluate.py runs/RUN`.

Of people, several models make one table, that of the paper: `python tools/evaluate.py runs/direct
runs/kinematic --model-fit --report reports/people`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, command_line, run


def parse(arguments: Optional[Sequence[str]]):
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("models", metavar="MODEL", nargs="+",
        help="run folder, checkpoint .params in it, or export; several for people")  # fmt: skip
    add(
        "--data",
        metavar="NAME",
        help="data set NAME.rec/.idx/.json (default: the first run's own; for an export of a toy "
        "network the toy set of its level, made if missing)",
    )
    add("--split", default="test", help="of the data set")
    add("--checkpoint", choices=("best", "last"), help="of a run folder (default: best)")
    add("--batch-size", type=int, default=64, help="images at a time")
    add("--ctx", default="cpu", help="device: cpu or gpu0")
    add("--model-fit", action="store_true",
        help="also after ModelFit to the predicted joints (paper, table 1)")  # fmt: skip
    add("--size-known", action="store_true",
        help="also with the bone lengths of each subject, not the mean ones")  # fmt: skip
    add("--out", metavar="FILE", help="also write the numbers as JSON")
    add("--report", metavar="DIR", type=Path,
        help="for people: write report.md, report.json, qualitative.png, curve.png")  # fmt: skip
    args = parser.parse_args(arguments)
    parser.check_file("--out", args.out)
    if args.report and args.report.exists() and not args.report.is_dir():
        parser.error(f"--report {args.report}: not a folder")
    return args


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure the models that the command line names."""
    args = parse(arguments)
    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.backend import parse_contexts
    from gluon_dkpr.engine import evaluate, load, people, report, report_pictures

    ctx = parse_contexts(args.ctx)[0]
    kind = args.checkpoint or "best"
    predictors = [load.load_predictor(model, kind, ctx) for model in args.models]
    evaluate.check_checkpoint(args.models, args.checkpoint)
    dataset = load.open_split(args.models[0], predictors[0], args.data, args.split)
    if people.shows_people(dataset):
        truth = people.read_truth(dataset)
        options = args.batch_size, args.model_fit, kind, args.size_known
        rows = people.compare(args.models, predictors, truth, *options)
        found = report.make_report(truth, rows, command_line("tools/evaluate.py", arguments))
        print(report.report_text(found))
        if args.report:
            paths = report.write_report(args.report, found)
            paths += report_pictures.write_pictures(args.report, truth, rows)
            print("", *paths, sep="\n")
    else:
        evaluate.check_alone(dataset, args.models, args.report, args.size_known)
        options = args.batch_size, args.model_fit
        found = evaluate.evaluate_model(args.models[0], predictors[0], dataset, *options)
        print(evaluate.model_text(found, dataset))
    if args.out:
        report.write_json(args.out, found)


if __name__ == "__main__":
    run(main)
