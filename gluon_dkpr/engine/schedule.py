"""The learning rate as a function of the part of the run that is done."""

from __future__ import annotations

import math

from gluon_dkpr.config import TrainConfig

# Of the rate, where a warm-up begins.
WARMUP_FROM = 0.1


def learning_rate(train: TrainConfig, part: float) -> float:
    """Return the rate at ``part`` (0 to 1) of the run.

    ``step``: multiplied by ``decay_factor`` after each of ``decay_at`` (the paper: once).
    ``cosine``: half a cosine from the rate to zero.
    ``warmup`` epochs at the start multiply it by a factor that rises evenly from a tenth to 1.
    """
    return train.learning_rate * _warmup_factor(train, part) * decay(train, part)


def decay(train: TrainConfig, part: float) -> float:
    """Return the factor of the rate without warm-up, 1 at the start."""
    if train.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * part))
    if train.schedule == "step":
        return train.decay_factor ** sum(part >= at for at in train.decay_at)
    return 1.0


def _warmup_factor(train: TrainConfig, part: float) -> float:
    if part * train.epochs >= train.warmup:
        return 1.0
    return WARMUP_FROM + (1.0 - WARMUP_FROM) * part * train.epochs / train.warmup
