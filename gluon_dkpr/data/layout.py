"""What the numbers of a label mean: named fields with shape and unit, one float32 vector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, Mapping, Tuple

import numpy as np

from gluon_dkpr.data.recordio import RecordError
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# Many times what a pose needs: memory for labels is made by what a file claims of their length.
MAX_LENGTH = 1 << 16


@dataclass(frozen=True)
class LabelField:
    """One named part of a label.

    Args:
        name: unique within the layout.
        shape: of the part; ``()`` is one number.
        unit: ``"px"``, ``"mm"``, ``"radian"``, ``"1"`` for none, or ``"mixed"`` for motion, where
            each parameter has the unit the skeleton gives it.

    Raises:
        RecordError: for a name or a unit that is no text, or a shape that holds no numbers.
    """

    name: str
    shape: Tuple[int, ...]
    unit: str

    def __post_init__(self):
        for text in (self.name, self.unit):
            if not isinstance(text, str) or not text:
                raise RecordError(f"label field: name or unit is {text!r}, expected a text")
        shape = tuple(self.shape)
        if not all(type(size) is int and size > 0 for size in shape):
            raise RecordError(
                f"label field '{self.name}': shape is {shape!s:.80}, expected sizes above 0"
            )
        object.__setattr__(self, "shape", shape)

    @property
    def length(self) -> int:
        """How many numbers the field has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class LabelLayout:
    """The ordered fields of a label.

    Raises:
        RecordError: for no field or two of the same name.
    """

    fields: Tuple[LabelField, ...]

    def __post_init__(self):
        object.__setattr__(self, "fields", tuple(self.fields))
        names = self.names
        if self.length > MAX_LENGTH:
            raise RecordError(f"a label of more than {MAX_LENGTH} numbers")
        if not names or len(set(names)) < len(names):
            raise RecordError(f"label fields are {list(names)!s:.80}, expected different names")

    @property
    def names(self) -> Tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in self.fields)

    @property
    def length(self) -> int:
        """L, the length of the label vector."""
        return sum(field.length for field in self.fields)

    def pack(self, values: Mapping[str, Array]) -> Array:
        """Return the float32 label vector, shape (L,), of one sample's fields.

        Args:
            values: one array for every field, of the field's shape and unit.

        Raises:
            RecordError: for a missing or unknown field, another shape, or a number that float32
                cannot hold.
        """
        if set(values) != set(self.names):
            raise RecordError(f"label fields are {sorted(values)}, expected {sorted(self.names)}")
        parts = []
        for field in self.fields:
            value = np.asarray(values[field.name], dtype=np.float64)
            if value.shape != field.shape:
                raise RecordError(
                    f"label field '{field.name}' has shape {value.shape}, expected {field.shape}"
                )
            parts.append(value.ravel())
        vector = np.concatenate(parts)
        # Also false for NaN.
        if not (np.abs(vector) <= np.finfo(np.float32).max).all():
            raise RecordError("a label holds a number that is not finite in float32")
        return vector.astype(np.float32)

    def unpack(self, matrix: Array) -> Dict[str, Array]:
        """Return the fields of N labels.

        Args:
            matrix: label vectors, shape (N, L).

        Returns:
            For each field an array of shape (N, ...) in the field's unit.

        Raises:
            RecordError: for another shape.
        """
        matrix = np.asarray(matrix, dtype=np.float32)
        if matrix.ndim != 2 or matrix.shape[1] != self.length:
            raise RecordError(f"labels have shape {matrix.shape}, expected (N, {self.length})")
        values, begin = {}, 0
        for field in self.fields:
            part = matrix[:, begin : begin + field.length]
            values[field.name] = np.ascontiguousarray(part).reshape(len(matrix), *field.shape)
            begin += field.length
        return values

    def check_skeleton(self, skeleton: Skeleton) -> None:
        """Raise RecordError unless joints are (J, D) and motion, if there is any, is (P,)."""
        expected = {
            "joints": (skeleton.num_joints, skeleton.dim),
            "motion": (skeleton.num_parameters,),
        }
        shapes = {field.name: field.shape for field in self.fields}
        if "joints" not in shapes:
            raise RecordError(
                f"label fields are {list(self.names)!s:.80}, expected 'joints' among them"
            )
        for name, shape in expected.items():
            if shapes.get(name, shape) != shape:
                raise RecordError(
                    f"label field '{name}' has shape {shapes[name]!s:.80}, "
                    f"expected {shape} for skeleton '{skeleton.name}'"
                )


def pose_layout(skeleton: Skeleton) -> LabelLayout:
    """Return the layout of a fully known pose: joints (J, D), then motion (P,)."""
    joints = LabelField("joints", (skeleton.num_joints, skeleton.dim), skeleton.length_unit)
    return LabelLayout((joints, LabelField("motion", (skeleton.num_parameters,), "mixed")))
