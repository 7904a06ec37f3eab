"""The pictures of the benchmark of growth."""

from __future__ import annotations

from pathlib import Path
from typing import List

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from gluon_dkpr.viz.style import BLUE, GREY, VERMILLION, new_figure, save_figure, unit_interval

#: Part of a result -> label of its sizes, and of its times.
_LABELS = {
    "chain": ("bones of a chain", "forward and backward, 52 poses (ms)"),
    "batch": ("poses of a batch", "forward and backward, human body (ms)"),
    "data": ("training images", "epoch (ms)"),
}


def write(result: dict, folder: Path) -> List[Path]:
    """Write ``growth-chain.png``, ``growth-batch.png`` and ``growth-data.png``; return the paths.

    Args:
        result: with the parts ``chain``, ``batch`` and ``data``.
        folder: that is there.
    """
    paths = []
    for name in _LABELS:
        found = result[name]
        graph = "depth" in found
        figure = new_figure(9.0 if graph else 4.8, 3.6)
        axes = figure.subplots(1, 2 if graph else 1, squeeze=False)[0]
        _draw_times(axes[0], found, *_LABELS[name])
        if graph:
            _draw_graph(axes[1], found)
        paths.append(folder / f"growth-{name}.png")
        save_figure(figure, paths[-1])
    return paths


def _draw_times(axis, found: dict, size: str, time: str) -> None:
    """Draw medians with quartiles, and the fitted power over the sizes that it was fitted to."""
    median, low, high = (
        1e3 * np.array([seconds[key] for seconds in found["seconds"]])
        for key in ("median", "quartile1", "quartile3")
    )
    bars = np.maximum(0, [median - low, high - median])
    axis.errorbar(
        found["sizes"], median, bars, fmt="o", color=unit_interval(BLUE), label="median, quartiles"
    )
    fit = found["fit"]
    fitted = np.array(fit["sizes"], float)
    label = f"exponent {fit['exponent']:.2f} ± {fit['error']:.2f}"
    line = 1e3 * fit["factor"] * fitted ** fit["exponent"]
    axis.plot(fitted, line, color=unit_interval(VERMILLION), label=label)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    # Plain numbers: those of mathematical fonts, which may be missing, are warned about.
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_ylabel(time)
    _finish(axis, found["sizes"], size)


def _draw_graph(axis, found: dict) -> None:
    """Draw operators and depth of the graph."""
    styles = (("operators", GREY, "s"), ("depth", BLUE, "o"))
    for key, color, marker in styles:
        axis.plot(found["sizes"], found[key], ls="--", marker=marker, label=key,
                  color=unit_interval(color))  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.set_ylim(bottom=0)
    axis.set_ylabel("operators of the forward graph")
    _finish(axis, found["sizes"], "bones of a chain")


def _finish(axis, sizes: List[int], label: str) -> None:
    axis.xaxis.set_major_locator(FixedLocator(sizes))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticklabels([str(size) for size in sizes])
    axis.set_xlabel(label)
    axis.grid(True, linewidth=0.4, alpha=0.5)
    axis.legend(frameon=False, fontsize=8)
