"""tools/fit.py: every kind of input, what it writes, and one line for a mistake."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.cli import run
from gluon_dkpr.data import ImageFormat, pose_layout, write_record
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.geometry.bvh import load_bvh, save_bvh
from gluon_dkpr.skeleton import hand, human36m, load_skeleton, planar, save_skeleton
from tests.strategies import random_motion

TOOL = Path(__file__).resolve().parents[2] / "tools" / "fit.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("fit_tool", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Drawing takes most of the time.
    module.WORST_FRAMES = 1
    return module


def motion_of(skeleton, count=6):
    """A slow motion: every angle within its bounds and near the rest."""
    steps = np.linspace(0, 1, count)[:, None]
    motion = 0.3 * steps * np.abs(random_motion(skeleton, 1, 3, 1.0))
    lower, upper = skeleton.bounds()
    motion = np.clip(motion, lower, upper)
    motion[:, ~skeleton.is_angle()] = 60.0
    return motion


def joints_of(skeleton):
    return forward_kinematics(skeleton, motion_of(skeleton))


def fitted(tool, tmp_path, *arguments):
    out = tmp_path / "out"
    tool.main([*map(str, arguments), "--out", str(out)])
    return np.load(out / "motion.npz"), json.loads((out / "report.json").read_text()), out


@pytest.mark.parametrize("flags", [("--sequence",), ("--weights", "nose=0.5,head=0")])
def test_human(tool, tmp_path, capsys, flags):
    human = human36m()
    joints = joints_of(human)
    joints[2, 5] = np.nan
    np.save(tmp_path / "a.npy", joints)
    motion, report, out = fitted(tool, tmp_path, tmp_path / "a.npy", "--fps", 25, *flags)
    # The missing ankle is where the model guesses it.
    seen = ~np.isnan(joints)
    seen[:, human.joint_names.index("head")] &= "--weights" not in flags
    np.testing.assert_allclose(motion["joints"][seen], joints[seen], atol=1)
    assert motion["motion"].shape == (6, 27)
    assert tuple(motion["parameter_names"]) == human.parameter_names
    assert (report["frames"], report["missing_joints"], report["unit"]) == (6, 1, "mm")
    assert report["joints"]["pelvis"]["max"] < 1
    assert (out / "worst.png").stat().st_size > 5000
    assert {p.name for p in out.iterdir()} == {
        *("motion.npz", "motion.bvh", "report.json", "worst.png")
    }
    printed = capsys.readouterr().out
    assert "1 of 102 joints are missing (NaN)" in printed
    assert "left_wrist" in printed and "frames converged" in printed
    # The BVH holds the fitted motion.
    skeleton, bvh_motion, frame_time = load_bvh(out / "motion.bvh")
    places = [skeleton.joint_names.index(name) for name in human.joint_names]
    back = forward_kinematics(skeleton, bvh_motion)[:, places]
    np.testing.assert_allclose(back, motion["joints"], atol=0.01)
    assert frame_time == pytest.approx(0.04)


def csv_text(skeleton, joints):
    axes = "xyz"[: skeleton.dim]
    header = ["frame", *(f"{name}_{axis}" for name in skeleton.joint_names for axis in axes)]
    rows = [[i, *row] for i, row in enumerate(joints.reshape(len(joints), -1))]
    cells = [["" if np.isnan(v) else repr(float(v)) for v in row] for row in rows]
    # In another order than the skeleton's.
    return "\n".join(",".join(row[::-1]) for row in [header, *cells]) + "\n"


@pytest.mark.parametrize("kind", ["npz", "csv", "bvh", "json"])
def test_kinds_of_input(tool, tmp_path, kind):
    skeleton = hand()
    joints = joints_of(skeleton)
    path = tmp_path / f"a.{kind}"
    if kind == "npz":
        np.savez(path, joints_mm=joints, other=np.zeros(3))
    elif kind == "csv":
        joints[1, 4] = np.nan
        path.write_text(csv_text(skeleton, joints))
    elif kind == "bvh":
        save_bvh(path, skeleton, motion_of(skeleton), 0.01)
    else:
        layout, image = pose_layout(skeleton), ImageFormat(2, 2, 1, "png")
        motion = motion_of(skeleton)
        pixels = image.encode(np.zeros((2, 2, 1), np.uint8))
        samples = [
            (pixels, layout.pack({"joints": j, "motion": m})) for j, m in zip(joints, motion)
        ]
        write_record(path, skeleton, layout, image, {"train": samples[:4], "test": samples[4:]}, {})
    motion, report, _ = fitted(tool, tmp_path, path, "--skeleton", "hand")
    # The missing tip is where the model guesses it.
    seen = ~np.isnan(joints)
    np.testing.assert_allclose(motion["joints"][seen], joints[seen], atol=1)
    assert (report["frames"], report["missing_joints"]) == (6, kind == "csv")
    assert motion["frame_time"] == (0.01 if kind == "bvh" else 0.02)


def test_planar_object(tool, tmp_path):
    skeleton = planar(10)
    np.save(tmp_path / "a.npy", joints_of(skeleton))
    motion, report, out = fitted(tool, tmp_path, tmp_path / "a.npy", "--skeleton", "planar10")
    np.testing.assert_allclose(motion["joints"], joints_of(skeleton), atol=0.5)
    assert report["unit"] == "px"
    assert {p.name for p in out.iterdir()} == {"motion.npz", "report.json", "worst.png"}


def test_own_skeleton_and_bones(tool, tmp_path):
    human = human36m()
    save_skeleton(human, tmp_path / "body.yaml")
    lengths = human.bone_lengths * np.linspace(0.8, 1.2, 16)
    joints = joints_of(human.with_bone_lengths(lengths))
    np.save(tmp_path / "a.npy", joints)
    arguments = (tmp_path / "a.npy", "--skeleton", tmp_path / "body.yaml", "--own-bones")
    motion, report, _ = fitted(tool, tmp_path, *arguments)
    np.testing.assert_allclose(motion["bone_lengths"], lengths)
    assert report["all"]["max"] < 1
    assert load_skeleton(tmp_path / "body.yaml") == human


def test_estimated_scale(tool, tmp_path):
    human = human36m()
    np.save(tmp_path / "a.npy", joints_of(human.scaled(1.1)))
    motion, report, out = fitted(tool, tmp_path, tmp_path / "a.npy", "--scale", "estimate")
    assert report["all"]["max"] < 2
    skeleton, bvh_motion, _ = load_bvh(out / "motion.bvh")
    places = [skeleton.joint_names.index(name) for name in human.joint_names]
    back = forward_kinematics(skeleton, bvh_motion)[:, places]
    np.testing.assert_allclose(back, motion["joints"], atol=5)


def test_frames_without_a_joint(tool, tmp_path, capsys):
    human = human36m()
    joints = joints_of(human)
    joints[[0, 3]] = np.nan
    np.save(tmp_path / "a.npy", joints)
    motion, report, out = fitted(tool, tmp_path, tmp_path / "a.npy")
    assert report["empty_frames"] == [0, 3]
    assert np.isnan(motion["motion"][[0, 3]]).all()
    assert np.isfinite(motion["motion"][[1, 2, 4, 5]]).all()
    assert "2 frames have no joint" in capsys.readouterr().out
    skeleton, bvh_motion, _ = load_bvh(out / "motion.bvh")
    back = forward_kinematics(skeleton, bvh_motion)
    np.testing.assert_allclose(back[[0, 3]], back[[1, 2]])


def text(content):
    return lambda path: path.write_text(content)


BAD = {
    "other joints": (
        "a.npy",
        lambda p: np.save(p, np.zeros((5, 16, 3))),
        (),
        "expected (F, 17, 3)",
    ),
    "planar": ("a.npy", lambda p: np.save(p, np.zeros((5, 17, 2))), (), "expected (F, 17, 3)"),
    "texts": ("a.npy", lambda p: np.save(p, np.array(["a"])), (), "not an array of real numbers"),
    "objects": ("a.npy", lambda p: np.save(p, np.array([{}])), (), "no NumPy file of numbers"),
    "no numpy": ("a.npy", text("hello"), (), "no NumPy file of numbers"),
    "no zip": ("a.npz", text("PK\3\4 hello"), (), "no NumPy file of numbers"),
    "no array": ("a.npz", lambda p: np.savez(p, a=1, b=2), (), "arrays ['a', 'b'], expected one"),
    "no frame": ("a.npy", lambda p: np.save(p, np.zeros((0, 17, 3))), (), "no frame"),
    "all missing": (
        "a.npy",
        lambda p: np.save(p, np.full((2, 17, 3), np.nan)),
        (),
        "every joint is missing (NaN) in every frame",
    ),
    "infinite": ("a.npy", lambda p: np.save(p, np.full((1, 17, 3), np.inf)), (), "'pelvis' is inf"),
    "no header": ("a.csv", text(""), (), "0 columns 'pelvis_x'"),
    "bad bvh": ("a.bvh", text("HIERARCHY\nROOT"), (), "line 2: joint name is ''"),
    "bad json": ("a.json", text("{}"), (), "schema is None"),
    "suffix": ("a.txt", text(""), (), "suffix is '.txt', expected .npz, .npy, .csv, .bvh, .json"),
    "missing": ("a.npy", lambda p: None, (), "cannot be read: No such file"),
    "skeleton": ("a.npy", text(""), ("--skeleton", "none.yaml"), "no skeleton 'none.yaml'"),
    "weights": (
        "a.npy",
        lambda p: np.save(p, np.zeros((1, 17, 3))),
        ("--weights", "tail=1"),
        "'tail'",
    ),
    "weight": (
        "a.npy",
        lambda p: np.save(p, np.zeros((1, 17, 3))),
        ("--weights", "nose=x"),
        "nose=x",
    ),
    "fps": ("a.npy", text(""), ("--fps", "0"), "argument --fps"),
}


@pytest.mark.parametrize("name, make, flags, message", list(BAD.values()), ids=list(BAD))
def test_mistakes_are_one_line(tool, tmp_path, monkeypatch, capsys, name, make, flags, message):
    make(tmp_path / name)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as end:
        run(lambda: tool.main([str(tmp_path / name), *flags, "--out", str(out)]))
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
    assert not out.exists()


def test_csv_mistakes(tool, tmp_path, capsys):
    human = human36m()
    good = csv_text(human, joints_of(human))
    rows = good.split("\n")
    changes = {
        "0 columns 'nose_z'": good.replace("nose_z", "nose_w"),
        "unknown column 'tail'": good.replace("frame", "tail"),
        "row 3 has 51 cells, expected 52": good.replace(rows[2], rows[2].split(",", 1)[1]),
        "row 2 has 'x'": good.replace(rows[1], "x," + rows[1].split(",", 1)[1]),
    }
    for message, content in changes.items():
        (tmp_path / "a.csv").write_text(content)
        with pytest.raises(SystemExit):
            run(lambda: tool.main([str(tmp_path / "a.csv"), "--out", str(tmp_path / "out")]))
        assert message in capsys.readouterr().err
