"""The converted pictures show each joint where the label says, in both layouts of the raw files."""

import numpy as np
import pytest

from gluon_dkpr.data import RecordDataset, read_info
from gluon_dkpr.data.h36m import Options, Selection, make_h36m_record
from gluon_dkpr.data.human import ACTIONS, human_layout
from gluon_dkpr.geometry import Crop, forward_kinematics
from gluon_dkpr.skeleton import human36m
from tests.data.h36m.raw_tree import CAMERA, SCALES, RawTree, find_markers, mask_box

FRAMES = 8
# Half a pixel of the camera's image, which a wrong convention of pixel centres costs, is 0.17 px of
# the crop; the next frame's markers are 2 px or more away, another joint's more.
MARKER_PX = 0.1
# Numbers up to 5000 as float32.
LABEL_MM = 1e-3


@pytest.fixture(scope="module", params=["archives", "flat"])
def converted(request, tmp_path_factory):
    """A tree and the data set made of it."""
    folder = tmp_path_factory.mktemp(request.param)
    tree = RawTree(folder / "raw", request.param)
    tree.add("S1", "Directions 1", "54138969", FRAMES, masks=True)
    tree.add("S1", "Directions", "60457274", FRAMES, video_frames=FRAMES + 3, phase=20)
    tree.add("S8", "WalkingDog 1", "55011271", FRAMES, phase=5, size=(1000, 1000))
    tree.add("S9", "Sitting 1", "58860488", FRAMES, masks=True, phase=30)
    tree.add("S11", "SittingDown 1", "54138969", FRAMES, phase=2)
    make_h36m_record(tree.root, folder / "set", Options(Selection(every=2)))
    return tree, folder / "set"


CLIPS = {
    # subject, action, subaction, camera: (subject, file name, whether it has masks)
    (0, "Directions", 1, 0): ("S1", "Directions 1.54138969", True),
    (0, "Directions", 2, 3): ("S1", "Directions.60457274", False),
    (4, "WalkDog", 1, 1): ("S8", "WalkingDog 1.55011271", False),
    (5, "Sitting", 1, 2): ("S9", "Sitting 1.58860488", True),
    (6, "SittingDown", 1, 0): ("S11", "SittingDown 1.54138969", False),
}


def samples_of(path):
    """Yield (clip's subject, file name, masks), label and picture of each sample."""
    for split in ("train", "test"):
        with RecordDataset(path, split) as dataset:
            pictures, labels = dataset.read(dataset.keys)
        for i, picture in enumerate(pictures):
            label = {name: values[i] for name, values in labels.items()}
            numbers = [int(label[name]) for name in ("subject", "action", "subaction", "camera")]
            numbers[1] = ACTIONS[numbers[1]]
            yield CLIPS[tuple(numbers)], label, picture


def test_every_joint_is_where_its_label_says(converted):
    tree, path = converted
    samples = list(samples_of(path))
    assert len(samples) == 3 * FRAMES // 2 + 2 * FRAMES
    for (subject, name, _), label, picture in samples:
        found = find_markers(picture)
        assert np.isfinite(found).all()
        distance = np.linalg.norm(found - label["joints_px"], axis=-1)
        assert distance.max() < MARKER_PX, (subject, name, label["frame"])
        # Neither another frame nor another joint would pass.
        crop = Crop(*label["box"], 224)
        truth = crop.to_crop(tree.joints_px[subject, name])
        frame = int(label["frame"])
        np.testing.assert_allclose(found, truth[frame], atol=2 * MARKER_PX)
        for other in set(range(FRAMES)) - {frame}:
            assert np.linalg.norm(found - truth[other], axis=-1).max() > 10 * MARKER_PX
        between = np.linalg.norm(truth[frame, :, None] - truth[frame], axis=-1)
        assert between[~np.eye(17, dtype=bool)].min() > 10 * MARKER_PX


def test_labels_are_the_poses(converted):
    tree, path = converted
    skeleton = read_info(path).skeleton
    mean_scale = np.mean([SCALES[subject] for subject in ("S1", "S8", "S9", "S11")])
    np.testing.assert_allclose(
        skeleton.bone_lengths, human36m().bone_lengths * mean_scale, rtol=1e-6
    )
    for (subject, name, _), label, _ in samples_of(path):
        truth = tree.joints_mm[subject, name][int(label["frame"])]
        np.testing.assert_allclose(label["root"], truth[0], atol=LABEL_MM)
        np.testing.assert_allclose(label["joints"], truth - truth[0], atol=LABEL_MM)
        assert label["scale"] == pytest.approx(SCALES[subject] / mean_scale, rel=1e-6)
        # The skeleton moves exactly as these poses do, so that the fit leaves next to nothing.
        assert label["motion_error"] < 0.05
        motion = label["motion"][None].astype(float)
        again = forward_kinematics(skeleton, motion, label["scale"][None].astype(float))[0]
        np.testing.assert_allclose(again, truth - truth[0], atol=0.5)


