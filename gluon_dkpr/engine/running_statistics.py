"""The running statistics of a network, which a forward pass changes and no optimiser sees."""

from __future__ import annotations

from typing import List

from gluon_dkpr.backend import mx
from gluon_dkpr.types import Tensor


class RunningStatistics:
    """Keeps what a step changes besides the weights, to put it back if the step is left out.

    A moving average that is once not finite never recovers.

    Args:
        net: initialised, its shapes known; every device has statistics of its own.
    """

    def __init__(self, net: mx.gluon.Block):
        self._parameters = [
            parameter
            for parameter in net.collect_params().values()
            if parameter.grad_req == "null" and not isinstance(parameter, mx.gluon.Constant)
        ]
        # Copied into again and again: half the price of new arrays.
        self._kept = [array.copy() for array in self._arrays()]

    def keep(self) -> None:
        """Remember the statistics of now; waits for nothing."""
        for array, kept in zip(self._arrays(), self._kept):
            array.copyto(kept)

    def put_back(self) -> None:
        """Make the statistics what they were at the last :meth:`keep`."""
        for array, kept in zip(self._arrays(), self._kept):
            kept.copyto(array)

    def _arrays(self) -> List[Tensor]:
        return [array for parameter in self._parameters for array in parameter.list_data()]
