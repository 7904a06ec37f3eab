"""Figure 5 of the paper: error against the number of motion parameters."""

from __future__ import annotations

from typing import Mapping, Tuple

from matplotlib.ticker import FixedLocator

from gluon_dkpr.viz.style import GREEN, GREY, MAGENTA, new_figure, save_figure, unit_interval

# Colour, line and marker differ, so that the curves are told apart in black and white too.
_STYLES = {
    "direct": ("direct joint", GREY, "--", "s"),
    "parameter": ("direct parameter", GREEN, ":", "^"),
    "kinematic": ("kinematic joint", MAGENTA, "-", "o"),
}


def plot_complexity(values: Mapping[Tuple[int, str], float], path, label: str) -> None:
    """Plot one curve a method.

    Args:
        values: error by (number of parameters, method).
        path: picture to write.
        label: of the vertical axis, with the unit.
    """
    figure = new_figure(5.0, 3.6)
    axis = figure.subplots()
    for method, (name, color, line, marker) in _STYLES.items():
        levels = sorted(level for level, found in values if found == method)
        errors = [values[level, method] for level in levels]
        axis.plot(levels, errors, label=name, color=unit_interval(color), ls=line, marker=marker)
    axis.xaxis.set_major_locator(FixedLocator(sorted({level for level, _ in values})))
    axis.set_xlabel("motion parameters of the object")
    axis.set_ylabel(label)
    axis.set_ylim(bottom=0)
    axis.grid(True, linewidth=0.4, alpha=0.5)
    axis.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncol=3, frameon=False, fontsize=8)
    save_figure(figure, path)
