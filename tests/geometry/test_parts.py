"""Rigid parts of a skeleton: joints are linear in their axes."""

import numpy as np
import pytest

from gluon_dkpr.geometry import (
    forward_kinematics,
    part_axes,
    part_levers,
    pose_statistics,
    sample_within_bounds,
    skeleton_parts,
)
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, hand, human36m, planar


@pytest.mark.parametrize("skeleton", [human36m(), hand()], ids=["human36m", "hand"])
def test_joints_are_levers_times_axes(skeleton):
    motion = sample_within_bounds(skeleton, 20)
    parts = skeleton_parts(skeleton)
    axes, levers = part_axes(skeleton, parts, motion), part_levers(skeleton, parts)
    joints = forward_kinematics(skeleton, motion)
    found = np.einsum("jpk,npkx->njx", levers, axes)
    np.testing.assert_allclose(found, joints - joints[:, :1], atol=1e-9)
    assert levers.shape == (skeleton.num_joints, len(parts), 3)


@pytest.mark.parametrize("skeleton", [human36m(), hand()], ids=["human36m", "hand"])
def test_parts_are_the_joints_that_turn_parents_first(skeleton):
    parts = skeleton_parts(skeleton)
    turning = {j.name for j in skeleton.joints if any(r.parameter for r in j.rotations)}
    assert {skeleton.joints[part.joint].name for part in parts} == turning
    assert parts[0].parent is None
    assert all(part.parent < i for i, part in enumerate(parts) if i)
    axes = part_axes(skeleton, parts, sample_within_bounds(skeleton, 5))
    product = np.einsum("npkx,npmx->npkm", axes, axes)
    np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-9)


def test_nothing_moves_and_statistics_are_finite():
    turn = Rotation("z", "a")
    skeleton = Skeleton(
        "still", 2, (Parameter("a", "radian", -1.0, 1.0),), (Joint("r", None, (), (turn,)),)
    )
    found = pose_statistics(skeleton, sample_within_bounds(skeleton, 10))
    assert np.isfinite(found.motion_map).all()


def test_statistics_tell_of_the_axes():
    skeleton = human36m()
    motion = sample_within_bounds(skeleton, 200)
    found = pose_statistics(skeleton, motion)
    axes = part_axes(skeleton, skeleton_parts(skeleton), motion)
    np.testing.assert_allclose(found.axes_mean, axes.mean(0), atol=1e-9)
    np.testing.assert_allclose(found.axes_std, axes.std(0), atol=1e-9)
    # The root is measured against the world, so there the cosines are the axes themselves.
    np.testing.assert_allclose(found.axes_cosine[0], axes[:, 0].mean(0).T, atol=1e-9)
    assert pose_statistics(planar(3), sample_within_bounds(planar(3), 5)).axes_mean is None
