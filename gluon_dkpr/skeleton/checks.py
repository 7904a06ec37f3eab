"""Validation of skeletons: each check raises one error that names the joint or the parameter."""

from __future__ import annotations

import math
import numbers
from typing import Tuple

from gluon_dkpr.errors import DkprError


class SkeletonError(DkprError, ValueError):
    """A skeleton's definition is wrong; the message names the joint or the parameter."""


def check_name(name, kind: str) -> None:
    """Raise SkeletonError unless ``name`` is a text that can stand in a file and a message."""
    if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
        raise SkeletonError(f"{kind} name is {name!r}, expected a printable text")


def check_finite(value, where: str) -> float:
    """Return ``value`` as a float; raise SkeletonError unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SkeletonError(f"{where} is {value!r}, expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SkeletonError(f"{where} is {value!r}, expected a finite number")
    return number


def _check_unique(names, kind: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise SkeletonError(f"{kind} '{name}' is defined twice")
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
    visible = {joint.name for joint in joints if not joint.hidden}
    for pair in skeleton.left_right_pairs:
        if len(pair) != 2 or pair[0] == pair[1] or not visible.issuperset(pair):
            raise SkeletonError(f"left_right_pairs: {pair!r} is not a pair of visible joints")
    return order


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
