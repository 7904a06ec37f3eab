"""When and what a run saves, and how it goes on from there."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import List

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config
from gluon_dkpr.engine import optimizer_state
from gluon_dkpr.engine.checkpoint import (
    OPTIMIZER,
    PARAMETERS,
    CheckpointError,
    find_last,
    load_arrays,
    load_parameters,
    save_best,
    save_last,
)
from gluon_dkpr.engine.distributed import Group
from gluon_dkpr.engine.loop import Progress
from gluon_dkpr.model_zoo import PoseNet


class Saver:
    """Writes a run's checkpoints. A disk that is full costs a warning, not the run.

    A network that is not finite is not written: the checkpoint before is worth more.

    Args:
        folder: the run's ``checkpoint`` folder.
        config: of the run.
        net, trainer, ctx: what is saved and restored.
        group: whose leader alone has files.
    """

    def __init__(
        self, folder: Path, config: Config, net: PoseNet, trainer, ctx: List, group: Group
    ):
        self._group = group
        self._folder, self._config = folder, config.train
        self._net, self._trainer, self._ctx = net, trainer, ctx
        self._saved_at = time.monotonic()

    def is_due(self) -> bool:
        """Tell whether the last checkpoint is older than the configuration wants."""
        return time.monotonic() - self._saved_at >= 60 * self._config.checkpoint_minutes

    def begin(self) -> Progress:
        """Give all workers the leader's parameters; return where a new run stands."""
        self._group.synchronise(self._net)
        self.save(Progress())
        return Progress()

    def save(self, progress: Progress) -> None:
        """Write a checkpoint to go on from, if this is the leader."""
        if not self._group.is_leader:
            return
        arrays = optimizer_state.save_arrays(self._net, self._trainer)
        state = progress._asdict()
        # JSON knows no infinity.
        state["best"] = None if math.isinf(progress.best) else progress.best
        self._try(lambda: save_last(self._folder, self._net, state, arrays, self._config.keep))
        self._saved_at = time.monotonic()

    def keep(self, progress: Progress, error: float) -> Progress:
        """Write the checkpoints after an epoch; return the progress with the best test error."""
        if error < progress.best and self._try(
            lambda: save_best(self._folder, self._net, {"epoch": progress.epoch, "error": error})
        ):
            progress = progress._replace(best=error)
        self.save(progress)
        return progress

    def restore(self) -> Progress:
        """Fill network and optimiser from the newest whole checkpoint; return where it stood.

        The leader reads it; the other workers are sent it.
        """
        progress = self._read() if self._group.is_leader else Progress()
        # Both make what the trainer otherwise makes at its first step.
        self._trainer._init_kvstore()
        self._trainer._init_params()
        self._group.synchronise(self._net)
        progress = Progress(*json.loads(self._group.share(json.dumps(progress).encode())))
        optimizer_state.load_arrays(self._net, self._trainer, self._arrays(), progress.updates)
        mx.nd.waitall()
        if not self._group.is_leader:  # sums are each worker's own
            progress = progress._replace(loss=0.0, error=0.0, images=0)
        return progress

    def _read(self) -> Progress:
        saved = find_last(self._folder, _warn)
        load_parameters(self._net, saved.folder / PARAMETERS, self._ctx)
        state = {name: saved.state.get(name) for name in Progress._fields}
        state["best"] = math.inf if state["best"] is None else state["best"]
        if not all(isinstance(value, (int, float)) for value in state.values()):
            raise CheckpointError(f"{saved.folder}: does not say where the run stood")
        self._saved = saved
        return Progress(**state)

    def _arrays(self):
        """Return the leader's arrays of optimiser and devices."""
        if self._group.size == 1:
            return load_arrays(self._saved)
        data = (self._saved.folder / OPTIMIZER).read_bytes() if self._group.is_leader else None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, OPTIMIZER)
            path.write_bytes(self._group.share(data))
            return mx.nd.load(str(path))

    def _try(self, write) -> bool:
        try:
            _require_finite(self._net)
            write()
        except (OSError, CheckpointError) as error:
            reason = str(error) if isinstance(error, CheckpointError) else error.strerror
            _warn(f"no checkpoint written: {reason}; training goes on, the one before stands")
            return False
        return True


def _require_finite(net: PoseNet) -> None:
    mx.nd.waitall()
    for name, parameter in net._collect_params_with_prefix().items():
        for array in parameter.list_data():  # of every device: running statistics differ
            if not np.isfinite(array.asnumpy()).all():
                raise CheckpointError(f"parameter '{name}' is not finite")


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
