"""Videos in, files out: poses of every frame, however long it is, damaged or interrupted."""

import csv
import json
import os
import resource
import signal
import tracemalloc

import cv2
import numpy as np
import people as small
import pytest
from prediction_stubs import (
    BODY,
    TABLES,
    Person,
    names_in,
    person,
    picture,
    planar_predictor,
    predict,
    save,
    save_video,
    white_on_black,
)

from gluon_dkpr.engine.prediction import Boxes
from gluon_dkpr.engine.prediction.drawing import mp4_writer
from gluon_dkpr.geometry import forward_kinematics, load_bvh


class TestVideo:
    @pytest.mark.parametrize("camera", [None, 70.0])
    def test_all_tables_say_the_same(self, camera, tmp_path):
        who = person(12)
        path = save_video(tmp_path / "v.avi", 12)
        options = {"formats": TABLES, "camera": camera, "batch": 5, "draw": False}
        (result,) = predict(who, [path], tmp_path / "out", **options)
        assert (result.error, result.frames) == (None, 12)
        assert names_in(tmp_path / "out") == ["v.bvh", "v.csv", "v.json", "v.npz"]
        arrays = np.load(tmp_path / "out" / "v.npz", allow_pickle=False)
        expected = forward_kinematics(BODY, who.motion)
        np.testing.assert_allclose(arrays["joints_mm"], expected, atol=1e-9)
        np.testing.assert_allclose(arrays["motion"], who.motion, atol=1e-9)
        np.testing.assert_allclose(arrays["time_s"], np.arange(12) / 20)
        assert arrays["joint_names"].tolist() == list(BODY.joint_names)
        assert arrays["parameter_names"].tolist() == list(BODY.parameter_names)

        tree = json.loads((tmp_path / "out" / "v.json").read_text())
        assert tree["video"] == {"name": "v.avi", "width": 64, "height": 48, "fps": 20.0}
        for i, frame in enumerate(tree["frames"]):
            assert (frame["frame"], frame["time_s"]) == (i, pytest.approx(i / 20))
            points = list(frame["joints_mm"].values())
            np.testing.assert_allclose(points, expected[i], atol=1e-3)
            points = list(frame["joints_px"].values())
            np.testing.assert_allclose(points, arrays["joints_px"][i], atol=1e-3)

        with open(tmp_path / "out" / "v.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 12
        assert ("camera_root_z_mm" in rows[0]) == (camera is not None)
        elbow = BODY.joint_names.index("left_elbow")
        for i, row in enumerate(rows):
            assert float(row["left_elbow_y_mm"]) == pytest.approx(expected[i, elbow, 1], abs=1e-3)
            x = arrays["joints_px"][i, elbow, 0]
            assert float(row["left_elbow_x_px"]) == pytest.approx(x, abs=1e-3)
            flexion = BODY.parameter_names.index("left_elbow_flexion")
            degrees = np.degrees(who.motion[i, flexion])
            assert float(row["left_elbow_flexion_deg"]) == pytest.approx(degrees, abs=1e-3)

        skeleton, motion, frame_time = load_bvh(tmp_path / "out" / "v.bvh", "mm")
        assert frame_time == pytest.approx(0.05)
        order = [skeleton.joint_names.index(name) for name in BODY.joint_names]
        upright = forward_kinematics(skeleton, motion)[:, order] * [1, -1, -1]
        root = 0 if camera is None else arrays["camera_root_mm"][:, None]
        np.testing.assert_allclose(upright, expected + root, atol=0.01)

    def test_the_annotated_video(self, tmp_path):
        def red(i, frame):
            frame[:] = (20, 60, 120 + 10 * i)
            return frame

        path = save_video(tmp_path / "v.mp4", 8, codec="mp4v", changes=red)
        (result,) = predict(person(8), [path], tmp_path / "out")
        assert names_in(tmp_path / "out") == ["v-overlay.mp4", "v.bvh", "v.json"]
        capture = cv2.VideoCapture(str(result.files[-1]))
        frames = []
        while True:
            good, frame = capture.read()
            if not good:
                break
            frames.append(frame)
        assert len(frames) == 8
        assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(20.0)
        # The picture eight times as large, and a view as high as it beside it.
        assert frames[0].shape == (384, 512 + 384, 3)
        # The background is the frame's own, which gets redder; the view's is white.
        colors = np.array([frame[:20, :20].mean(axis=(0, 1)) for frame in frames])
        expected = [(20, 60, 120 + 10 * i) for i in range(8)]
        np.testing.assert_allclose(colors, expected, atol=12)
        assert frames[0][150:250, -20:].mean() > 245

    def test_large_frames_are_drawn_smaller(self, tmp_path):
        path = save_video(tmp_path / "v.avi", 2, height=901, width=1441)
        (result,) = predict(person(2), [path], tmp_path / "out")
        capture = cv2.VideoCapture(str(result.files[-1]))
        _, frame = capture.read()
        assert frame.shape == (450, 720 + 450, 3)

    def test_boxes_of_frames_and_a_first_part(self, tmp_path):
        path = save_video(tmp_path / "v.avi", 10)
        (tmp_path / "b.csv").write_text("name,frame,x,y,w,h\nv.avi,0,0,0,20,20\nv.avi,4,9,5,30,30")
        boxes = Boxes.read(tmp_path / "b.csv")
        options = {"boxes": boxes, "max_frames": 6, "formats": ("npz",), "draw": False}
        (result,) = predict(person(), [path], tmp_path / "out", **options)
        assert (result.frames, result.error) == (6, None)
        crop = np.load(result.files[0], allow_pickle=False)["crop"]
        expected = [[0, 0, 20, 64]] * 4 + [[9, 5, 30, 64]] * 2
        np.testing.assert_array_equal(crop, expected)

    def test_smoothing(self, tmp_path):
        t = np.linspace(0, 1, 24)[:, None]
        truth = small.random_motion(1) * (1 + 0.2 * np.sin(3 * t))
        noise = np.random.default_rng(0).normal(0, 0.08, truth.shape) * BODY.is_angle()
        path = save_video(tmp_path / "v.avi", 24)
        errors = []
        for seconds in (0.0, 0.1):
            options = {"smooth_s": seconds, "formats": ("npz",), "draw": False, "batch": 7}
            (result,) = predict(Person(truth + noise), [path], tmp_path / "out", **options)
            joints = np.load(result.files[0], allow_pickle=False)["joints_mm"]
            assert len(joints) == 24
            expected = forward_kinematics(BODY, truth)
            errors.append(np.linalg.norm(joints - expected, axis=-1).mean())
        assert errors[1] < 0.75 * errors[0]

    def test_direct_joint_is_fitted_as_a_sequence(self, tmp_path):
        who = person(6, "direct")
        path = save_video(tmp_path / "v.avi", 6)
        options = {"model_fit": True, "batch": 4, "formats": ("npz",), "draw": False}
        (result,) = predict(who, [path], tmp_path / "out", **options)
        arrays = np.load(result.files[0], allow_pickle=False)
        again = forward_kinematics(BODY, arrays["motion"])
        np.testing.assert_allclose(arrays["joints_mm"], again, atol=1e-6)
        np.testing.assert_allclose(again, forward_kinematics(BODY, who.motion), atol=5)

    def test_frames_without_a_pose(self, tmp_path):
        def lines(i, frame):
            frame[:] = 0
            if i not in (0, 5, 9):
                frame[10:30, 10:20] = 255
            return frame

        path = save_video(tmp_path / "v.avi", 10, changes=lines)
        options = {"formats": ("csv",), "smooth_s": 0.05}
        (result,) = predict(planar_predictor(), [path], tmp_path / "out", **options)
        assert (result.frames, result.error) == (7, "3 of 10 frames have no pose")
        with open(result.files[0], newline="") as file:
            assert [int(row["frame"]) for row in csv.DictReader(file)] == [1, 2, 3, 4, 6, 7, 8]
        capture = cv2.VideoCapture(str(result.files[1]))
        assert sum(1 for _ in iter(capture.grab, False)) == 10

    def test_none_of_the_frames_has_a_pose(self, tmp_path):
        path = save_video(tmp_path / "v.avi", 3, changes=lambda i, frame: frame * 0)
        (result,) = predict(planar_predictor(), [path], tmp_path / "out")
        assert result.error == "no frame shows what is expected"
        assert (result.files, names_in(tmp_path / "out")) == ((), [])

    def test_memory_does_not_grow_with_the_length(self, tmp_path):
        peaks = []
        for count in (12, 36):
            path = save_video(tmp_path / f"{count}.avi", count, height=120, width=160)
            who = person(3)
            tracemalloc.start()
            predict(who, [path], tmp_path / "out", formats=TABLES, batch=4)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        # The frames between are 1.4 MB, what is drawn of them 24 MB.
        assert peaks[1] - peaks[0] < 500_000


class TestBadVideos:
    def test_cut_in_the_middle(self, tmp_path):
        path = save_video(tmp_path / "v.avi", 40)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        (result,) = predict(person(), [path], tmp_path / "out")
        assert result.error.startswith("damaged: ends after ")
        assert result.error.endswith(" of 40 frames")
        assert 0 < result.frames < 40
        tree = json.loads((tmp_path / "out" / "v.json").read_text())
        assert len(tree["frames"]) == result.frames

    @pytest.mark.parametrize("content", [b"", b"a text", None])
    def test_what_is_no_video(self, content, tmp_path, capfd):
        path = tmp_path / "v.mp4"
        if content is not None:
            path.write_bytes(content)
        good = save(picture(), tmp_path / "p.png")
        bad, fine = predict(person(), [path, good], tmp_path / "out", draw=False)
        expected = "no such file" if content is None else "cannot be opened as a video"
        assert bad.error.startswith(expected)
        assert str(path) not in bad.error
        assert (bad.files, fine.error) == ((), None)
        # FFmpeg's own words stay off the terminal.
        assert capfd.readouterr() == ("", "")

    def test_a_name_that_is_not_in_utf8(self, tmp_path):
        """As old archives hold; OpenCV ends the process."""
        path = save_video(tmp_path / "v.avi").rename(tmp_path / "caf\udce9.avi")
        good = save(picture(), tmp_path / "caf\udce9.png")
        bad, fine = predict(person(), [path, good], tmp_path / "out")
        assert bad.error == "not a name in UTF-8, which OpenCV wants of a video"
        assert (fine.error, fine.files[0].name) == (None, "caf\udce9-2.json")
        path = path.rename(tmp_path / "v.avi")
        (result,) = predict(person(), [path], tmp_path / "caf\udce9")
        assert result.error.endswith("not a name in UTF-8, which OpenCV wants of a video")
        (result,) = predict(person(), [path], tmp_path / "caf\udce9", draw=False)
        assert result.error is None

    def test_no_webcam(self, tmp_path, capfd):
        (result,) = predict(person(), ["webcam:97"], tmp_path / "out")
        assert result.error == "no camera of number 97 can be opened"
        assert (names_in(tmp_path / "out"), capfd.readouterr()) == ([], ("", ""))


class TestFullDisk:
    @pytest.fixture
    def full(self):
        """Files end at 20 kB, as on a full disk."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    def test_half_an_overlay_replaces_nothing(self, full, tmp_path, capfd):
        def noise(i, frame):
            return np.random.default_rng(i).integers(0, 256, frame.shape, dtype=np.uint8)

        path = save_video(tmp_path / "v.avi", 20, changes=noise)
        good = save(white_on_black(), tmp_path / "p.png")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "v-overlay.mp4").write_text("of an earlier time")
        full()
        results = predict(planar_predictor(), [path, good], tmp_path / "out", formats=("npz",))
        assert [result.error for result in results] == [
            f"{tmp_path}/out/v-overlay.mp4: not written whole; is the disk full?",
            None,
        ]
        assert names_in(tmp_path / "out") == ["p-overlay.png", "p.npz", "v-overlay.mp4"]
        assert (tmp_path / "out" / "v-overlay.mp4").read_text() == "of an earlier time"

    @pytest.mark.parametrize("fps", [0.1, 1.0, 23.976, 25.0, 29.97, 59.94, 333.3, 1000.0])
    @pytest.mark.parametrize("count", [1, 2, 33])
    def test_every_whole_video_counts_as_such(self, fps, count, tmp_path):
        with mp4_writer(tmp_path / "v.mp4", fps) as write:
            for i in range(count):
                write(picture(48, 64, 5 * i))
        assert names_in(tmp_path) == ["v.mp4"]


class TestInterrupted:
    def test_a_webcam_keeps_what_it_has_seen(self, tmp_path, monkeypatch):
        path = save_video(tmp_path / "v.avi", 200)
        real = cv2.VideoCapture
        camera = lambda *what: real(str(path)) if what == (3,) else real(*what)  # noqa: E731
        monkeypatch.setattr(cv2, "VideoCapture", camera)
        who = person(3)

        def interrupted(images):
            if len(who.batches) == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return Person.predict(who, images)

        who.predict = interrupted
        handler = signal.getsignal(signal.SIGINT)
        (result,) = predict(who, ["webcam:3"], tmp_path / "out", batch=4)
        assert signal.getsignal(signal.SIGINT) == handler
        assert (result.name, result.error, result.frames) == ("webcam:3", None, 12)
        assert names_in(tmp_path / "out") == [
            *("webcam3-overlay.mp4", "webcam3.bvh", "webcam3.json"),
        ]
        tree = json.loads((tmp_path / "out" / "webcam3.json").read_text())
        assert (tree["webcam"]["name"], len(tree["frames"])) == ("webcam:3", 12)

    def test_a_video_leaves_nothing(self, tmp_path):
        who = person(3)
        path = save_video(tmp_path / "v.avi", 20)

        def interrupted(images):
            if len(who.batches) == 3:
                raise KeyboardInterrupt
            return Person.predict(who, images)

        who.predict = interrupted
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "v.json").write_text("of an earlier time")
        with pytest.raises(KeyboardInterrupt):
            predict(who, [path], tmp_path / "out", batch=4, formats=TABLES)
        assert names_in(tmp_path / "out") == ["v.json"]
        assert (tmp_path / "out" / "v.json").read_text() == "of an earlier time"
