"""Training with several processes: the group that a process belongs to."""

from __future__ import annotations

import os
from typing import Optional

from gluon_dkpr.engine.distributed.all_reduce import HorovodGroup
from gluon_dkpr.engine.distributed.group import DistributedError, Group
from gluon_dkpr.engine.distributed.servers import ServerGroup

__all__ = ["KVSTORES", "DistributedError", "Group", "open_group"]

#: Where gradients meet: on one device of this process, or among several processes.
LOCAL_KVSTORES = ("device", "local")
SERVER_KVSTORES = ("dist_sync", "dist_device_sync")
KVSTORES = (*LOCAL_KVSTORES, *SERVER_KVSTORES, "horovod")


def open_group(kvstore: str) -> Group:
    """Join the group that this process was started for, or be a group of one.

    Args:
        kvstore: one of ``KVSTORES``. MXNet itself takes a name that it does not know for one
            process alone, and so every worker for the only one: here that is an error.

    Raises:
        DistributedError: for an unknown name, one that does not fit how the process was started,
            or a library that is missing.
    """
    if kvstore not in KVSTORES:
        raise DistributedError(f"kvstore is {kvstore!r:.40}, expected one of {', '.join(KVSTORES)}")
    started = _started_for()
    if kvstore in LOCAL_KVSTORES:
        if started and _started_size() > 1:
            raise DistributedError(
                f"one of {_started_size()} workers, but --kvstore is {kvstore}, for one process "
                f"alone; expected {started}"
            )
        return Group(kvstore)
    if started != ("horovod" if kvstore == "horovod" else SERVER_KVSTORES[0]):
        raise DistributedError(
            f"--kvstore is {kvstore}, but the process was started "
            f"{f'for {started}' if started else 'alone'}; start it by tools/launch.py -n WORKERS "
            f"--kvstore {kvstore} -- ..."
        )
    if kvstore == "horovod":
        return HorovodGroup()
    rank = os.environ.get("DKPR_RANK", "")
    if rank and not rank.isdigit():
        raise DistributedError(f"DKPR_RANK is {rank!r:.40}, expected a number from 0")
    return ServerGroup(kvstore, int(rank) if rank else None)


def _started_for() -> Optional[str]:
    """Return the kind of group that the environment speaks of."""
    if os.environ.get("DMLC_ROLE") == "worker":
        return SERVER_KVSTORES[0]
    # The second is set by Open MPI, Horovod's other way to start.
    if "HOROVOD_SIZE" in os.environ or "OMPI_COMM_WORLD_SIZE" in os.environ:
        return "horovod"
    return None


def _started_size() -> int:
    names = ("DMLC_NUM_WORKER", "HOROVOD_SIZE", "OMPI_COMM_WORLD_SIZE")
    sizes = [os.environ[name] for name in names if name in os.environ]
    return int(sizes[0]) if sizes and sizes[0].isdigit() else 1
