"""Named configurations; each cites the part of the paper that it follows."""

from __future__ import annotations

from typing import Dict, Optional

from gluon_dkpr.config import Config, ConfigError, DataConfig, ModelConfig, TrainConfig


def _toy(level: int, **train) -> Config:
    train = TrainConfig(joint_loss="distances", bone_weight=1.0, **train)
    return Config(preset=f"toy{level}", data=DataConfig(level=level), train=train)


# Section 4.1 and figure 5. Our own schedule, chosen by measurement: see docs/results.
PRESETS: Dict[str, Config] = {
    "toy3": _toy(3, epochs=8),
    "toy6": _toy(6, epochs=20),
    "toy8": _toy(8, epochs=20),
    "toy10": _toy(10, epochs=20),
    # Section 4.2, all of it.
    "human36m": Config(
        preset="human36m",
        data=DataConfig(record="data/human36m"),
        model=ModelConfig(backbone="resnet50_v1b", pretrained="imagenet"),
        train=TrainConfig(
            epochs=70,
            batch_size=52,
            optimizer="sgd",
            learning_rate=0.003,
            schedule="step",
            decay_at=(50 / 70,),
            weight_decay=0.0002,
            box_target=True,
        ),
    ),
    # The same comparison on rendered people, for two CPU cores: see docs/results.
    "human-small": Config(
        preset="human-small",
        data=DataConfig(source="people", size=64, clothes="suit", train=60000, test=2000),
        model=ModelConfig(backbone="resnet18_v1b"),
        train=TrainConfig(epochs=5, batch_size=32),
    ),
}


def get_preset(name: str, method: Optional[str] = None) -> Config:
    """Return a preset by name.

    Args:
        name: of the preset.
        method: instead of the kinematic one. The loss of bones is kinematic joint's alone: direct
            joint, what it is compared with, keeps that of joints, as in the paper.

    Raises:
        ConfigError: for an unknown name.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is not known, expected one of {list(PRESETS)}")
    config = PRESETS[name]
    if method in (None, config.model.method):
        return config
    return config.replace(model={"method": method}, train={"bone_weight": 0.0})


def with_paper_schedule(config: Config, epochs: Optional[int] = None) -> Config:
    """Return a toy configuration with the hyper-parameters of [40], which section 4.1 takes over.

    Eq. 3, SGD with rate 0.003 and momentum 0.9, batch 512, dropout 0.3, Gaussian weights, raw
    outputs, 50 epochs. As in [40], half the image is 1: the unit decides how fast a fixed rate
    learns angles, whose gradients grow with the square of the bones.

    Raises:
        ConfigError: for another preset than the toy's.
    """
    if not config.preset.startswith("toy"):
        raise ConfigError(f"--paper is for the toy presets; preset is {config.preset!r}")
    return config.replace(
        model={
            "scaled_outputs": False,
            "dropout": 0.3,
            "hidden_sigma": 0.001,
            "length": 64.0,  # of 128 px
        },
        train={
            "joint_loss": "squares",
            "bone_weight": 0.0,
            "optimizer": "sgd",
            "learning_rate": 0.003,
            "momentum": 0.9,
            "schedule": "constant",
            "batch_size": 512,
            "epochs": epochs or 50,
        },
    )
