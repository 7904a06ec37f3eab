"""Motion capture in pybullet's format: a clip made here always, the real files where they are."""

import json
import os

import numpy as np
import pytest

from gluon_dkpr.data import mocap
from gluon_dkpr.data.mocap import MocapError, humanoid_skeleton, list_clips, read_clip, retarget
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import estimate_bone_lengths, hand, human36m

NAMES = human36m().joint_names
COLUMN = {}
_column = 4
for _name in mocap.JOINTS:
    COLUMN[_name] = _column
    _column += 1 if _name in mocap.HINGES else 4


def frame(duration=0.02, root=(0.0, 0.9, 0.0), **turns):
    """A frame of the format: quaternions (w x y z) or hinge angles of the named joints."""
    values = [duration, *root]
    for name in mocap.JOINTS:
        if name in mocap.HINGES:
            values.append(turns.get(name, 0.0))
        else:
            values.extend(turns.get(name, (1.0, 0.0, 0.0, 0.0)))
    return values


def turn(axis, angle):
    return (np.cos(angle / 2), *(np.sin(angle / 2) * np.eye(3)["xyz".index(axis)]))


def write(folder, frames, name="made", **extra):
    path = folder / f"humanoid3d_{name}.txt"
    path.write_text(json.dumps({"Loop": "wrap", "Frames": frames, **extra}))
    return path


def pose(folder, **turns):
    return dict(zip(NAMES, read_clip(write(folder, [frame(**turns)])).joints[0]))


def test_format_has_44_columns():
    assert len(frame()) == mocap.WIDTH == 44


def test_standing_person_faces_the_camera(tmp_path):
    """Camera frame, mm: y down from the floor, z away; the subject's left is on the right."""
    joints = pose(tmp_path)
    np.testing.assert_allclose(joints["pelvis"], [0, -900, 0], atol=1e-9)
    np.testing.assert_allclose(joints["torso"], [0, -1136.151, 0], atol=1e-9)
    np.testing.assert_allclose(joints["neck"], [0, -1360.045, 0], atol=1e-9)
    np.testing.assert_allclose(joints["left_hip"], [84.887, -900, 0], atol=1e-9)
    np.testing.assert_allclose(joints["right_ankle"], [-84.887, -68.584, 0], atol=1e-9)
    np.testing.assert_allclose(joints["left_shoulder"], [183.11, -1379.651, 24.05], atol=1e-9)
    np.testing.assert_allclose(joints["right_wrist"], [-183.11, -845.916, 24.05], atol=1e-9)
    assert joints["nose"][2] < -50
    assert joints["head"][1] < joints["nose"][1] < joints["neck"][1]


def test_directions(tmp_path):
    """Walking forward comes to the camera; a knee bends backward, an elbow forward."""
    rest = pose(tmp_path)
    assert pose(tmp_path, root=(1.0, 0.9, 0.0))["pelvis"][2] == pytest.approx(-1000)
    for side in ("left", "right"):
        bent = pose(tmp_path, **{f"{side}_knee": -1.0, f"{side}_elbow": 1.0})
        assert bent[f"{side}_ankle"][2] > rest[f"{side}_ankle"][2] + 100
        assert bent[f"{side}_wrist"][2] < rest[f"{side}_wrist"][2] - 100
        lifted = pose(tmp_path, **{f"{side}_hip": turn("z", 0.5)})
        assert lifted[f"{side}_knee"][2] < -100
    # A positive turn about the humanoid's y takes its front (x) to its left (-z).
    assert rest["nose"][0] == pytest.approx(0)
    assert pose(tmp_path, neck=turn("y", np.pi / 2))["nose"][0] > 50


def test_only_what_is_below_turns(tmp_path):
    rest = pose(tmp_path)
    chest = pose(tmp_path, chest=turn("x", 0.5))
    neck = pose(tmp_path, neck=turn("x", 0.5))
    ankle = pose(tmp_path, left_ankle=turn("x", 0.5))
    legs = {"pelvis", "torso", *(n for n in NAMES if n.endswith(("hip", "knee", "ankle")))}
    for name in NAMES:
        assert np.allclose(rest[name], chest[name]) == (name in legs)
        assert np.allclose(rest[name], neck[name]) == (name not in ("nose", "head"))
        assert np.allclose(rest[name], ankle[name])


def test_quaternions_are_renormalised(tmp_path):
    right = [frame(left_hip=turn("z", 0.7), chest=turn("y", 0.3))]
    wrong = [list(right[0])]
    begin = COLUMN["left_hip"]
    wrong[0][begin : begin + 4] = [1.42 * value for value in right[0][begin : begin + 4]]
    clips = [read_clip(write(tmp_path, frames)) for frames in (right, wrong)]
    np.testing.assert_allclose(clips[1].joints, clips[0].joints)
    assert clips[0].quaternion_error < 1e-12
    assert clips[1].quaternion_error == pytest.approx(0.42)


def test_times(tmp_path):
    """The first column is how long a frame lasts; that of the last one does not matter."""
    frames = [frame(duration) for duration in (0.1, 0.2, 0.1, 0.0)]
    clip = read_clip(write(tmp_path, frames, Loop="none"))
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.3, 0.4])
    assert (clip.name, clip.frame_time, clip.loops) == ("made", 0.1, False)


