"""Plots and pictures. Works without MXNet and leaves matplotlib's global state alone."""

from gluon_dkpr.viz.complexity import plot_complexity
from gluon_dkpr.viz.curve import plot_curve, plot_curves
from gluon_dkpr.viz.overlay import draw_pose
from gluon_dkpr.viz.qualitative import qualitative_sheet
from gluon_dkpr.viz.sheet import check_sheet_name, pose_sheet, sample_sheet
from gluon_dkpr.viz.stick_figure import draw_pose3d
from gluon_dkpr.viz.style import PREDICTED_COLOR, TRUE_COLOR, PictureError, length_text
from gluon_dkpr.viz.turned_view import draw_view

__all__ = [
    "PREDICTED_COLOR",
    "TRUE_COLOR",
    "PictureError",
    "check_sheet_name",
    "draw_pose",
    "draw_pose3d",
    "draw_view",
    "length_text",
    "plot_complexity",
    "plot_curve",
    "plot_curves",
    "pose_sheet",
    "qualitative_sheet",
    "sample_sheet",
]
