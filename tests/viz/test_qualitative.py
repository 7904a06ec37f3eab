"""Table 2: the same viewpoint, scale and colours for truth and predictions."""

import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import proj3d

from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import hand, human36m, planar
from gluon_dkpr.viz import PictureError, qualitative_sheet
from gluon_dkpr.viz.qualitative import view_axes
from gluon_dkpr.viz.style import SIDE_COLORS, joint_sides, unit_interval

BODY = human36m()
PLACE = {name: i for i, name in enumerate(BODY.joint_names)}
BLANK = np.full((20, 20, 3), 200, dtype=np.uint8)


def people(count, seed=0):
    motion = np.random.RandomState(seed).uniform(-0.5, 0.5, (count, BODY.num_parameters))
    motion[:, ~BODY.is_angle()] = 0
    return forward_kinematics(BODY, motion)


def sheet(path, true, predictions=None, **changes):
    predictions = {"Direct": true + 50, "Kinematic": true} if predictions is None else predictions
    arguments = {
        "images": [BLANK] * len(true),
        "captions": [("typical", "Walking, S9")] * len(true),
        "errors": {name: np.full(len(true), 86.6) for name in predictions},
        **changes,
    }
    qualitative_sheet(BODY, joints_true=true, predictions=predictions, path=path, **arguments)
    return cv2.imread(str(path))[..., ::-1]


def bones(axis):
    """Return {(x, y) of both ends: line} of the coloured bones, not of rims and floor."""
    return [line for line in axis.lines if line.get_solid_capstyle() == "round"]


class TestViewAxes:
    @pytest.mark.parametrize(
        ("elevation", "azimuth"), [(0, -90), (12, -65), (15, -50), (80, 10), (-20, 200)]
    )
    def test_are_those_of_a_figure_in_three_dimensions(self, elevation, azimuth):
        axis = Figure().add_subplot(projection="3d", proj_type="ortho")
        axis.view_init(elev=elevation, azim=azimuth)
        for set_limits in (axis.set_xlim, axis.set_ylim):
            set_limits(-1, 1)
        axis.set_zlim(1, -1)  # the camera's y points down
        axis.set_box_aspect((1, 1, 1))
        points = np.random.RandomState(0).uniform(-1, 1, (20, 3))
        x, y, z = points.T
        seen = np.stack(proj3d.proj_transform(x, z, y, axis.get_proj()), -1)[:, :2]
        ours = (points @ view_axes(elevation, azimuth).T)[:, :2]
        scale = np.linalg.norm(seen - seen.mean(0)) / np.linalg.norm(ours - ours.mean(0))
        np.testing.assert_allclose(seen - seen.mean(0), scale * (ours - ours.mean(0)), atol=1e-9)

    def test_the_cameras_own_view(self):
        right, up, eye = view_axes(0, -90)
        np.testing.assert_allclose(right, [1, 0, 0], atol=1e-12)
        np.testing.assert_allclose(up, [0, -1, 0], atol=1e-12)
        np.testing.assert_allclose(eye, [0, 0, -1], atol=1e-12)

    def test_are_a_frame_at_right_angles(self):
        axes = view_axes(33, 77)
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)


