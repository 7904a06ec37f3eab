"""The network of [40] (Zhou et al., Model-based Deep Hand Pose Estimation, 2016) up to its end."""

from __future__ import annotations

from gluon_dkpr.backend import mx

nn = mx.gluon.nn


def toy_cnn(dropout: float = 0.0, hidden_sigma: float = 0.0, **kwargs) -> nn.HybridSequential:
    """Return the features of [40]: (B, 1, 128, 128) to (B, 1024).

    Three convolutions without padding and two dense layers. A rectifier and a maximum commute, so
    the rectifier comes after the pooling: the same function on a sixteenth of the numbers.

    Args:
        dropout: after each dense layer; [40] has 0.3.
        hidden_sigma: standard deviation of the second dense layer's Gaussian weights; 0 for
            Xavier's. [40] has 0.001.
    """
    features = nn.HybridSequential(**kwargs)
    xavier = mx.init.Xavier()
    hidden = mx.init.Normal(hidden_sigma) if hidden_sigma else xavier
    with features.name_scope():
        features.add(
            nn.Conv2D(8, 5, weight_initializer=xavier),
            nn.MaxPool2D(4, 4, ceil_mode=True),
            nn.Activation("relu"),
            nn.Conv2D(8, 5, weight_initializer=xavier),
            nn.MaxPool2D(2, 2, ceil_mode=True),
            nn.Activation("relu"),
            nn.Conv2D(8, 3, activation="relu", weight_initializer=xavier),
            nn.Dense(1024, activation="relu", weight_initializer=xavier),
            nn.Dropout(dropout),
            nn.Dense(1024, activation="relu", weight_initializer=hidden),
            nn.Dropout(dropout),
        )
    return features
