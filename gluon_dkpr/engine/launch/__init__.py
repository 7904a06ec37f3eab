"""Starts a group of training processes on one or several machines and watches over it.

``tools/launch.py`` is the command line, docs/distributed.md the manual. Nothing here needs MXNet.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sys
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence, Tuple, Union

from gluon_dkpr.engine.launch.hosts import (
    Host,
    LaunchError,
    address_towards,
    free_port,
    matches,
    read_hosts,
    this_machine,
)
from gluon_dkpr.engine.launch.plan import (
    KVSTORES,
    Member,
    choose_kvstore,
    option,
    plan_horovod,
    plan_servers,
    plan_workers,
)
from gluon_dkpr.engine.launch.watch import Signals, run_group

__all__ = ["KVSTORES", "LaunchError", "Request", "launch"]

MAX_PROCESSES = 4096
MAX_PORT = 65535
# Exit status of our command lines, and of Python's own argument parser.
USERS_MISTAKE = 2


@dataclass(frozen=True)
class Request:
    """What to start.

    Attributes:
        command: of a worker; ``{rank}`` and ``{local_rank}`` in it are filled in.
        workers: how many.
        servers: how many, for MXNet's parameter server; ``None`` for 1, and none with Horovod.
        hosts: file with the machines; ``None`` for this one.
        kvstore: one of ``KVSTORES``; ``None`` for what the command says.
        restarts: how often a group that died is started again from its last checkpoint.
        port: of the scheduler; 0 for a free one.
    """

    command: Tuple[str, ...]
    workers: int
    servers: Optional[int] = None
    hosts: Optional[Union[str, os.PathLike]] = None
    kvstore: Optional[str] = None
    restarts: int = 0
    port: int = 0


def launch(request: Request) -> int:
    """Run a group to its end and return the exit status; nothing of it is left running.

    A process that dies ends the others. A group that died is started again while restarts are
    left, unless the worker's own status says that its user made a mistake (2): that comes again.

    Raises:
        LaunchError: if it cannot be started as asked.
    """
    kvstore = _check(request)
    hosts = read_hosts(request.hosts) if request.hosts else this_machine(request.workers)
    workers = plan_workers(request.command, request.workers, hosts)
    with Signals() as signals:
        for restarts in range(request.restarts + 1):
            with _meeting_point(request, kvstore, workers) as members:
                outcome = run_group(members, _announce, signals)
            left = request.restarts - restarts
            if not (outcome.failed and left) or outcome.status == USERS_MISTAKE:
                break
            if signals.received:
                break
            workers = _resuming(request, hosts)
            _announce(f"starting the group again, {left - 1} restarts left")
    return outcome.status


def _check(request: Request) -> str:
    """Check a request; return its kvstore."""
    for name, value, least, most in (
        ("workers", request.workers, 1, MAX_PROCESSES),
        ("servers", 1 if request.servers is None else request.servers, 1, MAX_PROCESSES),
        ("restarts", request.restarts, 0, sys.maxsize),
        ("port", request.port, 0, MAX_PORT),
    ):
        if not least <= value <= most:
            raise LaunchError(f"{name} is {value}, expected {least} to {most}")
    if not request.command:
        raise LaunchError("no command for the workers; expected -- python tools/train.py ...")
    if request.restarts and not option(request.command, "--out"):
        raise LaunchError(
            "--restarts looks for the checkpoint in the workers' --out DIR, which is missing"
        )
    kvstore = choose_kvstore(request.kvstore, request.command)
    if kvstore == "horovod" and request.servers is not None:
        raise LaunchError(f"{request.servers} servers, but Horovod has none")
    return kvstore


@contextlib.contextmanager
def _meeting_point(
    request: Request, kvstore: str, workers: Sequence[Member]
) -> Iterator[List[Member]]:
    """Yield all members, told where they meet: at a scheduler, or at a rendezvous held here."""
    first = workers[0].host
    if kvstore != "horovod":
        yield plan_servers(workers, request.servers or 1, request.port or free_port(first))
        return
    address = first.address if first.is_local else address_towards(first)
    with _rendezvous(workers) as port:
        yield plan_horovod(workers, address, port)


@contextlib.contextmanager
def _rendezvous(workers: Sequence[Member]) -> Iterator[int]:
    """Hold Horovod's own rendezvous; yield its port."""
    try:
        from horovod.runner.common.util.hosts import HostInfo, get_host_assignments
        from horovod.runner.http.http_server import RendezvousServer
    except ImportError as error:
        raise LaunchError(
            f"Horovod is not installed ({error}); requirements/horovod.txt says how to build it"
        ) from None
    hosts = list(dict.fromkeys(worker.host for worker in workers))
    slots = [HostInfo(h.name, sum(worker.host == h for worker in workers)) for h in hosts]
    server = RendezvousServer()
    port = server.start()
    try:
        server.init(get_host_assignments(slots, len(workers)))
        yield port
    finally:
        server.stop()


def _resuming(request: Request, hosts: Sequence[Host]) -> List[Member]:
    """Return the workers of a restart: with --resume if there is a checkpoint to go on from."""
    folder, command = option(request.command, "--out"), request.command
    workers = plan_workers(command, request.workers, hosts)
    out = option(workers[0].command, "--out")
    pattern = os.path.join(glob.escape(out), "checkpoint", "last-*")
    if not matches(workers[0].host, pattern):
        _announce(f"{folder}: no checkpoint yet, so from the beginning")
        return workers
    _announce(f"{folder}: going on from the last checkpoint")
    if "--resume" not in command:
        command = (*command, "--resume")
    return plan_workers(command, request.workers, hosts)


def _announce(message: str) -> None:
    print(f"launch: {message}", file=sys.stderr, flush=True)
