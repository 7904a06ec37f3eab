"""Bounds of the parameters, where the joints ask for more than they allow."""

import dataclasses

import numpy as np

from gluon_dkpr.fit import fit_model
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import hand, human36m

HAND = hand()
BENT_BACK = [HAND.parameter_names.index(f"index_{name}_flexion") for name in ("mcp", "pip")]


def test_a_finger_bent_too_far_back_stops_at_its_bound():
    lower, upper = HAND.bounds()
    motion = np.zeros((1, HAND.num_parameters))
    motion[:, BENT_BACK] = -0.9
    joints = forward_kinematics(HAND, motion)
    result = fit_model(HAND, joints)
    assert (result.motion >= lower).all() and (result.motion <= upper).all()
    np.testing.assert_allclose(result.motion[0, BENT_BACK], lower[BENT_BACK], atol=1e-9)
    free = fit_model(HAND, joints, bounds=False)
    np.testing.assert_allclose(free.motion[0, BENT_BACK], -0.9, atol=1e-4)
    assert free.error[0] < 1e-3 < 1 < result.error[0]


def test_noise_does_not_push_angles_out():
    """The loss within bounds is no lower than without, and the angles are within."""
    lower, upper = HAND.bounds()
    random = np.random.RandomState(7)
    joints = forward_kinematics(HAND, np.zeros((50, HAND.num_parameters)))
    noisy = joints + random.normal(0, 8, joints.shape)
    result, free = fit_model(HAND, noisy), fit_model(HAND, noisy, bounds=False)
    assert (result.motion >= lower).all() and (result.motion <= upper).all()
    assert np.isclose(result.motion, lower).any(axis=1).mean() > 0.9
    squared = [((found.joints - noisy) ** 2).sum((1, 2)) for found in (free, result)]
    assert (squared[0] <= squared[1] * (1 + 1e-4)).all()


def test_a_parameter_can_be_held():
    """Equal bounds: the root stays at the origin, as in root-relative targets."""
    human = human36m()
    held = dataclasses.replace(
        human,
        parameters=tuple(
            dataclasses.replace(p, lower=0.0, upper=0.0) if p.name in human.position else p
            for p in human.parameters
        ),
    )
    random = np.random.RandomState(8)
    motion = np.clip(random.normal(0, 0.4, (20, 27)), *human.bounds())
    motion[:, :3] = 0.0
    joints = forward_kinematics(human, motion) + random.normal(0, 10, (20, 17, 3))
    result, free = fit_model(held, joints), fit_model(human, joints)
    assert (result.motion[:, :3] == 0).all()
    assert np.abs(free.motion[:, :3]).max() > 1
    assert result.converged.all() and result.error.mean() < 15
