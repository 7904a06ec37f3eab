"""A worker of ``scaling``: times synchronised steps, with and without computing.

    python -m MODULE KVSTORE OUT SECONDS SEED BATCH SIZE BACKBONE

All workers do the same; the leader writes what it found to OUT.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Callable, List, Optional

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.benchmark.harness import BenchmarkError
from gluon_dkpr.engine.distributed import Group, open_group
from gluon_dkpr.model_zoo import PoseNet, get_model
from gluon_dkpr.nn import JointLoss
from gluon_dkpr.skeleton import human36m

ROUNDS = 7
# Where Linux counts the bytes of its network devices; those of one machine's processes go over lo.
COUNTERS, LOOPBACK = Path("/proc/net/dev"), "lo"


def make_net(backbone: str, size: int) -> PoseNet:
    """Return the network of section 4.2 with kinematic head, in use."""
    net = get_model(backbone, human36m(), "kinematic")
    net.initialize()
    net.hybridize(static_alloc=True)
    net(mx.nd.zeros((1, 3, size, size)))
    return net


def trained(net: PoseNet) -> List[mx.gluon.Parameter]:
    """Return the parameters whose gradients are summed over the workers."""
    return [p for p in net.collect_params().values() if p.grad_req != "null"]


def loopback_bytes() -> Optional[int]:
    """Return the bytes that have come over the loopback device, ``None`` if nobody counts them."""
    if not COUNTERS.is_file():
        return None
    for line in COUNTERS.read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == LOOPBACK:
            return int(numbers.split()[0])
    return None


def check_sum(group: Group, net: PoseNet, trainer) -> None:
    """Raise BenchmarkError unless the workers' gradients are really summed."""
    for parameter in trained(net):
        parameter.list_grad()[0][:] = group.rank + 1
    trainer.allreduce_grads()
    expected = group.size * (group.size + 1) / 2
    found = {float(g.min().asscalar()) for p in trained(net) for g in p.list_grad()}
    if found != {expected}:
        raise BenchmarkError(f"sums of gradients are {sorted(found)}, expected {expected}")


def timed(group: Group, step: Callable[[], object], seconds: float) -> dict:
    """Time a step that all workers do together.

    Returns:
        ``seconds`` of one step and the loopback's ``bytes`` in it, a list of ``ROUNDS`` each.
    """

    def run(steps: int) -> float:
        group.barrier()
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        mx.nd.waitall()
        return time.perf_counter() - begin

    run(1)
    once = group.mean([run(1)])[0]
    steps = max(1, round(seconds / ROUNDS / once))
    found: dict = {"seconds": [], "bytes": []}
    for _ in range(ROUNDS):
        before = loopback_bytes()
        # The group is as fast as its slowest worker.
        found["seconds"].append(float(group.gather([run(steps)]).max()) / steps)
        after = loopback_bytes()
        if before is not None:
            found["bytes"].append((after - before) / steps)
    return found


def measure(group: Group, seconds: float, batch: int, size: int, backbone: str) -> dict:
    """Return seconds and bytes of computing, of summing gradients, and of both."""
    net = make_net(backbone, size)
    options = {"learning_rate": 1e-4, "momentum": 0.9}
    trainer = group.make_trainer(net.collect_params(), "sgd", options)
    group.synchronise(net)
    check_sum(group, net, trainer)
    images = mx.nd.random.uniform(shape=(batch, 3, size, size))
    joints = mx.nd.zeros((batch, net.skeleton.num_joints, net.skeleton.dim))
    loss_function = JointLoss()
    loss_function.hybridize(static_alloc=True)

    def compute():
        with mx.autograd.record():
            loss = loss_function(net(images), joints)
        loss.backward()

    def whole():
        compute()
        trainer.step(batch * group.size)

    def alone():
        compute()
        trainer.update(batch * group.size)

    parameters = trained(net)
    sizes = [int(np.prod(parameter.shape)) for parameter in parameters]
    return {
        "workers": group.size,
        "arrays": len(sizes),
        "gradient_bytes": 4 * sum(sizes),
        "compute": timed(group, alone, seconds),
        "synchronise": timed(group, trainer.allreduce_grads, seconds),
        "step": timed(group, whole, seconds),
    }


def main() -> None:
    """Measure as the command line says."""
    kvstore, out, seconds, seed, batch, size, backbone = sys.argv[1:]
    mx.random.seed(int(seed))
    with open_group(kvstore) as group:
        found = measure(group, float(seconds), int(batch), int(size), backbone)
        if group.is_leader:
            Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
