"""The hand of [40] (Zhou et al., Model-based Deep Hand Pose Estimation, IJCAI 2016)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from gluon_dkpr.skeleton.checks import SkeletonError, shown
from gluon_dkpr.skeleton.io import load_skeleton
from gluon_dkpr.skeleton.parts import Joint, Rotation
from gluon_dkpr.skeleton.skeleton import Skeleton


def hand(side: str = "right") -> Skeleton:
    """Return a hand with 21 joints and 26 motion parameters, in mm and the camera frame.

    The definition, the sources of its bounds and lengths, and what of it is inferred, stand in
    ``hand.yaml`` beside this file.

    Args:
        side: ``"right"``, or ``"left"`` for its mirror image, called ``hand_left``. Joints,
            parameters and bounds are the same, and so is what every parameter means.

    Raises:
        SkeletonError: for another side.
    """
    if side not in ("right", "left"):
        raise SkeletonError(f"hand: side is {shown(side)}, expected 'right' or 'left'")
    right = load_skeleton(Path(__file__).with_name("hand.yaml"))
    if side == "right":
        return right
    # The wrist stays as it is: position and orientation are the world's, not the hand's.
    joints = tuple(_mirrored(joint) if joint.parent else joint for joint in right.joints)
    return dataclasses.replace(right, name="hand_left", joints=joints)


def _mirrored(joint: Joint) -> Joint:
    """Return the joint's mirror image at the plane x = 0."""
    x, y, z = joint.offset
    rotations = tuple(_mirrored_rotation(rotation) for rotation in joint.rotations)
    return dataclasses.replace(joint, offset=(-x, y, z), rotations=rotations)


def _mirrored_rotation(rotation: Rotation) -> Rotation:
    """Return the mirror image: a turn about x stays, one about y or z goes the other way round."""
    if rotation.axis == (1.0, 0.0, 0.0):
        return rotation
    return dataclasses.replace(rotation, coefficient=-rotation.coefficient, rest=-rotation.rest)
