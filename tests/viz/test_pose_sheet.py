"""Contact sheets of a data set."""

import cv2
import numpy as np
import pytest

from gluon_dkpr.skeleton import planar
from gluon_dkpr.viz import PictureError, check_sheet_name, pose_sheet

TOY = planar(3)
GREY = 77


def sheet(path, count=3, **changes):
    poses = np.tile(np.array([[20.0, 10], [10, 30], [30, 30]]), (count, 1, 1))
    images = np.full((count, 40, 50, 3), GREY, np.uint8)
    captions = [f"pose {i}" for i in range(count)]
    arguments = {"images": images, "joints_px": poses, "captions": captions, "path": path}
    arguments.update(changes)
    pose_sheet(skeleton=TOY, **arguments)
    return cv2.imread(str(path))


def test_images_keep_their_brightness_and_show_the_skeleton(tmp_path):
    picture = sheet(tmp_path / "s.png", 1, scale=2)
    grey = (picture == GREY).all(axis=-1)
    # 80 x 100 px, less what the skeleton covers.
    assert 6000 < grey.sum() < 7900
    top, left = np.argwhere(grey)[0]
    assert not grey[top + 2 * 10, left + 2 * 20]


def test_rows_and_captions(tmp_path):
    row = sheet(tmp_path / "row.png", 3, columns=3)
    column = sheet(tmp_path / "column.png", 3, columns=1)
    assert row.shape[1] > 2 * column.shape[1]
    assert column.shape[0] > 2 * row.shape[0]
    # A long caption widens every tile alike.
    long = sheet(tmp_path / "long.png", 2, captions=["a very long caption indeed", ""])
    assert long.shape[1] > sheet(tmp_path / "short.png", 2).shape[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"captions": ["one"]}, "3 images, 3 poses, 1 captions"),
        ({"images": [], "joints_px": [], "captions": []}, "expected the same number"),
        ({"columns": 0}, "columns is 0"),
        ({"path": "sheet.xyz"}, "suffix is '.xyz'"),
    ],
)
def test_mistakes(tmp_path, changes, message):
    if "path" in changes:
        changes = {"path": tmp_path / changes["path"]}
    with pytest.raises(PictureError, match=message):
        sheet(**{"path": tmp_path / "s.png", **changes})
    assert not list(tmp_path.iterdir())


def test_name_can_be_checked_before_the_work():
    check_sheet_name("a/b.png")
    check_sheet_name("b.jpg")
    with pytest.raises(PictureError, match="suffix is ''"):
        check_sheet_name("sheet")
