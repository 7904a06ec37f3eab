"""The command line: lines, exit status, flags that are wrong, signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import people as small
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "engine"))
from hand_set import assert_one_line, call_tool, constant_net, load_tool, random_net, save_run
from prediction_stubs import names_in, picture, save, save_video

from gluon_dkpr.data.body.render import MARGIN
from gluon_dkpr.engine.load import load_predictor
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import planar

TOOL = Path(__file__).resolve().parents[2] / "tools" / "predict.py"
MOTION = np.array([60.0, 40.0, np.radians(35.0)])
JOINTS = forward_kinematics(planar(3), MOTION[None])[0]


def white_on_black(side):
    image = np.zeros((side, side, 3), np.uint8)
    image[side // 3 : side // 2, side // 3 : side // 2] = 255
    return image


@pytest.fixture(scope="module")
def people_run(tmp_path_factory):
    """A run of an untrained network of people."""
    folder = tmp_path_factory.mktemp("people")
    record = small.make_people_record(folder / "record")
    return small.save_people_run(folder / "run", small.random_people_net(), record)


@pytest.fixture
def main(people_run):
    tool = load_tool("predict.py")
    return lambda *arguments: tool.main([str(people_run), *map(str, arguments)])


class TestPlanar:
    def test_good_and_bad_pictures_together(self, tmp_path):
        run = save_run(tmp_path / "run", constant_net("kinematic", MOTION))
        good = save(white_on_black(128), tmp_path / "good.png")
        (tmp_path / "bad.png").write_text("a text")
        result = call_tool("predict.py", run, tmp_path / "bad.png", good, cwd=tmp_path)
        assert_one_line(result, f"{tmp_path / 'bad.png'}: neither PNG nor JPEG")
        assert f"{good}: root (60.0, 40.0) px, theta 35.0 deg" in result[1]
        assert result[1].count("\n") == 1
        assert names_in(tmp_path / "predictions") == ["good-overlay.png", "good.json"]

    def test_the_exit_status_is_0_when_all_is_well(self, tmp_path, capsys):
        run = save_run(tmp_path / "run", constant_net("direct", JOINTS))
        good = save(white_on_black(128), tmp_path / "good.png")
        assert load_tool("predict.py").main([str(run), str(good), "--out", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert (out.count("\n"), err) == (1, "")

    def test_mistakes(self, tmp_path):
        good = save(white_on_black(64), tmp_path / "good.png")
        main = load_tool("predict.py").main
        with pytest.raises(DkprError, match=f"{tmp_path}: no run folder"):
            main([str(tmp_path), str(good)])
        run = save_run(tmp_path / "run", random_net())
        with pytest.raises(OSError) as error:
            main([str(run), str(good), "--out", str(good)])
        assert str(error.value.filename) == str(good)


class TestPeople:
    def test_a_folder_with_a_video(self, main, tmp_path, capsys):
        (tmp_path / "in").mkdir()
        save(picture(), tmp_path / "in" / "a.png")
        save_video(tmp_path / "in" / "b.avi", 6)
        out = tmp_path / "out"
        flags = ["--box=-5,0,40,60", "--focal", "70", "--smooth", "0.05", "--frames", "4"]
        assert main(tmp_path / "in", "--out", out, *flags) == 0
        assert names_in(out) == [
            *("a-overlay.png", "a.json"),
            *("b-overlay.mp4", "b.bvh", "b.json"),
        ]
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{tmp_path / 'in' / 'a.png'}: root (")
        assert lines[1].startswith(f"{tmp_path / 'in' / 'b.avi'}: 4 frames of human36m -> ")
        tree = json.loads((out / "a.json").read_text())
        assert tree["crop"]["side"] == 60
        assert "camera_root_mm" in tree

    def test_formats_and_no_pictures(self, main, tmp_path):
        path = save(picture(), tmp_path / "a.png")
        assert main(path, "--out", tmp_path / "out", "--format", "npz,csv", "--no-draw") == 0
        assert names_in(tmp_path / "out") == ["a.csv", "a.npz"]

    def test_a_pattern_without_files(self, main, tmp_path, capsys):
        assert main(tmp_path / "*.png", "--out", tmp_path / "out") == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.endswith(f"error: {tmp_path / '*.png'}: no file matches\n")
        assert err.count("\n") == 1
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["--box", "1,2,3"], "--box 1,2,3: box is"),
            (["--focal", "wide"], "--focal wide: expected a focal length"),
            (["--focal", "1,2"], "--focal 1,2: expected a focal length"),
            (["--format", "xml"], "format is 'xml'"),
            (["--smooth", "-1"], "expected 0 to 3600"),
            (["--smooth", "1e308"], "expected 0 to 3600"),
            (["--batch", "0"], "expected 1 or more"),
            (["--frames", "0"], "expected 1 to 1000000000"),
            (["--frames", "99999999999999999999"], "expected 1 to 1000000000"),
            (["--boxes", "none.csv"], "none.csv: cannot be read"),
        ],
    )
    def test_wrong_flags(self, main, flags, message, tmp_path):
        path = save(picture(), tmp_path / "a.png")
        with pytest.raises(DkprError) as error:
            main(path, "--out", tmp_path / "out", *flags)
        assert message in str(error.value)
        assert not (tmp_path / "out").exists()

    def test_boxes_of_other_pictures(self, main, tmp_path):
        path = save(picture(), tmp_path / "a.png")
        (tmp_path / "b.csv").write_text("name,x,y,w,h\nz.png,1,2,3,4\n")
        with pytest.raises(DkprError, match="names none of the inputs"):
            main(path, "--boxes", tmp_path / "b.csv", "--out", tmp_path / "out")

    @pytest.mark.parametrize(
        "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
    )
    def test_a_signal_leaves_nothing(self, number, people_run, tmp_path):
        video = save_video(tmp_path / "v.avi", 3000)
        out = tmp_path / "out"
        command = [sys.executable, TOOL, people_run, video, "--out", out, "--format", "npz,csv"]
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        # A hidden file that grows to the video is there as soon as the first frames are.
        while not names_in(out) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(process.pid, number)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 128 + number, err
        assert (names_in(out), err.count("\n")) == ([], 1)


def test_the_margin_of_a_run_is_that_of_its_data_set(people_run):
    assert load_predictor(people_run).margin == 0
    description = people_run.parent / "record.json"
    before = description.read_text()
    tree = json.loads(before)
    tree["source"]["generator"] = "gluon_dkpr.data.body"
    description.write_text(json.dumps(tree))
    try:
        assert load_predictor(people_run).margin == MARGIN
    finally:
        description.write_text(before)


def test_help_names_every_kind_of_input():
    status, out, _ = call_tool("predict.py", "--help")
    assert status == 0
    for text in ("--boxes", "--smooth", "--model-fit", "webcam", "bvh", "JPEG", "video"):
        assert text in out
