"""Configurations of a training run: frozen, named, and the same in a YAML file."""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Mapping, Tuple, Union

import yaml

from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write, read_bounded_text
from gluon_dkpr.skeleton.io import BAD_YAML, PlainLoader

MAX_BYTES = 1 << 20
# Beyond is no rate, weight or time. Also false for NaN.
MAX_NUMBER = 1e30
_KNOWN = f"a number up to {MAX_NUMBER:g}"
# What names of exports do without.
_OTHER = re.compile("[^A-Za-z0-9._+-]+")


class ConfigError(DkprError, ValueError):
    """A configuration has an unknown key or a value out of range."""


def _require_known(part, name: str) -> None:
    """Raise ConfigError for a number that a file, which is read again, must not have either."""
    for entry in dataclasses.fields(part):
        value = getattr(part, entry.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, (int, float)):
                _require(abs(number) <= MAX_NUMBER, f"{name}.{entry.name}", number, _KNOWN)


def _require(condition: bool, what: str, found, expected: str) -> None:
    if not condition:
        raise ConfigError(f"{what} is {found!r:.80}, expected {expected}")


@dataclass(frozen=True)
class DataConfig:
    """Which data set, and how to make it if it is one that can be made.

    Attributes:
        record: NAME of the data set; empty for the one of ``source``, made when it is missing.
        source: ``toy``, the planar object of ``level``, or ``people``, rendered ones.
        level: number of motion parameters of the toy object.
        size: height and width of images of people, px.
        clothes: of people, ``varied`` or ``suit``.
        train, test: number of images.
        seed: of the images.
    """

    record: str = ""
    source: str = "toy"
    level: int = 3
    size: int = 224
    clothes: str = "varied"
    train: int = 16000
    test: int = 1000
    seed: int = 0

    def __post_init__(self):
        _require_known(self, "data")
        _require(self.source in ("toy", "people"), "data.source", self.source, "toy or people")
        _require(self.clothes in ("varied", "suit"), "data.clothes", self.clothes, "varied or suit")
        _require(self.size >= 32, "data.size", self.size, "32 or more")
        _require(self.train >= 2, "data.train", self.train, "2 or more")
        _require(self.test >= 1, "data.test", self.test, "1 or more")
        _require(self.seed >= 0, "data.seed", self.seed, "0 or more")


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
        backbone: a name of :func:`gluon_dkpr.model_zoo.list_models`.
        method: ``kinematic``, ``direct`` or ``parameter``.
        scaled_outputs: bring the last layer's outputs to scale by the statistics of the training
            poses (for ``kinematic`` the preconditioner); without it they are the raw outputs.
        pretrained: weights that a residual network starts from: ``imagenet``, a file, or ``none``.
        dropout: after the dense layers of ``toy_cnn``.
        hidden_sigma: Gaussian weights of its second dense layer; 0 for Xavier's.
        length: length in the skeleton's unit that is 1 inside the network, which scales loss and
            gradients; 0 for what :func:`gluon_dkpr.model_zoo.get_model` takes.
    """

    backbone: str = "toy_cnn"
    method: str = "kinematic"
    scaled_outputs: bool = True
    pretrained: str = "none"
    dropout: float = 0.0
    hidden_sigma: float = 0.0
    length: float = 0.0

    def __post_init__(self):
        _require_known(self, "model")
        _require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 to below 1")
        _require(self.hidden_sigma >= 0, "model.hidden_sigma", self.hidden_sigma, "0 or more")
        known = self.length == 0 or 1e-6 <= self.length <= 1e6
        _require(known, "model.length", self.length, "0, or 1e-6 to 1e6")


@dataclass(frozen=True)
class TrainConfig:
    """The schedule.

    Attributes:
        epochs: how many.
        batch_size: in total over all devices.
        optimizer: ``adam`` or ``sgd`` (with momentum).
        learning_rate: at the start.
        schedule: ``constant``, ``cosine`` (to zero) or ``step``.
        decay_at: for ``step``, the parts of the run after which the rate is multiplied by
            ``decay_factor``.
        momentum, weight_decay: of the optimiser (momentum: of ``sgd``).
        joint_loss: ``squares``, Eq. 3 of the paper, or ``distances``, the mean of which is the
            joint error itself: it asks less of poses that cannot be known.
        bone_weight: of the same loss of the bones, as vectors, beside that of the joints, for
            better angles (``gluon_dkpr.nn.BoneLoss``). Not for direct parameter.
        box_target: people's joints count relative to the box, as in the paper: those of a person
            in a box of twice the size in mm count half. Without it they count in mm.
        guide_weight: of the joints that the kinematic head starts from, where it computes the
            motion from joints (``gluon_dkpr.nn.inverse``, ``planar_inverse``), in the mean of
            their loss and that of the kinematic layer's joints, whose weight is 1. It falls with
            the learning rate: at the start the guide leads, at the end the loss is that of the
            layer's joints alone.
        bound_weight: of the squared violations of the parameters' bounds in the loss ([40]: 1).
        seed: of weights, order of samples and dropout.
        log_interval: steps between two looks at loss and joint error.
        warmup: epochs in which the rate rises to ``learning_rate`` from a tenth.
        max_skipped: so many steps in a row whose gradient is not finite end the run.
        checkpoint_minutes: between two checkpoints within an epoch; each epoch ends with one.
        keep: how many of the newest checkpoints stay.
        amp: compute the backbone in float16, on GPUs.
    """

    epochs: int = 10
    batch_size: int = 64
    optimizer: str = "adam"
    learning_rate: float = 5e-4
    schedule: str = "cosine"
    decay_at: Tuple[float, ...] = ()
    decay_factor: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    joint_loss: str = "squares"
    bone_weight: float = 0.0
    box_target: bool = False
    guide_weight: float = 3.0
    bound_weight: float = 0.0
    seed: int = 0
    log_interval: int = 25
    warmup: float = 0.0
    max_skipped: int = 10
    checkpoint_minutes: float = 5.0
    keep: int = 2
    amp: bool = False

    def __post_init__(self):
        _require_known(self, "train")
        for name in ("epochs", "batch_size", "log_interval", "max_skipped", "keep"):
            _require(getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "1 or more")
        _require(
            self.optimizer in ("adam", "sgd"), "train.optimizer", self.optimizer, "adam or sgd"
        )
        schedules = ("constant", "cosine", "step")
        _require(self.schedule in schedules, "train.schedule", self.schedule, f"one of {schedules}")
        losses = ("squares", "distances")
        _require(self.joint_loss in losses, "train.joint_loss", self.joint_loss, f"one of {losses}")
        _require(self.learning_rate > 0, "train.learning_rate", self.learning_rate, "above 0")
        _require(0 <= self.momentum < 1, "train.momentum", self.momentum, "0 to below 1")
        _require(self.weight_decay >= 0, "train.weight_decay", self.weight_decay, "0 or more")
        for name in ("warmup", "checkpoint_minutes"):
            _require(getattr(self, name) >= 0, f"train.{name}", getattr(self, name), "0 or more")
        _require(self.guide_weight >= 0, "train.guide_weight", self.guide_weight, "0 or more")
        _require(self.bone_weight >= 0, "train.bone_weight", self.bone_weight, "0 or more")
        _require(self.bound_weight >= 0, "train.bound_weight", self.bound_weight, "0 or more")
        _require(self.decay_factor > 0, "train.decay_factor", self.decay_factor, "above 0")
        rising = list(self.decay_at) == sorted(set(self.decay_at))
        within = all(0 < part < 1 for part in self.decay_at)
        _require(rising and within, "train.decay_at", self.decay_at, "rising parts between 0 and 1")
        _require(0 <= self.seed < 1 << 31, "train.seed", self.seed, "0 to 2**31 - 1")


@dataclass(frozen=True)
class Config:
    """All of a run.

    Attributes:
        preset: name of the preset it came from.
        data, model, train: its parts.
    """

    preset: str = "toy3"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def subject(self) -> str:
        """What it learns: the preset's name, or that of a data set named instead."""
        return _OTHER.sub("-", Path(self.data.record).name).strip("-") or self.preset

    @property
    def name(self) -> str:
        """What its run folder and exports are called: subject and method."""
        return f"{self.subject}-{self.model.method}"

    def replace(self, **changes) -> Config:
        """Return a configuration with other values, named by part: ``train={"epochs": 3}``."""
        parts = {
            name: dataclasses.replace(getattr(self, name), **values)
            for name, values in changes.items()
        }
        return dataclasses.replace(self, **parts)

    def with_entries(self, values: Mapping[str, object]) -> Config:
        """Return a configuration with other values, by full names: ``{"train.epochs": 3}``.

        Names without a point, and values that are ``None``, change nothing.
        """
        changes: Dict[str, dict] = {}
        for name, value in values.items():
            part, _, entry = name.partition(".")
            if entry and value is not None:
                changes.setdefault(part, {})[entry] = value
        return self.replace(**changes)


