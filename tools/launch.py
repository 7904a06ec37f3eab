"""Train with several processes, on this machine or on several.

python tools/launch.py -n 2 -s 1 -- python tools/train.py --kvstore dist_sync --ctx cpu

When a process dies, the others are ended within 10 s. docs/distributed.md explains it all.
"""

from gluon_dkpr import cli
from gluon_dkpr.engine.launch import KVSTORES, Request, launch


def parse() -> Request:
    """Read the command line."""
    summary = " ".join(__doc__.split("\n\n")[::2])
    parser = cli.Parser(summary, usage="%(prog)s [options] -- COMMAND [ARGUMENT ...]")
    add = parser.add_argument
    add("-n", "--workers", type=int, required=True, help="number of training processes")
    add("-s", "--servers", type=int,
        help="number of MXNet's parameter servers (default: 1; Horovod has none)")  # fmt: skip
    add("--hosts", metavar="FILE",
        help="machines, a line each: NAME [slots=N] [address=IPV4]; all are reached by ssh and "
        "have this folder and Python at the same place (default: this machine)")  # fmt: skip
    add("--kvstore", choices=KVSTORES,
        help="how the workers meet (default: the command's own --kvstore)")  # fmt: skip
    add("--restarts", type=int, default=0, metavar="K",
        help="start a group that died again, K times, from the last checkpoint in the command's "
        "--out DIR; not after exit status 2, a user's mistake")  # fmt: skip
    add("--port", type=int, default=0, help="of MXNet's scheduler (default: a free one)")
    add("command", nargs="...", metavar="COMMAND",
        help="what each worker runs; {rank} and {local_rank} are filled in")  # fmt: skip
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    return Request(
        tuple(command), args.workers, args.servers, args.hosts, args.kvstore, args.restarts,
        args.port,
    )  # fmt: skip


if __name__ == "__main__":
    cli.run(lambda: launch(parse()))
