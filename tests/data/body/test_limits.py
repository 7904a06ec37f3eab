"""What a body can do."""

import numpy as np
import pytest
from body_poses import NAMES, motion_of

from gluon_dkpr.data.body.limits import canonical, is_possible, segment_distance
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

BODY = human36m()


def test_canonical_angles_give_the_same_joints():
    motion = np.random.default_rng(0).uniform(-7, 7, (200, 27))
    found = canonical(motion)
    np.testing.assert_allclose(
        forward_kinematics(BODY, found), forward_kinematics(BODY, motion), atol=1e-6
    )
    abductions = [i for i, name in enumerate(NAMES) if name.endswith("abduction")]
    assert np.abs(found[:, abductions]).max() <= np.pi / 2 + 1e-9
    assert np.abs(found[:, 3:]).max() <= np.pi + 1e-9


def test_segment_distance_is_the_least_over_both():
    random = np.random.default_rng(0)
    share = np.linspace(0, 1, 101)[:, None]
    for _ in range(100):
        a, b, c, d = random.uniform(-1, 1, (4, 3))
        points = (a + share * (b - a))[:, None] - (c + share * (d - c))[None]
        sampled = np.linalg.norm(points, axis=-1).min()
        assert segment_distance(a, b, c, d) == pytest.approx(sampled, abs=2e-2)
        assert segment_distance(a, b, c, d) <= sampled + 1e-9


def test_parallel_segments():
    a, b = np.zeros(3), np.array([1.0, 0, 0])
    assert segment_distance(a, b, a + [0, 2, 0], b + [0, 2, 0]) == pytest.approx(2)


@pytest.mark.parametrize(
    "angles",
    [
        {},
        {"left_knee_flexion": 2.0, "left_hip_flexion": 1.5},
        {"left_shoulder_flexion": 3.0, "right_shoulder_abduction": 1.5},
        {"root_pitch": 3.0, "root_yaw": 9.0},
    ],
)
def test_possible(angles):
    apart = {"left_shoulder_abduction": 0.3, "right_shoulder_abduction": 0.3}
    assert is_possible(motion_of(**{**apart, **angles}), BODY)


@pytest.mark.parametrize(
    "angles",
    [
        {"left_knee_flexion": -0.3},
        {"right_elbow_flexion": 2.8},
        {"head_yaw": 2.0},
        {"left_hip_flexion": -1.0},
        {"spine_roll": 0.8},
        # The left forearm through the trunk, the legs through each other.
        {"left_elbow_flexion": 1.6, "left_shoulder_twist": -1.4},
        {"left_hip_abduction": -0.35, "right_hip_abduction": -0.35},
    ],
)
def test_impossible(angles):
    apart = {"left_shoulder_abduction": 0.1, "right_shoulder_abduction": 0.3}
    assert not is_possible(motion_of(**{**apart, **angles}), BODY)
