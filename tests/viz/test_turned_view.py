"""The stick figure of videos: scale, floor, colours, and what is in front."""

import numpy as np
import pytest

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import hand, human36m, planar
from gluon_dkpr.viz import PictureError, draw_view
from gluon_dkpr.viz.style import SIDE_COLORS

BODY = human36m()
STANDING = forward_kinematics(BODY, np.zeros((1, BODY.num_parameters)))[0]


def rows_of(view, side):
    """Return the rows and columns where a side's colour is, paler or not."""
    color = np.array(SIDE_COLORS[side])
    # On the line from the colour to white.
    share = (255.0 - view) / (255.0 - color)
    found = (np.abs(share - share.mean(-1, keepdims=True)).max(-1) < 0.06) & (share.mean(-1) > 0.55)
    return np.nonzero(found)


@pytest.mark.parametrize("place", [(0, 0, 0), (800, -300, 4000)])
def test_the_place_of_the_root_does_not_matter(place):
    views = [draw_view(BODY, STANDING + shift, 300) for shift in (np.zeros(3), np.array(place))]
    assert views[0].shape == (300, 300, 3)
    np.testing.assert_array_equal(*views)


def test_from_the_front_a_persons_left_is_on_the_right():
    view = draw_view(BODY, STANDING, 400, elevation=0, azimuth=-90)
    columns = {side: rows_of(view[60:], side)[1].mean() for side in ("left", "right")}
    assert columns["left"] > 210 > 190 > columns["right"]


def test_feet_stay_on_the_floor_when_knees_bend():
    motion = np.zeros((1, BODY.num_parameters))
    for side in ("left", "right"):
        for name, angle in (("hip_flexion", 1.2), ("knee_flexion", 2.2)):
            motion[0, BODY.parameter_names.index(f"{side}_{name}")] = angle
    sitting = forward_kinematics(BODY, motion)[0]
    rows = []
    for joints in (STANDING, sitting):
        view = draw_view(BODY, joints, 400, elevation=0)
        rows.append(rows_of(view[60:350], "left")[0] + 60)
    assert abs(int(rows[0].max()) - int(rows[1].max())) <= 4
    assert rows[1].min() > rows[0].min() + 30


def test_other_skeletons_and_mistakes():
    joints = forward_kinematics(hand(), np.zeros((1, hand().num_parameters)))[0]
    view = draw_view(hand(), joints, 256)
    assert (view < 200).any(-1).sum() > 500
    for skeleton, points in (
        (planar(3), np.zeros((3, 2))),
        (BODY, joints),
        (BODY, STANDING * np.nan),
    ):
        with pytest.raises(PictureError):
            draw_view(skeleton, points, 256)
