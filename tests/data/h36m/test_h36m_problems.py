"""What is not as it should be is reported, shifts nothing, and stops nothing else."""

import dataclasses
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from gluon_dkpr.data import RecordDataset, read_info
from gluon_dkpr.data.h36m import H36mError, Options, StrictError, make_h36m_record, pool
from tests.data.h36m.raw_tree import (
    RawTree,
    find_markers,
    in_file_order,
    mask_box,
    walk,
    write_cdf,
    write_masks,
)

CAMERAS = ("54138969", "55011271", "58860488", "60457274")


def convert(tree, out, **options):
    return make_h36m_record(tree.root, out, Options(**options))


def frames_of(path, split="train"):
    """Return {(action, camera): frames} after checking that every marker is where it should be."""
    found = {}
    with RecordDataset(path, split) as dataset:
        pictures, labels = dataset.read(dataset.keys)
    for i, picture in enumerate(pictures):
        # A tenth of a px; the next frame is 2 px away.
        np.testing.assert_allclose(find_markers(picture), labels["joints_px"][i], atol=0.1)
        key = int(labels["action"][i]), int(labels["camera"][i])
        found.setdefault(key, []).append(int(labels["frame"][i]))
    return found


def kinds(summary):
    return [p.kind for p in summary.problems if p.kind != "missing subject"]


def only(summary):
    """Return the one problem besides missing subjects: kind, where, message."""
    (problem,) = [p for p in summary.problems if p.kind != "missing subject"]
    return tuple(problem)


