"""The toy data: reproducible poses whose pictures show them."""

import hashlib
import math
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_dkpr.data import (
    RecordDataset,
    RecordError,
    ToyError,
    is_drawable,
    make_toy_record,
    render_planar,
    sample_motion,
)
from gluon_dkpr.data.render import LINE_WIDTH_PX
from gluon_dkpr.data.toy import MARGIN_PX, MIN_DISTANCE_PX
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, SkeletonError, planar
from gluon_dkpr.skeleton.planar import LEVELS

SIZE = 128
COUNT = 400


def poses(level, count=COUNT):
    skeleton = planar(level)
    motion = sample_motion(skeleton, count, seed=11)
    return skeleton, motion, forward_kinematics(skeleton, motion)


@settings(max_examples=25)
@given(
    level=st.sampled_from(LEVELS),
    seed=st.integers(0, 2**70),
    start=st.integers(0, 20_000),
    cut=st.integers(0, 8),
)
def test_a_sample_is_the_same_in_every_chunk(level, seed, start, cut):
    skeleton = planar(level)
    whole = sample_motion(skeleton, 8, seed, "test", start)
    np.testing.assert_array_equal(whole[:cut], sample_motion(skeleton, cut, seed, "test", start))
    tail = sample_motion(skeleton, 8 - cut, seed, "test", start + cut)
    np.testing.assert_array_equal(whole[cut:], tail)


def test_chunks_inside_one_call_agree():
    skeleton = planar(3)
    whole = sample_motion(skeleton, 4100, seed=2)
    np.testing.assert_array_equal(whole[4090:], sample_motion(skeleton, 10, seed=2, start=4090))


def test_seeds_and_splits_differ():
    skeleton = planar(3)
    sets = [sample_motion(skeleton, 5, s, split) for s in (0, 1) for split in ("train", "test")]
    everything = np.concatenate(sets)
    assert len(np.unique(everything, axis=0)) == 20


