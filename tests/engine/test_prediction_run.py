"""Inputs in, files out: pictures, folders, patterns and videos; what fails stops nothing else."""

import csv
import json
import os
import signal
import tracemalloc

import cv2
import numpy as np
import people as small
import pytest
from hand_set import SHAPE, constant_net
from prediction_stubs import BODY, Person, names_in, picture, save, save_video

from gluon_dkpr.engine.pictures import read_picture
from gluon_dkpr.engine.prediction import Boxes, Options, PredictionError, predict_inputs
from gluon_dkpr.engine.prediction.sources import find_sources
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.geometry import forward_kinematics, load_bvh
from gluon_dkpr.skeleton import planar
from gluon_dkpr.viz import PREDICTED_COLOR

PLANAR = planar(3)
MOTION = np.array([60.0, 40.0, np.radians(35.0)])
TABLES = ("json", "csv", "npz", "bvh")


def white_on_black(height=64, width=64):
    image = np.zeros((height, width, 3), np.uint8)
    image[height // 3 : height // 2, width // 3 : width // 2] = 255
    return image


def planar_predictor():
    return NetworkPredictor(constant_net("kinematic", MOTION), SHAPE)


def person(count=1, method="kinematic"):
    return Person(small.random_motion(count), method)


def predict(predictor, inputs, folder, **options):
    return list(predict_inputs(predictor, inputs, folder, Options(**options)))


class TestSources:
    def test_folders_and_patterns_in_order(self, tmp_path):
        inner = tmp_path / "in" / "deep"
        inner.mkdir(parents=True)
        for name in ("b.PNG", "a.jpg", "notes.txt", "c.mp4", "deep/d.png"):
            (tmp_path / "in" / name).write_bytes(b"")
        found, failures = find_sources([tmp_path / "in", f"{tmp_path}/in/**/*.png", "x[1].png"])
        assert [(s.path.name, s.kind) for s in found] == [
            ("a.jpg", "picture"),
            ("b.PNG", "picture"),
            ("c.mp4", "video"),
            ("d.png", "picture"),
        ]
        assert failures == [("x[1].png", "no file matches")]

    def test_a_name_with_brackets_that_is_there(self, tmp_path):
        path = save(picture(), tmp_path / "x[1].png")
        assert [source.path for source in find_sources([path])[0]] == [path]

    def test_webcams_and_an_empty_folder(self, tmp_path):
        found, failures = find_sources(["webcam", "webcam:2", tmp_path, "webcam:x"])
        assert [(s.kind, s.device, s.stem) for s in found[:2]] == [
            ("webcam", 0, "webcam"),
            ("webcam", 2, "webcam2"),
        ]
        assert found[2].kind == "picture"
        assert failures == [(str(tmp_path), "a folder without pictures or videos")]


class TestPlanarPictures:
    def test_json_and_overlay(self, tmp_path):
        save(white_on_black(100, 200), tmp_path / "a.b.png")
        (result,) = predict(planar_predictor(), [tmp_path / "a.b.png"], tmp_path / "o")
        assert names_in(tmp_path / "o") == ["a.b-overlay.png", "a.b.json"]
        tree = json.loads(result.files[0].read_text())
        assert tree["format"] == "gluon_dkpr/prediction/1"
        assert tree["picture"] == {"name": "a.b.png", "width": 200, "height": 100}
        assert (tree["skeleton"], tree["method"]) == ("planar3", "kinematic")
        assert tree["angles_deg"] == {"theta": pytest.approx(35.0, abs=1e-3)}
        assert list(tree["joints_px"]) == list(PLANAR.joint_names)
        np.testing.assert_allclose(
            list(tree["joints_px"].values()), result.pose.joints_px, atol=1e-3
        )
        assert tree["crop"] == {"left": 0, "top": -50, "side": 200, "size": 128}

    @pytest.mark.parametrize(("height", "width", "scale"), [(128, 128, 4), (100, 700, 1)])
    def test_the_overlay_shows_the_skeleton_over_the_picture(self, height, width, scale, tmp_path):
        save(white_on_black(height, width), tmp_path / "p.png")
        (result,) = predict(planar_predictor(), [tmp_path / "p.png"], tmp_path)
        overlay = read_picture(result.files[1])
        assert overlay.shape == (height * scale, width * scale, 3)
        right = result.pose.joints_px[2]
        if (right < [width, height]).all():
            x, y = np.round((right + 0.5) * scale - 0.5).astype(int)
            # The right side has the colour itself.
            assert tuple(overlay[y, x]) == PREDICTED_COLOR
        else:
            assert (height, width) == (100, 700)  # a crop with padding, the joint is in that
        plain = white_on_black(height, width).repeat(scale, 0).repeat(scale, 1)
        changed = (overlay != plain).any(-1).mean()
        assert 0 < changed < 0.2

    def test_equal_stems_and_pictures_in_the_output_folder(self, tmp_path):
        (tmp_path / "sub").mkdir()
        names = ["a.png", "a.jpg", "sub/a.png", "a-2.png", "b.png", "b-overlay.png"]
        widths = [64 + 16 * i for i in range(len(names))]
        pictures = [save(white_on_black(64, w), tmp_path / n) for n, w in zip(names, widths)]
        pictures.append(tmp_path / "a.png")
        before = {path: path.read_bytes() for path in pictures}
        results = predict(planar_predictor(), pictures, tmp_path)
        assert {path: path.read_bytes() for path in pictures} == before
        written = [file for result in results for file in result.files]
        assert len(set(written)) == 2 * len(pictures)
        found = [json.loads(r.files[0].read_text())["picture"]["width"] for r in results]
        assert found == [*widths, 64]
        assert results[0].files[0].name == "a.json"
        assert results[1].files[0].name == "a-2.json"

    def test_a_second_time_replaces_the_first(self, tmp_path):
        path = save(white_on_black(), tmp_path / "a.png")
        for _ in range(2):
            predict(planar_predictor(), [path], tmp_path / "out")
        assert len(names_in(tmp_path / "out")) == 2

    def test_what_fails_leaves_nothing_and_stops_nothing(self, tmp_path):
        good = save(white_on_black(), tmp_path / "good.png")
        black = save(np.zeros((64, 64, 3), np.uint8), tmp_path / "black.png")
        (tmp_path / "text.png").write_text("a text")
        pictures = [tmp_path / "missing.png", black, good, tmp_path / "text.png"]
        results = predict(planar_predictor(), pictures, tmp_path / "out", batch=2)
        assert [result.error is None for result in results] == [False, False, True, False]
        assert [result.name for result in results] == [str(path) for path in pictures]
        assert results[1].error.startswith("nothing in it is white")
        assert names_in(tmp_path / "out") == ["good-overlay.png", "good.json"]


class TestPeople:
    def test_a_picture(self, tmp_path):
        path = save(picture(80, 100), tmp_path / "p.png")
        (result,) = predict(person(), [path], tmp_path / "out", formats=TABLES, camera=90.0)
        tree = json.loads(result.files[0].read_text())
        np.testing.assert_allclose(list(tree["joints_mm"].values()), result.pose.joints, atol=1e-3)
        np.testing.assert_allclose(tree["camera_root_mm"], result.pose.root, atol=1e-3)
        assert len(tree["angles_deg"]) == 24
        # The picture enlarged five times, and a view as high beside it.
        assert read_picture(result.files[-1]).shape == (400, 500 + 400, 3)

    def test_direct_joint_has_no_angles(self, tmp_path):
        path = save(picture(), tmp_path / "p.png")
        (result,) = predict(person(method="direct"), [path], tmp_path, draw=False)
        assert "angles_deg" not in json.loads(result.files[0].read_text())
        assert len(result.files) == 1

    def test_batches_go_on_after_a_bad_picture(self, tmp_path):
        paths = [save(picture(), tmp_path / f"{i}.png") for i in range(5)]
        paths[1].write_text("no picture")
        who = person(4)
        results = predict(who, paths, tmp_path / "out", batch=2, draw=False)
        assert [r.error is None for r in results] == [True, False, True, True, True]
        for i, k in enumerate((0, 2, 3, 4)):
            np.testing.assert_array_equal(results[k].pose.motion, who.motion[i])

    @pytest.mark.parametrize(
        ("method", "options", "message"),
        [
            ("kinematic", {"formats": ("json", "xml")}, "format is 'xml'"),
            ("direct", {"formats": ("bvh",)}, "BVH wants a motion.*--model-fit"),
            ("direct", {"smooth_s": 0.1}, "smoothing wants a motion.*--model-fit"),
            ("kinematic", {"smooth_s": -1.0}, "expected 0 or more"),
            ("kinematic", {"batch": 0}, "expected 1 or more"),
            ("kinematic", {"max_frames": 0}, "0 frames, expected 1 or more"),
            ("kinematic", {"camera": (1.0, 2.0)}, "expected a focal length"),
        ],
    )
    def test_options_that_do_not_fit(self, method, options, message, tmp_path):
        path = save(picture(), tmp_path / "p.png")
        with pytest.raises(PredictionError, match=message):
            predict(person(method=method), [path], tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()

    def test_bvh_of_a_planar_object(self, tmp_path):
        with pytest.raises(PredictionError, match="BVH wants three dimensions"):
            predict(planar_predictor(), [], tmp_path, formats=("bvh",))


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

    def test_no_webcam(self, tmp_path, capfd):
        (result,) = predict(person(), ["webcam:97"], tmp_path / "out")
        assert result.error == "no camera of number 97 can be opened"
        assert (names_in(tmp_path / "out"), capfd.readouterr()) == ([], ("", ""))


class TestInterrupted:
    def test_a_webcam_keeps_what_it_has_seen(self, tmp_path, monkeypatch):
        path = save_video(tmp_path / "v.avi", 200)
        real = cv2.VideoCapture
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: real(str(path)))
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
