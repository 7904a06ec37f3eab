"""The human body: names and order of Human3.6M, a zero pose that stands and faces the camera."""

import numpy as np
import pytest

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

JOINT_NAMES = (
    *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("torso", "neck", "nose", "head", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_shoulder", "right_elbow", "right_wrist"),
)
BONE_LENGTHS_MM = {
    ("pelvis", "right_hip"): 132.6,
    ("right_hip", "right_knee"): 443,
    ("right_knee", "right_ankle"): 454,
    ("pelvis", "left_hip"): 132.6,
    ("left_hip", "left_knee"): 443,
    ("left_knee", "left_ankle"): 454,
    ("pelvis", "torso"): np.hypot(485, 8) / 2,
    ("torso", "neck"): np.hypot(485, 8) / 2,
    ("neck", "nose"): np.hypot(87, 83),
    ("nose", "head"): np.hypot(96, 59),
    ("neck", "left_shoulder"): np.linalg.norm([137.6, 53, 9.5]),
    ("left_shoulder", "left_elbow"): 279,
    ("left_elbow", "left_wrist"): 252,
    ("neck", "right_shoulder"): np.linalg.norm([137.6, 53, 9.5]),
    ("right_shoulder", "right_elbow"): 279,
    ("right_elbow", "right_wrist"): 252,
}


@pytest.fixture(scope="module")
def human():
    return human36m()


def pose(human, **angles):
    """Joints by name, of a pose whose other parameters are 0."""
    motion = [[angles.get(name, 0.0) for name in human.parameter_names]]
    assert set(angles) <= set(human.parameter_names)
    return dict(zip(human.joint_names, forward_kinematics(human, motion)[0]))


def test_names_and_order(human):
    assert human.joint_names == JOINT_NAMES
    assert human.num_parameters == 27
    assert human.position == human.parameter_names[:3] == ("root_x", "root_y", "root_z")
    assert human.is_angle().tolist() == [False] * 3 + [True] * 24
    assert (human.dim, human.length_unit, human.root.name) == (3, "mm", "pelvis")


def test_split_of_the_parameters(human):
    """Section 4.2: 3 head, 2 neck, 3 a shoulder or hip, 1 an elbow or knee."""

    def count(word):
        return sum(word in name for name in human.parameter_names)

    assert [count(word) for word in ("root", "spine", "head")] == [6, 2, 3]
    for side in ("left", "right"):
        assert [count(f"{side}_{limb}") for limb in ("hip", "shoulder")] == [3, 3]
        assert [count(f"{side}_{limb}") for limb in ("knee", "elbow")] == [1, 1]


def test_bones(human):
    assert human.bones == tuple(BONE_LENGTHS_MM)
    np.testing.assert_allclose(human.bone_lengths, list(BONE_LENGTHS_MM.values()))


def test_zero_pose_is_upright_and_faces_the_camera(human):
    """Camera frame: x right, y down, z away from the camera."""
    joints = pose(human)
    assert not joints["pelvis"].any()
    heights = [joints[name][1] for name in ("head", "neck", "torso", "pelvis")]
    assert heights == sorted(heights)
    for side in ("left", "right"):
        for limb in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            limb_heights = [joints[f"{side}_{name}"][1] for name in limb]
            assert limb_heights == sorted(limb_heights)
    # The nose points to the camera.
    assert joints["nose"][2] < joints["neck"][2] - 50


def test_left_is_on_the_right_of_the_image(human):
    joints = pose(human)
    assert human.left_right_pairs == tuple(
        (f"left_{name}", f"right_{name}")
        for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    )
    for left, right in human.left_right_pairs:
        assert joints[left][0] > 100
        np.testing.assert_allclose(joints[left] * [-1, 1, 1], joints[right], atol=1e-10)


def test_bounds(human):
    lower, upper = human.bounds()
    for name, low, high in zip(human.parameter_names, lower, upper):
        hinge = "knee" in name or "elbow" in name
        assert (low, high) == ((-0.2, 2.8) if hinge else (-np.inf, np.inf))


@pytest.mark.parametrize("side", ["left", "right"])
def test_directions_of_the_angles(human, side):
    """Flexion bends forward (to the camera), knees backward; abduction moves away from the body."""
    rest = pose(human)
    outward = 1 if side == "left" else -1

    def moved(joint, **angles):
        named = {f"{side}_{name}": angle for name, angle in angles.items()}
        return pose(human, **named)[f"{side}_{joint}"] - rest[f"{side}_{joint}"]

    assert moved("knee", hip_flexion=0.5)[2] < -100
    assert moved("elbow", shoulder_flexion=0.5)[2] < -100
    assert moved("wrist", elbow_flexion=0.5)[2] < -100
    assert moved("ankle", knee_flexion=0.5)[2] > 100
    assert outward * moved("knee", hip_abduction=0.5)[0] > 100
    assert outward * moved("elbow", shoulder_abduction=0.5)[0] > 100
    # Outward twist: the shin of a bent leg swings to the midline, the forearm away from it.
    assert outward * moved("wrist", shoulder_twist=0.5, elbow_flexion=1.5)[0] > 100
    assert outward * moved("ankle", hip_twist=0.5, knee_flexion=1.5)[0] < -100


def test_spine_turns_the_upper_body_only(human):
    rest, bent = pose(human), pose(human, spine_yaw=0.3, spine_roll=0.2)
    still = {"pelvis", *(name for name in rest if name.endswith(("hip", "knee", "ankle")))}
    for name in rest:
        assert np.allclose(rest[name], bent[name], atol=1e-9) == (name in still)


def test_mirrored_motion_gives_mirrored_joints(human):
    """A reflection at x: swap sides; what turns about y or z of the trunk changes its sign."""
    names = human.parameter_names
    swap = {"left": "right", "right": "left"}
    motion = np.random.RandomState(0).uniform(-1, 1, (10, 27))
    mirrored = np.zeros_like(motion)
    for i, name in enumerate(names):
        side, _, rest = name.partition("_")
        twin = f"{swap[side]}_{rest}" if side in swap else name
        flips = side not in swap and name.endswith(("_x", "yaw", "roll"))
        mirrored[:, names.index(twin)] = motion[:, i] * (-1 if flips else 1)
    order = list(range(17))
    for pair in human.left_right_pairs:
        left, right = (JOINT_NAMES.index(name) for name in pair)
        order[left], order[right] = right, left
    expected = forward_kinematics(human, motion)[:, order] * [-1, 1, 1]
    np.testing.assert_allclose(forward_kinematics(human, mirrored), expected, atol=1e-9)
