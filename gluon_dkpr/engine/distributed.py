"""The group of processes that train one network together: who does what, and what all must know.

Every worker takes its share of the same batch; the gradients are *summed* over the group and the
optimiser divides by the size of the whole batch. So the group does what one process would do with
the whole batch, up to the order of additions. Every worker updates its own copy of the parameters,
with the same numbers: nothing is updated on a server, where a learning rate that changes, or a last
batch that is smaller, would not arrive.

All methods of :class:`Group` but ``shard`` and ``without_samples`` are calls of the whole group:
every worker must make the same ones in the same order, or all wait for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from typing import Optional, Sequence

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

#: Where gradients meet: on one device of this process, or among several processes.
LOCAL_KVSTORES = ("device", "local")
SERVER_KVSTORES = ("dist_sync", "dist_device_sync")
KVSTORES = (*LOCAL_KVSTORES, *SERVER_KVSTORES, "horovod")

# Values sent to all at a time. The same number every time: a server knows one size for one key.
CHUNK = 1 << 18
# Above the numbers of parameters, which are the trainer's keys. A server is chosen by
# key * 9973 in 32 bits, so below 215,000.
_FIRST_KEY = 100_000
# A worker that fails has so long to leave. MXNet would wait for work of the others at exit.
EXIT_SECONDS = 5


class DistributedError(DkprError):
    """A group cannot be formed or used as asked."""


class Group:
    """A group of one, and what all groups have in common. Used as a context.

    The end of the context is the end of the group: a good one waits for the others; after an
    exception the process leaves without them, within ``EXIT_SECONDS``, so that
    ``tools/launch.py`` sees it die.

    Attributes:
        kvstore: name of what the gradients meet in.
        rank: this worker's number, from 0.
        size: number of workers.
    """

    def __init__(self, kvstore: str, rank: int = 0, size: int = 1):
        self.kvstore, self.rank, self.size = kvstore, rank, size

    @property
    def is_leader(self) -> bool:
        """Whether this worker writes the files."""
        return self.rank == 0

    def __enter__(self) -> Group:
        return self

    def __exit__(self, kind, error, _) -> None:
        if kind is None or (kind is SystemExit and not error.code):
            self._leave()
        elif self.size > 1 and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(EXIT_SECONDS)

    def shard(self, positions: Sequence) -> Sequence:
        """Return this worker's part of a batch: parts differ by at most one, and may be empty.

        Args:
            positions: of the whole batch, the same on every worker: array or list.
        """
        begin = len(positions) * self.rank // self.size
        return positions[begin : len(positions) * (self.rank + 1) // self.size]

    def make_trainer(self, parameters, optimizer: str, options: dict) -> mx.gluon.Trainer:
        """Return a trainer whose gradients are summed over devices and workers.

        Its ``step`` and ``update`` take the size of the *whole* batch. What it saves and loads
        concerns this worker only.

        Args:
            parameters: ``net.collect_params()``, initialised, with known shapes.
            optimizer: name.
            options: of the optimiser.

        Raises:
            DistributedError: for a parameter without a shape, or several devices with Horovod.
        """
        _require_shapes(parameters)
        return self._make_trainer(parameters, optimizer, options)

    def synchronise(self, net: mx.gluon.Block) -> None:
        """Give every worker the leader's parameters, bit by bit, on all its devices.

        Raises:
            DistributedError: if the networks differ.
        """
        if self.size == 1:
            return
        parameters = [p for _, p in sorted(net._collect_params_with_prefix().items())]
        _require_shapes(net.collect_params())
        own = [parameter.list_data()[0].asnumpy() for parameter in parameters]
        expected = sum(array.nbytes for array in own)
        found = self.share(b"".join(array.tobytes() for array in own))
        if self.sum([float(len(found) != expected)])[0]:
            raise DistributedError(
                f"the network has {expected} bytes in worker {self.rank}, {len(found)} in the "
                "leader; all must have the same configuration"
            )
        begin = 0
        for parameter, array in zip(parameters, own):
            values = np.frombuffer(found, array.dtype, array.size, begin).reshape(array.shape)
            parameter.set_data(mx.nd.array(values, dtype=array.dtype))
            begin += array.nbytes
        mx.nd.waitall()

    def gather(self, values) -> Array:
        """Return what every worker has: float64, exact, shape (size, n).

        Args:
            values: n numbers, as many on every worker.
        """
        own = np.ravel(np.asarray(values, dtype=np.float64))
        # As 16-bit parts, which a sum in float32 leaves as they are: all others add 0.
        table = np.zeros((self.size, 4 * own.size), dtype=np.float32)
        table[self.rank] = own.view(np.uint16)
        return self._add(table.ravel()).astype(np.uint16).view(np.float64).reshape(self.size, -1)

    def sum(self, values) -> Array:
        """Return the sums of n numbers over the workers: float64, shape (n,)."""
        return self.gather(values).sum(axis=0)

    def mean(self, values) -> Array:
        """Return the means of n numbers over the workers: float64, shape (n,)."""
        return self.sum(values) / self.size

    def barrier(self) -> None:
        """Wait until every worker is here and has finished all work of its devices."""
        mx.nd.waitall()
        self.gather([0.0])

    def share(self, data: Optional[bytes]) -> bytes:
        """Return the leader's bytes on every worker, such as a checkpoint only it can read.

        Args:
            data: on the leader; on the others it does not matter.
        """
        own = data if self.is_leader and data is not None else b""
        length = int(self.gather([len(own)])[0, 0])
        if self.size == 1:
            return own
        padding = b"\0" * (-len(own) % (2 * CHUNK))
        parts = np.frombuffer(own + padding, dtype=np.uint16)
        received = []
        for begin in range(0, (length + 1) // 2, CHUNK):
            part = parts[begin : begin + CHUNK] if self.is_leader else np.zeros(CHUNK)
            received.append(self._add(part.astype(np.float32)).astype(np.uint16))
        return b"".join(part.tobytes() for part in received)[:length]

    def without_samples(self, net: mx.gluon.Block) -> None:
        """Stand in for forward and backward pass where this worker's part of a batch is empty.

        Its gradients become 0, which leaves the sum over the group as it is.
        """
        for parameter in net.collect_params().values():
            if parameter.grad_req != "null":
                parameter.zero_grad()
                for array in parameter.list_data():
                    array._fresh_grad = True  # else the trainer takes it for forgotten

    def _make_trainer(self, parameters, optimizer: str, options: dict) -> mx.gluon.Trainer:
        return mx.gluon.Trainer(
            parameters, optimizer, options, kvstore=self.kvstore, update_on_kvstore=False
        )

    def _add(self, values: Array) -> Array:
        """Return the sum over the workers: float32, shape (n,); each n has to come again."""
        return values

    def _leave(self) -> None:
        """End the group when all has gone well."""


class ServerGroup(Group):
    """Workers that meet at MXNet's parameter server.

    Args:
        kvstore: ``dist_sync`` or ``dist_device_sync``.
        rank: this worker's number; ``None`` for the one that MXNet gives it, which changes from run
            to run.
    """

    def __init__(self, kvstore: str, rank: Optional[int] = None):
        self._store = mx.kv.create(kvstore)
        super().__init__(kvstore, rank, self._store.num_workers)
        if rank is None:
            self.rank = self._store.rank
        self._keys = {}
        # Else a worker that fails waits at its exit for the others, and they wait for it.
        self._wait_at_exit(False)
        self._check_ranks()

    def _check_ranks(self) -> None:
        if not 0 <= self.rank < self.size:
            raise DistributedError(
                f"rank {self.rank} in a group of {self.size}, expected 0 to {self.size - 1}"
            )
        taken = np.zeros(self.size, dtype=np.float32)
        taken[self.rank] = 1
        counts = self._add(taken)
        if not np.all(counts == 1):
            raise DistributedError(
                f"the ranks 0 to {self.size - 1} are taken {counts.astype(int).tolist()} times, "
                "expected once each; DKPR_RANK must be set for all workers or for none"
            )

    def _make_trainer(self, parameters, optimizer: str, options: dict) -> mx.gluon.Trainer:
        trainer = mx.gluon.Trainer(
            parameters, optimizer, options, kvstore=self._store, update_on_kvstore=False
        )
        # Otherwise done at its first step or when it is saved: then one worker alone would wait.
        trainer._init_kvstore()
        trainer._init_params()
        mx.nd.waitall()
        return trainer

    def _add(self, values: Array) -> Array:
        key = self._keys.get(len(values))
        if key is None:
            key = self._keys[len(values)] = _FIRST_KEY + len(self._keys)
            self._store.init(key, mx.nd.zeros((len(values),)))
        array = mx.nd.array(values, dtype="float32")
        self._store.pushpull(key, array)
        return array.asnumpy()

    def _leave(self) -> None:
        # All workers stay until the last one is here; then the servers are told to end.
        mx.nd.waitall()
        self._wait_at_exit(True)

    def _wait_at_exit(self, wait: bool) -> None:
        # MXNet has no Python function for it.
        library = mx.base._LIB
        mx.base.check_call(
            library.MXKVStoreSetBarrierBeforeExit(self._store.handle, ctypes.c_int(wait))
        )


class HorovodGroup(Group):
    """Workers that meet through Horovod, one device each."""

    def __init__(self):
        try:
            import horovod.mxnet as horovod
        except ImportError as error:
            raise DistributedError(
                "Horovod is not installed with support for MXNet; requirements/horovod.txt says "
                f"how to build it ({error})"
            ) from None
        self._horovod = horovod
        horovod.init()
        super().__init__("horovod", horovod.rank(), horovod.size())

    def _make_trainer(self, parameters, optimizer: str, options: dict) -> mx.gluon.Trainer:
        devices = next(iter(parameters.values())).list_ctx()
        if len(devices) > 1:
            raise DistributedError(
                f"{len(devices)} devices, but with Horovod a worker has one; start more workers"
            )
        return HorovodTrainer(self._horovod, parameters, optimizer, options)

    def _add(self, values: Array) -> Array:
        array = mx.nd.array(values, dtype="float32")
        name = f"values-{len(values)}"
        return self._horovod.allreduce(array, op=self._horovod.Sum, name=name).asnumpy()

    def _leave(self) -> None:
        self.barrier()
        self._horovod.shutdown()


class HorovodTrainer(mx.gluon.Trainer):
    """A trainer that sums gradients as a kvstore does; Horovod's own takes their mean."""

    def __init__(self, horovod, parameters, optimizer: str, options: dict):
        super().__init__(parameters, optimizer, options, kvstore=None)
        self._horovod = horovod

    def _allreduce_grads(self) -> None:
        for index, parameter in enumerate(self._params):
            if parameter.grad_req != "null":
                self._horovod.allreduce_(
                    parameter.list_grad()[0],
                    op=self._horovod.Sum,
                    name=f"gradient-{index}",
                    priority=-index,
                )


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


def _require_shapes(parameters) -> None:
    for parameter in parameters.values():
        if parameter._data is None:
            raise DistributedError(
                f"parameter {parameter.name} has no shape yet; initialise the network and call it "
                "once"
            )
