"""BVH: round trips, other programs' habits, and nothing but BvhError for a damaged file."""

import numpy as np
import pytest

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.geometry.bvh import BvhError, load_bvh, save_bvh
from gluon_dkpr.geometry.bvh_text import MAX_JOINTS
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, hand, human36m, planar
from tests.bvh_sample import FILE
from tests.strategies import chain, pose_size, random_motion, random_skeleton


def written(tmp_path, text, name="clip.bvh"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def round_trip(path, skeleton, motion, **options):
    """Return the largest distance of a joint from where it was."""
    save_bvh(path, skeleton, motion, 0.02, **options)
    loaded, loaded_motion, frame_time = load_bvh(path)
    assert frame_time == pytest.approx(0.02)
    assert set(loaded.joint_names) == {joint.name for joint in skeleton.joints}
    places = [loaded.joint_names.index(name) for name in skeleton.joint_names]
    back = forward_kinematics(loaded, loaded_motion)[:, places]
    expected = forward_kinematics(skeleton, motion)
    if options.get("y_up"):
        expected = expected * [1, -1, -1]
    return np.abs(back - expected).max()


def test_file_of_another_program(tmp_path):
    skeleton, motion, frame_time = load_bvh(written(tmp_path, FILE))
    assert frame_time == 0.0333333
    assert skeleton.joint_names == ("Hips", "Left Leg", "Left Leg_end", "Chest", "Head")
    assert skeleton.bones[1] == ("Left Leg", "Left Leg_end")
    assert skeleton.parameter_names[:4] == (
        *("Hips_Xposition", "Hips_Yposition", "Hips_Zposition"),
        "Hips_Zrotation",
    )
    joints = forward_kinematics(skeleton, motion)
    rest = [[8, 35, -2], [11.5, 34, -2], [11.5, 16, -1], [8, 40, -2], [8, 44, -2]]
    np.testing.assert_allclose(joints[0], rest, atol=1e-12)
    # Hips by 90 degrees about z, the leg by 90 about z again: the end site points up.
    moved = [[8, 36, -2], [9, 39.5, -2], [9, 57.5, -1], [3, 36, -2], [-1, 36, -2]]
    np.testing.assert_allclose(joints[1], moved, atol=1e-12)


@pytest.mark.parametrize("change", [("\n", "\r\n"), ("\n", "\r"), ("HIER", "\ufeffHIER")])
def test_line_ends_and_byte_order_mark(tmp_path, change):
    assert load_bvh(written(tmp_path, FILE.replace(*change)))[1].shape == (2, 12)


@pytest.mark.parametrize("y_up", [False, True])
@pytest.mark.parametrize("skeleton", [human36m(), hand(), hand("left")], ids=lambda s: s.name)
def test_round_trip_of_built_in_skeletons(tmp_path, skeleton, y_up):
    motion = random_motion(skeleton, 50, seed=1)
    motion[:, :3] *= 1000
    assert round_trip(tmp_path / "a.bvh", skeleton, motion, y_up=y_up) < 1e-4


@pytest.mark.parametrize("seed", range(40))
def test_round_trip_of_random_skeletons(tmp_path, seed):
    skeleton = random_skeleton(3, 1 + seed % 9, seed)
    motion = random_motion(skeleton, 5, seed)
    # Eight decimals.
    assert round_trip(tmp_path / "a.bvh", skeleton, motion) < 1e-7 * (
        1 + pose_size(skeleton, motion)
    )


@pytest.mark.parametrize(
    ("stem", "name"), [("a" * 101, "a" * 100), ("b" * 99 + " c", "b" * 99), ("c" * 200, "c" * 100)]
)
def test_long_file_names_are_cut(tmp_path, stem, name):
    assert load_bvh(written(tmp_path, FILE, f"{stem}.bvh"))[0].name == name


def test_second_round_trip_keeps_the_names(tmp_path):
    first = load_bvh(written(tmp_path, FILE))
    save_bvh(tmp_path / "b.bvh", *first)
    second = load_bvh(tmp_path / "b.bvh")
    assert second[0].joint_names == first[0].joint_names
    np.testing.assert_allclose(
        forward_kinematics(*second[:2]), forward_kinematics(*first[:2]), atol=1e-6
    )


def test_upright_with_y_up(tmp_path):
    """Blender's y is up: the head is above the ankles, the nose in front (towards z)."""
    save_bvh(tmp_path / "a.bvh", human36m(), np.zeros((1, 27)), 0.02, y_up=True)
    skeleton, motion, _ = load_bvh(tmp_path / "a.bvh")
    joints = dict(zip(skeleton.joint_names, forward_kinematics(skeleton, motion)[0]))
    assert joints["head"][1] > 600
    assert joints["left_ankle"][1] < -800
    assert joints["nose"][2] > 50


@pytest.mark.parametrize("middle", [89.9, 90.0, -90.0, 90.1, 180.0])
def test_singular_angles(tmp_path, middle):
    turns = tuple(Rotation(axis, axis) for axis in "zxy")
    joints = (Joint("a", None, (), turns), Joint("b", "a", (1.0, 2.0, 3.0)))
    skeleton = Skeleton("one", 3, tuple(map(Parameter, "zxy")), joints)
    motion = np.radians([[-170.0, middle, 20.0], [175.0, middle, -160.0]])
    assert round_trip(tmp_path / "a.bvh", skeleton, motion) < 1e-7


def test_angles_do_not_jump(tmp_path):
    """A person who turns round twice: no frame differs from the next by more than they do."""
    human = human36m()
    motion = np.zeros((100, 27))
    motion[:, human.parameter_names.index("root_yaw")] = np.linspace(0, 4 * np.pi, 100)
    motion[:, human.parameter_names.index("left_shoulder_flexion")] = np.linspace(0, 3, 100)
    assert round_trip(tmp_path / "a.bvh", human, motion) < 1e-4
    _, loaded, _ = load_bvh(tmp_path / "a.bvh")
    assert np.abs(np.diff(loaded, axis=0)).max() < np.radians(8)


def test_deep_chain(tmp_path):
    """Deeper than Python's limit of recursion."""
    skeleton = chain(1500)
    motion = np.zeros((1, skeleton.num_parameters))
    assert round_trip(tmp_path / "a.bvh", skeleton, motion) < 1e-4
    text = "HIERARCHY\nROOT a\n{\n" + "".join(f"JOINT j{i} {{\n" for i in range(MAX_JOINTS))
    with pytest.raises(BvhError, match=f"line {MAX_JOINTS + 3}: more than {MAX_JOINTS}"):
        load_bvh(written(tmp_path, text))


def with_translation(values):
    text = FILE.replace(
        "CHANNELS 3 Zrotation Xr", "CHANNELS 6 Xposition Yposition Zposition Zrotation Xr"
    )
    lines = text.rstrip().split("\n")
    for i, value in zip((-2, -1), values):
        words = lines[i].split()
        lines[i] = " ".join(words[:9] + value.split() + words[9:])
    return "\n".join(lines)


@pytest.mark.parametrize(
    "values, length", [(("0 5 0", "0 5 0"), 5), (("0 7 0", "0 7 0.00001"), 7), (("0 0 0",) * 2, 5)]
)
def test_constant_translation_is_a_bone(tmp_path, values, length):
    skeleton, _, _ = load_bvh(written(tmp_path, with_translation(values)))
    assert skeleton.bone_lengths[2] == pytest.approx(length)


def test_moving_bone_is_refused(tmp_path):
    path = written(tmp_path, with_translation(("0 5 0", "0 6 0")))
    message = r"line 14: joint 'Chest' moves along its channel Yposition by 1; only the root"
    with pytest.raises(BvhError, match=message):
        load_bvh(path)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("HIERARCHY", "HIERARCH", "line 1: 'HIERARCH', expected 'HIERARCHY'"),
        ("OFFSET 3.5 -1 0", "OFFSET 3.5 -1", "line 8: offset is 'CHANNELS', expected a number"),
        ("OFFSET 3.5", "OFFSET nan", "line 7: offset is 'nan'"),
        ("OFFSET 3.5 -1 0", "", "line 13: joint 'Left Leg' of line 6 ends without OFFSET"),
        ("JOINT Head", "JOINT Chest", "line 18: joint 'Chest' appears twice"),
        ("JOINT Head", "JOINT", "line 18: joint name is ''"),
        ("3 Yrotation", "3 Wrotation", "line 8: channel 'Wrotation' is none of"),
        ("3 Yrotation", "3 Zrotation", "line 8: channel 'Zrotation' appears twice"),
        ("CHANNELS 6", "CHANNELS 7", "line 5: number of channels is '7'"),
        ("CHANNELS 0", "CHANNELS ²", "line 21: number of channels is '²'"),
        ("MOTION", "}", "line 25: '}', expected 'MOTION'"),
        ("Frames: 2", "Frames: 3", "line 29: the file ends after 2 frames, expected 3"),
        ("Frames: 2", "Frames: 1", "line 29: a frame more than the 1"),
        ("Frames: 2", "Frames: 99999999999", "line 26: number of frames"),
        ("0.0333333", "0", "line 27: frame time is 0.0, expected above 0"),
        ("90 0 0 0 90", "90 0 0 0", "line 29: 11 numbers, expected 12"),
        ("90 0 0 0 90", "90 0 x 0 90", "line 29: channel is 'x', expected a number"),
        ("90 0 0 0 90", "90 0 inf 0 90", "line 29: channel is 'inf', expected a number"),
    ],
)
def test_malformed(tmp_path, old, new, message):
    assert old in FILE
    path = written(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(BvhError) as error:
        load_bvh(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_unreadable(tmp_path):
    for path in (tmp_path / "none.bvh", tmp_path, written(tmp_path, b"\xff\xfe\x00"), "a\0b"):
        with pytest.raises(BvhError):
            load_bvh(path)


def test_no_frames(tmp_path):
    path = written(tmp_path, FILE.split("Frames")[0] + "Frames: 0\nFrame Time: 0.1\n")
    assert load_bvh(path)[1].shape == (0, 12)


def test_what_cannot_be_written(tmp_path):
    path, human = tmp_path / "a.bvh", human36m()
    with pytest.raises(BvhError, match="2 dimensions"):
        save_bvh(path, planar(3), np.zeros((1, 3)), 0.02)
    with pytest.raises(BvhError, match="not finite"):
        save_bvh(path, human, np.full((1, 27), np.nan), 0.02)
    for frame_time in (0.0, -1.0, np.nan):
        with pytest.raises(BvhError, match="frame time"):
            save_bvh(path, human, np.zeros((1, 27)), frame_time)
    braces = Skeleton("a", 3, (Parameter("x"),), (Joint("a {", rotations=(Rotation("x", "x"),)),))
    with pytest.raises(BvhError, match="cannot stand"):
        save_bvh(path, braces, np.zeros((1, 1)), 0.02)
    assert not list(tmp_path.iterdir())


def test_a_long_motion_is_written_in_blocks_and_angles_go_on(tmp_path):
    skeleton = human36m()
    motion = np.zeros((2100, skeleton.num_parameters))
    motion[:, skeleton.parameter_names.index("root_yaw")] = np.linspace(0, 40, 2100)
    path = tmp_path / "long.bvh"
    save_bvh(path, skeleton, motion, 0.02)
    own, read, _ = load_bvh(path, "mm")
    assert np.abs(np.diff(read, axis=0)).max() < 0.05
    order = [own.joint_names.index(name) for name in skeleton.joint_names]
    joints = forward_kinematics(own, read)[:, order]
    np.testing.assert_allclose(joints, forward_kinematics(skeleton, motion), atol=1e-3)
