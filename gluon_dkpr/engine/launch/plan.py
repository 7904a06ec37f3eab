"""Who is in a group: every process with its machine, its command and what it is told."""

from __future__ import annotations

import sys
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from gluon_dkpr.engine.launch.hosts import Host, LaunchError

KVSTORES = ("dist_sync", "dist_device_sync", "horovod")
# MXNet's own parameter server: a process with the role of server or scheduler serves as soon as it
# imports MXNet, and ends when the workers have.
_SERVE = "import gluon_dkpr.backend"


class Member(NamedTuple):
    """A process of the group.

    Attributes:
        role: ``worker``, ``server`` or ``scheduler``.
        rank: number within its role.
        host: where it runs.
        command: with arguments.
        settings: environment variables that it gets.
    """

    role: str
    rank: int
    host: Host
    command: Tuple[str, ...]
    settings: Dict[str, str]

    @property
    def name(self) -> str:
        """What it is called in the output."""
        return self.role if self.role == "scheduler" else f"{self.role} {self.rank}"


def option(command: Sequence[str], flag: str) -> Optional[str]:
    """Return the value of a flag in a command, given as ``--flag value`` or ``--flag=value``."""
    value = None
    for word, following in zip(command, [*command[1:], None]):
        if word == flag and following is not None:
            value = following
        elif word.startswith(f"{flag}="):
            value = word[len(flag) + 1 :]
    return value


def choose_kvstore(asked: Optional[str], command: Sequence[str]) -> str:
    """Return what the workers meet through: as asked, else as their own command says.

    Raises:
        LaunchError: if the two differ, or the command says what is for one process only.
    """
    own = option(command, "--kvstore")
    if asked is not None and own not in (None, asked):
        raise LaunchError(f"--kvstore is {asked}, but {own} in the workers' command")
    kvstore = asked or own or KVSTORES[0]
    if kvstore not in KVSTORES:
        raise LaunchError(
            f"the workers' command says --kvstore {kvstore}, expected one of {', '.join(KVSTORES)}"
        )
    return kvstore


def place_workers(count: int, hosts: Sequence[Host]) -> List[Tuple[Host, int]]:
    """Return host and number within the host of every worker: host after host, slot after slot.

    Raises:
        LaunchError: if there are too few slots.
    """
    places = [(host, slot) for host in hosts for slot in range(host.slots)]
    if count > len(places):
        raise LaunchError(
            f"{count} workers, but the hosts have {len(places)} slots; add hosts or slots=N"
        )
    return places[:count]


def plan_workers(command: Sequence[str], count: int, hosts: Sequence[Host]) -> List[Member]:
    """Return the workers. In their command ``{rank}`` and ``{local_rank}`` are filled in."""
    places = place_workers(count, hosts)
    members = []
    for rank, (host, local_rank) in enumerate(places):
        settings = {
            "DKPR_RANK": str(rank),
            "DKPR_LOCAL_RANK": str(local_rank),
            "DKPR_LOCAL_SIZE": str(sum(other == host for other, _ in places)),
            "DKPR_ADDRESS": host.address,
            "PYTHONUNBUFFERED": "1",  # lines come when they are written
        }
        words = tuple(
            word.replace("{rank}", str(rank)).replace("{local_rank}", str(local_rank))
            for word in command
        )
        members.append(Member("worker", rank, host, words, settings))
    return members


def plan_servers(workers: Sequence[Member], servers: int, port: int) -> List[Member]:
    """Return scheduler, servers and workers for MXNet's parameter server.

    Args:
        workers: from :func:`plan_workers`; the first one's machine gets the scheduler, and the
            machines take turns in getting servers.
        servers: how many.
        port: of the scheduler.
    """
    hosts = list(dict.fromkeys(worker.host for worker in workers))
    shared = {
        "DMLC_PS_ROOT_URI": hosts[0].address,
        "DMLC_PS_ROOT_PORT": str(port),
        "DMLC_NUM_SERVER": str(servers),
        "DMLC_NUM_WORKER": str(len(workers)),
    }
    serve = (sys.executable, "-c", _SERVE)
    first = Member("scheduler", 0, hosts[0], serve, {})
    others = [Member("server", i, hosts[i % len(hosts)], serve, {}) for i in range(servers)]
    return [_in_cluster(member, shared) for member in (first, *others, *workers)]


def _in_cluster(member: Member, shared: Dict[str, str]) -> Member:
    own = {"DMLC_ROLE": member.role, "DMLC_NODE_HOST": member.host.address}
    if member.host.is_local and member.host.address == "127.0.0.1":
        own["DMLC_INTERFACE"] = "lo"
    return member._replace(settings={**member.settings, **shared, **own})


def plan_horovod(workers: Sequence[Member], address: str, port: int) -> List[Member]:
    """Return the workers as Horovod's Gloo wants them, which meet at a rendezvous."""
    hosts = list(dict.fromkeys(worker.host for worker in workers))
    members = []
    for worker in workers:
        local_rank = int(worker.settings["DKPR_LOCAL_RANK"])
        sizes = [sum(other.host == host for other in workers) for host in hosts]
        across = [host for host, size in zip(hosts, sizes) if size > local_rank]
        own = {
            "HOROVOD_HOSTNAME": worker.host.name,
            "HOROVOD_RANK": str(worker.rank),
            "HOROVOD_SIZE": str(len(workers)),
            "HOROVOD_LOCAL_RANK": str(local_rank),
            "HOROVOD_LOCAL_SIZE": worker.settings["DKPR_LOCAL_SIZE"],
            "HOROVOD_CROSS_RANK": str(across.index(worker.host)),
            "HOROVOD_CROSS_SIZE": str(len(across)),
            "HOROVOD_CONTROLLER": "gloo",
            "HOROVOD_CPU_OPERATIONS": "gloo",
            "HOROVOD_GLOO_RENDEZVOUS_ADDR": address,
            "HOROVOD_GLOO_RENDEZVOUS_PORT": str(port),
        }
        members.append(worker._replace(settings={**worker.settings, **own}))
    return members