def to_dict(config: Config) -> dict:
    """Return the configuration as plain dictionaries and lists."""
    tree = dataclasses.asdict(config)
    tree["train"]["decay_at"] = list(config.train.decay_at)
    return tree


def from_dict(tree: dict) -> Config:
    """Build a configuration; the inverse of :func:`to_dict`.

    Raises:
        ConfigError: for an unknown key, a value of another type, or one out of range.
    """
    return _build(Config, tree, "")


def save_config(config: Config, path: Union[str, os.PathLike]) -> None:
    """Write a configuration as YAML."""
    with atomic_write(path) as file:
        yaml.safe_dump(to_dict(config), file, sort_keys=False)


def load_config(path: Union[str, os.PathLike]) -> Config:
    """Read a configuration.

    Raises:
        ConfigError: if the file cannot be read or is no configuration; names the file.
    """
    path = Path(path)
    text = read_bounded_text(path, MAX_BYTES, ConfigError)
    try:
        return from_dict(yaml.load(text, Loader=PlainLoader))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    except BAD_YAML as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None


def _build(kind, tree, where: str):
    """Build a dataclass from a mapping, checking every key and type."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{where or 'configuration'} is {tree!r:.60}, expected a mapping")
    types = typing.get_type_hints(kind)
    values = {}
    for key, value in tree.items():
        name = f"{where}.{key}" if where else str(key)
        if key not in types:
            close = difflib.get_close_matches(str(key), types, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"unknown key {name!r:.60}, expected one of {list(types)}{hint}")
        expected = types[key]
        if dataclasses.is_dataclass(expected):
            values[key] = _build(expected, value, name)
        elif expected == Tuple[float, ...]:
            if not isinstance(value, (list, tuple)):
                raise ConfigError(f"{name} is {value!r:.60}, expected a list of numbers")
            values[key] = tuple(_typed(part, float, name) for part in value)
        else:
            values[key] = _typed(value, expected, name)
    return kind(**values)


def _typed(value, expected: type, name: str):
    """Return ``value`` if it has the type; a whole number stands for a float, true for nothing."""
    accepted = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(f"{name} is {value!r:.60}, expected {expected.__name__}")
    if expected is float:  # before it becomes one, which not every whole number can
        _require(abs(value) <= MAX_NUMBER, name, value, _KNOWN)
    return expected(value)
