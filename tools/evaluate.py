#!/usr/bin/env python
"""Measure a model on a data set: `python tools/evaluate.py runs/RUN`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.files import atomic_write


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Measure the model that the command line names."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", help="run folder, checkpoint .params in it, or export")
    add(
        "--data",
        metavar="NAME",
        help="data set NAME.rec/.idx/.json (default: the run's own; for an export of a toy network "
        "the toy set of its level, made if missing)",
    )
    add("--split", default="test", help="of the data set")
    add("--checkpoint", choices=("best", "last"), default="best", help="of a run folder")
    add("--batch-size", type=int, default=64, help="images at a time")
    add("--ctx", default="cpu", help="device: cpu or gpu0")
    add("--model-fit", action="store_true",
        help="also after ModelFit to the predicted joints (paper, table 1)")  # fmt: skip
    add("--out", metavar="FILE", help="also write the numbers as JSON")
    args = parser.parse_args(arguments)
    if args.out and not Path(args.out).parent.is_dir():
        parser.error(f"--out {args.out}: no folder {Path(args.out).parent}")

    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.backend import parse_contexts
    from gluon_dkpr.engine.evaluate import evaluate, evaluate_model_fit, report_table
    from gluon_dkpr.engine.load import load_predictor, open_split

    predictor = load_predictor(args.model, args.checkpoint, parse_contexts(args.ctx)[0])
    dataset = open_split(args.model, predictor, args.data, args.split)
    fitted = None
    if args.model_fit:
        report, fitted = evaluate_model_fit(predictor, dataset, args.batch_size)
    else:
        report = evaluate(predictor, dataset, args.batch_size)
    print(report_table(report, f"{args.model} ({predictor.method})", dataset))
    if fitted is not None:
        print("\n" + report_table(fitted, f"{args.model} after ModelFit", dataset))
    if args.out:
        found = {
            "model": str(args.model),
            "method": predictor.method,
            "data": str(dataset.path),
            "split": args.split,
            "data_sha256": dataset.info.rec_sha256,
            **report,
        }
        if fitted is not None:
            found["model_fit"] = fitted
        with atomic_write(args.out) as file:
            json.dump(found, file, indent=2, allow_nan=False)
            file.write("\n")


if __name__ == "__main__":
    run(main)
