"""ResNet-50's training step in torch. Runs in the peer's own environment, as a program.

The network of He et al. 2016 with the stride in the 3 x 3 convolutions, as GluonCV's
``resnet50_v1b`` and torchvision's ``resnet50`` have it. ``build`` comes first for every name;
:mod:`peer_answers` says how it is asked.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from peer_answers import serve
from torch import nn

#: Width of the narrow convolutions and number of blocks of each stage.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
LAYOUTS = {"default": torch.contiguous_format, "channels_last": torch.channels_last}


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution whose padding keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3, 1 x 1 convolutions beside a shortcut.

    The parameters are registered in GluonCV's order, by which weights are taken over.
    """

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = 4 * width
        self.main = nn.Sequential(
            convolution(inputs, width, 1),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            convolution(width, width, 3, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            convolution(width, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, images):
        """Map (B, C, H, W) to (B, 4 * width, H / stride, W / stride)."""
        return self.activation(self.main(images) + self.shortcut(images))


def resnet50(outputs: int) -> nn.Sequential:
    """Return the network, (B, 3, H, W) to (B, outputs)."""
    layers = [convolution(3, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    layers.append(nn.MaxPool2d(3, 2, padding=1))
    channels = 64
    for stage, (width, blocks) in enumerate(STAGES):
        for block in range(blocks):
            layers.append(Bottleneck(channels, width, 2 if stage and not block else 1))
            channels = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, outputs)]
    return nn.Sequential(*layers)


def take_over(net: nn.Module, arrays: list) -> None:
    """Fill a network with arrays in the order of its parameters and running statistics."""
    state = [v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")]
    if [tuple(v.shape) for v in state] != [array.shape for array in arrays]:
        raise ValueError("the two networks have different parameters")
    with torch.no_grad():
        for own, array in zip(state, arrays):
            own.copy_(torch.from_numpy(array))


class Peer:
    """The steps that were built, by name."""

    def __init__(self):
        self._steps = {}

    def versions(self) -> dict:
        """Return what the numbers depend on."""
        return {
            "torch": torch.__version__,
            "python": sys.version.split()[0],
            "threads": torch.get_num_threads(),
        }

    def build(self, name: str, file: str, layout: str, rate: float, momentum: float, decay: float):
        """Build a step on the batch of a file.

        Args:
            name: by which it is asked for.
            file: NPZ with ``data`` (B, 3, H, W), ``target`` (B, outputs), and the weights in order
                as ``weight0``, ``weight1``, ...
            layout: how torch lays out images and weights, a key of ``LAYOUTS``.
            rate: learning rate.
            momentum: of SGD.
            decay: of all weights.
        """
        with np.load(file) as arrays:
            data, target = torch.from_numpy(arrays["data"]), torch.from_numpy(arrays["target"])
            weights = [arrays[f"weight{i}"] for i in range(len(arrays.files) - 2)]
        net = resnet50(target.shape[1])
        take_over(net, weights)
        net = net.to(memory_format=LAYOUTS[layout]).train()
        data = data.contiguous(memory_format=LAYOUTS[layout])
        options = {"momentum": momentum, "weight_decay": decay, "fused": True}
        optimizer = torch.optim.SGD(net.parameters(), rate, **options)

        def step():
            optimizer.zero_grad()
            # Gluon's L2Loss is half the mean.
            loss = 0.5 * nn.functional.mse_loss(net(data), target)
            loss.backward()
            optimizer.step()
            return loss

        self._steps[name] = step

    def losses(self, name: str, steps: int) -> list:
        """Return the loss of each of the next steps."""
        return [self._steps[name]().item() for _ in range(steps)]

    def time(self, name: str, steps: int) -> float:
        """Return the seconds of a step, the mean of ``steps``."""
        begin = time.perf_counter()
        for _ in range(steps):
            self._steps[name]()
        return (time.perf_counter() - begin) / steps


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve(Peer())
