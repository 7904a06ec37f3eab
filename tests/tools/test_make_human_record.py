"""The command line that makes rendered people."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from gluon_dkpr.data import RecordDataset
from gluon_dkpr.data.body.files import BodyError
from gluon_dkpr.data.body.subjects import open_studio
from gluon_dkpr.data.mocap import MocapError

TOOL = Path(__file__).parents[2] / "tools" / "make_human_record.py"


def run(*args):
    return subprocess.run(
        [sys.executable, str(TOOL), *map(str, args)], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module", autouse=True)
def packages():
    try:
        open_studio()
    except (BodyError, MocapError) as error:
        pytest.skip(str(error))


def main(*args):
    spec = importlib.util.spec_from_file_location("make_human_record", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(arg) for arg in args])


def test_data_set_and_preview(tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    main(
        *("--train", 8, "--test", 4, "--size", 64, "--workers", 1),
        *("--out", tmp_path / "people", "--preview", sheet),
    )
    lines = capsys.readouterr().out.splitlines()
    assert "8 train, 4 test" in lines[0]
    assert "mm from the captured joints" in lines[2]
    assert [line.split(", ")[1].split(":")[0] for line in lines[3:5]] == ["train", "test"]
    assert lines[5] == str(sheet)
    assert len(RecordDataset(tmp_path / "people", "test")) == 4
    # 12 images, enlarged to about 224 px, in two rows of six.
    height, width, _ = cv2.imread(str(sheet)).shape
    assert width > 6 * 192
    assert 2 * 192 < height < 3 * 256


def test_wrong_number_is_one_line(tmp_path):
    done = run("--train", -5, "--out", tmp_path / "people")
    assert done.returncode == 2
    assert done.stderr == "make_human_record.py: error: train is -5, expected 0 or more\n"
    assert not list(tmp_path.iterdir())


def test_wrong_suffix_is_said_before_anything_is_made(tmp_path):
    done = run("--train", 8, "--out", tmp_path / "people", "--preview", tmp_path / "sheet.xyz")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "sheet.xyz: suffix is '.xyz'" in done.stderr
    assert not list(tmp_path.iterdir())
