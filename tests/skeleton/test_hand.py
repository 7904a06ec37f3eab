"""The hand of [40]: names and order, a flat zero pose with the palm to the camera, real bounds."""

import numpy as np
import pytest

from gluon_dkpr.geometry import forward_kinematics, sample_within_bounds
from gluon_dkpr.nn import KinematicLayer
from gluon_dkpr.skeleton import SkeletonError, hand, load_skeleton, save_skeleton

FINGERS = ("index", "middle", "ring", "little")
JOINT_NAMES = (
    *("wrist", "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip"),
    *(f"{finger}_{joint}" for finger in FINGERS for joint in ("mcp", "pip", "dip", "tip")),
)


@pytest.fixture(scope="module", params=["right", "left"])
def side(request):
    return request.param


def pose(skeleton, **angles):
    """Joints by name in the hand's axes: x to the thumb, y to the tips, z out of the palm."""
    assert set(angles) <= set(skeleton.parameter_names)
    motion = [[angles.get(name, 0.0) for name in skeleton.parameter_names]]
    joints = forward_kinematics(skeleton, motion)[0] * [1, -1, -1]
    if skeleton.name == "hand_left":
        joints = joints * [-1, 1, 1]
    return dict(zip(skeleton.joint_names, joints))


def test_names_and_order(side):
    skeleton = hand(side)
    assert skeleton.joint_names == JOINT_NAMES
    assert skeleton.num_parameters == 26
    assert skeleton.position == skeleton.parameter_names[:3] == ("root_x", "root_y", "root_z")
    assert skeleton.parameter_names[3:6] == ("root_yaw", "root_roll", "root_pitch")
    for i, finger in enumerate(("thumb", *FINGERS)):
        own = skeleton.parameter_names[6 + 4 * i : 10 + 4 * i]
        assert all(name.startswith(finger) for name in own)
        assert [name.split("_")[2] for name in own] == [
            "flexion",
            "abduction",
            "flexion",
            "flexion",
        ]
    assert (skeleton.dim, skeleton.length_unit, skeleton.left_right_pairs) == (3, "mm", ())


def test_every_finger_angle_is_bounded(side):
    lower, upper = hand(side).bounds()
    assert np.isinf(lower[:6]).all() and np.isinf(upper[:6]).all()
    assert (lower[6:] < 0).all() and (upper[6:] > 0).all()
    assert (lower[6:] >= np.radians(-30.1)).all() and (upper[6:] <= np.radians(110.1)).all()


def test_size_is_an_adults():
    """Hand length about 185 mm (wrist to middle tip), knuckles about 60 mm apart."""
    joints = pose(hand())
    assert 170 < joints["middle_tip"][1] < 200
    assert 50 < np.linalg.norm(joints["index_mcp"] - joints["little_mcp"]) < 70
    tips = {finger: joints[f"{finger}_tip"][1] for finger in ("thumb", *FINGERS)}
    assert sorted(tips, key=tips.get) == ["thumb", "little", "index", "ring", "middle"]


def test_zero_pose_is_flat(side):
    joints = pose(hand(side))
    assert not joints["wrist"].any()
    across = [joints[f"{finger}_mcp"][0] for finger in FINGERS]
    assert across == sorted(across, reverse=True)
    for finger in FINGERS:
        chain = [joints[f"{finger}_{name}"] for name in ("mcp", "pip", "dip", "tip")]
        np.testing.assert_allclose(np.diff(chain, axis=0)[:, [0, 2]], 0, atol=1e-9)
    assert joints["thumb_tip"][0] > joints["index_mcp"][0] + 40


def test_palm_of_the_right_hand_faces_the_camera():
    """Camera frame: x right, y down. Of a right palm, fingers up, the thumb is on the right."""
    skeleton = hand()
    joints = dict(zip(JOINT_NAMES, forward_kinematics(skeleton, np.zeros((1, 26)))[0]))
    assert joints["middle_tip"][1] < -150
    assert joints["thumb_tip"][0] > 50
    bent = np.zeros((1, 26))
    bent[0, skeleton.parameter_names.index("index_mcp_flexion")] = 1.0
    assert forward_kinematics(skeleton, bent)[0, JOINT_NAMES.index("index_tip"), 2] < -50


