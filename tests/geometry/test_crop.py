"""Square crops: where points go, what the pixels become, and the way back."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.geometry import Crop, CropError

BOXES = st.builds(
    Crop,
    left=st.floats(-500, 500),
    top=st.floats(-500, 500),
    side=st.floats(1, 2000),
    size=st.integers(1, 512),
)
# OpenCV rounds what it interpolates in fixed point, here it is rounded once: one grey level.
GREY_LEVEL = 1
# Interpolating and rounding to grey levels move a centre of gravity by less. Half a pixel of the
# image, which is what wrong conventions cost, is 0.08 px of the smallest crop below.
MARKER_PX = 0.03


def random_image(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


class TestPoints:
    def test_the_whole_of_a_wide_image(self):
        # 200 x 100 px in 50 x 50: a quarter, with 50 px of padding above and below.
        crop = Crop.whole(100, 200, 50)
        assert (crop.left, crop.top, crop.side, crop.scale) == (0, -50, 200, 0.25)
        # Outer corners of the image, in a crop whose own corners are -0.5 and 49.5.
        corners = [[-0.5, -0.5], [199.5, 99.5]]
        np.testing.assert_allclose(crop.to_crop(corners), [[-0.5, 12.0], [49.5, 37.0]])
        # The first four pixels of a row become one: its centre is between the middle two.
        np.testing.assert_allclose(crop.to_image([0.0, 12.5]), [1.5, 1.5])

    def test_the_whole_of_a_high_image(self):
        crop = Crop.whole(300, 100, 30)
        assert (crop.left, crop.top, crop.side) == (-100, 0, 300)
        np.testing.assert_allclose(crop.to_crop([49.5, 149.5]), [14.5, 14.5])

    def test_a_square_image_of_the_size_stays_as_it_is(self):
        points = np.array([[0.0, 0.0], [127.0, 3.25]])
        np.testing.assert_array_equal(Crop.whole(128, 128, 128).to_crop(points), points)

    def test_around_a_box(self):
        crop = Crop.around_box((10, 20, 50, 40), 80)
        assert (crop.left, crop.top, crop.side) == (10, 10, 40)
        wide = Crop.around_box((10, 20, 50, 40), 80, margin=0.25)
        assert (wide.left, wide.top, wide.side) == (0, 0, 60)
        # Its centre, in edge coordinates (30, 30), stays the centre.
        for square in (crop, wide):
            np.testing.assert_allclose(square.to_crop([29.5, 29.5]), [39.5, 39.5])

    @given(BOXES, st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 2), min_size=1, max_size=5))
    def test_there_and_back(self, crop, points):
        points = np.array(points)
        back = crop.to_image(crop.to_crop(points))
        # Eight digits of numbers up to 1e4, whatever the scale.
        np.testing.assert_allclose(back, points, rtol=0, atol=1e-8 * 1e4)
        assert back.shape == points.shape

    @given(BOXES)
    def test_distances_are_scaled_alike_in_x_and_y(self, crop):
        origin, right, down = crop.to_crop([[0, 0], [7, 0], [0, 7]])
        np.testing.assert_allclose(right - origin, [7 * crop.scale, 0], atol=1e-9 * crop.size)
        np.testing.assert_allclose(down - origin, [0, 7 * crop.scale], atol=1e-9 * crop.size)


class TestPixels:
    @pytest.mark.parametrize(
        "shape", [(240, 320), (333, 57), (64, 64), (60, 31), (1, 5), (1, 1), (127, 128), (300, 128)]
    )
    def test_equals_padding_and_resizing_by_opencv(self, shape):
        image = random_image(*shape)
        crop = Crop.whole(*shape, 128)
        padded = np.zeros((crop.side, crop.side, 3), np.uint8)
        padded[-crop.top :, -crop.left :][: shape[0], : shape[1]] = image
        method = cv2.INTER_AREA if crop.side >= 128 else cv2.INTER_LINEAR
        expected = cv2.resize(padded, (128, 128), interpolation=method).astype(int)
        assert np.abs(crop.apply(image).astype(int) - expected).max() <= GREY_LEVEL

    def test_without_resizing_pixels_are_kept(self):
        image = random_image(101, 128)
        crop = Crop.whole(101, 128, 128)
        result = crop.apply(image)
        np.testing.assert_array_equal(result[-crop.top :][:101], image)
        assert not result[: -crop.top].any()
        assert not result[-crop.top + 101 :].any()

    def test_outside_of_the_image_is_black(self):
        white = np.full((10, 10, 1), 255, np.uint8)
        result = Crop(-10, 0, 20, 20).apply(white)[..., 0]
        expected = np.zeros((20, 20))
        expected[:10, 10:] = 255
        np.testing.assert_array_equal(result, expected)
        assert not Crop(50, 50, 20, 20).apply(white).any()

    @pytest.mark.parametrize("size", [64, 128, 300])
    @pytest.mark.parametrize("shape", [(240, 320), (400, 150), (128, 128)])
    def test_a_marker_is_where_the_points_say(self, shape, size):
        crop = Crop.whole(*shape, size)
        for left, top in ((20, 30), (70, 80), (101, 55)):
            image = np.zeros((*shape, 1), np.uint8)
            image[top : top + 33, left : left + 21] = 255
            centre = np.array([left + 10.0, top + 16.0])
            result = crop.apply(image)[..., 0].astype(float)
            rows, columns = np.mgrid[:size, :size]
            found = [(result * axis).sum() / result.sum() for axis in (columns, rows)]
            np.testing.assert_allclose(found, crop.to_crop(centre), atol=MARKER_PX)
            np.testing.assert_allclose(crop.to_image(found), centre, atol=MARKER_PX / crop.scale)

    def test_a_box_between_pixels(self):
        image = np.zeros((1, 4, 1), np.uint8)
        image[0, :, 0] = (0, 100, 200, 40)
        # Halves of two pixels make one.
        result = Crop(0.5, 0, 2, 2).apply(np.repeat(image, 2, axis=0))
        np.testing.assert_array_equal(result[..., 0], [[50, 150]] * 2)

    def test_a_strip_needs_little_memory_and_time(self):
        begin = time.perf_counter()
        # Padded to a square it would have 256 million pixels.
        result = Crop.whole(1, 16_000, 128).apply(np.full((1, 16_000, 1), 255, np.uint8))
        assert time.perf_counter() - begin < 5
        # Its row is 1/125 of the area of one row of the crop.
        assert result.max() == round(255 / 125)


class TestMistakes:
    @pytest.mark.parametrize("side", [0, -1, float("nan"), float("inf")])
    def test_a_box_without_size(self, side):
        with pytest.raises(CropError, match="crop"):
            Crop(0, 0, side, 128)

    @pytest.mark.parametrize("size", [0, -3, 1.5, True])
    def test_a_crop_without_size(self, size):
        with pytest.raises(CropError, match="crop"):
            Crop(0, 0, 10, size)

    def test_points_in_three_dimensions(self):
        with pytest.raises(CropError, match=r"\(2, 3\), expected \(\.\.\., 2\)"):
            Crop(0, 0, 10, 10).to_crop(np.zeros((2, 3)))

    @pytest.mark.parametrize(
        "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 1)), np.zeros((0, 4, 1), np.uint8)]
    )
    def test_what_is_no_image(self, image):
        with pytest.raises(CropError, match="expected uint8"):
            Crop(0, 0, 10, 10).apply(image)
