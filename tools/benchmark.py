#!/usr/bin/env python
"""Measure how fast it is, beside others: `python tools/benchmark.py kinematics`, or `... all`."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, run

#: Module of gluon_dkpr.engine.benchmark -> what it measures.
BENCHMARKS = {
    "kinematics": "the kinematic layer against pytorch_kinematics, forward and backward",
    "fit": "fit_model against SciPy's least squares and gradient descent, on motion capture",
    "pipeline": "the input pipeline alone against MXNet's ImageRecordIter",
    "train": "our training step with its input pipeline against bare GluonCV and torch loops",
    "predict": "prediction by our exports against onnxruntime",
    "growth": "how time grows with the size of a skeleton, a batch and a data set",
    "scaling": "bytes and seconds of gradients summed over workers, and what to expect of more",
    "all": "all of these, each in a process of its own, and write one table of them",
}
NAMES = {"nargs": "+", "metavar": "NAME"}
DATA = ("--data", {"dest": "record", "help": "data set of people (default: random textures)"})
MODEL = ("--model", {"help": "trained run folder: what int8 costs in joints, too"})
PEERS = [("--peer-python", {"help": "one with requirements/peers.txt (default: .peers/, made)"})]
TORCH = [*PEERS, ("--no-peer", {"action": "store_true", "help": "train without torch beside it"})]
#: Module -> its own flags, each an argument of its run().
FLAGS = {
    "kinematics": [*PEERS, ("--compiled", {"action": "store_true", "help": "and torch.compile"})],
    "pipeline": [DATA],
    "predict": [MODEL],
    "train": [DATA, *TORCH,
        ("--ctx", {"default": "cpu", "help": "devices: cpu, gpu, or a list such as gpu0,gpu1"}),
        ("--batch-size", {"type": int, "default": 8, "dest": "batch", "help": "on all devices"})],
    "all": [("--only", {**NAMES, "help": "run these"}), ("--skip", {**NAMES, "help": "not these"}),
        ("--collect", {"action": "store_true", "dest": "collect_only", "help": "run none, but "
                       "make the table of the files that are there"}), *TORCH, MODEL],
}  # fmt: skip


def parse(arguments: Optional[Sequence[str]]):
    """Read the command line."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    for name, what in BENCHMARKS.items():
        command = commands.add_parser(name, help=what, description=f"Measure {what}.")
        add, out = command.add_argument, "docs/results/benchmark" + f"-{name}" * (name != "all")
        file = add("--out", metavar="FILE", default=f"{out}.json", help="numbers; .md page beside")
        add("--seconds", type=float, default=4.0, help="timed seconds of each number")
        add("--threads", type=int, default=1 if name == "scaling" else 2, help="of each contestant")
        add("--seed", type=int, default=0, help="of the inputs")
        command.set_defaults(file=file, own=[add(flag, **how) for flag, how in FLAGS.get(name, ())])
    args = parser.parse_args(arguments)
    if not 0 < args.seconds < float("inf") or min(args.threads, getattr(args, "batch", 1)) <= 0:
        parser.error("--seconds, --threads and --batch-size must be above 0")
    if args.out.endswith(".md") or Path(args.out).is_dir():
        parser.error(f"--out {args.out}: expected the name of a JSON file")
    return args


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Run the benchmark that the command line names."""
    args = parse(arguments)
    os.environ["OMP_NUM_THREADS"] = str(args.threads)  # read when MXNet or the peer's torch load
    module = importlib.import_module(f"gluon_dkpr.engine.benchmark.{args.benchmark}")
    command = f"python tools/benchmark.py {args.benchmark} --seconds {args.seconds:g}"
    command += f" --threads {args.threads} --seed {args.seed}"
    command += f" --out {args.out}" * (args.out != args.file.default)
    options = {flag.dest: getattr(args, flag.dest) for flag in args.own}
    for flag, value in zip(args.own, options.values()):
        if value and flag.dest != "peer_python":  # where that lives says nothing to others
            values = [] if value is True else value if flag.nargs == "+" else [value]
            command += " ".join(["", flag.option_strings[0], *map(str, values)])
    print(module.run(Path(args.out), command, args.seconds, args.threads, args.seed, **options))


if __name__ == "__main__":
    run(main)
