"""The paper's planar objects."""

import math

import numpy as np
import pytest

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import SkeletonError, planar
from gluon_dkpr.skeleton.planar import BONE_LENGTH_PX, IMAGE_SIZE_PX, LEVELS

NAMES = {
    3: ("x", "y", "theta"),
    6: ("x", "y", "orientation", "theta", "left_2", "right_2"),
    8: ("x", "y", "orientation", "theta", "left_2", "right_2", "left_3", "right_3"),
    10: (
        *("x", "y", "orientation", "theta", "left_2", "right_2"),
        *("left_3", "right_3", "left_4", "right_4"),
    ),
}
JOINTS = {3: 3, 6: 5, 8: 7, 10: 9}


@pytest.mark.parametrize("level", LEVELS)
def test_names_counts_and_bones(level):
    skeleton = planar(level)
    arm = (JOINTS[level] - 1) // 2
    arms = [[f"{side}_{i}" for i in range(1, arm + 1)] for side in ("left", "right")]
    assert skeleton.dim == 2
    assert skeleton.length_unit == "px"
    assert skeleton.parameter_names == NAMES[level]
    assert skeleton.joint_names == ("root", *arms[0], *arms[1])
    assert skeleton.num_joints == JOINTS[level]
    chains = [["root", *names] for names in arms]
    assert skeleton.bones == tuple(bone for names in chains for bone in zip(names, names[1:]))
    assert skeleton.left_right_pairs == tuple(zip(*arms))
    np.testing.assert_array_equal(skeleton.bone_lengths, [BONE_LENGTH_PX[level]] * 2 * arm)


def test_paper_values():
    """Section 4.1: bones of 45 px, 128 x 128 images."""
    assert planar().bone_lengths.tolist() == [45.0, 45.0]
    assert planar() == planar(3)
    assert IMAGE_SIZE_PX == 128


@pytest.mark.parametrize("level", LEVELS)
def test_every_parameter_is_bounded(level):
    lower, upper = planar(level).bounds()
    assert np.isfinite([lower, upper]).all()
    assert (lower < upper).all()
    assert lower[:2].tolist() == [0, 0]
    assert upper[:2].tolist() == [IMAGE_SIZE_PX] * 2


@pytest.mark.parametrize("level", [0, 1, 4, 5, 7, 12, -3, "3", None, [3]])
def test_other_levels_are_refused(level):
    with pytest.raises(SkeletonError, match=r"planar object of .*\(3, 6, 8, 10\)"):
        planar(level)


def test_theta_is_the_angle_of_each_bone_with_the_vertical():
    """Down the image at zero; +theta opens both arms, the left one to the left of the image."""
    theta = 0.4
    root, left, right = forward_kinematics(planar(3), [[10.0, 20.0, theta]])[0]
    assert root.tolist() == [10, 20]
    sin, cos = 45 * math.sin(theta), 45 * math.cos(theta)
    np.testing.assert_allclose(left - root, [-sin, cos])
    np.testing.assert_allclose(right - root, [sin, cos])


@pytest.mark.parametrize("level", LEVELS[1:])
def test_orientation_turns_the_whole_object(level):
    """At +90 degrees, which turns x to y, the bones that pointed down point left."""
    motion = np.zeros((1, level))
    motion[0, 2] = math.pi / 2
    joints = forward_kinematics(planar(level), motion)[0]
    reach = BONE_LENGTH_PX[level] * (level - 2) // 2
    np.testing.assert_allclose(joints.min(axis=0), [-reach, 0], atol=1e-12)
    np.testing.assert_allclose(joints.max(axis=0), [0, 0], atol=1e-12)


@pytest.mark.parametrize("level", LEVELS)
def test_mirrored_motion_gives_mirrored_joints(level):
    """A reflection at the vertical: orientation changes sign, the bends swap sides and signs."""
    skeleton = planar(level)
    names = skeleton.parameter_names
    swap = {"left": "right", "right": "left"}
    random = np.random.RandomState(0)
    motion = random.uniform(-1, 1, (5, level))
    mirrored = np.zeros_like(motion)
    for i, name in enumerate(names):
        side, _, number = name.partition("_")
        twin = f"{swap[side]}_{number}" if side in swap else name
        sign = 1 if name in ("y", "theta") else -1
        mirrored[:, names.index(twin)] = sign * motion[:, i]
    order = list(range(skeleton.num_joints))
    for pair in skeleton.left_right_pairs:
        left, right = (skeleton.joint_names.index(name) for name in pair)
        order[left], order[right] = right, left
    expected = forward_kinematics(skeleton, motion)[:, order] * [-1, 1]
    np.testing.assert_allclose(forward_kinematics(skeleton, mirrored), expected, atol=1e-12)