def test_clips_by_name(tmp_path):
    write(tmp_path, [frame()], "walk")
    write(tmp_path, [frame()] * 2, "kick")
    assert list_clips(tmp_path) == ("kick", "walk")
    assert read_clip("kick", tmp_path).joints.shape == (2, 17, 3)
    with pytest.raises(MocapError, match="no clip 'run', expected one of kick, walk"):
        read_clip("run", tmp_path)
    with pytest.raises(MocapError, match="no file humanoid3d"):
        list_clips(tmp_path / "none")


def test_without_pybullet(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MocapError, match="extra 'mocap'"):
        list_clips()


def test_installed_package_is_found_and_not_imported(tmp_path, monkeypatch):
    folder = tmp_path / "pybullet_data" / "data" / "motions"
    folder.mkdir(parents=True)
    (tmp_path / "pybullet_data" / "__init__.py").write_text("raise RuntimeError\n")
    write(folder, [frame()])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list_clips() == ("made",)
    assert read_clip("made").joints.shape == (1, 17, 3)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"{", "no clip, JSONDecodeError"),
        (b"\xff", "no clip, UnicodeDecodeError"),
        (b"[" * 100_000, "no clip, RecursionError"),
        (b"[]", "no clip, TypeError"),
        (b"{}", "no clip, KeyError"),
        (b'{"Frames": []}', r"frames of \[\] numbers, expected 44"),
        (b'{"Frames": [[1, 2]]}', r"frames of \[2\] numbers, expected 44"),
        (b'{"Frames": 5}', "no clip, TypeError"),
        (json.dumps({"Frames": [["a"] * 44]}).encode(), "no clip, ValueError"),
        (json.dumps({"Frames": [[[1]] * 44]}).encode(), "a number is not finite"),
        (json.dumps({"Frames": [[float("nan")] * 44]}).encode(), "a number is not finite"),
        (json.dumps({"Frames": [[10**400] * 44]}).encode(), "no clip, OverflowError"),
        (json.dumps({"Frames": [[0.0] * 44]}).encode(), "frame 0: the quaternion of 'root' is alm"),
        (json.dumps({"Frames": [[-1.0] * 44]}).encode(), "negative duration"),
    ],
)
def test_malformed(tmp_path, content, message):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(MocapError, match=message) as error:
        read_clip(path)
    assert str(path) in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(MocapError, match="cannot be read"):
        read_clip(tmp_path / "none.txt")


def test_humanoid_skeleton_is_the_standing_person(tmp_path):
    skeleton = humanoid_skeleton()
    assert skeleton.parameters == human36m().parameters
    assert skeleton.joint_names == NAMES
    motion = np.zeros((1, 27))
    motion[0, 1] = -900
    clip = read_clip(write(tmp_path, [frame()]))
    np.testing.assert_allclose(forward_kinematics(skeleton, motion), clip.joints, atol=1e-9)


def test_retarget_of_what_the_body_can_do(tmp_path):
    """Limbs and head move: nothing remains, and angles are continuous."""
    angles = np.linspace(0.3, 1.2, 12)
    frames = [
        frame(
            root=(a, 0.9, 0.0),
            left_hip=turn("z", a),
            left_knee=-a,
            right_shoulder=turn("x", a / 2),
            right_elbow=a,
            neck=turn("y", a / 2),
        )
        for a in angles
    ]
    clip = read_clip(write(tmp_path, frames))
    result = retarget(clip)
    assert result.error.max() < 0.1
    assert result.motion.shape == (12, 27)
    np.testing.assert_allclose(
        result.joints, forward_kinematics(result.skeleton, result.motion), atol=1e-6
    )
    knee = result.motion[:, result.skeleton.parameter_names.index("left_knee_flexion")]
    np.testing.assert_allclose(knee, angles, atol=1e-2)


def test_retarget_refuses_other_joints(tmp_path):
    with pytest.raises(MocapError, match="skeleton 'hand' has other joints"):
        retarget(read_clip(write(tmp_path, [frame()])), hand())


@pytest.fixture(scope="module")
def real_clips():
    """The folder of the real files: the installed package, or DKPR_MOCAP."""
    folder = os.environ.get("DKPR_MOCAP")
    try:
        list_clips(folder)
    except MocapError as error:
        pytest.skip(str(error))
    return folder


def test_real_clips(real_clips):
    clips = [read_clip(name, real_clips) for name in list_clips(real_clips)]
    assert len(clips) == 15
    assert sum(len(clip.joints) for clip in clips) == 1620
    assert 33 < sum(clip.times[-1] for clip in clips) < 34
    worst = max(clips, key=lambda clip: clip.quaternion_error)
    assert worst.name == "kick"
    for clip in clips:
        lengths = estimate_bone_lengths(human36m(), clip.joints)
        np.testing.assert_allclose(lengths[1:3], [421.546, 409.87], atol=1e-6)
        # On or above the floor (y down), but for the thickness of the foot.
        assert clip.joints[..., 1].max() < 100


def test_real_walk_comes_to_the_camera(real_clips):
    clip = read_clip("walk", real_clips)
    pelvis = clip.joints[:, 0]
    assert pelvis[-1, 2] < pelvis[0, 2] - 1000
    assert (clip.joints[:, NAMES.index("nose"), 2] < clip.joints[:, NAMES.index("neck"), 2]).all()
    assert (clip.joints[:, NAMES.index("left_hip"), 0] > pelvis[:, 0]).all()


def test_real_walk_retargets(real_clips):
    result = retarget(read_clip("walk", real_clips))
    assert result.error.mean() < 25
    assert np.abs(np.diff(result.motion[:, 3:], axis=0)).max() < 1.0
