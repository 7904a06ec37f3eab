"""Validation of skeletons: each check raises one error that names the joint or the parameter."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable, Mapping, Set
from typing import Tuple

from gluon_dkpr.errors import DkprError

# Messages quote names, and stay one line that can be read.
MAX_NAME = 100


class SkeletonError(DkprError, ValueError):
    """A skeleton's definition is wrong; the message names the joint or the parameter."""


class _Short(reprlib.Repr):
    """A ``repr`` bounded in length and time: a few lines of a file can describe an endless one."""

    def __init__(self):
        super().__init__()
        self.maxstring = self.maxother = 60

    def repr_int(self, x, level):
        # Python refuses to print an integer of thousands of digits.
        return repr(x) if x.bit_length() < 128 else f"an integer of {x.bit_length()} bits"


# Characters.
MAX_SHOWN = 200


def shown(value) -> str:
    """Return ``value`` as a message shows it: one line, shortened."""
    text = " ".join(_Short().repr(value).split())
    # Each part of a tree is short, and there may be many.
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def check_name(name, kind: str) -> str:
    """Return ``name``; raise SkeletonError unless it can stand in a file and in a message."""
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        raise SkeletonError(f"{kind} name is {shown(name)}, expected a printable text")
    if len(name) > MAX_NAME:
        raise SkeletonError(f"{kind} name has {len(name)} characters, expected at most {MAX_NAME}")
    # Not a subclass such as NumPy's: YAML would not write it.
    return str.__str__(name)


def check_sequence(value, where: str) -> tuple:
    """Return ``value`` as a tuple; raise SkeletonError unless it is an ordered collection."""
    # An array without dimensions is a number that only looks like a collection.
    iterable = isinstance(value, Iterable) and getattr(value, "shape", None) != ()
    if not iterable or isinstance(value, (str, bytes, Mapping, Set)):
        raise SkeletonError(f"{where} is {shown(value)}, expected a list")
    return tuple(value)


def check_finite(value, where: str) -> float:
    """Return ``value`` as a float; raise SkeletonError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SkeletonError(f"{where} is {shown(value)}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SkeletonError(f"{where} is {shown(value)}, expected a finite number")
    return number + 0.0  # -0.0 becomes 0.0: equal numbers then have equal bits


def _check_unique(names, kind: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise SkeletonError(f"{kind} '{name}' appears twice")
        seen.add(name)


def check_parameters(skeleton) -> None:
    """Check names, the root's position and every reference to a parameter."""
    names = skeleton.parameter_names
    _check_unique(names, "parameter")
    if not names:
        raise SkeletonError(f"skeleton '{skeleton.name}' has no parameters")
    units = {p.name: p.unit for p in skeleton.parameters}
    if len(skeleton.position) not in (0, skeleton.dim):
        raise SkeletonError(
            f"skeleton '{skeleton.name}': position names {len(skeleton.position)} parameters, "
            f"expected none or {skeleton.dim}"
        )
    _check_unique(skeleton.position, "position parameter")
    for name in skeleton.position:
        if units.get(name) != "length":
            raise SkeletonError(f"position parameter '{name}' is not a parameter of unit length")
    for joint in skeleton.joints:
        for rotation in joint.rotations:
            if rotation.parameter is None:
                continue
            if rotation.parameter not in units:
                raise SkeletonError(
                    f"joint '{joint.name}': unknown parameter '{rotation.parameter}'"
                )
            if units[rotation.parameter] != "radian":
                raise SkeletonError(
                    f"joint '{joint.name}': parameter '{rotation.parameter}' is a length, "
                    "a rotation needs a parameter in radians"
                )


def check_tree(skeleton) -> Tuple[int, ...]:
    """Check the joints and return indices of them, every parent before its children."""
    joints = skeleton.joints
    _check_unique([joint.name for joint in joints], "joint")
    index = {joint.name: i for i, joint in enumerate(joints)}
    for joint in joints:
        _check_joint(joint, skeleton.dim, index)
    roots = [joint.name for joint in joints if joint.parent is None]
    if not roots:
        raise SkeletonError(f"skeleton '{skeleton.name}' has no root: every joint has a parent")
    if len(roots) > 1:
        raise SkeletonError(f"joint '{roots[1]}': a second root beside '{roots[0]}'")
    if joints[index[roots[0]]].hidden:
        raise SkeletonError(f"joint '{roots[0]}': the root cannot be hidden")
    order = _breadth_first(joints, index[roots[0]])
    if len(order) < len(joints):
        reached = set(order)
        lost = next(joint.name for i, joint in enumerate(joints) if i not in reached)
        raise SkeletonError(f"joint '{lost}' is on or below a cycle of parents")
    _check_pairs(skeleton.left_right_pairs, {joint.name for joint in joints if not joint.hidden})
    return order


def _check_pairs(pairs, visible) -> None:
    for pair in pairs:
        if len(pair) != 2 or pair[0] == pair[1] or not visible.issuperset(pair):
            raise SkeletonError(f"left_right_pairs: {shown(pair)} is not a pair of visible joints")
    _check_unique([name for pair in pairs for name in pair], "left_right_pairs: joint")


def _check_joint(joint, dim: int, index) -> None:
    where = f"joint '{joint.name}'"
    if joint.parent is not None and joint.parent not in index:
        raise SkeletonError(f"{where}: unknown parent '{joint.parent}'")
    if len(joint.offset) != dim:
        raise SkeletonError(f"{where}: offset has {len(joint.offset)} numbers, expected {dim}")
    for rotation in joint.rotations:
        if dim == 2 and rotation.axis != (0.0, 0.0, 1.0):
            raise SkeletonError(
                f"{where}: axis is {list(rotation.axis)}, expected z in two dimensions"
            )


def _breadth_first(joints, root: int) -> Tuple[int, ...]:
    children = {joint.name: [] for joint in joints}
    for i, joint in enumerate(joints):
        if joint.parent is not None:
            children[joint.parent].append(i)
    order = [root]
    for i in order:  # grows while it is read
        order.extend(children[joints[i].name])
    return tuple(order)