def test_the_corrupt_video_and_others_that_end_early(tmp_path):
    """S11/Directions.54138969.mp4 is known to be corrupt; here in all the ways there are."""
    tree = RawTree(tmp_path)
    for camera in CAMERAS:
        tree.add("S11", "Directions", camera, frames=8)
    tree.add("S11", "Eating", CAMERAS[0], frames=8, video_frames=5)
    tree.add("S11", "Eating", CAMERAS[1], frames=8, video_frames=12)
    path = [tree.path("video", "S11", f"Directions.{camera}") for camera in CAMERAS]
    path[0].write_bytes(path[0].read_bytes()[:-2000])
    content = bytearray(path[1].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = np.random.default_rng(0).bytes(600)
    path[1].write_bytes(content)
    path[2].write_bytes(b"")
    summary = convert(tree, tmp_path / "out")
    frames = frames_of(tmp_path / "out", "test")
    damaged = frames.pop((0, 1))
    assert frames == {
        (0, 3): list(range(8)),
        (2, 0): list(range(5)),
        (2, 1): list(range(8)),
    }
    # What comes before the damage is good.
    assert damaged == list(range(len(damaged))) and 1 <= len(damaged) < 8
    found = {p.where: (p.kind, p.message) for p in summary.problems if "/" in p.where}
    kind, message = found.pop("S11/Videos/Directions.54138969.mp4")
    assert (kind, message) == (
        "unreadable video",
        "cannot be opened 'moov atom not found': not converted",
    )
    kind, message = found.pop("S11/Videos/Directions.55011271.mp4")
    assert kind == "damaged video"
    assert f"after {len(damaged)} of 8 frames" in message
    kind, message = found.pop("S11/Videos/Directions.58860488.mp4")
    assert (kind, "cannot be opened" in message) == ("unreadable video", True)
    assert found == {
        "S11/Videos/Eating.54138969.mp4": (
            "fewer video frames than poses",
            "ended after 5 of 8 frames that have poses, the file says 5 frames: the rest is left "
            "out",
        ),
        "S11/Videos/Eating.55011271.mp4": (
            "more video frames than poses",
            "12 frames, 8 poses: the frames after the last pose are left out",
        ),
    }
    # The data set tells, too.
    stored = read_info(tmp_path / "out").source["problems"]
    assert stored == [p._asdict() for p in summary.problems]


def test_damaged_frames_can_be_kept(tmp_path):
    tree = RawTree(tmp_path).add("S1", "Posing", frames=60)
    content = bytearray(Path(__file__).with_name("bframes.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 80] = np.random.default_rng(0).bytes(80)
    tree.path("video", "S1", "Posing.54138969").write_bytes(content)
    summary = convert(tree, tmp_path / "a")
    kind, _, message = only(summary)
    assert kind == "damaged video"
    assert f"after {summary.info.count} of 60 frames" in message
    assert 0 < summary.info.count < 60
    summary = convert(tree, tmp_path / "b", keep_damaged=True)
    kind, _, message = only(summary)
    assert (kind, summary.info.count) == ("damaged video", 60)
    assert "damaged frames may be kept" in message


def test_missing_subjects(tmp_path):
    tree = RawTree(tmp_path).add("S1", "Posing", frames=2).add("S9", "Posing", frames=2)
    summary = convert(tree, tmp_path / "out")
    assert [p.where for p in summary.problems] == ["S5", "S6", "S7", "S8", "S11"]
    assert {p.kind for p in summary.problems} == {"missing subject"}


@pytest.mark.parametrize("kind", ["joints_mm", "joints_px"])
def test_a_cdf_that_does_not_parse(tmp_path, kind):
    tree = RawTree(tmp_path).add("S1", "Posing", frames=3).add("S1", "Posing 1", frames=3)
    path = tree.path(kind, "S1", "Posing.54138969")
    path.write_bytes(path.read_bytes()[:300])
    summary = convert(tree, tmp_path / "out")
    assert summary.info.count == 3
    found, where, message = only(summary)
    assert (found, where) == ("unreadable poses", path.relative_to(tmp_path).as_posix())
    assert "not converted" in message


def test_unequal_poses_are_cut_not_shifted(tmp_path):
    tree = RawTree(tmp_path).add("S1", "Posing", frames=6)
    rows = in_file_order(tree.joints_px["S1", "Posing.54138969"][:4])
    write_cdf(tree.path("joints_px", "S1", "Posing.54138969"), rows)
    summary = convert(tree, tmp_path / "out")
    assert frames_of(tmp_path / "out") == {(6, 0): [0, 1, 2, 3]}
    assert kinds(summary) == ["unequal poses", "more video frames than poses"]


def test_frames_without_a_pose_are_left_out(tmp_path):
    tree = RawTree(tmp_path).add("S1", "Posing", frames=6)
    joints = tree.joints_mm["S1", "Posing.54138969"].copy()
    joints[2, 5] = np.nan
    joints[4, :, 2] *= -1
    write_cdf(tree.path("joints_mm", "S1", "Posing.54138969"), in_file_order(joints))
    summary = convert(tree, tmp_path / "out")
    assert frames_of(tmp_path / "out") == {(6, 0): [0, 1, 3, 5]}
    kind, _, message = only(summary)
    assert kind == "unusable poses"
    assert message.startswith("2 of 6 frames") and message.endswith("first frame 2")


def test_positions_that_are_not_those_of_the_camera(tmp_path):
    tree = RawTree(tmp_path).add("S1", "Posing", frames=9).add("S1", "Eating", frames=2)
    rows = in_file_order(walk("S1", 9, phase=17)[:, ::-1])
    write_cdf(tree.path("joints_mm", "S1", "Posing.54138969"), rows)
    summary = convert(tree, tmp_path / "out")
    assert summary.info.count == 2
    kind, where, message = only(summary)
    assert kind == "camera"
    assert where == "S1/MyPoseFeatures/D3_Positions_mono/Posing.54138969.cdf"
    assert "do not belong together" in message


class TestMasks:
    def test_frames_without_a_mask_get_boxes_from_joints(self, tmp_path):
        tree = RawTree(tmp_path).add("S1", "Posing", frames=5)
        boxes = [mask_box(joints) for joints in tree.joints_px["S1", "Posing.54138969"]]
        boxes[1] = None
        boxes[3] = (0, 0, 40, 40)  # beside the person
        write_masks(tree.path("masks", "S1", "Posing.54138969"), boxes[:4], 1002, 1000)
        summary = convert(tree, tmp_path / "out")
        assert frames_of(tmp_path / "out") == {(6, 0): [0, 1, 2, 3, 4]}
        kind, where, message = only(summary)
        assert (kind, where) == (
            "unusable boxes",
            "S1/MySegmentsMat/ground_truth_bb/Posing.54138969.mat",
        )
        assert message.startswith("3 of 5 frames")
        assert summary.info.source["boxes"] == {"masks": 2, "joints": 3}

    def test_a_file_that_cannot_be_read(self, tmp_path):
        tree = RawTree(tmp_path).add("S1", "Posing", frames=2, masks=True)
        path = tree.path("masks", "S1", "Posing.54138969")
        path.write_bytes(path.read_bytes()[:700])
        summary = convert(tree, tmp_path / "out")
        assert only(summary)[0] == "unreadable boxes"
        assert summary.info.source["boxes"] == {"masks": 0, "joints": 2}

    def test_can_be_passed_over(self, tmp_path):
        tree = RawTree(tmp_path).add("S1", "Posing", frames=2, masks=True)
        assert convert(tree, tmp_path / "a").info.source["boxes"] == {"masks": 2, "joints": 0}
        summary = convert(tree, tmp_path / "b", boxes="joints")
        assert summary.info.source["boxes"] == {"masks": 0, "joints": 2}
        assert kinds(summary) == []

    def test_masks_without_data(self, tmp_path):
        tree = RawTree(tmp_path).add("S1", "Posing", frames=2, masks=True)
        path = tree.path("masks", "S1", "Posing.54138969")
        with h5py.File(path, "r+") as file:
            del file["#refs#"]["m1"]
        summary = convert(tree, tmp_path / "out")
        assert summary.info.source["boxes"] == {"masks": 1, "joints": 1}


class TestStrict:
    def test_what_is_known_before_converting(self, tmp_path):
        tree = RawTree(tmp_path / "raw").add("S1", "Posing", frames=2)
        with pytest.raises(StrictError, match="6 problems and --strict, first missing subject: S5"):
            convert(tree, tmp_path / "out" / "set", strict=True)
        assert not (tmp_path / "out").exists()

    def test_what_turns_up_while_converting(self, tmp_path):
        tree = RawTree(tmp_path / "raw")
        for subject in ("S1", "S5", "S6", "S7", "S8", "S9"):
            tree.add(subject, "Posing", frames=1)
        tree.add("S11", "Posing", frames=2, video_frames=3)
        with pytest.raises(StrictError, match="1 problem and --strict, first more video frames"):
            convert(tree, tmp_path / "set", strict=True)
        assert [path.name for path in tmp_path.glob("set*")] == ["set.parts"]
        # It can go on from there, once that problem is accepted.
        summary = convert(tree, tmp_path / "set")
        assert len(summary.resumed) == 7
        assert kinds(summary) == ["more video frames than poses"]

    def test_nothing_wrong(self, tmp_path):
        tree = RawTree(tmp_path / "raw")
        for subject in ("S1", "S5", "S6", "S7", "S8", "S9", "S11"):
            tree.add(subject, "Posing", frames=1)
        summary = convert(tree, tmp_path / "set", strict=True)
        assert summary.problems == []
        assert "no problems" in summary.lines()


def test_nothing_could_be_converted(tmp_path):
    tree = RawTree(tmp_path / "raw").add("S1", "Posing", frames=2)
    tree.path("video", "S1", "Posing.54138969").write_bytes(b"no video")
    with pytest.raises(H36mError, match="no frame could be converted; first of 7 problems"):
        convert(tree, tmp_path / "out" / "set")
    assert list((tmp_path / "out").iterdir()) == []


REAL_WORK = pool._work


# Workers import this module and find these by name.
def crashing(messages, task):
    dies_with(signal.SIGSEGV, messages, task)


def killed(messages, task):
    dies_with(signal.SIGKILL, messages, task)


def dies_with(number, messages, task):
    if task.clip.action == "Posing":
        os.kill(os.getpid(), number)
    REAL_WORK(messages, task)


def exiting(messages, task):
    if task.clip.action == "Posing":
        os._exit(3)
    REAL_WORK(messages, task)


def without_space(messages, task):
    task.folder.rename(task.folder.with_name("away"))
    REAL_WORK(messages, task)


def with_a_bug(messages, task):
    REAL_WORK(messages, dataclasses.replace(task, scale="large"))


class TestWorkers:
    """A worker is a process of its own."""

    @pytest.fixture
    def tree(self, tmp_path):
        tree = RawTree(tmp_path / "raw")
        return tree.add("S1", "Posing", frames=2).add("S1", "Eating", frames=2)

    def test_a_decoder_that_crashes_takes_only_its_video_along(self, tree, tmp_path, monkeypatch):
        monkeypatch.setattr(pool, "_work", crashing)
        summary = convert(tree, tmp_path / "set", workers=2)
        assert summary.info.count == 2
        assert only(summary) == (
            "unreadable video",
            "S1/Videos/Posing.54138969.mp4",
            "the decoder crashed (SIGSEGV): not converted",
        )

    def test_a_worker_that_is_killed_ends_the_run(self, tree, tmp_path, monkeypatch):
        """Nothing is known about its video: another run may well convert it."""
        with monkeypatch.context() as patch:
            patch.setattr(pool, "_work", killed)
            with pytest.raises(H36mError, match=r"was killed \(signal 9\).*same command continues"):
                convert(tree, tmp_path / "set")
        summary = convert(tree, tmp_path / "set")
        assert (summary.info.count, kinds(summary)) == (4, [])
        assert summary.resumed == ["S1.Eating.1.54138969"]

    def test_what_cannot_be_written_ends_the_run(self, tree, tmp_path, monkeypatch):
        monkeypatch.setattr(pool, "_work", without_space)
        with pytest.raises(FileNotFoundError) as caught:
            convert(tree, tmp_path / "set")
        assert str(tmp_path / "set.parts") in caught.value.filename

    def test_a_bug_keeps_its_traceback(self, tree, tmp_path, monkeypatch):
        monkeypatch.setattr(pool, "_work", with_a_bug)
        with pytest.raises(RuntimeError, match="(?s)Eating.*Traceback.*fit_targets"):
            convert(tree, tmp_path / "set")

    def test_a_worker_that_exits(self, tree, tmp_path, monkeypatch):
        monkeypatch.setattr(pool, "_work", exiting)
        with pytest.raises(RuntimeError, match=r"Posing.*ended with status 3.*__main__"):
            convert(tree, tmp_path / "set")
