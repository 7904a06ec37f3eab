"""What an exported graph takes and gives, for a reader that knows nothing of this package."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, NamedTuple, Optional, Tuple

from gluon_dkpr.engine import signature_parts as parts
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import read_bounded
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import Skeleton, skeleton_from_dict, skeleton_to_dict

FORMAT = "gluon_dkpr/signature/2"
#: For each format of the graph the files beside the signature: what they hold, and their suffix.
SUFFIXES = {
    "mxnet": {"symbol": "-symbol.json", "parameters": "-0000.params"},
    "int8": {"symbol": "-symbol.json", "parameters": "-0000.params"},
    "onnx": {"model": ".onnx"},
}
# A larger file is no signature; parsing it would take many times its size in memory.
MAX_BYTES = 4 << 20
# What is written out for other readers follows from the rest and must say the same.
_DERIVED = ("inputs", "outputs", "normalisation", "crop", "bones", "flip_pairs", "files")


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
    """What stands in ``<name>-signature.json``; docs/export.md explains every entry.

    Args:
        name: of the export.
        method: ``"kinematic"``, ``"direct"`` or ``"parameter"``.
        skeleton: whose poses the graph gives.
        image_shape: (H, W, C) of the network's images.
        files: stamps of the files beside it, by the names in ``SUFFIXES``.
        versions: of what wrote it.
        format: of the graph, one of ``SUFFIXES``.
        preprocess: the graph takes bytes, uint8 (B, H, W, 3), instead of (B, C, H, W).
        mean, std: for each channel, by which the graph standardises values 0 to 1.
        margin, grey: see :class:`~gluon_dkpr.engine.signature_parts.NetworkImages`.
        quantization: of int8: how it was calibrated and what it costs; plain JSON data.
    """

    name: str
    method: str
    skeleton: Skeleton
    image_shape: Tuple[int, int, int]
    files: Mapping[str, FileStamp]
    versions: Mapping[str, str]
    format: str = "mxnet"
    preprocess: bool = False
    mean: Tuple[float, ...] = (0.0,)
    std: Tuple[float, ...] = (1.0,)
    margin: float = 0.0
    grey: bool = False
    quantization: Optional[Mapping] = None

    @property
    def input_shape(self) -> Tuple[int, int, int]:
        """Shape of the graph's input, without the batch."""
        height, width, channels = self.image_shape
        return (height, width, 3) if self.preprocess else (channels, height, width)

    @property
    def input_dtype(self) -> str:
        """Type of the graph's input."""
        return "uint8" if self.preprocess else "float32"

    @property
    def output_shapes(self) -> Tuple[Tuple[int, ...], ...]:
        """Shapes of the outputs, without the batch: joints, and motion unless direct joint."""
        joints = (self.skeleton.num_joints, self.skeleton.dim)
        motion = () if self.method == "direct" else ((self.skeleton.num_parameters,),)
        return (joints, *motion)

    def to_dict(self) -> dict:
        """Return it as plain JSON data; -1 in a shape is the batch, of any size."""
        suffixes = SUFFIXES[self.format]
        return {
            "format": FORMAT,
            "name": self.name,
            "graph": {"format": self.format, "preprocess": self.preprocess},
            "method": self.method,
            "inputs": [parts.input_entry(self.image_shape, self.preprocess)],
            "outputs": parts.output_entries(self.skeleton, self.output_shapes),
            "normalisation": {"mean": list(self.mean), "std": list(self.std), "in_graph": True},
            "crop": parts.crop_entry(self.skeleton, self.image_shape, self.margin, self.grey),
            "skeleton": skeleton_to_dict(self.skeleton),
            "bones": parts.bone_entries(self.skeleton),
            "flip_pairs": parts.flip_entries(self.skeleton),
            "quantization": None if self.quantization is None else dict(self.quantization),
            "files": {
                key: {"suffix": suffixes[key], **stamp._asdict()}
                for key, stamp in self.files.items()
            },
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
        if found == "gluon_dkpr/signature/1":
            raise ExportError(f"format is '{found}', of an earlier version; export it again")
        if found != FORMAT:
            raise ExportError(f"format is {found!r:.80}, expected '{FORMAT}'")
        graph, crop = _entry(tree, "graph", dict), _entry(tree, "crop", dict)
        kind = _one_of(graph, "format", SUFFIXES)
        files, colours = _entry(tree, "files", dict), _entry(tree, "normalisation", dict)
        skeleton = skeleton_from_dict(tree.get("skeleton"))
        image_shape = _image_shape(crop, colours)
        signature = cls(
            name=_entry(tree, "name", str),
            method=_one_of(tree, "method", METHODS),
            skeleton=skeleton,
            image_shape=image_shape,
            files={key: _stamp(files, key) for key in SUFFIXES[kind]},
            versions=_entry(tree, "versions", dict),
            format=kind,
            preprocess=_entry(graph, "preprocess", bool),
            mean=_numbers(colours, "mean"),
            std=_deviations(colours),
            margin=_margin(crop),
            grey=image_shape[2] == 1 and crop.get("white_from") is None,
            quantization=_entry(tree, "quantization", dict if kind == "int8" else type(None)),
        )
        for key, expected in signature.to_dict().items():
            if key in _DERIVED and tree.get(key) != expected:
                raise ExportError(
                    f"'{key}' is {tree.get(key)!r:.80}, expected {expected!r:.80} "
                    f"for method '{signature.method}' and skeleton '{skeleton.name}'"
                )
        return signature


def load_signature(path: Path) -> Signature:
    """Read a signature.

    Raises:
        ExportError: if it cannot be read or is none; names the file.
    """
    try:
        data = read_bounded(path, MAX_BYTES, ExportError)
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


def _image_shape(crop: dict, colours: dict) -> Tuple[int, int, int]:
    size = _entry(crop, "size", list)
    if len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise ExportError(f"crop size is {size!r:.80}, expected [H, W]")
    channels = len(_entry(colours, "mean", list))
    if channels not in (1, 3):
        raise ExportError(f"mean of {channels} channels, expected 1 or 3")
    return size[0], size[1], channels


def _numbers(tree: dict, name: str) -> Tuple[float, ...]:
    values = _entry(tree, name, list)
    if not all(type(value) is float and math.isfinite(value) for value in values):
        raise ExportError(f"'{name}' is {values!r:.80}, expected numbers")
    return tuple(values)


def _deviations(tree: dict) -> Tuple[float, ...]:
    values = _numbers(tree, "std")
    if len(values) != len(tree["mean"]) or not all(value > 0 for value in values):
        raise ExportError(f"'std' is {values!r:.80}, expected as many as means, above 0")
    return values


def _margin(tree: dict) -> float:
    margin = _entry(tree, "margin", float)
    if not 0 <= margin < math.inf:
        raise ExportError(f"margin is {margin}, expected 0 or more")
    return margin


def _one_of(tree: dict, name: str, names) -> str:
    found = _entry(tree, name, str)
    if found not in names:
        raise ExportError(f"{name} is {found!r:.80}, expected one of {list(names)}")
    return found


def _stamp(files: dict, name: str) -> FileStamp:
    tree = _entry(files, name, dict)
    stamp = FileStamp(_entry(tree, "size", int), _entry(tree, "sha256", str))
    if stamp.size < 0:
        raise ExportError(f"size of '{name}' is {stamp.size}, expected bytes")
    return stamp


def _entry(tree: dict, name: str, kind: type):
    """Return ``tree[name]``; raise ExportError unless it is there and of this very type."""
    found = tree.get(name)
    if type(found) is not kind:
        raise ExportError(f"'{name}' is {found!r:.80}, expected {kind.__name__}")
    return found