class TestQualitativeSheet:
    def test_has_a_row_a_case_and_a_column_a_model(self, tmp_path, figures):
        picture = sheet(tmp_path / "q.png", people(3))
        axes = figures[0].axes
        assert len(axes) == 3 * 4
        titles = [axis.get_title() for axis in axes[:4]]
        assert titles == ["image", "truth", "Direct", "Kinematic"]
        below = [axis.get_xlabel() for axis in axes[:4]]
        assert below == ["Walking, S9", "", "86.6 mm", "86.6 mm"]
        assert axes[0].get_ylabel() == "typical"
        assert picture.shape[1] > picture.shape[0] > 300
        more = sheet(tmp_path / "more.png", people(4))
        assert more.shape[1] == picture.shape[1]
        assert more.shape[0] > picture.shape[0]

    def test_bones_are_where_the_eye_sees_them_in_the_colour_of_their_side(self, tmp_path, figures):
        true = people(2)
        sheet(tmp_path / "q.png", true, elevation=0.0, azimuth=-90.0)
        for row, pose in enumerate(true):
            for column, joints in ((1, pose), (2, pose + 50), (3, pose)):
                axis = figures[0].axes[4 * row + column]
                found = {
                    tuple(np.round(line.get_xydata().ravel(), 3)): line for line in bones(axis)
                }
                assert len(found) == len(BODY.bones)
                for parent, child in BODY.bone_indices:
                    ends = joints[[parent, child], :2] * [1, -1]
                    line = found[tuple(np.round(ends.ravel(), 3))]
                    own = np.array(unit_interval(SIDE_COLORS[joint_sides(BODY)[child]]))
                    # Mixed with white, but by no more than half.
                    color = np.array(to_rgb(line.get_color()))
                    white = (color - own) / (1 - own)
                    np.testing.assert_allclose(white, white.mean(), atol=1e-9)
                    assert 0 <= white.mean() <= 0.5

    def test_left_and_right_are_at_their_places_in_the_picture(self, tmp_path, figures):
        """A person who faces the camera has the left arm at the right of the picture."""
        pose = forward_kinematics(BODY, np.zeros((1, 27)))
        picture = sheet(tmp_path / "q.png", pose, elevation=0.0, azimuth=-90.0).astype(float)
        axis, scale = figures[0].axes[1], 120 / figures[0].dpi
        for side, sign in (("left", 1), ("right", -1)):
            middle = pose[0, [PLACE[f"{side}_shoulder"], PLACE[f"{side}_elbow"]]].mean(0)
            assert sign * middle[0] > 100
            x, y = axis.transData.transform(middle[:2] * [1, -1])
            column, line = round(x * scale), round(picture.shape[0] - y * scale)
            distance = {name: np.abs(picture[line, column] - color).sum()
                        for name, color in SIDE_COLORS.items()}  # fmt: skip
            assert min(distance, key=distance.get) == side

    def test_all_figures_have_one_scale_and_rows_one_centre(self, tmp_path, figures):
        true = people(3) * np.array([1.0, 0.5, 1.2])[:, None, None]
        sheet(tmp_path / "q.png", true, {"Direct": true * 1.1, "Kinematic": true + 30})
        axes = np.reshape(figures[0].axes, (3, 4))[:, 1:]
        limits = [f() for axis in axes.ravel() for f in (axis.get_xlim, axis.get_ylim)]
        assert len({round(float(np.ptp(pair)), 6) for pair in limits}) == 1
        for row in axes:
            assert len({(axis.get_xlim(), axis.get_ylim()) for axis in row}) == 1
            for axis in row:
                assert axis.get_aspect() in ("equal", 1.0)
                x, y = np.concatenate([line.get_xydata() for line in bones(axis)]).T
                for values, (low, high) in ((x, axis.get_xlim()), (y, axis.get_ylim())):
                    assert low < values.min() <= values.max() < high

    def test_a_prediction_far_away_does_not_shrink_the_others(self, tmp_path, figures):
        true = people(1)
        sheet(tmp_path / "q.png", true, {"Direct": true + [50000, 0, 0]})
        low, high = figures[0].axes[1].get_xlim()
        assert high - low < 5000

    def test_the_nearer_bone_is_drawn_over_the_farther_one(self, tmp_path, figures):
        pose = forward_kinematics(BODY, np.zeros((1, 27)))
        pose[0, PLACE["left_wrist"], 2] -= 300  # towards the camera
        pose[0, PLACE["right_wrist"], 2] += 300
        sheet(tmp_path / "q.png", pose, elevation=0.0, azimuth=-90.0)
        found = {}
        for line in bones(figures[0].axes[1]):
            for name in ("left_wrist", "right_wrist"):
                if np.allclose(line.get_xydata()[1], pose[0, PLACE[name], :2] * [1, -1]):
                    found[name] = line
        near, far = found["left_wrist"], found["right_wrist"]
        assert near.get_zorder() > far.get_zorder()
        assert near.get_linewidth() > far.get_linewidth()
        assert near.get_zorder() == max(line.get_zorder() for line in bones(figures[0].axes[1]))

    def test_everything_is_inside_the_picture(self, tmp_path, figures):
        picture = sheet(tmp_path / "q.png", people(1))
        assert (picture[[0, -1]] == 255).all()
        assert (picture[:, [0, -1]] == 255).all()
        legend = [text.get_text() for text in figures[0].legends[0].get_texts()]
        assert legend == ["left", "centre", "right", "floor, lines 500 mm apart"]

    def test_floor_of_a_smaller_object_is_finer(self, tmp_path, figures):
        skeleton = hand()
        joints = forward_kinematics(skeleton, np.zeros((1, skeleton.num_parameters)))
        qualitative_sheet(skeleton, [BLANK], [("", "")], joints, {}, {}, tmp_path / "q.png")
        assert figures[0].legends[0].get_texts()[-1].get_text() == "floor, lines 50 mm apart"
        floor = [line for line in figures[0].axes[1].lines if line.get_linewidth() < 1]
        begins = np.array([line.get_xydata()[0] for line in floor])
        steps = np.linalg.norm(np.diff(begins, axis=0), axis=1)
        # Five lines beside each other along depth, then five along the width.
        seen = view_axes(15.0, -50.0)[:2]
        np.testing.assert_allclose(steps[:4], 50 * np.linalg.norm(seen[:, 2]))
        np.testing.assert_allclose(steps[5:], 50 * np.linalg.norm(seen[:, 0]))

    def test_lengths_are_in_the_unit_of_the_object(self, tmp_path, figures):
        skeleton = BODY.scaled(0.001, "m")
        joints = people(1) / 1000
        predictions, errors = {"fit": joints + 0.2}, {"fit": np.array([0.3])}
        path = tmp_path / "q.png"
        qualitative_sheet(skeleton, [BLANK], [("", "")], joints, predictions, errors, path)
        assert figures[0].axes[2].get_xlabel() == "0.30 m"
        legend = figures[0].legends[0].get_texts()
        assert legend[-1].get_text() == "floor, lines 0.5 m apart"

    def test_grey_images(self, tmp_path):
        picture = sheet(tmp_path / "q.png", people(1), images=[BLANK[..., :1]])
        # An image of one grey shows that none is stretched to the full range.
        assert (picture == 200).all(-1).sum() > 1000

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"images": []}, "0 images, 2 captions"),
            ({"captions": [("a", "b")]}, "2 images, 1 captions"),
            ({"errors": {}}, "expected an error of 'Direct' for each image"),
            ({"predictions": {"Direct": np.zeros((2, 16, 3))}}, "joints of 'Direct' have shape"),
            ({"predictions": {"Direct": np.full((2, 17, 3), np.nan)}}, "not finite"),
        ],
    )
    def test_wrong_input_is_named_and_leaves_no_file(self, tmp_path, changes, message):
        with pytest.raises(PictureError, match=message):
            sheet(tmp_path / "q.png", people(2), **changes)
        assert list(tmp_path.iterdir()) == []

    def test_a_planar_object_is_refused(self, tmp_path):
        joints = np.zeros((1, 3, 2))
        with pytest.raises(PictureError, match="'planar3' has 2 dimensions, expected 3"):
            qualitative_sheet(planar(3), [BLANK], [("", "")], joints, {}, {}, tmp_path / "q.png")
