"""The posed mesh follows the motion: against the forward kinematics of the paper's model."""

import dataclasses

import numpy as np
import pytest
from body_poses import AVERAGE, motion_of

from gluon_dkpr.data.body.person import make_person
from gluon_dkpr.data.body.posing import joints_of, pose, skin
from gluon_dkpr.data.body.rig import INDEX
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

BODY = human36m()
JOINT = {name: i for i, name in enumerate(BODY.joint_names)}
LEGS = [JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle")]
ARM_BONES = [("shoulder", "elbow"), ("elbow", "wrist")]


def random_motion(count, seed=0):
    random = np.random.default_rng(seed)
    lower, upper = BODY.bounds()
    motion = random.uniform(-1.2, 1.2, (count, 27))
    motion[:, :3] *= 500
    return np.clip(motion, lower, upper)


def joints(person, motion):
    return joints_of(person, pose(person, motion))


def body_of(person):
    """Return the paper's model with the rest offsets of the mesh's own skeleton."""
    rest = joints(person, np.zeros((1, 27)))[0] * [1, -1, -1]
    parents = {child: parent for parent, child in BODY.bones}
    parts = [
        joint
        if joint.hidden or joint.parent is None
        else dataclasses.replace(
            joint, offset=tuple(rest[JOINT[joint.name]] - rest[JOINT[parents[joint.name]]])
        )
        for joint in BODY.joints
    ]
    return dataclasses.replace(BODY, joints=tuple(parts))


def test_zero_motion_hangs_straight_and_faces_the_camera(person):
    rest = dict(zip(BODY.joint_names, joints(person, np.zeros((1, 27)))[0]))
    for side in ("left", "right"):
        for chain in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            line = np.array([rest[f"{side}_{part}"] for part in chain])
            np.testing.assert_allclose(line[:, [0, 2]] - line[0, [0, 2]], 0, atol=1e-9)
            assert (np.diff(line[:, 1]) > 200).all()
    assert rest["nose"][2] < rest["neck"][2] - 50
    assert rest["left_hip"][0] > 50
    np.testing.assert_allclose(rest["torso"], (rest["neck"] + rest["pelvis"]) / 2)


def test_legs_move_as_the_model_says(person):
    motion = random_motion(50)
    expected = forward_kinematics(body_of(person), motion)
    np.testing.assert_allclose(joints(person, motion)[:, LEGS], expected[:, LEGS], atol=1e-6)


def test_arms_have_the_directions_of_the_model(person):
    """Shoulders rise with the arms, so only the bones below them are the model's, exactly."""
    motion = random_motion(50)
    expected, found = forward_kinematics(body_of(person), motion), joints(person, motion)
    for side in ("left", "right"):
        for begin, end in ARM_BONES:
            a, b = JOINT[f"{side}_{begin}"], JOINT[f"{side}_{end}"]
            np.testing.assert_allclose(
                found[:, b] - found[:, a], expected[:, b] - expected[:, a], atol=1e-6
            )


def test_without_spine_and_shoulders_everything_is_the_model(person, monkeypatch):
    monkeypatch.setattr("gluon_dkpr.data.body.posing.RISE", 0.0)
    monkeypatch.setattr("gluon_dkpr.data.body.posing.FORWARD", 0.0)
    motion = random_motion(20)
    for name in ("spine_roll", "spine_yaw", "head_yaw", "head_pitch", "head_roll"):
        motion[:, BODY.parameter_names.index(name)] = 0.0
    expected = forward_kinematics(body_of(person), motion)
    np.testing.assert_allclose(joints(person, motion), expected, atol=1e-6)


def test_spine_bends_along_its_length(person):
    """The neck is centimetres from a stiff trunk's; the trunk is no longer than that."""
    motion = motion_of(spine_roll=0.6)[None]
    found = joints(person, motion)[0, JOINT["neck"]]
    stiff = forward_kinematics(body_of(person), motion)[0, JOINT["neck"]]
    assert 20 < np.linalg.norm(found - stiff) < 150
    assert np.linalg.norm(found) <= np.linalg.norm(stiff) + 1e-6


def test_shoulders_rise_with_the_arms(person):
    down, up = (
        joints(person, motion_of(left_shoulder_flexion=angle)[None])[0] for angle in (0, np.pi)
    )
    rise = (down - up)[[JOINT["left_shoulder"], JOINT["right_shoulder"]], 1]
    assert 20 < rise[0] < 80
    assert rise[1] == pytest.approx(0)


def test_mesh_goes_with_its_bones(person):
    """Vertices that one segment moves keep their place in it; the others stay near."""
    weights = person.topology.weights
    posed = pose(person, random_motion(3))
    for frame in range(3):
        vertices = skin(person, posed, frame)
        assert np.isfinite(vertices).all()
        for segment in ("head", "left_hand", "right_lowerarm", "left_lowerleg"):
            i = INDEX[segment]
            own = weights[:, i] > 0.999
            assert own.sum() > 20
            arm = person.vertices[own] - person.anchors[i]
            expected = posed.anchors[frame, i] + arm @ posed.rotations[frame, i].T
            np.testing.assert_allclose(vertices[own], expected, atol=0.05)


def test_twist_goes_along_the_upper_arm(person):
    """A third of the way down the arm it has turned in part; the arm keeps its place and bones."""
    rest, turned = (
        pose(person, motion_of(left_shoulder_twist=angle)[None]) for angle in (0.0, 1.0)
    )
    angles = []
    for segment in ("left_upperarm01", "left_upperarm02", "left_lowerarm"):
        i = INDEX[segment]
        change = turned.rotations[0, i] @ rest.rotations[0, i].T
        angles.append(np.arccos((np.trace(change) - 1) / 2))
    assert 0.2 < angles[0] < 0.6
    np.testing.assert_allclose(angles[1:], 1.0)


def test_shapes_differ(folder):
    """Men and women, small and tall: heights of grown people, each with its own proportions."""
    shapes = [AVERAGE, AVERAGE._replace(male=0.0), AVERAGE._replace(height=0.2)]
    people = [make_person(folder, shape) for shape in shapes]
    tall = [np.ptp(skin(p, pose(p, np.zeros((1, 27))), 0)[:, 1]) for p in people]
    assert tall[1] < tall[0] < tall[2]
    assert all(1450 < height < 2000 for height in tall)
