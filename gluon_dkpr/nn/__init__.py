"""HybridBlocks: the kinematic layer, the heads and the losses."""

from gluon_dkpr.nn.kinematic import KinematicLayer

__all__ = ["KinematicLayer"]
