"""Heads and losses against NumPy."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    forward_kinematics,
    kinematic_jacobian,
    orientation_parameters,
    pose_statistics,
    sample_within_bounds,
)
from gluon_dkpr.nn import (
    DistanceLoss,
    JointLoss,
    MethodError,
    ParameterBoundLoss,
    ParameterLoss,
    make_head,
)
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, human36m, planar

# Rounding of float32 in a few dozen operations, relative to values of about 1.
FLOAT32 = 1e-5


def network_skeleton(level=6):
    return planar(level).scaled(1 / 128)


def run_head(method, z, hybridize, statistics=None, skeleton=None, **options):
    head = make_head(method, skeleton or network_skeleton(), statistics, **options)
    head.initialize()
    if hybridize:
        head.hybridize()
    return head, head(mx.nd.array(z)).asnumpy()


def doubled():
    """Return an object two of whose angles do the same: joints do not tell which did it."""
    twice = (Rotation("z", "a"), Rotation("z", "b"))
    parameters = [Parameter(name, "radian", -1.0, 1.0) for name in "ab"]
    joints = (Joint("root", rotations=twice), Joint("end", "root", (0.5, 0.0)))
    return Skeleton("doubled", 2, tuple(parameters), joints)


def test_kinematic_head_is_the_oracle_on_scaled_outputs(seed, hybridize):
    skeleton = doubled()
    statistics = pose_statistics(skeleton, sample_within_bounds(skeleton, 100))
    z = np.random.randn(5, skeleton.num_parameters)
    _, joints = run_head("kinematic", z, hybridize, statistics, skeleton)
    motion = statistics.motion_mean + z @ statistics.motion_map
    np.testing.assert_allclose(joints, forward_kinematics(skeleton, motion), atol=FLOAT32)


def test_raw_outputs_are_the_motion(seed, hybridize):
    z = np.random.randn(5, 6)
    np.testing.assert_allclose(run_head("parameter", z, hybridize)[1], z, atol=FLOAT32)
    expected = forward_kinematics(network_skeleton(), z)
    found = run_head("kinematic", z, hybridize, raw_outputs=True)[1]
    np.testing.assert_allclose(found, expected, atol=FLOAT32)


def test_direct_head_restores_mean_and_deviation(seed, hybridize):
    skeleton = network_skeleton()
    statistics = pose_statistics(skeleton, sample_within_bounds(skeleton, 100))
    z = np.random.randn(5, skeleton.num_joints * 2)
    _, joints = run_head("direct", z, hybridize, statistics)
    scaled = statistics.joints_mean + statistics.joints_std * z.reshape(5, -1, 2)
    np.testing.assert_allclose(joints, scaled, atol=FLOAT32)


@pytest.mark.parametrize("method", ["kinematic", "direct", "parameter"])
def test_heads_have_nothing_to_train(method):
    head, _ = run_head(method, np.zeros((1, 6 if method == "parameter" else 10)), False)
    assert head.collect_params()
    assert all(p.grad_req == "null" for p in head.collect_params().values())


def test_unknown_method_is_refused():
    with pytest.raises(MethodError, match="'angles' is not known, expected one of"):
        make_head("angles", network_skeleton())


@pytest.mark.parametrize("skeleton", [network_skeleton(10), human36m().scaled(1e-3)])
def test_preconditioner_evens_out_the_jacobian(skeleton):
    motion = sample_within_bounds(skeleton, 500)
    gram = np.zeros((skeleton.num_parameters,) * 2)
    for jacobian in kinematic_jacobian(skeleton, motion):
        flat = jacobian.reshape(-1, skeleton.num_parameters)
        gram += flat.T @ flat / len(motion)
    turning = orientation_parameters(skeleton)
    matrix = pose_statistics(skeleton, motion).motion_map
    assert not matrix[turning].any() and not matrix[:, turning].any()
    gram, matrix = gram[~turning][:, ~turning], matrix[~turning][:, ~turning]
    before = np.linalg.cond(gram)
    assert before > 100
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-9)
    assert np.linalg.cond(matrix @ gram @ matrix) < before / 50


def test_losses_are_sums_over_coordinates(seed, hybridize):
    joints, target = np.random.randn(2, 4, 3, 2)
    motion, motion_target = np.random.randn(2, 4, 6)
    for loss, a, b in (
        (JointLoss(), joints, target),
        (ParameterLoss(), motion, motion_target),
    ):
        if hybridize:
            loss.hybridize()
        value = loss(mx.nd.array(a), mx.nd.array(b)).asnumpy()
        expected = 0.5 * np.square(a - b).reshape(4, -1).sum(axis=1)
        np.testing.assert_allclose(value, expected, rtol=FLOAT32)


def test_distance_loss_is_the_joint_error(seed, hybridize):
    joints, target = np.random.randn(2, 4, 3, 2)
    joints[1, 2] = target[1, 2]
    loss = DistanceLoss()
    if hybridize:
        loss.hybridize()
    found = mx.nd.array(joints)
    found.attach_grad()
    with mx.autograd.record():
        value = loss(found, mx.nd.array(target))
    value.backward()
    expected = np.linalg.norm(joints - target, axis=2).sum(axis=1)
    np.testing.assert_allclose(value.asnumpy(), expected, atol=2e-3)
    # Unit vectors, and nothing where there is no direction.
    lengths = np.linalg.norm(found.grad.asnumpy(), axis=2)
    assert lengths[1, 2] == 0
    lengths[1, 2] = 1
    np.testing.assert_allclose(lengths, 1, atol=1e-4)


def test_bound_loss_counts_violations_only(hybridize):
    parameters = [Parameter("a", "radian", -1.0, 2.0), Parameter("b", "radian", None, 0.5)]
    base = planar(3)
    skeleton = Skeleton("bounded", 2, (*parameters, *base.parameters), base.joints)
    loss = ParameterBoundLoss(skeleton)
    loss.initialize()
    if hybridize:
        loss.hybridize()
    inside = [64.0, 64.0, 0.5]
    motion = mx.nd.array([[0, 0, *inside], [-3, -9, *inside], [2.5, 1.5, *inside]])
    motion.attach_grad()
    with mx.autograd.record():
        value = loss(motion)
    value.backward()
    np.testing.assert_allclose(value.asnumpy(), [0.0, 4.0, 0.25 + 1.0], rtol=FLOAT32)
    expected = np.array([[0, 0], [-4, 0], [1, 2]])
    np.testing.assert_allclose(motion.grad.asnumpy()[:, :2], expected, rtol=FLOAT32)
