"""The page in the browser as its tests see it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gluon_dkpr.skeleton import planar

DEMO = Path(__file__).parents[2] / "docs" / "demo"
METHODS = ("kinematic", "direct")
OBJECT = planar(6)
PARAMETERS = OBJECT.parameter_names
SIZE_PX = 128
# The page shows three decimals; the runtimes differ by less than that.
SHOWN_PX = 1e-3


def settle(page):
    """Wait until both networks have seen the latest picture."""
    page.wait_for_selector("#demo[aria-busy=false]")


def shown_joints(page, column: str) -> np.ndarray:
    cells = page.locator(f".demo-joints [data-column={column}]").all_text_contents()
    return np.array([[float(value) for value in cell.split(",")] for cell in cells])


def shown_bones(page, column: str) -> np.ndarray:
    cells = page.locator(f".demo-bones [data-column={column}]").all_inner_texts()
    return np.array([float(cell.split()[0]) for cell in cells])


def shown_motion(page) -> np.ndarray:
    """Return what the sliders stand at, px and radians."""
    values = [float(page.locator(f"input[name={name}]").input_value()) for name in PARAMETERS]
    units = [parameter.unit for parameter in OBJECT.parameters]
    return np.array([np.radians(v) if unit == "radian" else v for v, unit in zip(values, units)])


def shown_picture(page) -> np.ndarray:
    script = "canvas => Array.from(canvas.getContext('2d').getImageData(0, 0, 128, 128).data)"
    pixels = np.array(page.locator("#demo canvas").evaluate(script), np.uint8)
    return pixels.reshape(SIZE_PX, SIZE_PX, 4)[..., :1]


def press(page, name: str, *keys: str):
    page.locator(f"input[name={name}]").focus()
    for key in keys:
        page.keyboard.press(key)
