"""What the service says of a pose and of itself, as plain JSON data."""

from __future__ import annotations

from typing import Sequence

from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.service.limits import Limits
from gluon_dkpr.service.work import Found
from gluon_dkpr.skeleton import skeleton_to_dict
from gluon_dkpr.types import Array

POSE_FORMAT = "gluon_dkpr/pose/1"
SIGNATURE_FORMAT = "gluon_dkpr/service/1"

USAGE = """\
gluon_dkpr: poses of pictures. Send a PNG or JPEG as the body of a POST:

  curl --data-binary @picture.png http://{host}/v1/pose
  curl --data-binary @picture.jpg 'http://{host}/v1/pose?box=X,Y,WIDTH,HEIGHT'

GET /v1/signature   skeleton, names, units and limits
GET /health         ok or draining
GET /metrics        for Prometheus
"""


def pose_answer(predictor: ImagePredictor, found: Found, seconds: float) -> dict:
    """Return a pose by name.

    Args:
        predictor: that has found it.
        found: the pose.
        seconds: that it took.
    """
    skeleton, estimate = predictor.skeleton, found.estimate
    motion = estimate.motion
    return {
        "format": POSE_FORMAT,
        "skeleton": skeleton.name,
        "method": predictor.method,
        "unit": skeleton.length_unit,
        "joints": _by_name(skeleton.joint_names, estimate.joints),
        "joints_px": _by_name(skeleton.joint_names, estimate.joints_px),
        "motion": None if motion is None else _by_name(skeleton.parameter_names, motion),
        "picture": {"width": found.width, "height": found.height},
        "crop": dict(vars(estimate.crop)),
        "seconds": round(seconds, 6),
    }


def signature_answer(predictor: ImagePredictor, limits: Limits) -> dict:
    """Return what can be sent and what will come."""
    skeleton = predictor.skeleton
    unit = skeleton.length_unit
    units = {"length": unit, "radian": "radian"}
    parameters = {p.name: units[p.unit] for p in skeleton.parameters}
    return {
        "format": SIGNATURE_FORMAT,
        "method": predictor.method,
        "inputs": {
            "types": ["image/png", "image/jpeg"],
            "max_bytes": limits.max_bytes,
            "max_pixels": limits.max_pixels,
            "box": "x,y,width,height in px of the picture, from its upper left corner; optional",
            "network_image": list(predictor.image_shape),
        },
        "outputs": {
            "joints": {"names": list(skeleton.joint_names), "dim": skeleton.dim, "unit": unit},
            "joints_px": "px of the picture, x right and y down, the centre of the upper left "
            "pixel at (0, 0)",
            "motion": None if predictor.method == "direct" else parameters,
        },
        "skeleton": skeleton_to_dict(skeleton),
    }


def _by_name(names: Sequence[str], values: Array) -> dict:
    return dict(zip(names, values.tolist()))
