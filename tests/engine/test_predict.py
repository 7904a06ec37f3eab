"""Pictures in, poses out: what the network sees, and the exact way back to the picture."""

import json

import numpy as np
import pytest
from hand_set import (
    SHAPE,
    assert_one_line,
    call_tool,
    constant_net,
    load_tool,
    random_net,
    save_run,
)
from PIL import Image

from gluon_dkpr.engine.evaluate import NetworkPredictor
from gluon_dkpr.engine.pictures import read_picture
from gluon_dkpr.engine.predict import PredictionError, predict_files, predict_picture
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import angles_from_joints, forward_kinematics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.skeleton import human36m, planar
from gluon_dkpr.viz import PREDICTED_COLOR

SKELETON = planar(3)
MOTION = np.array([60.0, 40.0, np.radians(35.0)])
JOINTS = forward_kinematics(SKELETON, MOTION[None])
# The network computes in float32.
NETWORK_PX = 1e-4
# Height and width: square, wide, high, small, odd, and a strip.
SIZES = [(128, 128), (240, 320), (320, 240), (96, 96), (61, 200), (300, 77), (33, 32)]


def bright_picture(height, width):
    picture = np.zeros((height, width, 3), np.uint8)
    picture[height // 3 : height // 2, width // 3 : width // 2] = 255
    return picture


def predictor_of(method="direct", output=None):
    output = (JOINTS[0] if method == "direct" else MOTION) if output is None else output
    return NetworkPredictor(constant_net(method, output), SHAPE)


def save(picture, path, **options):
    Image.fromarray(picture).save(path, **options)
    return path


class TestWayBack:
    @pytest.mark.parametrize(("height", "width"), SIZES)
    @pytest.mark.parametrize("method", ["direct", "kinematic", "parameter"])
    def test_a_pose_known_in_the_crop_is_known_in_the_picture(self, method, height, width):
        pose = predict_picture(predictor_of(method), bright_picture(height, width))
        side = max(height, width)
        padding = np.array([(side - width + 1) // 2, (side - height + 1) // 2])
        expected = (JOINTS[0] + 0.5) * side / 128 - 0.5 - padding
        np.testing.assert_allclose(pose.joints_px, expected, atol=NETWORK_PX * side / 128)
        np.testing.assert_allclose(pose.root_px, expected[0], atol=NETWORK_PX * side / 128)
        assert pose.angles_deg == {"theta": pytest.approx(35.0, abs=1e-3)}
        # The angle between the bones is that in the picture as well.
        seen = angles_from_joints(SKELETON, pose.joints_px[None])[0, 2]
        assert np.degrees(seen) == pytest.approx(35.0, abs=1e-3)

    def test_a_skeleton_that_is_not_in_px(self):
        net = get_model("resnet18_v1b", human36m())
        net.initialize()
        predictor = NetworkPredictor(net, (64, 64, 3))
        with pytest.raises(PredictionError, match="3 dimensions and mm, expected 2 and px"):
            predict_picture(predictor, bright_picture(64, 64))

    def test_a_network_that_has_diverged(self):
        with pytest.raises(PredictionError, match="not finite"):
            predict_picture(predictor_of(output=JOINTS[0] * np.nan), bright_picture(64, 64))


class TestOutputs:
    def test_json_and_overlay(self, tmp_path):
        save(bright_picture(100, 200), tmp_path / "a.b.png")
        (result,) = predict_files(predictor_of("kinematic"), [tmp_path / "a.b.png"], tmp_path / "o")
        assert sorted(p.name for p in (tmp_path / "o").iterdir()) == [
            "a.b-overlay.png",
            "a.b.json",
        ]
        tree = json.loads(result.files.json.read_text())
        assert tree["format"] == "gluon_dkpr/prediction/1"
        assert tree["picture"] == {"name": "a.b.png", "width": 200, "height": 100}
        assert (tree["skeleton"], tree["method"]) == ("planar3", "kinematic")
        assert tree["angles_deg"] == {"theta": pytest.approx(35.0, abs=1e-3)}
        for (name, point), expected in zip(tree["joints_px"].items(), result.pose.joints_px):
            assert name in SKELETON.joint_names
            np.testing.assert_allclose(point, expected, atol=1e-3)
        assert tree["crop"] == {"left": 0, "top": -50, "side": 200, "size": 128}

    @pytest.mark.parametrize(("height", "width", "scale"), [(128, 128, 4), (100, 700, 1)])
    def test_the_overlay_shows_the_skeleton_over_the_picture(self, height, width, scale, tmp_path):
        save(bright_picture(height, width), tmp_path / "p.png")
        (result,) = predict_files(predictor_of(), [tmp_path / "p.png"], tmp_path)
        overlay = read_picture(result.files.overlay)
        assert overlay.shape == (height * scale, width * scale, 3)
        right = result.pose.joints_px[2]
        if (right < [width, height]).all():
            x, y = np.round((right + 0.5) * scale - 0.5).astype(int)
            # The right side has the colour itself.
            assert tuple(overlay[y, x]) == PREDICTED_COLOR
        else:
            assert (height, width) == (100, 700)  # a crop with padding, the joint is in that
        plain = bright_picture(height, width).repeat(scale, 0).repeat(scale, 1)
        changed = (overlay != plain).any(-1).mean()
        assert 0 < changed < 0.2

    def test_equal_stems_and_pictures_in_the_output_folder(self, tmp_path):
        (tmp_path / "sub").mkdir()
        pictures = [
            save(bright_picture(64, 64), tmp_path / "a.png"),
            save(bright_picture(64, 80), tmp_path / "a.jpg"),
            save(bright_picture(64, 96), tmp_path / "sub" / "a.png"),
            save(bright_picture(64, 112), tmp_path / "a-2.png"),
            save(bright_picture(64, 128), tmp_path / "b.png"),
            save(bright_picture(64, 144), tmp_path / "b-overlay.png"),
            tmp_path / "a.png",
        ]
        before = {path: path.read_bytes() for path in pictures}
        results = list(predict_files(predictor_of(), pictures, tmp_path))
        assert {path: path.read_bytes() for path in pictures} == before
        written = [file for result in results for file in result.files]
        assert len(set(written)) == 2 * len(pictures)
        widths = [64, 80, 96, 112, 128, 144, 64]
        assert [json.loads(r.files.json.read_text())["picture"]["width"] for r in results] == widths
        assert results[0].files.json.name == "a.json"
        assert results[1].files.json.name == "a-2.json"

    def test_a_second_time_replaces_the_first(self, tmp_path):
        picture = save(bright_picture(64, 64), tmp_path / "a.png")
        for _ in range(2):
            list(predict_files(predictor_of(), [picture], tmp_path / "out"))
        assert len(list((tmp_path / "out").iterdir())) == 2

    def test_what_fails_leaves_nothing_and_stops_nothing(self, tmp_path):
        good = save(bright_picture(64, 64), tmp_path / "good.png")
        black = save(np.zeros((64, 64), np.uint8), tmp_path / "black.png")
        (tmp_path / "text.png").write_text("a text")
        pictures = [tmp_path / "missing.png", black, good, tmp_path / "text.png"]
        results = list(predict_files(predictor_of(), pictures, tmp_path / "out"))
        assert [result.error is None for result in results] == [False, False, True, False]
        assert [result.picture for result in results] == pictures
        assert "nothing in it is white" in results[1].error
        names = sorted(path.name for path in (tmp_path / "out").iterdir())
        assert names == ["good-overlay.png", "good.json"]


class TestTool:
    def test_good_and_bad_pictures_together(self, tmp_path):
        run = save_run(tmp_path / "run", constant_net("kinematic", MOTION))
        good = save(bright_picture(128, 128), tmp_path / "good.png")
        (tmp_path / "bad.png").write_text("a text")
        result = call_tool("predict.py", run, tmp_path / "bad.png", good, cwd=tmp_path)
        assert_one_line(result, f"{tmp_path / 'bad.png'}: neither PNG nor JPEG")
        assert f"{good}: root (60.0, 40.0) px, theta 35.0 deg" in result[1]
        assert result[1].count("\n") == 1
        names = sorted(path.name for path in (tmp_path / "predictions").iterdir())
        assert names == ["good-overlay.png", "good.json"]

    def test_the_exit_status_is_0_when_all_is_well(self, tmp_path, capsys):
        run = save_run(tmp_path / "run", constant_net("direct", JOINTS[0]))
        good = save(bright_picture(128, 128), tmp_path / "good.png")
        assert load_tool("predict.py").main([str(run), str(good), "--out", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert (out.count("\n"), err) == (1, "")

    def test_mistakes(self, tmp_path):
        good = save(bright_picture(64, 64), tmp_path / "good.png")
        main = load_tool("predict.py").main
        with pytest.raises(DkprError, match=f"{tmp_path}: no run folder"):
            main([str(tmp_path), str(good)])
        run = save_run(tmp_path / "run", random_net())
        with pytest.raises(OSError) as error:
            main([str(run), str(good), "--out", str(good)])
        assert str(error.value.filename) == str(good)