def test_another_process_draws_the_same():
    code = (
        "import hashlib; from gluon_dkpr.data import sample_motion;"
        "from gluon_dkpr.skeleton import planar; motion = sample_motion(planar(8), 50, 9);"
        "print(hashlib.sha256(motion.tobytes()).hexdigest())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(sample_motion(planar(8), 50, 9).tobytes()).hexdigest()
    assert result.stdout.strip() == here


def test_samples_stay_what_they_were():
    # Published results name a seed; the poses it stands for must not change.
    found = sample_motion(planar(3), 2, seed=0)
    np.testing.assert_allclose(
        found,
        [
            [66.73809729436275, 40.86662062126922, 1.1539243710858398],
            [65.72971752055885, 34.08404176601266, 0.6562325050044813],
        ],
        rtol=1e-12,
    )


@pytest.mark.parametrize("level", LEVELS)
def test_poses_are_in_bounds_and_in_the_image(level):
    skeleton, motion, joints = poses(level)
    lower, upper = skeleton.bounds()
    assert ((motion >= lower) & (motion <= upper)).all()
    assert joints.min() >= MARGIN_PX
    assert joints.max() <= SIZE - 1 - MARGIN_PX
    # The whole range is used: a tenth of the way in from each bound, at least, for every angle.
    angles = motion[:, skeleton.is_angle()]
    span = (upper - lower)[skeleton.is_angle()]
    assert (angles.min(0) < lower[skeleton.is_angle()] + 0.1 * span).all()
    assert (angles.max(0) > upper[skeleton.is_angle()] - 0.1 * span).all()


def sampled_distance(a, b, c, d):
    """Return the distance of two segments to about 0.1 px, by trying many points of both."""
    share = np.linspace(0, 1, 100)[:, None]
    return np.linalg.norm(
        (a + share * (b - a))[:, None] - (c + share * (d - c))[None], axis=-1
    ).min()


@pytest.mark.parametrize("level", [6, 10])
def test_bones_keep_their_distance(level):
    skeleton, _, joints = poses(level, 60)
    bones = skeleton.bone_indices
    for pose in joints:
        for i, first in enumerate(bones):
            for second in bones[:i]:
                if not set(first) & set(second):
                    distance = sampled_distance(*pose[[*first, *second]])
                    assert distance > MIN_DISTANCE_PX - 0.01


def test_crossing_arms_are_refused():
    skeleton = planar(8)
    middle, rad = (64.0, 30.0), math.radians
    straight = [*middle, 0.0, rad(30), 0.0, 0.0, 0.0, 0.0]
    # Both arms bend inwards until they cross, or end in one point.
    crossed = [*middle, 0.0, rad(30), rad(-50), rad(50), rad(-50), rad(50)]
    touching = [*middle, 0.0, rad(20), rad(-40), rad(40), 0.0, 0.0]
    outside = [1.0, 30.0, *straight[2:]]
    found = is_drawable(skeleton, np.array([straight, crossed, touching, outside]))
    assert found.tolist() == [True, False, False, False]


def brute_force_picture(skeleton, pose, reach):
    """Return the pixels (row, column) at most ``reach`` px from a bone, one by one."""
    picture = np.zeros((SIZE, SIZE), bool)
    for parent, child in skeleton.bone_indices:
        a, b = pose[parent], pose[child]
        for row, column in np.ndindex(SIZE, SIZE):
            point = np.array([column, row])
            share = min(max((point - a) @ (b - a) / ((b - a) @ (b - a)), 0), 1)
            picture[row, column] |= np.linalg.norm(point - a - share * (b - a)) <= reach
    return picture


def test_picture_is_the_pixels_near_a_bone():
    skeleton, _, joints = poses(6, 2)
    # The second one reaches over two edges of the image.
    joints[1] += [-joints[1, :, 0].min() - 10, SIZE - joints[1, :, 1].max() + 5]
    for picture, pose in zip(render_planar(skeleton, joints, SIZE, SIZE), joints):
        white = picture[..., 0] == 255
        # OpenCV's edges lie within a pixel of the exact ones.
        assert (white | ~brute_force_picture(skeleton, pose, LINE_WIDTH_PX / 2 - 1)).all()
        assert (brute_force_picture(skeleton, pose, LINE_WIDTH_PX / 2 + 1) | ~white).all()


def test_lines_are_as_wide_as_they_say():
    skeleton = planar(3)
    motion = np.array([[64.0, 40.0, math.pi / 2]])
    picture = render_planar(skeleton, forward_kinematics(skeleton, motion), SIZE, SIZE)[0, ..., 0]
    widths = np.count_nonzero(picture, axis=0)
    assert (widths[64 - 45 : 64 + 46] == LINE_WIDTH_PX).all()
    # Beyond the ends there are caps of half a line's width at most.
    assert widths.sum() - 91 * LINE_WIDTH_PX <= 2 * LINE_WIDTH_PX


@pytest.mark.parametrize("level", LEVELS)
def test_pictures_show_every_joint(level):
    skeleton, _, joints = poses(level)
    pictures = render_planar(skeleton, joints, SIZE, SIZE)
    assert pictures.shape == (COUNT, SIZE, SIZE, 1)
    assert pictures.dtype == np.uint8
    assert set(np.unique(pictures)) == {0, 255}
    columns, rows = np.rint(joints).astype(int).transpose(2, 0, 1)
    assert (pictures[np.arange(COUNT)[:, None], rows, columns, 0] == 255).all()


def test_no_pictures_and_bones_without_length():
    skeleton = planar(3)
    assert render_planar(skeleton, np.zeros((0, 3, 2)), 5, 7).shape == (0, 5, 7, 1)
    point = render_planar(skeleton, np.full((1, 3, 2), 3.0), 7, 7)[0, ..., 0] // 255
    assert point[3, 3] == 1
    assert point.sum() <= 9


@pytest.mark.parametrize("level", LEVELS)
def test_pictures_are_one_line_without_loops(level):
    skeleton, _, joints = poses(level)
    for picture in render_planar(skeleton, joints, SIZE, SIZE)[..., 0]:
        assert cv2.connectedComponents(picture, connectivity=8)[0] == 2
        # Around the picture, so that an object from edge to edge does not enclose anything.
        outside = np.pad(255 - picture, 1, constant_values=255)
        _, _, stats, _ = cv2.connectedComponentsWithStats(outside, connectivity=4)
        areas = sorted(stats[1:, cv2.CC_STAT_AREA])[:-1]
        # Two lines that part at a sharp angle can leave a dark pixel or two between them.
        assert all(area <= 2 for area in areas)


def test_picture_tells_parts_of_a_pixel():
    skeleton = planar(3)
    shifts = np.arange(0, 1, 0.25)
    motion = np.array([[64 + shift, 40 + shift, math.radians(35)] for shift in shifts])
    pictures = render_planar(skeleton, forward_kinematics(skeleton, motion), SIZE, SIZE)
    assert len({picture.tobytes() for picture in pictures}) == len(shifts)


def object_of(offset, **bounds):
    """Return an object of one bone that turns about its root."""
    parameters = [Parameter(axis, "length", 0.0, 128.0) for axis in "xy"]
    turn = Rotation("z", "turn")
    joints = (Joint("root", rotations=(turn,)), Joint("tip", "root", offset))
    names = {"name": "stick", "dim": len(offset), "position": ("x", "y", "z")[: len(offset)]}
    if len(offset) == 3:
        parameters.append(Parameter("z", "length", 0.0, 128.0))
    parameters.append(Parameter("turn", "radian", **bounds))
    return Skeleton(parameters=tuple(parameters), joints=joints, length_unit="px", **names)


def test_other_planar_objects_can_be_drawn():
    motion = sample_motion(object_of((0.0, 60.0), lower=-math.pi, upper=math.pi), 200, seed=0)
    assert motion[:, 2].min() < -3
    assert motion[:, 2].max() > 3


@pytest.mark.parametrize(
    ("skeleton", "message"),
    [
        (object_of((0.0, 300.0), lower=0.0, upper=1.0), "no pose that fits"),
        (object_of((0.0, 30.0), lower=0.0), "bounds on every parameter"),
        (object_of((0.0, 30.0, 0.0), lower=0.0, upper=1.0), "dimension 2"),
    ],
)
def test_object_that_cannot_be_drawn_is_refused(skeleton, message):
    with pytest.raises(ToyError, match=message):
        sample_motion(skeleton, 1000, seed=0)


@pytest.mark.parametrize("arguments", [{"count": -1}, {"seed": -1}, {"start": -1}])
def test_negative_numbers_are_refused(arguments):
    with pytest.raises(ToyError, match="is -1, expected 0 or more"):
        sample_motion(planar(3), **{"count": 1, "seed": 0, **arguments})


@pytest.mark.parametrize("level", LEVELS)
def test_record_holds_the_poses_and_their_pictures(level, tmp_path):
    made = []
    make_toy_record(tmp_path / "toy", level, train=20, test=7, seed=3, progress=made.append)
    assert sum(made) == 27
    for split, count in (("train", 20), ("test", 7)):
        dataset = RecordDataset(tmp_path / "toy", split)
        images, labels = dataset.read(dataset.keys)
        motion = sample_motion(planar(level), count, 3, split)
        joints = forward_kinematics(planar(level), motion)
        assert dataset.skeleton == planar(level)
        np.testing.assert_array_equal(images, render_planar(planar(level), joints, SIZE, SIZE))
        np.testing.assert_array_equal(labels["motion"], motion.astype(np.float32))
        np.testing.assert_array_equal(labels["joints"], joints.astype(np.float32))


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (SkeletonError, {"level": 4}),
        (ToyError, {"train": -1}),
        (ToyError, {"test": -1}),
        (ToyError, {"seed": -1}),
        (ToyError, {"train": 0, "test": 0}),
        (RecordError, {"path": ""}),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_made(tmp_path, error, arguments):
    with pytest.raises(error):
        make_toy_record(**{"path": tmp_path / "a" / "toy", "train": 1, "test": 1, **arguments})
    assert list(tmp_path.iterdir()) == []
