"""A group that meets at MXNet's own parameter server."""

from __future__ import annotations

import ctypes
from typing import Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.distributed.group import DistributedError, Group
from gluon_dkpr.types import Array

# Above the numbers of parameters, which are the trainer's keys. A server is chosen by
# key * 9973 in 32 bits, so below 215,000.
_FIRST_KEY = 100_000


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
        trainer._init_kvstore()
        # What trainers otherwise do at their first step or before they are saved, when one worker
        # alone would wait. They send the weights, which after a forward pass cannot be sent:
        # oneDNN keeps them in a layout of its own. The servers see gradients only.
        for index, parameter in enumerate(trainer._params):
            self._store.init(index, mx.nd.zeros(parameter.shape, dtype=parameter.dtype))
        trainer._params_to_init = []
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
