"""The flags of ``tools/predict.py``, and its lines on the terminal."""

from __future__ import annotations

import argparse
from typing import Optional

from gluon_dkpr.engine.prediction.boxes import Boxes, parse_box
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import Camera, intrinsics_of
from gluon_dkpr.engine.prediction.options import Options
from gluon_dkpr.engine.prediction.run import Prediction

# More angles than that are left to the files.
_FEW_ANGLES = 8


def options_of(args: argparse.Namespace) -> Options:
    """Return what the flags say.

    Raises:
        PredictionError: for a flag that makes no sense; names it.
    """
    try:
        box = None if args.box is None else parse_box(args.box)
    except PredictionError as error:
        raise PredictionError(f"--box {args.box}: {error}") from None
    boxes = Boxes(box) if args.boxes is None else Boxes.read(args.boxes, box)
    formats = None if args.format is None else tuple(args.format.split(","))
    return Options(
        boxes=boxes,
        camera=_camera(args.focal),
        batch=args.batch,
        model_fit=args.model_fit,
        smooth_s=args.smooth,
        formats=formats,
        draw=not args.no_draw,
        max_frames=args.frames,
    )


def describe(result: Prediction) -> str:
    """Return what was found in an input, and where it is written, as a line."""
    pose = result.pose
    if result.frames > 1:
        found = f"{result.frames} frames of {pose.skeleton.name}"
    else:
        found = "root ({:.1f}, {:.1f}) px".format(*pose.root_px)
        degrees = pose.angles_deg or {}
        if 0 < len(degrees) <= _FEW_ANGLES:
            found += ", " + ", ".join(f"{name} {value:.1f}" for name, value in degrees.items())
            found += " deg"
    return f"{result.name}: {found} -> {', '.join(map(str, result.files))}"


def _camera(text: Optional[str]) -> Optional[Camera]:
    if text is None:
        return None
    try:
        camera = [float(value) for value in text.split(",")]
        intrinsics_of(camera, (1, 1))
    except (ValueError, PredictionError):
        raise PredictionError(
            f"--focal {text}: expected a focal length in px above 0, or FX,FY,CX,CY"
        ) from None
    return camera