@pytest.mark.parametrize("finger", FINGERS)
def test_directions_of_a_finger(side, finger):
    skeleton, tip = hand(side), f"{finger}_tip"
    rest = pose(skeleton)[tip]
    for joint in ("mcp", "pip", "dip"):
        assert (pose(skeleton, **{f"{finger}_{joint}_flexion": 0.5})[tip] - rest)[2] > 8
    towards_thumb = 1 if finger in ("index", "middle") else -1
    moved = pose(skeleton, **{f"{finger}_mcp_abduction": 0.3})[tip] - rest
    assert towards_thumb * moved[0] > 15
    assert abs(moved[2]) < 1e-9
    # Also of a finger that is bent by a right angle: the axis goes with it.
    bent = {f"{finger}_mcp_flexion": np.pi / 2}
    moved = (
        pose(skeleton, **bent, **{f"{finger}_mcp_abduction": 0.3})[tip]
        - pose(skeleton, **bent)[tip]
    )
    assert towards_thumb * moved[0] > 15


def test_directions_of_the_thumb(side):
    skeleton = hand(side)
    rest = pose(skeleton)["thumb_tip"]
    for joint in ("cmc", "mcp", "ip"):
        moved = pose(skeleton, **{f"thumb_{joint}_flexion": 0.5})["thumb_tip"] - rest
        assert moved[0] < -5, "across the palm, to the little finger"
    assert (pose(skeleton, thumb_cmc_abduction=0.5)["thumb_tip"] - rest)[2] > 30


@pytest.mark.parametrize("finger", FINGERS)
def test_thumb_reaches_every_finger_within_its_bounds(side, finger):
    """Opposition, by coordinate descent from a half closed hand."""
    skeleton = hand(side)
    lower, upper = skeleton.bounds()
    names = skeleton.parameter_names
    moving = [i for i, name in enumerate(names) if name.startswith(("thumb", finger))]
    motion = np.zeros(26)
    tips = [JOINT_NAMES.index("thumb_tip"), JOINT_NAMES.index(f"{finger}_tip")]
    for _ in range(12):
        for i in moving:
            trial = np.repeat(motion[None], 41, axis=0)
            trial[:, i] = np.linspace(lower[i], upper[i], 41)
            ends = forward_kinematics(skeleton, trial)[:, tips]
            gap = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
            motion = trial[np.argmin(gap)]
    assert gap.min() < 10


def test_fist_stays_in_front_of_the_palm():
    skeleton = hand()
    _, upper = skeleton.bounds()
    closed = {
        name: bound
        for name, bound in zip(skeleton.parameter_names, upper)
        if name.endswith("flexion") and "thumb" not in name
    }
    joints = pose(skeleton, **closed)
    for finger in FINGERS:
        assert joints[f"{finger}_tip"][2] > 0
        assert np.linalg.norm(joints[f"{finger}_tip"] - joints[f"{finger}_mcp"]) < 35


def test_left_is_the_mirror_image():
    right, left = hand(), hand("left")
    motion = sample_within_bounds(right, 20)
    motion[:, :3] = 50.0
    mirrored = motion.copy()
    for name in ("root_x", "root_yaw", "root_roll"):
        mirrored[:, right.parameter_names.index(name)] *= -1
    np.testing.assert_allclose(
        forward_kinematics(left, mirrored), forward_kinematics(right, motion) * [-1, 1, 1]
    )
    np.testing.assert_allclose(left.bone_lengths, right.bone_lengths)


def test_layer_agrees_with_the_oracle(side):
    from gluon_dkpr.backend import mx

    skeleton = hand(side)
    motion = sample_within_bounds(skeleton, 8)
    layer = KinematicLayer(skeleton)
    layer.initialize()
    joints = layer(mx.nd.array(motion)).asnumpy()
    np.testing.assert_allclose(joints, forward_kinematics(skeleton, motion), atol=1e-2)


def test_file_round_trip(tmp_path, side):
    save_skeleton(hand(side), tmp_path / "hand.yaml")
    assert load_skeleton(tmp_path / "hand.yaml") == hand(side)


def test_other_sides_are_refused():
    with pytest.raises(SkeletonError, match="side is 'both', expected 'right' or 'left'"):
        hand("both")
