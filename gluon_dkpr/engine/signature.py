"""What an exported graph takes and gives, for a reader that knows nothing of this package."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, NamedTuple, Tuple

from gluon_dkpr.engine.graph import INPUT_NAME
from gluon_dkpr.errors import DkprError
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import Skeleton, skeleton_from_dict, skeleton_to_dict

FORMAT = "gluon_dkpr/signature/1"
# A larger file is no signature; parsing it would take many times its size in memory.
MAX_BYTES = 4 << 20


class ExportError(DkprError, ValueError):
    """An exported graph cannot be written or read; the message names file, found and expected."""


class FileStamp(NamedTuple):
    """Size and SHA-256 (hexadecimal) of a file, by which it is known again."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileStamp:
        """Return the stamp of a file with these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Signature:
    """What stands in ``<name>-signature.json``.

    Args:
        name: of the export.
        method: ``"kinematic"``, ``"direct"`` or ``"parameter"``.
        skeleton: whose poses the graph gives.
        image_shape: (H, W, C) of the images it takes.
        symbol, parameters: stamps of the two files beside it.
        versions: of what wrote it.
    """

    name: str
    method: str
    skeleton: Skeleton
    image_shape: Tuple[int, int, int]
    symbol: FileStamp
    parameters: FileStamp
    versions: Mapping[str, str]

    @property
    def input_shape(self) -> Tuple[int, int, int]:
        """(C, H, W) of the graph's input, without the batch."""
        height, width, channels = self.image_shape
        return channels, height, width

    @property
    def output_shapes(self) -> Tuple[Tuple[int, ...], ...]:
        """Shapes of the outputs, without the batch: joints, and motion unless direct joint."""
        joints = (self.skeleton.num_joints, self.skeleton.dim)
        motion = () if self.method == "direct" else ((self.skeleton.num_parameters,),)
        return (joints, *motion)

    def to_dict(self) -> dict:
        """Return it as plain JSON data; ``None`` in a shape is the batch, of any size."""
        return {
            "format": FORMAT,
            "name": self.name,
            "method": self.method,
            "input": _input(self.input_shape),
            "outputs": _outputs(self.skeleton, self.output_shapes),
            "image": image_rule(self.image_shape),
            "skeleton": skeleton_to_dict(self.skeleton),
            "files": {"symbol": self.symbol._asdict(), "parameters": self.parameters._asdict()},
            "versions": dict(self.versions),
        }

    @classmethod
    def from_dict(cls, tree: dict) -> Signature:
        """Build it from what :meth:`to_dict` returns.

        Raises:
            ExportError: for another format, an entry that is missing, of another kind or that does
                not fit the others.
            SkeletonError: for a bad skeleton.
        """
        found = tree.get("format") if isinstance(tree, dict) else None
        if found != FORMAT:
            raise ExportError(f"format is {found!r:.80}, expected '{FORMAT}'")
        method = _entry(tree, "method", str)
        if method not in METHODS:
            raise ExportError(f"method is {method!r:.80}, expected one of {list(METHODS)}")
        files = _entry(tree, "files", dict)
        signature = cls(
            name=_entry(tree, "name", str),
            method=method,
            skeleton=skeleton_from_dict(tree.get("skeleton")),
            image_shape=_image_shape(_entry(tree, "input", dict)),
            symbol=_stamp(files, "symbol"),
            parameters=_stamp(files, "parameters"),
            versions=_entry(tree, "versions", dict),
        )
        # What is written out for other readers follows from the rest and must say the same.
        for key, expected in signature.to_dict().items():
            if tree.get(key) != expected and key in ("input", "outputs", "image", "files"):
                raise ExportError(
                    f"'{key}' is {tree.get(key)!r:.80}, expected {expected!r:.80} "
                    f"for method '{method}' and skeleton '{signature.skeleton.name}'"
                )
        return signature


def load_signature(path: Path) -> Signature:
    """Read a signature.

    Raises:
        ExportError: if it cannot be read or is none; names the file.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
        return Signature.from_dict(json.loads(data.decode("utf-8")))
    except UnicodeDecodeError:
        raise ExportError(f"{path}: not a text file in UTF-8") from None
    except ExportError as error:
        message = str(error)
        raise ExportError(message if str(path) in message else f"{path}: {message}") from None
    except DkprError as error:
        raise ExportError(f"{path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ExportError(f"{path}: not valid JSON: {error}") from None


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return what a file holds.

    Raises:
        ExportError: if it cannot be read or is larger; names the file.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > max_bytes:
        raise ExportError(f"{path}: larger than the {max_bytes} bytes expected")
    return data


def image_rule(image_shape: Tuple[int, int, int]) -> dict:
    """Return how a picture of any size becomes the input, see ``gluon_dkpr.engine.pictures``.

    Args:
        image_shape: (H, W, C). Networks for one channel are the toy's, whose images are binary.
    """
    return {
        "crop": "the smallest square around the picture",
        "padding": "black",
        "resize": {"to_smaller": "mean of the area", "to_larger": "linear"},
        "white_from": 0.5 if image_shape[2] == 1 else None,
    }


def _input(shape: Tuple[int, int, int]) -> dict:
    return {
        "name": INPUT_NAME,
        "dtype": "float32",
        "shape": [None, *shape],
        "layout": "NCHW",
        "range": [0, 1],
        "channels": ["grey"] if shape[0] == 1 else ["red", "green", "blue"],
    }


def _outputs(skeleton: Skeleton, shapes: Tuple[Tuple[int, ...], ...]) -> list:
    unit = skeleton.length_unit
    units = {"radian": "radian", "length": unit}
    joints = {"name": "joints", "unit": unit, "names": list(skeleton.joint_names)}
    if unit == "px":
        joints["frame"] = "x right, y down, centre of the input's upper left pixel at (0, 0)"
    motion = {
        "name": "motion",
        "units": [units[p.unit] for p in skeleton.parameters],
        "names": list(skeleton.parameter_names),
    }
    return [{**tree, "shape": [None, *shape]} for tree, shape in zip((joints, motion), shapes)]


def _image_shape(tree: dict) -> Tuple[int, int, int]:
    shape = _entry(tree, "shape", list)
    if len(shape) != 4 or not all(type(size) is int and size > 0 for size in shape[1:]):
        raise ExportError(f"input shape is {shape!r:.80}, expected [null, C, H, W]")
    _, channels, height, width = shape
    return height, width, channels


def _stamp(files: dict, name: str) -> FileStamp:
    tree = _entry(files, name, dict)
    return FileStamp(_entry(tree, "size", int), _entry(tree, "sha256", str))


def _entry(tree: dict, name: str, kind: type):
    """Return ``tree[name]``; raise ExportError unless it is there and of this very type."""
    found = tree.get(name)
    if type(found) is not kind:
        raise ExportError(f"'{name}' is {found!r:.80}, expected {kind.__name__}")
    return found
