#!/usr/bin/env python
"""Answer pictures with poses over HTTP: `python tools/serve.py MODEL`; docs/how-to/serve.md."""

from __future__ import annotations

from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, run


def parse(arguments: Optional[Sequence[str]] = None):
    """Read the command line."""
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add("model", metavar="MODEL", help="run folder, checkpoint .params in it, or export")
    add("--checkpoint", choices=("best", "last"), help="of a run folder (default: best)")
    add("--ctx", default="cpu", help="device: cpu or gpu0")
    add("--host", default="127.0.0.1", help="address to listen at; nobody is asked who he is")
    add("--port", type=int, default=8000, help="0: any that is free")
    group = parser.add_argument_group("limits")
    add = group.add_argument
    add("--batch", type=int, default=8, help="pictures that are computed together, at most")
    add("--wait-ms", type=float, default=5.0, help="how long the first of a batch waits for others")
    add("--max-bytes", type=int, default=10_000_000, help="of a request")
    add("--max-pixels", type=int, default=16_000_000, help="of a picture")
    add("--timeout", type=float, default=30.0, help="seconds for a picture to come, and its answer")
    add("--queue", type=int, default=32, help="requests in flight; more are sent away")
    return parser.parse_args(arguments)


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Serve the model that the command line names until SIGTERM."""
    args = parse(arguments)
    # After the flags are known to be right: MXNet takes seconds to import.
    from gluon_dkpr.service import Limits, check_packages

    limits = Limits(
        args.batch, args.wait_ms, args.max_bytes, args.max_pixels, args.timeout, args.queue
    )
    check_packages()
    from gluon_dkpr.backend import parse_contexts
    from gluon_dkpr.engine.evaluate import check_checkpoint
    from gluon_dkpr.engine.load import load_predictor
    from gluon_dkpr.service.run import run_service

    def load():
        ctx = parse_contexts(args.ctx)[0]
        predictor = load_predictor(args.model, args.checkpoint or "best", ctx)
        check_checkpoint([args.model], args.checkpoint)
        return predictor

    def ready(url: str) -> None:
        print(f"{args.model}: serving at {url}, until SIGTERM or Ctrl-C", flush=True)

    run_service(load, limits, (args.host, args.port), ready)


if __name__ == "__main__":
    run(main)
