"""The contact sheet of a data set."""

import cv2
import numpy as np
import pytest

from gluon_dkpr.data import ImageFormat, RecordError, make_toy_record, write_record
from gluon_dkpr.data.human import human_layout
from gluon_dkpr.engine import preview
from gluon_dkpr.skeleton import human36m


def write_people(path, counts, subjects=("S1",)):
    """Write grey images of nobody, all joints in the middle."""
    layout, image = human_layout(human36m()), ImageFormat(32, 32, 3, "png")
    label = layout.pack({field.name: np.full(field.shape, 0.0) for field in layout.fields})
    data = image.encode(np.full((32, 32, 3), 90, np.uint8))
    splits = {name: [(data, label)] * count for name, count in counts.items()}
    source = {"subjects": list(subjects), "actions": ["Walking"]}
    write_record(path, human36m(), layout, image, splits, source)


def shown(monkeypatch):
    """Have the arguments of the sheet instead of the sheet."""
    calls = []
    monkeypatch.setattr(preview, "pose_sheet", lambda *args: calls.append(args))
    return calls


def test_captions_and_scale(tmp_path, monkeypatch):
    write_people(tmp_path / "people", {"train": 40, "test": 2}, ("S7", "S1"))
    calls = shown(monkeypatch)
    preview.write_preview(tmp_path / "people", tmp_path / "s.png", images=10)
    images, skeleton, poses, captions, path, columns, scale = calls[0]
    assert captions == ["S7 Walking 0"] * 7
    assert len(images) == len(poses) == 7
    assert (path, columns, scale) == (tmp_path / "s.png", 6, 7)
    assert skeleton.joint_names == human36m().joint_names


def test_empty_split_is_left_out(tmp_path):
    write_people(tmp_path / "people", {"train": 3, "test": 0})
    preview.write_preview(tmp_path / "people", tmp_path / "s.png")
    assert cv2.imread(str(tmp_path / "s.png")).shape[1] > 3 * 224


def test_toy_objects_have_no_such_sheet(tmp_path):
    make_toy_record(tmp_path / "toy", 3, 2, 2)
    with pytest.raises(RecordError, match="no 'joints_px'"):
        preview.write_preview(tmp_path / "toy", tmp_path / "s.png")
