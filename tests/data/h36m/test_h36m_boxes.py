"""Boxes from masks and joints, square crops, and the camera that is estimated."""

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.data.h36m.boxes import MaskBoxes, cut_out, joint_box, square_crop
from gluon_dkpr.data.h36m.camera import fit_camera
from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.geometry import Crop
from tests.data.h36m.raw_tree import CAMERA, project, walk, write_masks

# OpenCV rounds in fixed point, Crop.apply once at the end.
GREY_LEVEL = 1


class TestMasks:
    def test_boxes_of_transposed_masks(self, tmp_path):
        boxes = [(10, 20, 70, 95), (0, 0, 120, 100), None, (119, 99, 120, 100)]
        write_masks(tmp_path / "a.mat", boxes, height=100, width=120)
        with MaskBoxes(tmp_path / "a.mat") as found:
            assert len(found) == 4
            for frame, box in enumerate(boxes):
                if box is None:
                    assert found.box(frame) is None
                else:
                    assert tuple(found.box(frame)) == box
            assert found.box(4) is None

    def test_what_is_no_file_of_masks(self, tmp_path):
        (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file" * 100)
        with pytest.raises(H36mError, match="no HDF5 file"):
            MaskBoxes(tmp_path / "a.mat")
        for make, message in (
            (lambda file: None, "no 'Masks'"),
            (lambda file: file.create_group("Masks"), "no 'Masks'"),
            (lambda file: file.create_dataset("Masks", (3, 1)), "no 'Masks'"),
            (lambda file: file.create_dataset("Masks", (3, 2), dtype=h5py.ref_dtype), r"\(3, 2\)"),
        ):
            with h5py.File(tmp_path / "a.mat", "w") as file:
                make(file)
            with pytest.raises(H36mError, match=message):
                MaskBoxes(tmp_path / "a.mat")

    @pytest.mark.parametrize("shape", [(5000, 5000), (4, 4, 4)])
    def test_a_mask_that_is_no_picture_is_not_read(self, tmp_path, shape):
        with h5py.File(tmp_path / "a.mat", "w") as file:
            masks = file.create_dataset("Masks", (2, 1), dtype=h5py.ref_dtype)
            # Without data it has no size on the disk, however large it is.
            masks[0, 0] = file.create_dataset("m", shape, np.uint8, chunks=True).ref
        with MaskBoxes(tmp_path / "a.mat") as found:
            with pytest.raises(H36mError, match="mask 0 is uint8"):
                found.box(0)
            with pytest.raises(H36mError, match="mask 1 cannot be read"):
                found.box(1)


class TestCrops:
    def test_a_box_of_joints_holds_their_pixels(self):
        # The pixel whose centre is 3 reaches from 3 to 4 when counted from the outer edge.
        assert tuple(joint_box(np.array([[3.0, 7.0], [10.2, 9.6]]))) == (3, 7, 11, 11)

    @given(st.floats(-300, 1300), st.floats(-300, 1300), st.floats(20, 900), st.floats(20, 900))
    def test_square_around_the_box(self, left, top, width, height):
        box = np.array([left, top, left + width, top + height])
        crop = square_crop(box, 224)
        assert crop.side % 1 == crop.left % 1 == crop.top % 1 == 0
        # Edges of a thousand px are exact to ten digits.
        assert max(width, height) - 1e-9 <= crop.side < max(width, height) + 1 + 1e-9
        assert abs(crop.left + crop.side / 2 - left - width / 2) <= 1
        assert abs(crop.top + crop.side / 2 - top - height / 2) <= 1

    def test_a_box_of_whole_pixels_is_never_cut_off(self):
        for width, height in ((300, 301), (301, 300), (200, 5), (7, 8)):
            crop = square_crop((50, 60, 50 + width, 60 + height), 224)
            assert crop.left <= 50 and crop.left + crop.side >= 50 + width
            assert crop.top <= 60 and crop.top + crop.side >= 60 + height

    def test_a_point_is_no_box(self):
        with pytest.raises(H36mError, match="a box of 0 px"):
            square_crop((5, 5, 5, 5), 224)

    @pytest.mark.parametrize(
        "crop",
        [
            Crop(100, 50, 640, 224),  # inside
            Crop(-80, 30, 501, 224),  # beyond the left edge
            Crop(700, -200, 777, 224),  # beyond the right and the upper edge
            Crop(-100, -100, 1300, 224),  # larger than the picture
            Crop(200, 900, 448, 224),  # exactly two to one, beyond the lower edge
            Crop(300, 300, 224, 224),  # as it is
            Crop(500, 500, 100, 224),  # made larger
            Crop(-40, 980, 90, 224),
            Crop(-5000, 0, 300, 224),  # beside the picture
            Crop(1000, 1002, 50, 224),
            Crop(-3000, -3000, 9000, 224),  # too large to be padded
        ],
    )
    def test_equals_the_exact_crop(self, crop):
        picture = np.random.default_rng(0).integers(0, 256, (1002, 1000, 3), dtype=np.uint8)
        picture = cv2.GaussianBlur(picture, (0, 0), 1.5)
        found = cut_out(picture, crop).astype(int)
        assert found.shape == (224, 224, 3)
        assert np.abs(found - crop.apply(picture)).max() <= GREY_LEVEL


class TestCamera:
    def test_is_found_again(self):
        joints_mm = walk("S1", 20)
        camera = fit_camera(joints_mm, project(joints_mm))
        np.testing.assert_allclose(camera.intrinsics, CAMERA, rtol=1e-9)
        assert camera.focal == pytest.approx((CAMERA[0] + CAMERA[1]) / 2)
        assert camera.residual_px < 1e-9

    def test_missing_joints_do_not_count(self):
        joints_mm, joints_px = walk("S1", 20), project(walk("S1", 20))
        joints_mm[3, 4:9] = np.nan
        joints_px[8] = np.nan
        joints_mm[9] *= -1
        np.testing.assert_allclose(fit_camera(joints_mm, joints_px).intrinsics, CAMERA, rtol=1e-9)

    def test_lens_distortion_is_what_remains(self):
        joints_mm = walk("S1", 60)
        # Radial terms as large as those of the data set's cameras.
        direction = joints_mm[..., :2] / joints_mm[..., 2:]
        squared = (direction**2).sum(-1, keepdims=True)
        bent = direction * (1 - 0.2 * squared + 0.24 * squared**2)
        joints_px = bent * CAMERA[:2] + CAMERA[2:]
        camera = fit_camera(joints_mm, joints_px)
        np.testing.assert_allclose(camera.intrinsics, CAMERA, rtol=0.02)
        assert 0.05 < camera.residual_px < 3

    def test_positions_of_another_camera_are_refused(self):
        joints_px = project(walk("S1", 40))
        with pytest.raises(H36mError, match=r"do not belong together.*D3_Positions_mono"):
            fit_camera(walk("S1", 40, phase=17)[:, ::-1], joints_px)

    def test_joints_that_tell_no_camera(self):
        joints_mm = np.full((5, 17, 3), 1000.0)
        with pytest.raises(H36mError, match="all in one direction"):
            fit_camera(joints_mm, project(joints_mm))
        with pytest.raises(H36mError, match="0 joints in front"):
            fit_camera(-joints_mm, project(joints_mm))
