"""Skeletons over images: single pictures and contact sheets."""

import cv2
import numpy as np
import pytest

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import planar
from gluon_dkpr.viz import (
    PREDICTED_COLOR,
    TRUE_COLOR,
    PictureError,
    draw_pose,
    length_text,
    sample_sheet,
    sheet,
)
from gluon_dkpr.viz.style import joint_sides, tint

TOY = planar(3)
# Root, left, right; on whole pixels and apart.
JOINTS = np.array([[20.0, 10.0], [10.0, 30.0], [35.0, 30.0]])
# A colour that is neither text nor skeleton, and what a sheet makes of it.
IMAGE_COLOR, DIMMED_COLOR = (200, 160, 20), (100, 80, 10)
BLACK = np.zeros((40, 50), dtype=np.uint8)


def pixel(picture, point):
    x, y = np.round(point).astype(int)
    return tuple(picture[y, x])


def count(picture, color):
    return (picture == np.array(color, dtype=np.uint8)).all(-1).sum()


class TestDrawPose:
    @pytest.mark.parametrize("scale", [1, 3, 4])
    def test_joints_have_the_tint_of_their_side_where_they_are(self, scale):
        picture = draw_pose(BLACK, TOY, JOINTS, (200, 100, 0), scale=scale)
        assert picture.shape == (40 * scale, 50 * scale, 3)
        assert picture.dtype == np.uint8
        for joint, side in zip(JOINTS, ("centre", "left", "right")):
            # The middle of the block that the joint's pixel has become.
            place = (joint + 0.5) * scale - 0.5
            assert pixel(picture, place) == tint((200, 100, 0), side)

    def test_bones_have_the_tint_of_their_child(self):
        picture = draw_pose(BLACK, TOY, JOINTS, scale=4)
        for child, side in ((1, "left"), (2, "right")):
            middle = (JOINTS[[0, child]].mean(0) + 0.5) * 4 - 0.5
            assert pixel(picture, middle) == tint(TRUE_COLOR, side)

    def test_sides_look_different(self):
        assert joint_sides(TOY) == ("centre", "left", "right")
        assert len({tint(TRUE_COLOR, side) for side in joint_sides(TOY)}) == 3
        assert tint(TRUE_COLOR, "right") == TRUE_COLOR

    def test_away_from_the_skeleton_the_image_is_kept(self):
        image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        before = image.copy()
        picture = draw_pose(image, TOY, JOINTS, scale=2)
        np.testing.assert_array_equal(picture[::2, ::2][:5], image[:5])
        np.testing.assert_array_equal(picture[1::2, 1::2][:5], image[:5])
        np.testing.assert_array_equal(image, before)

    def test_a_rim_sets_the_skeleton_off_a_white_image(self):
        white = np.full((40, 50), 255, dtype=np.uint8)
        assert draw_pose(white, TOY, JOINTS, scale=3).min(-1).min() < 30

    def test_grey_images_come_in_two_shapes(self):
        flat, deep = draw_pose(BLACK, TOY, JOINTS), draw_pose(BLACK[..., None], TOY, JOINTS)
        np.testing.assert_array_equal(flat, deep)

    def test_missing_joints_are_left_out_with_their_bones(self):
        joints = JOINTS.copy()
        joints[1] = np.nan
        picture = draw_pose(BLACK, TOY, joints, scale=3)
        assert count(picture, tint(TRUE_COLOR, "left")) == 0
        assert count(picture, tint(TRUE_COLOR, "right")) > 0

    def test_all_joints_missing_leaves_the_image(self):
        assert not draw_pose(BLACK, TOY, np.full((3, 2), np.nan)).any()

    def test_joints_far_outside_do_no_harm(self):
        joints = JOINTS.copy()
        joints[1] = -1e12, 1e12
        picture = draw_pose(BLACK, TOY, joints, scale=3)
        assert pixel(picture, JOINTS[2] * 3 + 1) == tint(TRUE_COLOR, "right")

    @pytest.mark.parametrize(
        ("image", "joints", "scale", "message"),
        [
            (BLACK.astype(float), JOINTS, 1, "image is float64"),
            (np.zeros((4, 4, 2), np.uint8), JOINTS, 1, r"shape \(4, 4, 2\)"),
            (np.zeros((0, 4), np.uint8), JOINTS, 1, r"image is uint8 of shape \(0, 4, 1\)"),
            (BLACK, JOINTS[:2], 1, r"joints_px has shape \(2, 2\), expected \(3, 2\)"),
            (BLACK, JOINTS, 0, "scale is 0"),
            (BLACK, JOINTS, 1.5, "scale is 1.5"),
        ],
    )
    def test_wrong_input_is_named(self, image, joints, scale, message):
        with pytest.raises(PictureError, match=message):
            draw_pose(image, TOY, joints, scale=scale)


