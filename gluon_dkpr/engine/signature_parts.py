"""The parts of a signature that follow from the network, written out for other readers."""

from __future__ import annotations

from typing import NamedTuple, Sequence, Tuple

from gluon_dkpr.data import RecordInfo
from gluon_dkpr.data.body.render import MARGIN
from gluon_dkpr.engine.graph import INPUT_NAME, OUTPUT_NAMES
from gluon_dkpr.skeleton import Skeleton

# Whatever is 0 to 255 in a picture.
GREY, COLOURS = ["grey"], ["red", "green", "blue"]
#: How much wider than the tight box the crops of a data set are, by who made it.
_MARGINS = {"gluon_dkpr.data.body": MARGIN}


class NetworkImages(NamedTuple):
    """What the images of a data set, and so of the network trained on it, are.

    Attributes:
        shape: (H, W, C).
        margin: on each side of a box that its crops have, a part of the box's longer side. 0 where
            pictures are not cut, or the boxes are used as they come.
        grey: images of one channel are more than black and white.
    """

    shape: Tuple[int, int, int]
    margin: float = 0.0
    grey: bool = False

    @classmethod
    def of(cls, info: RecordInfo) -> NetworkImages:
        """Return those of a data set."""
        margin = _MARGINS.get(info.source.get("generator"), 0.0)
        return cls(info.image.shape, margin, info.image.is_grey)


def input_entry(image_shape: Tuple[int, int, int], preprocess: bool) -> dict:
    """Return what the graph is given.

    Args:
        image_shape: (H, W, C) of the network's images.
        preprocess: the graph takes bytes.
    """
    height, width, channels = image_shape
    if preprocess:
        kind = {"dtype": "uint8", "layout": "NHWC", "shape": [-1, height, width, 3]}
        return {"name": INPUT_NAME, **kind, "range": [0, 255], "channels": COLOURS}
    kind = {"dtype": "float32", "layout": "NCHW", "shape": [-1, channels, height, width]}
    colours = GREY if channels == 1 else COLOURS
    return {"name": INPUT_NAME, **kind, "range": [0, 1], "channels": colours}


def output_entries(skeleton: Skeleton, shapes: Sequence[Tuple[int, ...]]) -> list:
    """Return what the graph gives: joints, and motion unless direct joint."""
    unit, parameters = skeleton.length_unit, skeleton.parameters
    units = {"radian": "radian", "length": unit}
    joints = {
        "unit": unit,
        "frame": _frame(skeleton),
        "names": list(skeleton.joint_names),
        "root": skeleton.joint_names.index(skeleton.root.name),
    }
    motion = {
        "units": [units[parameter.unit] for parameter in parameters],
        "names": list(skeleton.parameter_names),
        "lower": [parameter.lower for parameter in parameters],
        "upper": [parameter.upper for parameter in parameters],
    }
    return [
        {"name": name, "dtype": "float32", "shape": [-1, *shape], **tree}
        for name, shape, tree in zip(OUTPUT_NAMES, shapes, (joints, motion))
    ]


def _frame(skeleton: Skeleton) -> str:
    if skeleton.length_unit == "px":
        return "x right, y down, centre of the crop's upper left pixel at (0, 0)"
    if skeleton.dim == 2:
        return "x right, y down, measured from the root joint"
    return "axes of the camera: x right, y down, z forward; measured from the root joint"


def crop_entry(
    skeleton: Skeleton, image_shape: Tuple[int, int, int], margin: float, grey: bool
) -> dict:
    """Return how a picture of any size becomes an image of the network's size.

    ``gluon_dkpr.engine.pictures`` and ``gluon_dkpr.geometry.Crop`` do it.

    Args:
        skeleton: the object; only one in px fills the whole picture.
        image_shape: (H, W, C).
        margin, grey: see :class:`NetworkImages`.
    """
    return {
        "around": "picture" if skeleton.length_unit == "px" else "box",
        "shape": "the smallest square with the same centre",
        "margin": margin,
        "padding": 0,
        "size": [image_shape[0], image_shape[1]],
        "resize": {"to_smaller": "mean of the area", "to_larger": "linear"},
        "white_from": 0.5 if image_shape[2] == 1 and not grey else None,
    }


def bone_entries(skeleton: Skeleton) -> list:
    """Return the bones of the rest pose: joints by name and number, and length."""
    names = skeleton.joint_names
    return [
        {"parent": a, "child": b, "joints": [names.index(a), names.index(b)], "length": length}
        for (a, b), length in zip(
            skeleton.bones, (round(float(length), 6) for length in skeleton.bone_lengths)
        )
    ]


def flip_entries(skeleton: Skeleton) -> list:
    """Return which joints change places when an image is mirrored."""
    names = skeleton.joint_names
    return [
        {"names": [left, right], "joints": [names.index(left), names.index(right)]}
        for left, right in skeleton.left_right_pairs
    ]
