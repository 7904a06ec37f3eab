"""The page in the browser: its numbers are those of Python."""

from __future__ import annotations

import re

import numpy as np
import pytest
from demo_page import (
    DEMO,
    METHODS,
    OBJECT,
    PARAMETERS,
    SHOWN_PX,
    SIZE_PX,
    press,
    settle,
    shown_bones,
    shown_joints,
    shown_motion,
    shown_picture,
)

from gluon_dkpr.data import sample_motion
from gluon_dkpr.data.render import render_planar
from gluon_dkpr.data.toy import is_drawable
from gluon_dkpr.geometry import forward_kinematics

MODULES = "const [drawing, rules, skeletons, drags, networks] = await Promise.all("
MODULES += "['drawing', 'rules', 'skeleton', 'drag', 'networks']"
MODULES += ".map(name => import(`/_static/demo/${name}.js`)));"
SKELETON = "const s = new skeletons.Skeleton(await networks.loadSignature('toy6-kinematic'));"


@pytest.fixture(scope="module")
def models():
    """The networks of the page, in Python."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name)
    from gluon_dkpr.engine import load_export

    return {method: load_export(DEMO / f"toy6-{method}.onnx") for method in METHODS}


def test_numbers_are_those_of_python(page, models):
    """From the keyboard to the tables: motion, picture, joints, error and bone lengths."""
    before = shown_motion(page)
    press(page, "theta", *["ArrowRight"] * 9)
    press(page, "left_2", "PageUp", "ArrowLeft")
    press(page, "y", *["ArrowDown"] * 5)
    settle(page)
    motion = shown_motion(page)
    moved = [name for name, a, b in zip(PARAMETERS, before, motion) if a != b]
    assert moved == ["y", "theta", "left_2"]

    joints = forward_kinematics(OBJECT, motion[None])
    picture = render_planar(OBJECT, joints, SIZE_PX, SIZE_PX)
    assert np.abs(shown_joints(page, "truth") - joints[0]).max() < SHOWN_PX
    assert np.array_equal(shown_picture(page), picture[0])
    for method, model in models.items():
        expected = model.predict(picture).joints[0]
        assert np.abs(shown_joints(page, method) - expected).max() < SHOWN_PX
        lengths = [np.linalg.norm(expected[b] - expected[a]) for a, b in OBJECT.bone_indices]
        assert np.abs(shown_bones(page, method) - lengths).max() < SHOWN_PX
        error = np.linalg.norm(expected - joints[0], axis=-1).mean()
        cell = page.locator(f".demo-errors tr:first-child [data-column={method}]").inner_text()
        assert abs(float(cell) - error) < 6e-3
    said = page.locator(".demo-sliders .guess").all_inner_texts()
    angles = np.degrees(models["kinematic"].predict(picture).motion[0])
    assert abs(float(re.search(r"[-\d.]+", said[-1])[0]) - angles[-1]) < 0.06


def test_pictures_of_many_poses_are_those_of_python(page):
    motion = sample_motion(OBJECT, 200, seed=5, split="browser")
    joints = forward_kinematics(OBJECT, motion)
    pictures = render_planar(OBJECT, joints, SIZE_PX, SIZE_PX)[..., 0] // 255
    script = MODULES + SKELETON + "return poses.map(joints => "
    script += "Array.from(drawing.drawObject(joints, s.bones, 128)).join(''));"
    found = page.evaluate(f"async poses => {{ {script} }}", joints.tolist())
    expected = ["".join(map(str, picture.ravel())) for picture in pictures]
    assert sum(a != b for a, b in zip(found, expected)) == 0
    assert len(set(expected)) == 200


def test_kinematics_and_rules_are_those_of_python(page):
    lower, upper = OBJECT.bounds()
    motion = lower + (upper - lower) * np.random.default_rng(3).random((400, len(lower)))
    script = MODULES + SKELETON + "return motions.map(motion => { const joints = s.joints(motion);"
    script += "return [joints, rules.whyNot(joints, s.bones, 128) === '']; });"
    found = page.evaluate(f"async motions => {{ {script} }}", motion.tolist())
    joints, good = zip(*found)
    assert np.allclose(joints, forward_kinematics(OBJECT, motion), rtol=0, atol=1e-9)
    assert np.array_equal(good, is_drawable(OBJECT, motion))
    assert 0 < sum(good) < len(good)


def test_no_drag_leaves_the_bounds(page):
    """Wherever a joint is pulled: its motion is one that the sliders can show."""
    rng = np.random.default_rng(7)
    lower, upper = OBJECT.bounds()
    motions = lower + (upper - lower) * rng.random((100, len(lower)))
    pulls = [[m.tolist(), i % 5, rng.uniform(-50, 200, 2).tolist()] for i, m in enumerate(motions)]
    script = MODULES + SKELETON + "return pulls.map(([motion, joint, target]) => "
    script += "drags.drag(s, motion, joint, target));"
    found = np.array(page.evaluate(f"async pulls => {{ {script} }}", pulls))
    assert (found >= lower).all()
    assert (found <= upper).all()
    for (motion, joint, target), moved in zip(pulls, found):
        ends = forward_kinematics(OBJECT, np.array([motion, moved]))[:, joint]
        far, near = np.linalg.norm(ends - target, axis=-1)
        assert near <= far + 1e-9


def test_kinematic_bones_are_exact_and_direct_ones_drift(page):
    lengths = {method: [] for method in METHODS}
    for _ in range(8):
        page.get_by_role("button", name="Random pose").click()
        settle(page)
        for method in METHODS:
            lengths[method].append(shown_bones(page, method))
    assert np.abs(np.array(lengths["kinematic"]) - 30).max() < SHOWN_PX
    assert np.ptp(lengths["direct"], axis=0).min() > 0.1
