"""Colours, sides of a skeleton, lengths as text and the writing of pictures.

The colours are told apart with any kind of colour vision: all but the magenta are of Okabe and
Ito's palette (Color Universal Design, 2008), whose own one is too pale over a dark image. RGB,
0-255.
"""

from __future__ import annotations

import math
from typing import Tuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_path
from gluon_dkpr.skeleton import Skeleton

Color = Tuple[int, int, int]

GREEN: Color = (0, 158, 115)
MAGENTA: Color = (230, 60, 180)
BLUE: Color = (0, 114, 178)
VERMILLION: Color = (213, 94, 0)
GREY: Color = (90, 90, 90)
TRUE_COLOR = GREEN
PREDICTED_COLOR = MAGENTA
#: Of the sides of a stick figure without an image under it.
SIDE_COLORS = {"left": BLUE, "centre": GREY, "right": VERMILLION}


class PictureError(DkprError, ValueError):
    """A picture cannot be made of what was given."""


def joint_sides(skeleton: Skeleton) -> Tuple[str, ...]:
    """Return ``"left"``, ``"right"`` or ``"centre"`` for each of the J visible joints.

    The first joint of each of the skeleton's ``left_right_pairs`` is the left one. A bone is on
    the side of its child.
    """
    side = {}
    for left, right in skeleton.left_right_pairs:
        side[left], side[right] = "left", "right"
    return tuple(side.get(name, "centre") for name in skeleton.joint_names)


def tint(color: Color, side: str) -> Color:
    """Return the colour, pale for the left side, between the two in the centre."""
    white = {"left": 0.6, "centre": 0.3, "right": 0.0}[side]
    red, green, blue = (round(value + white * (255 - value)) for value in color)
    return red, green, blue


def unit_interval(color: Color) -> Tuple[float, float, float]:
    """Return the colour as matplotlib wants it, 0-1."""
    red, green, blue = color
    return red / 255, green / 255, blue / 255


def length_text(length: float, unit: str) -> str:
    """Return a length as text, with three digits that count, two below 1: ``16.1 mm``, ``0.30 m``.

    Args:
        length: in the unit.
        unit: the skeleton's.
    """
    # As rounded: 9.996 has two digits before the point.
    power = int(f"{length:.2e}".partition("e")[2] or 0) if length and math.isfinite(length) else 9
    if not -4 <= power < 6:
        return f"{length:.2g} {unit}"
    return f"{length:.{max(0, (2 if power >= 0 else 1) - power)}f} {unit}"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of this size in inches that pyplot knows nothing of."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path) -> None:
    """Write a figure; the suffix of ``path`` chooses the format.

    Raises:
        PictureError: for a suffix that stands for no known format.
    """
    with atomic_path(path) as temporary:
        suffix = temporary.suffix.lstrip(".").lower()
        if suffix not in figure.canvas.get_supported_filetypes():
            raise PictureError(f"{path}: suffix is '{temporary.suffix}', expected '.png'")
        figure.savefig(temporary, dpi=120)
