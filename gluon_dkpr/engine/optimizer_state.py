"""What training knows beside the network's parameters, as named arrays.

MXNet pickles its optimiser. Arrays are read without running anything that stands in the file.
"""

from __future__ import annotations

from typing import Dict, List

from gluon_dkpr.backend import mx
from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Tensor

Arrays = Dict[str, Tensor]


class OptimizerStateError(DkprError):
    """Saved arrays do not fit network and optimiser."""


def save_arrays(net: mx.gluon.Block, trainer: mx.gluon.Trainer) -> Arrays:
    """Return the optimiser's arrays and, of several devices, what each of them alone knows.

    Args:
        net: the network; the running statistics of batch normalisation are each device's own.
        trainer: that updates its parameters itself (``update_on_kvstore=False``), so that all
            devices have equal states; in use or not yet.
    """
    arrays = {}
    # All updates of all devices are alike, so the first device's states are everybody's.
    for index, state in trainer._updaters[0].states.items():
        for place, array in enumerate(_flat(state)):
            arrays[f"optimizer:{index}:{place}"] = array.as_in_context(mx.cpu())
    for name, parameter in _of_one_device(net).items():
        for device, array in enumerate(parameter.list_data()):
            arrays[f"device:{device}:{name}"] = array.as_in_context(mx.cpu())
    # Never empty: an empty file cannot be told from a damaged one.
    return {"none": mx.nd.zeros((1,)), **arrays}


def load_arrays(net: mx.gluon.Block, trainer: mx.gluon.Trainer, arrays: Arrays, updates: int):
    """Fill optimiser and devices; the inverse of :func:`save_arrays`.

    Args:
        net, trainer: as saved, on as many devices for the same result to the last bit.
        arrays: what was saved.
        updates: how many updates the optimiser has made.

    Raises:
        OptimizerStateError: for arrays that do not fit.
    """
    states: Dict[int, Dict[int, Tensor]] = {}
    for name, array in arrays.items():
        kind, _, rest = name.partition(":")
        if kind == "optimizer":
            index, _, place = rest.partition(":")
            if not (index.isdigit() and place.isdigit() and int(index) < len(trainer._params)):
                raise OptimizerStateError(f"optimiser: no parameter for the array '{name:.60}'")
            states.setdefault(int(index), {})[int(place)] = array
    for device, updater in enumerate(trainer._updaters):
        for index, parts in states.items():
            parameter = trainer._params[index]
            weight = parameter.list_data()[device]
            fresh = updater.optimizer.create_state_multi_precision(index, weight)
            _fill(fresh, parts, parameter.name)
            updater.states[index], updater.states_synced[index] = fresh, True
    optimizer = trainer._optimizer
    optimizer.begin_num_update = optimizer.num_update = updates
    optimizer._all_index_update_counts = {0: {}}
    optimizer._index_update_count = optimizer._all_index_update_counts[0]
    for name, parameter in _of_one_device(net).items():
        for device, own in enumerate(parameter.list_data()):
            saved = arrays.get(f"device:{device}:{name}")
            if saved is not None and saved.shape == own.shape:
                own[:] = saved.as_in_context(own.context)


def _of_one_device(net: mx.gluon.Block) -> Dict[str, mx.gluon.Parameter]:
    """Return the running statistics if there are several devices, by structural name."""
    return {
        name: parameter
        for name, parameter in net._collect_params_with_prefix().items()
        if name.endswith(("running_mean", "running_var")) and len(parameter.list_ctx()) > 1
    }


def _flat(state) -> List[Tensor]:
    if state is None:
        return []
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in _flat(part)]
    return [state]


def _fill(fresh, parts: Dict[int, Tensor], name: str) -> None:
    places = _flat(fresh)
    if sorted(parts) != list(range(len(places))):
        raise OptimizerStateError(
            f"optimiser: {len(parts)} arrays for parameter '{name}', expected {len(places)}"
        )
    for place, array in enumerate(places):
        if parts[place].shape != array.shape or parts[place].dtype != array.dtype:
            raise OptimizerStateError(
                f"optimiser: array {parts[place].shape} for parameter '{name}', "
                f"expected {array.shape}"
            )
        array[:] = parts[place].as_in_context(array.context)
