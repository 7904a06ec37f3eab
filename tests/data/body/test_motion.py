"""Poses: mirrored, mixed, and apart in training and test."""

import numpy as np
import pytest
from body_poses import NAMES

from gluon_dkpr.data.body import motion
from gluon_dkpr.data.body.files import BodyError
from gluon_dkpr.data.body.limits import is_possible
from gluon_dkpr.data.body.motion import TEST_CLIPS, draw_moment, mirror, read_actions
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

BODY = human36m()
ROOT_YAW = NAMES.index("root_yaw")


def random(seed=0):
    return np.random.default_rng(seed)


def moments(studio, split, count=200):
    return [draw_moment(studio.actions, studio.skeleton, split, random(i)) for i in range(count)]


def test_mirror_mirrors_the_joints():
    poses = random().uniform(-2, 2, (50, 27))
    swapped = list(BODY.joint_names)
    for left, right in BODY.left_right_pairs:
        i, j = swapped.index(left), swapped.index(right)
        swapped[i], swapped[j] = right, left
    order = [BODY.joint_names.index(name) for name in swapped]
    expected = forward_kinematics(BODY, poses)[:, order] * [-1, 1, 1]
    np.testing.assert_allclose(forward_kinematics(BODY, mirror(poses)), expected, atol=1e-9)


def test_mirror_twice_is_the_same():
    poses = random().uniform(-2, 2, (5, 27))
    np.testing.assert_array_equal(mirror(mirror(poses)), poses)


def test_every_clip_is_read(studio):
    """15 clips, and 5 of walks and turns; the model's joints are centimetres off at most."""
    assert len(studio.actions) == 20
    assert sum(len(action.motion) for action in studio.actions.values()) == 1620 + 5 * 38
    errors = np.concatenate([action.error for action in studio.actions.values()])
    assert errors.mean() < 12
    assert {"walk", "0walk_forward", "backflip"} <= set(studio.actions)


def test_feet_leave_the_floor_in_a_jump_and_not_in_a_walk(studio):
    assert studio.actions["walk"].air_mm.max() < 30
    assert studio.actions["backflip"].air_mm.max() > 300


def test_splits_share_no_clip(studio):
    names = list(studio.actions)
    for split in ("train", "test"):
        shown = {names[moment.action] for moment in moments(studio, split)}
        assert bool(shown & set(TEST_CLIPS)) == (split == "test")
        assert len(shown) > 3


def test_test_poses_are_real(studio):
    """Mirrored or not, turned about the vertical, and nothing else."""
    names = list(studio.actions)
    for moment in moments(studio, "test", 40):
        pose = mirror(moment.motion) if moment.mirrored else moment.motion.copy()
        real = studio.actions[names[moment.action]].motion[moment.frame].copy()
        pose[ROOT_YAW] = real[ROOT_YAW] = 0
        np.testing.assert_array_equal(pose, real)


def test_training_poses_are_new_and_possible(studio):
    drawn = moments(studio, "train", 100)
    poses = np.array([moment.motion for moment in drawn])
    real = np.concatenate([action.motion for action in studio.actions.values()])
    real = np.concatenate([real, mirror(real)])[:, 6:]
    nearest = [np.abs(real - pose).max(axis=1).min() for pose in poses[:, 6:]]
    assert np.median(nearest) > 0.2
    assert np.mean([is_possible(pose, studio.skeleton) for pose in poses]) > 0.95


def test_most_people_are_upright(studio):
    for split in ("train", "test"):
        poses = np.array([moment.motion for moment in moments(studio, split)])
        joints = forward_kinematics(BODY, poses)
        trunk = joints[:, BODY.joint_names.index("neck")] - joints[:, 0]
        tilt = np.degrees(np.arccos(-trunk[:, 1] / np.linalg.norm(trunk, axis=1)))
        assert 0.8 < (tilt < 65).mean() < 1
        # Not all: there are somersaults, too.
        assert tilt.max() > 80


def test_people_face_everywhere(studio):
    yaws = np.array([moment.motion[ROOT_YAW] for moment in moments(studio, "test")])
    assert np.abs(np.exp(1j * yaws).mean()) < 0.15
    assert 0.3 < np.mean([moment.mirrored for moment in moments(studio, "test")]) < 0.7


def test_parts_come_only_from_training_clips(studio, monkeypatch):
    """A mixture never takes a limb from a clip of the test set."""
    taken = []
    any_frame = motion._any_frame

    def note(actions, own, generator):
        taken.append(any_frame(actions, own, generator))
        return taken[-1]

    monkeypatch.setattr(motion, "_any_frame", note)
    moments(studio, "train", 100)
    assert len(taken) > 150
    assert not {name for name, _ in taken} & set(TEST_CLIPS)


def test_missing_test_clip(tmp_path, monkeypatch):
    (tmp_path / "humanoid3d_run.txt").write_text("{}")
    with pytest.raises(BodyError, match=r"humanoid3d_dance_b\.txt"):
        read_actions(tmp_path)
