"""What anybody would write for training: GluonCV's network, an L2 loss, one batch in memory."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np

from gluon_dkpr.backend import import_gluoncv, mx
from gluon_dkpr.config import Config
from gluon_dkpr.data import RecordDataset
from gluon_dkpr.types import Tensor


class BareStep:
    """A training step that is a function of no arguments.

    Hybridization, optimiser, batch and images are ours; it has no head, no metric, no scale of the
    subjects, looks at no gradient and reads nothing.

    Args:
        config: of our training.
        dataset: whose sizes of images and joints it takes.
        ctx: devices.
    """

    def __init__(self, config: Config, dataset: RecordDataset, ctx: List):
        outputs = dataset.skeleton.num_joints * dataset.skeleton.dim
        self._net = import_gluoncv().model_zoo.get_model(
            config.model.backbone, pretrained=False, classes=outputs
        )
        self._net.initialize(mx.init.Xavier(), ctx=ctx)
        self._net.hybridize(static_alloc=True)
        self._loss = mx.gluon.loss.L2Loss()
        self._loss.hybridize(static_alloc=True)
        train = config.train
        options = {"learning_rate": train.learning_rate, "wd": train.weight_decay}
        options["momentum"] = train.momentum
        self._trainer = mx.gluon.Trainer(self._net.collect_params(), train.optimizer, options)
        self._batch = train.batch_size
        height, width, channels = dataset.image_shape
        random = np.random.RandomState(train.seed)
        shapes = (self._batch, channels, height, width), (self._batch, outputs)
        self._data, self._target = (
            mx.gluon.utils.split_and_load(mx.nd.array(random.rand(*shape)), ctx, even_split=False)
            for shape in shapes
        )

    def __call__(self) -> List[Tensor]:
        """Make a step; return the losses, (B,) over all devices."""
        with mx.autograd.record():
            losses = [self._loss(self._net(x), y) for x, y in zip(self._data, self._target)]
        mx.autograd.backward(losses)
        self._trainer.step(self._batch)
        return losses

    def save(self, path: Path) -> None:
        """Write the batch and the weights as they are now; for one device.

        ``path`` becomes an NPZ of ``data``, ``target`` and ``weight0``, ``weight1``, ... in the
        order of the network's layers.
        """
        with mx.autograd.predict_mode():
            self._net(self._data[0])  # shapes are known after a forward pass
        arrays = {"data": self._data[0].asnumpy(), "target": self._target[0].asnumpy()}
        for i, parameter in enumerate(self._net.collect_params().values()):
            arrays[f"weight{i}"] = parameter.data(self._data[0].context).asnumpy()
        np.savez(path, **arrays)