class TestSampleSheet:
    def sheet(self, path, samples=5, **keywords):
        rng = np.random.default_rng(0)
        motion = rng.uniform((50, 50, 0.4), (70, 70, 1.2), size=(samples, 3))
        true = forward_kinematics(TOY, motion)
        arguments = {
            "images": np.tile(np.array(IMAGE_COLOR, np.uint8), (samples, 128, 128, 1)),
            "joints_true": true,
            "joints_pred": true + 12,
            "errors": np.full(samples, 12 * np.sqrt(2)),
            **keywords,
        }
        sample_sheet(skeleton=TOY, path=path, **arguments)
        return cv2.imread(str(path))[..., ::-1], true

    def test_tiles_stand_in_rows_and_columns(self, tmp_path):
        few, _ = self.sheet(tmp_path / "few.png", samples=4, scale=2)
        more, _ = self.sheet(tmp_path / "more.png", samples=5, scale=2)
        wide, _ = self.sheet(tmp_path / "wide.png", samples=5, scale=2, columns=5)
        tile = 2 * 128 + 8
        assert more.shape[1] == few.shape[1] == 4 * tile + 8
        assert more.shape[0] - few.shape[0] == tile + 24, "a row has one line of caption"
        assert wide.shape == (few.shape[0], few.shape[1] + tile, 3)

    def test_shows_both_poses_in_their_colours(self, tmp_path):
        picture, true = self.sheet(tmp_path / "s.png", samples=1, scale=3)
        rows, columns = np.nonzero((picture == DIMMED_COLOR).all(-1))
        corner = np.array([columns.min(), rows.min()])
        for joints, color in ((true[0], TRUE_COLOR), (true[0] + 12, PREDICTED_COLOR)):
            for joint, side in zip(joints, joint_sides(TOY)):
                assert pixel(picture, corner + joint * 3 + 1) == tint(color, side)

    def test_is_legible_around_the_tiles(self, tmp_path):
        picture, _ = self.sheet(tmp_path / "s.png", samples=1, scale=3)
        rows = np.nonzero((picture == DIMMED_COLOR).all(-1))[0]
        legend, caption = picture[: rows.min()], picture[rows.max() + 1 :]
        for part in (legend, caption):
            assert (part.max(-1) < 60).any(), "dark text"
            assert (part[:, [0, -1]] == 255).all(), "text is not cut off"
        for color in (TRUE_COLOR, PREDICTED_COLOR):
            for side in ("left", "centre", "right"):
                assert count(legend, tint(color, side)) > 0

    def test_errors_have_the_unit_of_the_object(self, tmp_path, monkeypatch):
        written = []
        write = sheet._write_text

        def write_text(canvas, text, x, y):
            written.append(text)
            write(canvas, text, x, y)

        monkeypatch.setattr(sheet, "_write_text", write_text)
        rod = TOY.scaled(0.01, "cm")
        motion = np.tile([60.0, 60.0, 0.5], (2, 1))
        joints, images = forward_kinematics(TOY, motion), [BLACK] * 2
        sample_sheet(images, rod, joints, joints, [0.571, 16.06], tmp_path / "s.png")
        assert written[:2] == ["joint error 0.57 cm", "joint error 16.1 cm"]

    def test_small_images_with_errors_of_several_widths(self, tmp_path):
        """Captions are wider than such images and make tiles of one size nevertheless."""
        images = np.zeros((2, 16, 16), dtype=np.uint8)
        errors = [0.5, 1234.5]
        shown = {"images": images, "errors": errors, "scale": 1}
        row, _ = self.sheet(tmp_path / "row.png", samples=2, columns=2, **shown)
        column, _ = self.sheet(tmp_path / "column.png", samples=2, columns=1, **shown)
        tile = column.shape[0] - row.shape[0]
        assert tile > 16

    def test_a_caption_wider_than_its_image_is_not_cut(self, tmp_path):
        images = np.zeros((1, 16, 16), dtype=np.uint8)
        picture, _ = self.sheet(
            tmp_path / "s.png", samples=1, images=images, errors=[1234.5], scale=1
        )
        assert (picture[-30:, [0, -1]] == 255).all()
        assert (picture[-30:].max(-1) < 60).any()

    def test_more_columns_than_samples_leave_no_empty_ones(self, tmp_path):
        one, _ = self.sheet(tmp_path / "one.png", samples=2, columns=2)
        many, _ = self.sheet(tmp_path / "many.png", samples=2, columns=40)
        assert one.shape == many.shape

    def test_other_formats_go_by_the_suffix(self, tmp_path):
        self.sheet(tmp_path / "s.jpg", samples=1)
        assert (tmp_path / "s.jpg").read_bytes().startswith(b"\xff\xd8")

    @pytest.mark.parametrize(
        ("keywords", "message"),
        [
            ({"errors": [1.0]}, "5 images, 5 true poses, 5 predicted poses, 1 errors"),
            ({"samples": 0}, "0 images"),
            ({"columns": 0}, "columns is 0"),
            ({"images": [BLACK] * 4 + [BLACK.T]}, "several sizes"),
            ({"path": "sheet"}, "suffix is '', expected '.png'"),
            ({"path": "sheet.dkpr"}, "suffix is '.dkpr', expected '.png'"),
        ],
    )
    def test_wrong_input_is_named_and_leaves_no_file(self, tmp_path, keywords, message):
        keywords = dict(keywords)
        path = tmp_path / keywords.pop("path", "sheet.png")
        with pytest.raises(PictureError, match=message):
            self.sheet(path, **keywords)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (0.3, "0.30 m"),
        (16.06, "16.1 m"),
        (0.571, "0.57 m"),
        (4.594, "4.59 m"),
        (9.996, "10.0 m"),
        (86.6, "86.6 m"),
        (123.4, "123 m"),
        (12345.6, "12346 m"),
        (0.0345, "0.035 m"),
        (0.0, "0 m"),
        (1.23e-12, "1.2e-12 m"),
        (float("nan"), "nan m"),
    ],
)
def test_lengths_have_the_digits_that_count(length, text):
    assert length_text(length, "m") == text
