"""Learning curves."""

from __future__ import annotations

import math
from typing import List, Mapping, Optional, Sequence, Tuple

from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from gluon_dkpr.viz.style import (
    BLUE,
    GREEN,
    GREY,
    MAGENTA,
    VERMILLION,
    PictureError,
    new_figure,
    save_figure,
    unit_interval,
)

# Line style as well as colour, so that the curves are told apart in black and white.
_TRAIN = {"color": unit_interval(GREEN), "linestyle": "--", "marker": "o", "markersize": 3}
_TEST = {"color": unit_interval(MAGENTA), "linestyle": "-", "marker": "s", "markersize": 3}
_ERRORS = (("train_joint_error", "training", _TRAIN), ("test_joint_error", "test", _TEST))
_LOSSES = (("train_loss", "training", _TRAIN), ("test_loss", "test", _TEST))
_DECADE = 10.0
# Of the runs that are compared, in their order: colour and marker.
_RUNS = ((GREY, "s"), (MAGENTA, "o"), (GREEN, "^"), (BLUE, "v"), (VERMILLION, "D"))


def plot_curve(
    rows: Sequence[Mapping],
    path,
    reference: Optional[Tuple[float, str]] = None,
    unit: str = "px",
) -> None:
    """Plot joint error and loss against the epoch.

    An axis is logarithmic when its values span more than a decade.

    Args:
        rows: one mapping an epoch, as ``csv.DictReader`` reads metrics.csv: ``epoch`` and any of
            ``train_joint_error``, ``test_joint_error`` (in ``unit``), ``train_loss``,
            ``test_loss``. Numbers or texts; what is missing, empty or not finite leaves a gap.
        path: picture to write.
        reference: value in ``unit`` and name of a horizontal line beside the joint errors.
        unit: length unit of the joint errors.

    Raises:
        PictureError: if no row has an epoch with an error or a loss, or a value is no number.
    """
    panels = [
        (label, curves)
        for label, names in ((f"mean joint error ({unit})", _ERRORS), ("loss", _LOSSES))
        for curves in [_curves(rows, names)]
        if curves
    ]
    if not panels:
        raise PictureError(f"{path}: none of {len(rows)} rows has an epoch with an error or a loss")
    figure = new_figure(7.0, 1.0 + 3.0 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (label, curves) in zip(axes, panels):
        _draw_curves(axis, label, curves)
        if reference is not None and label != "loss":
            value, name = reference
            axis.axhline(value, color=unit_interval(GREY), linestyle=":", label=name)
        # Above the axes it cannot hide a curve.
        axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=3, frameon=False)
    _set_epochs(axes[-1], [curve for _, curves in panels for curve in curves])
    save_figure(figure, path)


def plot_curves(runs: Mapping[str, Sequence[Mapping]], path, unit: str = "mm") -> None:
    """Plot the curves of several runs together, as the paper's figure 7 does.

    Above joint errors in training and test, below the training loss. The losses of different
    methods are different quantities (Eq. 3 on joints or on motion): only their courses compare.
    An axis is logarithmic when its values span more than a decade.

    Args:
        runs: for each name the rows of a run's metrics.csv, as in :func:`plot_curve`.
        path: picture to write.
        unit: length unit of the joint errors.

    Raises:
        PictureError: as :func:`plot_curve`.
    """
    errors, losses = [], []
    for i, (name, rows) in enumerate(runs.items()):
        color, marker = _RUNS[i % len(_RUNS)]
        style = {"color": unit_interval(color), "marker": marker, "markersize": 3}
        train, test = {**style, "linestyle": "--"}, {**style, "linestyle": "-"}
        errors += _curves(rows, [("train_joint_error", f"{name}, training", train)])
        errors += _curves(rows, [("test_joint_error", f"{name}, test", test)])
        losses += _curves(rows, [("train_loss", f"{name}, training", train)])
    labels = f"mean joint error ({unit})", "loss, each method's own"
    panels = [(label, curves) for label, curves in zip(labels, (errors, losses)) if curves]
    if not panels:
        raise PictureError(f"{path}: none of {len(runs)} runs has an epoch with an error or a loss")
    figure = new_figure(9.0, 1.0 + 3.4 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (label, curves) in zip(axes, panels):
        _draw_curves(axis, label, curves)
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    _set_epochs(axes[-1], [curve for _, curves in panels for curve in curves])
    save_figure(figure, path)


def _draw_curves(axis, label: str, curves: Sequence[tuple]) -> None:
    for name, epochs, values, style in curves:
        axis.plot(epochs, values, label=name, linewidth=1.5, **style)
    axis.set_ylabel(label)
    _set_scale(axis, [value for _, _, values, _ in curves for value in values])
    axis.grid(True, which="major", linewidth=0.4, alpha=0.5)


def _set_epochs(axis, curves: Sequence[tuple]) -> None:
    """Let the horizontal axis show whole epochs, all of them."""
    epochs = [epoch for _, some, _, _ in curves for epoch in some]
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    axis.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)


def _curves(rows, names) -> List[tuple]:
    """Return (name, epochs, values, style) of every column that has a finite value."""
    curves = []
    for key, name, style in names:
        points = [(_number(row, "epoch"), _number(row, key)) for row in rows]
        points = [point for point in points if math.isfinite(point[0])]
        if any(math.isfinite(value) for _, value in points):
            epochs, values = zip(*points)
            curves.append((name, epochs, values, style))
    return curves


def _number(row: Mapping, key: str) -> float:
    """Return a row's number; NaN if it is missing, empty or not finite."""
    text = row.get(key)
    if text is None or text == "":
        return math.nan
    try:
        value = float(text)
    except (TypeError, ValueError):
        raise PictureError(f"column '{key}' holds {text!r}, expected a number") from None
    return value if math.isfinite(value) else math.nan


def _set_scale(axis, values) -> None:
    finite = [value for value in values if math.isfinite(value)]
    if min(finite) <= 0 or max(finite) / min(finite) <= _DECADE:
        return
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())
