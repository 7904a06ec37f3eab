"""Learning curves and three-dimensional stick figures."""

import math
import subprocess
import sys

import cv2
import matplotlib
import numpy as np
import pytest
from mpl_toolkits.mplot3d import proj3d

from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, planar
from gluon_dkpr.viz import PictureError, draw_pose3d, plot_curve

SOLID = Skeleton(
    "solid",
    3,
    (Parameter("turn"),),
    (
        Joint("root", rotations=(Rotation("z", "turn"),)),
        Joint("up", "root", (0, -100, 0)),
        Joint("left", "root", (100, 0, 0)),
        Joint("right", "root", (-100, 0, 0)),
        Joint("away", "root", (0, 0, 100)),
    ),
    left_right_pairs=(("left", "right"),),
)
POSE = np.array([[0, 0, 0], [0, -100, 0], [100, 0, 0], [-100, 0, 0], [0, 0, 100]], dtype=float)


def rows(test_error, loss=None):
    """Return rows as csv.DictReader does: texts."""
    table = []
    for i, error in enumerate(test_error):
        row = {"epoch": str(i + 1), "test_joint_error": str(error), "images_per_second": "900"}
        if loss is not None:
            row["train_loss"] = str(loss[i])
        table.append(row)
    return table


def extents(figure, artists):
    renderer = figure.canvas.get_renderer()
    return [artist.get_window_extent(renderer) for artist in artists]


class TestPlotCurve:
    def test_draws_what_the_rows_hold(self, tmp_path, figures):
        table = rows([5.0, 3.0, 2.0], loss=[9.0, 8.0, 7.0])
        for row in table:
            row["train_joint_error"] = float(row["test_joint_error"]) - 1
        plot_curve(table, tmp_path / "curve.png", unit="mm")
        errors, loss = figures[0].axes
        lines = {line.get_label(): line.get_xydata().tolist() for line in errors.lines}
        assert lines == {
            "training": [[1, 4], [2, 2], [3, 1]],
            "test": [[1, 5], [2, 3], [3, 2]],
        }
        assert loss.lines[0].get_xydata().tolist() == [[1, 9], [2, 8], [3, 7]]
        assert "mm" in errors.get_ylabel()
        assert cv2.imread(str(tmp_path / "curve.png")) is not None

    def test_reference_is_a_line_beside_the_errors_only(self, tmp_path, figures):
        table = rows([5.0, 3.0], loss=[9.0, 8.0])
        plot_curve(table, tmp_path / "curve.png", reference=(4.9, "paper"))
        errors, loss = figures[0].axes
        assert errors.lines[-1].get_label() == "paper"
        assert list(errors.lines[-1].get_ydata()) == [4.9, 4.9]
        assert len(loss.lines) == 1

    @pytest.mark.parametrize(
        ("errors", "scale"),
        [([50, 5.1], "linear"), ([50, 4.9], "log"), ([50, 0.0], "linear"), ([50, "nan"], "linear")],
    )
    def test_scale_is_logarithmic_beyond_a_decade(self, tmp_path, figures, errors, scale):
        plot_curve(rows(errors), tmp_path / "curve.png")
        assert figures[0].axes[0].get_yscale() == scale

    @pytest.mark.parametrize("gap", ["", None, "nan", "inf"])
    def test_missing_values_leave_gaps(self, tmp_path, figures, gap):
        table = rows([5.0, 4.0, 3.0])
        table[1]["test_joint_error"] = gap
        del table[2]["images_per_second"]
        plot_curve(table, tmp_path / "curve.png")
        values = figures[0].axes[0].lines[0].get_ydata()
        np.testing.assert_array_equal(values, [5, math.nan, 3])
        assert len(figures[0].axes) == 1, "no loss, no panel for it"

    def test_one_epoch_has_one_tick(self, tmp_path, figures):
        plot_curve(rows([5.0]), tmp_path / "curve.png")
        axis = figures[0].axes[0]
        low, high = axis.get_xlim()
        assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]

    def test_legend_and_labels_are_beside_the_data_and_inside_the_picture(self, tmp_path, figures):
        table = rows([500.0, 3.0], loss=[9.0, 8.0])
        plot_curve(table, tmp_path / "curve.png", reference=(4.9, "the paper's kinematic joint"))
        figure = figures[0]
        for axis in figure.axes:
            (inside,) = extents(figure, [axis.patch])
            (legend,) = extents(figure, [axis.get_legend()])
            assert legend.y0 >= inside.y1 - 1
            labels = extents(figure, [axis.xaxis.label, axis.yaxis.label, axis.get_legend()])
            for box in labels:
                assert figure.bbox.x0 <= box.x0
                assert box.x1 <= figure.bbox.x1
                assert figure.bbox.y0 <= box.y0
                assert box.y1 <= figure.bbox.y1

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ([], "none of 0 rows"),
            ([{"epoch": 1, "learning_rate": 0.1}], "none of 1 rows"),
            ([{"test_joint_error": 1.0}], "none of 1 rows"),
            ([{"epoch": "one", "test_joint_error": 1.0}], "column 'epoch' holds 'one'"),
            ([{"epoch": 1, "train_loss": [2]}], "column 'train_loss' holds"),
        ],
    )
    def test_wrong_input_is_named_and_leaves_no_file(self, tmp_path, table, message):
        with pytest.raises(PictureError, match=message):
            plot_curve(table, tmp_path / "curve.png")
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_suffix_is_named_and_leaves_no_file(self, tmp_path):
        with pytest.raises(PictureError, match="suffix is '.dkpr'"):
            plot_curve(rows([1.0]), tmp_path / "curve.dkpr")
        assert list(tmp_path.iterdir()) == []


