"""Plots and pictures. Works without MXNet and leaves matplotlib's global state alone."""

from gluon_dkpr.viz.complexity import plot_complexity
from gluon_dkpr.viz.curve import plot_curve
from gluon_dkpr.viz.overlay import draw_pose
from gluon_dkpr.viz.sheet import sample_sheet
from gluon_dkpr.viz.stick_figure import draw_pose3d
from gluon_dkpr.viz.style import PREDICTED_COLOR, TRUE_COLOR, PictureError

__all__ = [
    "PREDICTED_COLOR",
    "TRUE_COLOR",
    "PictureError",
    "draw_pose",
    "draw_pose3d",
    "plot_complexity",
    "plot_curve",
    "sample_sheet",
]
