"""A worker that trains the toy network on made-up batches: started by tests, alone or in a group.

    python group_worker.py KVSTORE OUT [OPTION=VALUE ...]

Writes the parameters at the end, and what the group agreed on, to OUT.npz, by the leader alone.
"""

import os
import sys
from pathlib import Path

import numpy as np

from gluon_dkpr import cli
from gluon_dkpr.backend import mx, parse_contexts
from gluon_dkpr.engine.distributed import open_group
from gluon_dkpr.errors import DkprError
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import JointLoss
from gluon_dkpr.skeleton import planar

# The last one leaves the second of two workers, or even both but the first, without a sample.
BATCHES = (8, 7, 8, 3, 1)
RATES = (0.003, 0.003, 0.001, 0.001, 0.001)


class WantedError(DkprError):
    """What a worker is asked to fail with."""


def make_batch(step):
    """Return images (b, 1, 128, 128) and joints (b, 3, 2), the same in every process."""
    generator = np.random.default_rng([7, step])
    count = BATCHES[step % len(BATCHES)]
    images = generator.random((count, 1, 128, 128), dtype=np.float32)
    return images, generator.random((count, 3, 2), dtype=np.float32)


def make_net(seed, ctx):
    """Return the toy network; the seed is the worker's own, so that all begin differently."""
    mx.random.seed(seed)
    np.random.seed(seed)
    net = get_model("toy_cnn", planar(3), "kinematic")
    net.initialize(ctx=ctx)
    net.hybridize(static_alloc=True)
    for device in ctx:
        net(mx.nd.zeros((1, 1, 128, 128), ctx=device))
    return net


def train_step(group, net, trainer, loss, ctx, step):
    """Do a step with this worker's part of the batch; return the sum of its losses."""
    images, joints = make_batch(step)
    own = group.shard(np.arange(len(images)))
    trainer.set_learning_rate(RATES[step % len(RATES)])
    total, devices = 0.0, ctx[: len(own)]
    if len(own) < len(ctx):
        group.zero_gradients(net)
    if len(own):
        parts = [
            mx.gluon.utils.split_and_load(mx.nd.array(array[own]), devices, even_split=False)
            for array in (images, joints)
        ]
        with mx.autograd.record():
            losses = [loss(net(x), y) for x, y in zip(*parts)]
        mx.autograd.backward(losses)
        total = sum(float(one.sum().asscalar()) for one in losses)
    trainer.step(len(images))
    return total


def main():
    kvstore, out = sys.argv[1:3]
    options = {"optimizer": "sgd", "ctx": "cpu", "steps": "5", "fail": "", "pids": ""}
    options.update(word.split("=", 1) for word in sys.argv[3:])
    ctx = parse_contexts(options["ctx"])
    with open_group(kvstore) as group:
        print(f"worker {group.rank} of {group.size}")
        net = make_net(group.rank, ctx)
        more = {"momentum": 0.9} if options["optimizer"] == "sgd" else {}
        trainer = group.make_trainer(
            net.collect_params(), options["optimizer"], {"learning_rate": 1.0, "wd": 1e-4, **more}
        )
        group.synchronise(net)
        loss = JointLoss()
        losses = []
        for step in range(int(options["steps"])):
            if options["fail"] == str(group.rank) and step == 2:
                raise WantedError(f"worker {group.rank} was asked to fail")
            if options["pids"] and step == 2:
                Path(options["pids"], f"training-{group.rank}").write_text(str(os.getpid()))
            total = train_step(group, net, trainer, loss, ctx, step)
            losses.append(group.sum([total])[0] / len(make_batch(step)[0]))
        parameters = [p.data(ctx[0]).asnumpy() for _, p in sorted(
            net._collect_params_with_prefix().items())]  # fmt: skip
        flat = np.concatenate([array.ravel() for array in parameters])
        every = group.gather([flat.astype(np.float64).sum(), flat[0], group.rank])
        means = group.mean([group.rank, np.inf, 1 / 3])
        text = group.share(f"from {group.rank} ".encode() * 70000)
        group.barrier()
        if group.is_leader:
            trainer.save_states(f"{out}.states")  # alone, and nobody waits
            np.savez(
                f"{out}.npz", parameters=flat, losses=losses, every=every, means=means,
                text=np.frombuffer(text, np.uint8), size=group.size,
            )  # fmt: skip


if __name__ == "__main__":
    cli.run(main)
