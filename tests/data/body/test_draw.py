"""The painter's algorithm: near hides far, backs are not shown, edges are smooth."""

import numpy as np
import pytest

from gluon_dkpr.data.body.draw import SAMPLES, compose, draw_faces

SIZE = 32


def square(left, top, side, z):
    """Return the corners (4, 3) of a square that shows its front to a camera at z = 0."""
    x, y = np.array([0, 0, side, side]) + left, np.array([0, side, side, 0]) + top
    return np.stack([x, y, np.full(4, z)], axis=1).astype(float)


def draw(*squares):
    vertices = np.concatenate(squares)
    faces = np.arange(len(vertices)).reshape(-1, 4)
    return draw_faces(vertices[:, :2], vertices[:, 2], faces, SIZE)


@pytest.mark.parametrize("near_first", [True, False])
def test_near_hides_far(near_first):
    near, far = square(8, 8, 8, 1000.0), square(4, 4, 16, 2000.0)
    canvas = draw(near, far) if near_first else draw(far, near)
    place = 0 if near_first else 1
    inner = canvas[9 * SAMPLES : 15 * SAMPLES, 9 * SAMPLES : 15 * SAMPLES]
    assert (inner == place).all()
    assert canvas[5 * SAMPLES, 5 * SAMPLES] == 1 - place
    assert canvas[0, 0] == -1


def test_back_is_not_shown():
    assert (draw(square(4, 4, 16, 1000.0)[::-1]) == -1).all()


def test_behind_the_camera_is_not_shown():
    assert (draw(square(4, 4, 16, -500.0)) == -1).all()


def test_triangle():
    corners = square(4, 4, 16, 1000.0)
    canvas = draw_faces(corners[:, :2], corners[:, 2], np.array([[0, 1, 2, 2]]), SIZE)
    share = (canvas == 0).sum() / SAMPLES**2
    assert share == pytest.approx(16 * 16 / 2, rel=0.15)


def test_area_and_place_to_a_fraction_of_a_pixel():
    """Wherever a square begins within a pixel, its picture has its middle there."""
    background = np.zeros((SIZE, SIZE, 3), np.uint8)
    white, errors, areas = np.full((1, 3), 255.0), [], []
    for left in 8 + np.arange(0.03, 1, 0.06):
        image = compose(draw(square(left, 8.1, 10.0, 1000.0)), white, background)[..., 0] / 255.0
        middle = (image.sum(axis=0) * np.arange(SIZE)).sum() / image.sum()
        errors.append(middle - (left + 5))
        areas.append(image.sum())
    assert abs(np.mean(errors)) < 0.05
    assert np.abs(errors).max() < 0.3
    # OpenCV draws the outermost parts of a pixel, too: half a part on each side.
    assert np.mean(areas) == pytest.approx(10.5**2, rel=0.05)


def test_colors_over_the_background():
    background = np.full((SIZE, SIZE, 3), (10, 20, 30), np.uint8)
    image = compose(draw(square(8, 8, 10, 1000.0)), np.array([[300.0, 99.6, -5.0]]), background)
    np.testing.assert_array_equal(image[13, 13], [255, 100, 0])
    np.testing.assert_array_equal(image[0, 0], [10, 20, 30])
    assert image.dtype == np.uint8
