"""A group that meets through Horovod."""

from __future__ import annotations

import atexit

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.distributed.group import DistributedError, Group
from gluon_dkpr.types import Array


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
        # At the exit of a worker that fails it would make the others fail, too, maybe before it is
        # seen dead itself; then the wrong one would be blamed.
        atexit.unregister(horovod.shutdown)
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
