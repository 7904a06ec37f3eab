"""The group of processes that train one network together: who does what, and what all must know.

Every worker takes its share of the same batch; the gradients are *summed* over the group and the
optimiser divides by the size of the whole batch. So the group does what one process would do with
the whole batch, up to the order of additions. Every worker updates its own copy of the parameters,
with the same numbers: nothing is updated on a server, where a learning rate that changes, or a last
batch that is smaller, would not arrive.

All methods of :class:`Group` but ``shard`` and ``zero_gradients`` are calls of the whole group:
every worker must make the same ones in the same order, or all wait for ever.
"""

from __future__ import annotations

import signal
import threading
from typing import Optional, Sequence

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

# Values sent to all at a time.
CHUNK = 1 << 18
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

    def zero_gradients(self, net: mx.gluon.Block) -> None:
        """Make all gradients 0, and count as computed.

        For a step in which this worker, or one of its devices, has no sample of the batch: what
        no backward pass follows leaves the sum over the group as it is.
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


def _require_shapes(parameters) -> None:
    for parameter in parameters.values():
        if parameter._data is None:
            raise DistributedError(
                f"parameter {parameter.name} has no shape yet; initialise the network and call it "
                "once"
            )
