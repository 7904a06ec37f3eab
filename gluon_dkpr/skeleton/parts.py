"""The parts of a skeleton: parameters, rotations and joints, each validated on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Tuple, Union

from gluon_dkpr.skeleton.checks import (
    SkeletonError,
    check_finite,
    check_name,
    check_sequence,
    shown,
)

AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
UNITS = ("radian", "length")
# An axis typed with six digits is meant to be a unit vector; one further off is a mistake.
UNIT_AXIS_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Parameter:
    """One motion parameter.

    Args:
        name: unique within the skeleton.
        unit: ``"radian"`` for an angle, ``"length"`` for a coordinate in the skeleton's length
            unit.
        lower, upper: optional bounds in that unit; ``None`` means unbounded.

    Raises:
        SkeletonError: for another unit, a bound that is not finite, or ``lower > upper``.
    """

    name: str
    unit: str = "radian"
    lower: Optional[float] = None
    upper: Optional[float] = None

    def __post_init__(self):
        object.__setattr__(self, "name", check_name(self.name, "parameter"))
        where = f"parameter '{self.name}'"
        if self.unit not in UNITS:
            raise SkeletonError(f"{where}: unit is {shown(self.unit)}, expected one of {UNITS}")
        for side in ("lower", "upper"):
            value = getattr(self, side)
            if value is not None:
                object.__setattr__(self, side, check_finite(value, f"{where}: {side}"))
        if None not in (self.lower, self.upper) and self.lower > self.upper:
            raise SkeletonError(f"{where}: lower {self.lower} is above upper {self.upper}")


@dataclass(frozen=True)
class Rotation:
    """A rotation by ``coefficient * parameter + rest`` radians about a fixed axis.

    Args:
        axis: ``"x"``, ``"y"``, ``"z"`` or a unit 3-vector in the joint's own frame. In two
            dimensions it must be ``z``; with x right and y down a positive angle turns x to y.
        parameter: name of the motion parameter, or ``None`` for a constant rotation.
        coefficient: factor of the parameter, so that joints can share one.
        rest: angle in radians added to it.

    Raises:
        SkeletonError: for an axis that is not a unit vector or a number that is not finite.
    """

    axis: Union[str, Tuple[float, float, float]]
    parameter: Optional[str] = None
    coefficient: float = 1.0
    rest: float = 0.0

    def __post_init__(self):
        if self.parameter is not None:
            object.__setattr__(self, "parameter", check_name(self.parameter, "parameter"))
        where = f"rotation by '{self.parameter}'"
        object.__setattr__(self, "axis", _unit_axis(self.axis, where))
        for field in ("coefficient", "rest"):
            value = check_finite(getattr(self, field), f"{where}: {field}")
            object.__setattr__(self, field, value)


@dataclass(frozen=True)
class Joint:
    """A node of the tree.

    Args:
        name: unique within the skeleton.
        parent: name of the parent joint; ``None`` for the root.
        offset: rest bone ``l_u`` from the parent, in the parent's frame and the skeleton's length
            unit. For the root, its rest position in the world, which a scale does not change.
        rotations: applied in this order to everything that leaves the joint.
        hidden: a frame that carries rotations and is no output.

    Raises:
        SkeletonError: for a value that is not a finite number or a rotation of another type.
    """

    name: str
    parent: Optional[str] = None
    offset: Tuple[float, ...] = ()
    rotations: Tuple[Rotation, ...] = ()
    hidden: bool = False

    def __post_init__(self):
        object.__setattr__(self, "name", check_name(self.name, "joint"))
        where = f"joint '{self.name}'"
        if self.parent is not None:
            object.__setattr__(self, "parent", check_name(self.parent, f"{where}: parent"))
        offset = check_sequence(self.offset, f"{where}: offset")
        offset = tuple(check_finite(v, f"{where}: offset") for v in offset)
        rotations = check_sequence(self.rotations, f"{where}: rotations")
        for rotation in rotations:
            if not isinstance(rotation, Rotation):
                raise SkeletonError(f"{where}: {shown(rotation)} is not a Rotation")
        if not isinstance(self.hidden, bool):
            raise SkeletonError(f"{where}: hidden is {shown(self.hidden)}, expected true or false")
        object.__setattr__(self, "offset", offset)
        object.__setattr__(self, "rotations", rotations)


def _unit_axis(axis, where) -> Tuple[float, float, float]:
    """Return the axis as a unit vector; one that already is one is kept to the last bit."""
    if isinstance(axis, str):
        if axis not in AXES:
            raise SkeletonError(
                f"{where}: axis is {shown(axis)}, expected x, y, z or a unit 3-vector"
            )
        return AXES[axis]
    axis = check_sequence(axis, f"{where}: axis")
    vector = tuple(check_finite(v, f"{where}: axis") for v in axis)
    if len(vector) != 3:
        raise SkeletonError(f"{where}: axis has {len(vector)} numbers, expected 3")
    norm = math.sqrt(sum(v * v for v in vector))
    if abs(norm - 1.0) > UNIT_AXIS_TOLERANCE:
        raise SkeletonError(f"{where}: axis {list(vector)} has length {norm:.6g}, expected 1")
    # Idempotent, so that a file written and read again holds the same bits.
    return vector if abs(norm - 1.0) < 1e-15 else tuple(v / norm for v in vector)