class TestDrawPose3d:
    def on_screen(self, axis, points):
        """Return where points of the camera frame are drawn: right, up, and how far away."""
        x, y, z = np.asarray(points).T
        right, up, depth = proj3d.proj_transform(x, z, y, axis.get_proj())
        return np.stack([right, up, depth], -1)

    def test_axes_are_those_of_a_camera(self, tmp_path, figures):
        draw_pose3d(SOLID, [POSE], tmp_path / "pose.png")
        root, up, left, right, away = self.on_screen(figures[0].axes[0], POSE)
        assert up[1] > root[1], "y points down"
        assert left[0] > root[0] > right[0], "x points right"
        # Seen from in front and a little from above.
        assert away[1] > root[1]
        assert cv2.imread(str(tmp_path / "pose.png")) is not None

    def test_from_the_camera_depth_is_not_seen(self, tmp_path, figures):
        draw_pose3d(SOLID, [POSE], tmp_path / "pose.png", elevation=0.0, azimuth=-90.0)
        root, _, _, _, away = self.on_screen(figures[0].axes[0], POSE)
        np.testing.assert_allclose(away[:2], root[:2], atol=1e-9)

    def test_all_axes_of_all_figures_have_one_scale(self, tmp_path, figures):
        draw_pose3d(
            SOLID, [POSE, 3 * POSE + 1000], tmp_path / "p.png", labels=["true", "predicted"]
        )
        spans = {
            round(float(abs(np.diff(limits))[0]), 6)
            for axis in figures[0].axes
            for limits in (axis.get_xlim(), axis.get_ylim(), axis.get_zlim())
        }
        assert len(spans) == 1
        assert [axis.get_title() for axis in figures[0].axes] == ["true", "predicted"]
        for axis, pose in zip(figures[0].axes, (POSE, 3 * POSE + 1000)):
            for values, limits in zip(pose.T, (axis.get_xlim(), axis.get_zlim(), axis.get_ylim())):
                assert min(limits) < values.min() <= values.max() < max(limits)

    def test_sides_have_colours_and_a_legend(self, tmp_path, figures):
        draw_pose3d(SOLID, [POSE], tmp_path / "pose.png")
        legend = {h.get_label(): h.get_color() for h in figures[0].legends[0].legend_handles}
        assert list(legend) == ["left", "centre", "right"]
        bones = [line.get_color() for line in figures[0].axes[0].lines]
        assert bones == [legend[side] for side in ("centre", "left", "right", "centre")]

    def test_labels_are_inside_the_picture(self, tmp_path, figures):
        draw_pose3d(SOLID, [POSE, POSE], tmp_path / "pose.png", labels=["true", "predicted"])
        figure = figures[0]
        artists = list(figure.legends)
        for axis in figure.axes:
            artists += [axis.title, axis.xaxis.label, axis.yaxis.label, axis.zaxis.label]
        for box in extents(figure, artists):
            assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
            assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1

    def test_missing_joints_are_left_out(self, tmp_path, figures):
        pose = POSE.copy()
        pose[1] = np.nan
        draw_pose3d(SOLID, [pose], tmp_path / "pose.png")
        assert np.isfinite(figures[0].axes[0].get_xlim()).all()

    def test_joints_all_at_one_point_are_drawn(self, tmp_path):
        draw_pose3d(SOLID, [np.zeros((5, 3))], tmp_path / "pose.png")
        assert (tmp_path / "pose.png").stat().st_size > 0

    @pytest.mark.parametrize(
        ("skeleton", "poses", "labels", "message"),
        [
            (planar(3), [np.zeros((3, 2))], None, "'planar3' has 2 dimensions"),
            (SOLID, [], None, "no pose"),
            (SOLID, [POSE[:2]], None, r"poses\[0\] has shape \(2, 3\), expected \(5, 3\)"),
            (SOLID, [POSE, np.full((5, 3), np.nan)], None, r"poses\[1\] has no joint"),
            (SOLID, [POSE], ["a", "b"], "2 labels, expected 1"),
        ],
    )
    def test_wrong_input_is_named(self, tmp_path, skeleton, poses, labels, message):
        with pytest.raises(PictureError, match=message):
            draw_pose3d(skeleton, poses, tmp_path / "pose.png", labels)
        assert list(tmp_path.iterdir()) == []


def test_the_users_matplotlib_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    plot_curve(rows([5.0]), tmp_path / "curve.png")
    draw_pose3d(SOLID, [POSE], tmp_path / "pose.png")
    assert dict(matplotlib.rcParams) == before
    code = (
        "import sys, gluon_dkpr.viz, gluon_dkpr.metrics; "
        "print({'matplotlib.pyplot', 'mxnet'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
