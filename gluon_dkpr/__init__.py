"""Deep Kinematic Pose Regression on Apache MXNet.

A network predicts the motion parameters of an articulated object; a differentiable kinematic layer
turns them into joints, so that every prediction is a valid skeleton.

The rooms, in the order in which they may import each other: ``skeleton`` (what an object is),
``geometry`` (NumPy oracle), ``data`` and ``nn``, ``model_zoo``, ``engine``. ``skeleton``,
``geometry`` and ``metrics`` work without MXNet.
"""

__version__ = "0.1.0"
