"""Configurations: strict about keys and values, the same in a file."""

import dataclasses

import pytest

from gluon_dkpr.config import (
    Config,
    ConfigError,
    TrainConfig,
    from_dict,
    load_config,
    save_config,
    to_dict,
)
from gluon_dkpr.engine.schedule import decay, learning_rate
from gluon_dkpr.presets import PRESETS, get_preset, with_paper_schedule


def test_entries_by_their_full_names():
    config = get_preset("toy3")
    flags = {"train.epochs": 3, "train.seed": None, "model.scaled_outputs": False, "ctx": "cpu"}
    expected = config.replace(train={"epochs": 3}, model={"scaled_outputs": False})
    assert config.with_entries(flags) == expected
    assert config.with_entries({"out": "runs/a"}) == config
    with pytest.raises(ConfigError, match="train.epochs is 0"):
        config.with_entries({"train.epochs": 0})


@pytest.mark.parametrize("name", PRESETS)
def test_file_keeps_every_preset(name, tmp_path):
    config = get_preset(name)
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config


def test_configurations_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_preset("toy3").train.epochs = 3


@pytest.mark.parametrize(
    ("part", "key", "value", "message"),
    [
        ("train", "epoch", 3, "unknown key 'train.epoch'.*did you mean 'epochs'"),
        ("train", "epochs", 0, "train.epochs is 0, expected 1 or more"),
        ("train", "epochs", "many", "train.epochs is 'many', expected int"),
        ("train", "epochs", True, "train.epochs is True, expected int"),
        ("train", "learning_rate", float("nan"), "train.learning_rate is nan"),
        ("train", "optimizer", "lbfgs", "train.optimizer is 'lbfgs', expected adam or sgd"),
        ("train", "schedule", "linear", "train.schedule is 'linear'"),
        ("train", "decay_at", [0.8, 0.5], "train.decay_at"),
        ("train", "decay_at", 0.5, "train.decay_at is 0.5, expected a list"),
        ("train", "seed", -1, "train.seed is -1"),
        ("data", "test", 0, "data.test is 0, expected 1 or more"),
        ("model", "dropout", 1.0, "model.dropout is 1.0"),
        ("model", "length", -64.0, "model.length is -64.0, expected 0, or 1e-6 to 1e6"),
        ("model", "length", 1e-300, "model.length is 1e-300"),
        ("model", "scaled_outputs", 1, "model.scaled_outputs is 1, expected bool"),
    ],
)
def test_wrong_values_are_refused(part, key, value, message):
    tree = to_dict(Config())
    tree[part][key] = value
    with pytest.raises(ConfigError, match=message):
        from_dict(tree)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train.bone_weight", float("inf")),
        ("train.learning_rate", 1e31),
        ("train.learning_rate", 10**400),
        ("train.warmup", float("nan")),
        ("model.hidden_sigma", float("inf")),
    ],
)
def test_flags_and_files_refuse_the_same_numbers(name, value):
    part, key = name.split(".")
    tree = to_dict(Config())
    tree[part][key] = value
    for build in (lambda: from_dict(tree), lambda: Config().with_entries({name: value})):
        with pytest.raises(ConfigError, match=f"{name} is .*, expected a number up to 1e.30"):
            build()


@pytest.mark.parametrize("text", ["[1, 2", "- 1", "", "train: 3", "!!python/object:os.system {}"])
def test_other_files_are_refused_by_name(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml: "):
        load_config(path)


def test_missing_file_and_unknown_preset():
    with pytest.raises(ConfigError, match="nowhere.yaml: cannot be read"):
        load_config("nowhere.yaml")
    with pytest.raises(ConfigError, match="'toy4' is not known"):
        get_preset("toy4")


def test_paper_schedule_is_that_of_the_hand_network():
    config = with_paper_schedule(get_preset("toy10"))
    train = config.train
    assert (train.optimizer, train.learning_rate, train.momentum) == ("sgd", 0.003, 0.9)
    assert (train.batch_size, train.epochs, train.weight_decay) == (512, 50, 0.0)
    assert (config.model.dropout, config.model.hidden_sigma) == (0.3, 0.001)
    assert not config.model.scaled_outputs
    assert config.model.length == 64.0
    assert (train.joint_loss, train.bone_weight) == ("squares", 0.0)


@pytest.mark.parametrize(
    ("record", "expected"),
    [("", "toy6"), ("data/lamp", "lamp"), ("my own.set", "my-own.set"), ("\u00e9", "toy6")],
)
def test_runs_are_named_after_what_they_learn(record, expected):
    config = get_preset("toy6", "direct").replace(data={"record": record})
    assert (config.subject, config.name) == (expected, f"{expected}-direct")


def test_learning_rate_schedules():
    step = TrainConfig(schedule="step", learning_rate=0.003, decay_at=(50 / 70,), decay_factor=0.1)
    assert learning_rate(step, 49.99 / 70) == 0.003
    assert learning_rate(step, 50 / 70) == pytest.approx(0.0003)
    cosine = TrainConfig(schedule="cosine", learning_rate=1.0)
    assert [learning_rate(cosine, part) for part in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert learning_rate(TrainConfig(schedule="constant", learning_rate=2.0), 0.9) == 2.0
    # The guide's weight follows the decay, and a warm-up is none.
    warm = TrainConfig(schedule="cosine", learning_rate=2.0, epochs=10, warmup=5)
    assert learning_rate(warm, 0.0) == pytest.approx(0.2)
    assert [decay(warm, part) for part in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])


def test_loss_of_bones_is_kinematic_joint_s_alone():
    assert get_preset("toy10").train.bone_weight > 0
    assert get_preset("toy10", "kinematic") == get_preset("toy10")
    for method in ("direct", "parameter"):
        others = {"model": {"method": method}, "train": {"bone_weight": 0.0}}
        assert get_preset("toy10", method) == get_preset("toy10").replace(**others)
