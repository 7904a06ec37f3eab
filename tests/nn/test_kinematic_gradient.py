"""Gradients of the kinematic layer in float64, against differences and the oracle's Jacobian."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinematic_programs import DIMS, build, each_program, forced, tensor
from strategies import chain, pose_size, random_motion, random_skeleton

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import forward_kinematics, kinematic_jacobian
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.skeleton import human36m, planar

SEEDS = st.integers(0, 2**32 - 1)
# The same sums of products in two orders, some hundred terms of 1e-16.
JACOBIAN_TOLERANCE = 1e-12
# A central difference is off by STEP**2 of the third derivative and 1e-16 / STEP of rounding,
# both 1e-10; a parameter that turns a dozen joints twice has third derivatives of thousands.
STEP = 1e-5
DIFFERENCE_TOLERANCE = 1e-6


def gradient(layer, motion, weight, scale=None, dtype="float64"):
    """Return the gradients of ``sum(weight * joints)`` by motion and by scale."""
    inputs = [tensor(motion, dtype)]
    if scale is not None:
        inputs.append(tensor(scale[:, None], dtype))
    for data in inputs:
        data.attach_grad()
    with mx.autograd.record():
        value = (layer(*inputs) * tensor(weight, dtype)).sum()
    value.backward()
    return [data.grad.asnumpy() for data in inputs]


def expected_gradient(skeleton, motion, weight, scale=None):
    jacobian = kinematic_jacobian(skeleton, motion, scale)
    return np.einsum("bjdp,bjd->bp", jacobian, weight)


def weights(skeleton, batch, seed):
    shape = (batch, skeleton.num_joints, skeleton.dim)
    return np.random.RandomState(seed).uniform(-1, 1, shape)


def poses(skeleton, seed):
    """Two random poses, the zero pose, and every angle at pi and at -pi."""
    zero = np.zeros((1, skeleton.num_parameters))
    turned = zero + np.pi * skeleton.is_angle()
    return np.concatenate([random_motion(skeleton, 2, seed), zero, turned, -turned])


@each_program
@settings(max_examples=50)
@given(count=st.integers(2, 10), seed=SEEDS)
def test_equals_the_analytic_jacobian(program, count, seed):
    skeleton = random_skeleton(DIMS[program], count, seed)
    motion = poses(skeleton, seed)
    scale = np.linspace(0.5, 1.5, len(motion))
    weight = weights(skeleton, len(motion), seed)
    layer = build(skeleton, program, "float64")
    atol = JACOBIAN_TOLERANCE * pose_size(skeleton, motion, scale)
    (found,) = gradient(layer, motion, weight)
    expected = expected_gradient(skeleton, motion, weight)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)
    by_motion, by_scale = gradient(layer, motion, weight, scale)
    expected = expected_gradient(skeleton, motion, weight, scale)
    np.testing.assert_allclose(by_motion, expected, rtol=0, atol=atol)
    # Joints are linear in the scale.
    ones = np.ones(len(motion))
    by_one = forward_kinematics(skeleton, motion, ones) - forward_kinematics(
        skeleton, motion, 0 * ones
    )
    expected = (by_one * weight).sum(axis=(1, 2))[:, None]
    np.testing.assert_allclose(by_scale, expected, rtol=0, atol=atol)


@each_program
@settings(max_examples=15)
@given(count=st.integers(2, 8), seed=SEEDS)
def test_equals_central_differences(program, count, seed):
    skeleton = random_skeleton(DIMS[program], count, seed)
    motion = poses(skeleton, seed)
    weight = weights(skeleton, len(motion), seed)
    layer = build(skeleton, program, "float64")

    def loss(values):
        return (layer(tensor(values, "float64")).asnumpy() * weight).sum(axis=(1, 2))

    (found,) = gradient(layer, motion, weight)
    for column in range(skeleton.num_parameters):
        step = STEP * np.eye(skeleton.num_parameters)[column]
        difference = (loss(motion + step) - loss(motion - step)) / (2 * STEP)
        atol = DIFFERENCE_TOLERANCE * pose_size(skeleton, motion)
        np.testing.assert_allclose(found[:, column], difference, rtol=0, atol=atol)


@pytest.mark.parametrize("skeleton", [planar(10), human36m(), chain(64)], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", JACOBIAN_TOLERANCE)])
def test_skeletons_in_use(skeleton, dtype, tolerance, hybridize):
    motion = poses(skeleton, 0).astype(dtype).astype(float)
    weight = weights(skeleton, len(motion), 0).astype(dtype).astype(float)
    layer = KinematicLayer(skeleton)
    layer.cast(dtype)
    if hybridize:
        layer.hybridize(static_alloc=True)
    (found,) = gradient(layer, motion, weight, dtype=dtype)
    expected = expected_gradient(skeleton, motion, weight)
    # Relative to what the gradient could be at most: all joints below one turn, weight 1 each.
    size = pose_size(skeleton, motion) * np.sqrt(skeleton.num_joints)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


def test_shared_parameters_add_up():
    """One theta opens both arms of the planar object: the sum of two gradients of one arm."""
    skeleton = planar(3)
    motion = np.array([[1.0, 2.0, 0.4]])
    layer = build(skeleton, "planar", "float64")
    both = np.ones((1, 3, 2))
    left, right = both * [[[0], [1], [0]]], both * [[[0], [0], [1]]]
    total = gradient(layer, motion, left)[0] + gradient(layer, motion, right)[0]
    np.testing.assert_allclose(gradient(layer, motion, left + right)[0], total)
    cos, sin = 45 * np.cos(0.4), 45 * np.sin(0.4)
    # d(-45 sin + 45 cos) and d(45 sin + 45 cos)
    np.testing.assert_allclose(total, [[2, 2, (-cos - sin) + (cos - sin)]])


def test_hybridized_gradient_equals_imperative():
    skeleton = human36m()
    motion, weight = poses(skeleton, 1), weights(skeleton, 5, 1)
    scale = np.linspace(0.5, 1.5, 5)
    for program in ("dense", "scan"):
        with forced(program):
            layer = KinematicLayer(skeleton)
        layer.cast("float64")
        plain = gradient(layer, motion, weight, scale)
        for options in ({}, {"static_alloc": True}, {"static_alloc": True, "static_shape": True}):
            layer.hybridize(**options)
            for found, expected in zip(gradient(layer, motion, weight, scale), plain):
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-9)
