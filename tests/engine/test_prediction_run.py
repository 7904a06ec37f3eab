"""Inputs in, files out: pictures, folders and patterns; what fails stops nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from prediction_stubs import (
    PLANAR,
    TABLES,
    names_in,
    person,
    picture,
    planar_predictor,
    predict,
    save,
    white_on_black,
)

from gluon_dkpr.engine.pictures import read_picture
from gluon_dkpr.engine.prediction import PredictionError
from gluon_dkpr.engine.prediction.sources import find_sources
from gluon_dkpr.viz import PREDICTED_COLOR


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

    def test_overlays_alone(self, tmp_path):
        (tmp_path / "a-overlay.png").touch()
        found, failures = find_sources([tmp_path, f"{tmp_path}/*.png"])
        assert found == []
        but = "but overlays of earlier predictions"
        assert [message for _, message in failures] == [
            f"a folder without pictures or videos {but}",
            f"no file matches {but}",
        ]

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

    def test_a_second_time_in_the_same_folder(self, tmp_path):
        """Neither more inputs nor other names than the first time."""
        for name in ("a.png", "x-overlay.jpg"):
            save(white_on_black(), tmp_path / name)
        (tmp_path / "old-overlay.mp4").write_bytes(b"of a video")
        found = []
        for given in (tmp_path, tmp_path, f"{tmp_path}/*.[jp][pn]g"):
            results = predict(planar_predictor(), [given], tmp_path)
            found.append([(r.name, r.files, r.error) for r in results])
        assert found[0] == found[1] == found[2]
        assert [Path(name).name for name, *_ in found[0]] == ["a.png", "x-overlay.jpg"]
        assert len(names_in(tmp_path)) == 3 + 4
        (result,) = predict(planar_predictor(), [tmp_path / "a-overlay.png"], tmp_path / "out")
        assert result.error is None

    def test_what_cannot_be_written_stops_nothing(self, tmp_path):
        paths = [save(white_on_black(), tmp_path / f"{name}.png") for name in "abc"]
        (tmp_path / "out" / "b.json").mkdir(parents=True)
        results = predict(planar_predictor(), paths, tmp_path / "out")
        assert [result.error for result in results] == [
            None,
            f"{tmp_path}/out/b.json: Is a directory",
            None,
        ]
        assert results[1].files == ()
        assert len(names_in(tmp_path / "out")) >= 5

    def test_a_folder_that_is_none(self, tmp_path):
        path = save(white_on_black(), tmp_path / "a.png")
        for out in (path, path / "deeper"):
            with pytest.raises(NotADirectoryError) as caught:
                predict(planar_predictor(), [path], out)
            assert caught.value.filename == str(path)

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
            ("kinematic", {"smooth_s": -1.0}, "smoothing over -1.0 s, expected 0 to 3600"),
            ("kinematic", {"batch": 0}, "expected 1 or more"),
            ("kinematic", {"smooth_s": 1e308}, r"smoothing over 1e\+308 s, expected 0 to 3600"),
            ("kinematic", {"max_frames": 0}, "0 frames, expected 1 to 1000000000"),
            ("kinematic", {"max_frames": 10**20}, "0 frames, expected 1 to 1000000000"),
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