def test_all_that_was_done_can_be_undone(converted):
    tree, path = converted
    for (subject, name, _), label, _ in samples_of(path):
        frame = int(label["frame"])
        crop = Crop(*label["box"], 224)
        truth_px = tree.joints_px[subject, name][frame]
        # A ten-thousandth of a px, as float32 has it at 1000 px.
        np.testing.assert_allclose(crop.to_image(label["joints_px"]), truth_px, atol=2e-4)
        np.testing.assert_allclose(label["intrinsics"], CAMERA, rtol=1e-5)
        joints_mm = label["joints"] + label["root"]
        focal, centre = label["intrinsics"][:2], label["intrinsics"][2:]
        seen = joints_mm[:, :2] / joints_mm[:, 2:] * focal + centre
        np.testing.assert_allclose(seen, truth_px, atol=2e-3)
        expected = label["box"][2] * label["root"][2] / focal.mean()
        assert label["box_mm"] == pytest.approx(expected, rel=1e-6)
        # A length of box_mm at the root's depth is as long as the side of the box.
        assert label["box_mm"] / label["root"][2] * focal.mean() == pytest.approx(label["box"][2])


def test_boxes_are_square_and_of_whole_pixels(converted):
    tree, path = converted
    for (subject, name, masks), label, _ in samples_of(path):
        left, top, side = label["box"]
        assert [left % 1, top % 1, side % 1] == [0, 0, 0]
        joints_px = tree.joints_px[subject, name][int(label["frame"])]
        if masks:
            edges = mask_box(joints_px)
            assert side == max(edges[2] - edges[0], edges[3] - edges[1])
        else:
            # Ten per cent more on each side, and a px for rounding.
            extent = np.ptp(joints_px, axis=0).max()
            assert 1.2 * extent <= side <= 1.2 * (extent + 2) + 1
            edges = np.concatenate([joints_px.min(0), joints_px.max(0)]) + 0.5
        middle = (edges[:2] + edges[2:]) / 2
        np.testing.assert_allclose([left + side / 2, top + side / 2], middle, atol=1.01)


def test_frames_are_those_that_were_asked_for(converted):
    _, path = converted
    frames = {}
    for (subject, name, _), label, _ in samples_of(path):
        frames.setdefault((subject, name), []).append(int(label["frame"]))
    for (subject, name), found in frames.items():
        # every=2 concerns the training subjects only.
        assert found == list(range(0, FRAMES, 2 if subject in ("S1", "S8") else 1)), name
    assert list(frames) == [(subject, name) for subject, name, _ in CLIPS.values()]


def test_the_record_says_where_it_comes_from(converted):
    _, path = converted
    info = read_info(path)
    assert info.layout == human_layout(info.skeleton)
    assert (info.image.shape, info.image.encoding) == ((224, 224, 3), "jpeg")
    source = info.source
    assert source["subjects"] == ["S1", "S5", "S6", "S7", "S8", "S9", "S11"]
    assert source["actions"] == list(ACTIONS)
    assert source["cameras"] == ["54138969", "55011271", "58860488", "60457274"]
    assert source["boxes"] == {"masks": FRAMES // 2 + FRAMES, "joints": FRAMES + FRAMES}
    assert source["parameters"]["jpeg_quality"] == 95
    assert (source["parameters"]["every"], source["parameters"]["every_test"]) == (2, 1)
    kinds = [problem["kind"] for problem in source["problems"]]
    assert kinds == ["missing subject"] * 3 + ["more video frames than poses"]


def test_targets_do_not_depend_on_which_frames_are_asked_for(converted, tmp_path):
    """Each frame is fitted on its own, and the skeleton is that of all frames."""
    tree, path = converted
    make_h36m_record(tree.root, tmp_path / "all")
    every = {}
    for (subject, name, _), label, picture in samples_of(tmp_path / "all"):
        every[subject, name, int(label["frame"])] = label, picture
    for (subject, name, _), label, picture in samples_of(path):
        same, same_picture = every[subject, name, int(label["frame"])]
        np.testing.assert_array_equal(picture, same_picture)
        for field, value in label.items():
            np.testing.assert_array_equal(value, same[field], err_msg=field)
