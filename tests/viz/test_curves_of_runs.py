"""Figure 7: the learning curves of several runs in one picture."""

import cv2
import pytest

from gluon_dkpr.viz import PictureError, plot_curves


def run(offset, epochs=3, loss=True):
    table = []
    for i in range(epochs):
        row = {"epoch": i + 1, "train_joint_error": offset - i, "test_joint_error": offset + 9 - i}
        table.append({**row, "train_loss": 0.5 / (i + 1)} if loss else row)
    return table


def test_every_run_has_its_colour_and_training_its_line_style(tmp_path, figures):
    runs = {"Direct": run(60), "Parameter": run(90)}
    plot_curves(runs, tmp_path / "curve.png")
    errors, losses = figures[0].axes
    lines = {line.get_label(): line for line in errors.lines}
    assert list(lines) == [f"{name}, {which}" for name in runs for which in ("training", "test")]
    assert lines["Direct, training"].get_xydata().tolist() == [[1, 60], [2, 59], [3, 58]]
    assert lines["Parameter, test"].get_xydata().tolist() == [[1, 99], [2, 98], [3, 97]]
    for name in runs:
        pair = [lines[f"{name}, {which}"] for which in ("training", "test")]
        assert pair[0].get_color() == pair[1].get_color()
        assert [line.get_linestyle() for line in pair] == ["--", "-"]
    assert lines["Direct, test"].get_color() != lines["Parameter, test"].get_color()
    assert [line.get_label() for line in losses.lines] == [f"{name}, training" for name in runs]
    assert "mm" in errors.get_ylabel()
    assert cv2.imread(str(tmp_path / "curve.png")) is not None


def test_runs_of_different_lengths_share_the_axis(tmp_path, figures):
    plot_curves({"a": run(60, epochs=2), "b": run(60, epochs=7)}, tmp_path / "curve.png")
    low, high = figures[0].axes[-1].get_xlim()
    assert low < 1
    assert high > 7


def test_more_runs_than_colours(tmp_path, figures):
    plot_curves({str(i): run(60 + i) for i in range(8)}, tmp_path / "curve.png")
    assert len(figures[0].axes[0].lines) == 16


def test_without_losses_there_is_one_panel(tmp_path, figures):
    plot_curves({"a": run(60, loss=False)}, tmp_path / "curve.png")
    assert len(figures[0].axes) == 1


def test_legend_is_inside_the_picture_and_beside_the_curves(tmp_path, figures):
    plot_curves({"Kinematic of a run with a long name": run(60)}, tmp_path / "curve.png")
    figure = figures[0]
    renderer = figure.canvas.get_renderer()
    for axis in figure.axes:
        legend = axis.get_legend().get_window_extent(renderer)
        assert legend.x0 >= axis.patch.get_window_extent(renderer).x1 - 1
        assert legend.x1 <= figure.bbox.x1


@pytest.mark.parametrize("runs", [{}, {"a": []}, {"a": [{"epoch": 1}]}])
def test_nothing_to_draw_is_named_and_leaves_no_file(tmp_path, runs):
    with pytest.raises(PictureError, match=f"none of {len(runs)} runs has an epoch"):
        plot_curves(runs, tmp_path / "curve.png")
    assert list(tmp_path.iterdir()) == []
