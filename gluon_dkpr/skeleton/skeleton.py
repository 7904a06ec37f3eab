"""What an articulated object is: a tree of joints turned by named motion parameters.

Frames. With ``G_u`` the world rotation of joint ``u`` and ``l_u`` its rest bone in the frame of its
parent, ``p_u = p_parent + s * G_parent @ l_u`` and ``G_u = G_parent @ R_u``, where ``R_u`` is the
product, in the written order, of the joint's own rotations. A joint's rotation therefore turns the
bones that leave it. This is Eq. 2 of the paper with several rotations to a joint.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_dkpr.skeleton.checks import (
    SkeletonError,
    check_finite,
    check_name,
    check_parameters,
    check_sequence,
    check_tree,
    shown,
)
from gluon_dkpr.skeleton.parts import Joint, Parameter
from gluon_dkpr.types import Array


@dataclass(frozen=True)
class Skeleton:
    """A validated, immutable articulated object.

    Args:
        name: what it is called in files and messages.
        dim: 2 or 3.
        parameters: the motion vector, in order.
        joints: the tree, in any order; the visible ones are the outputs, in this order.
        position: names of the ``dim`` parameters of unit length that move the root, or ``()`` for
            an object whose root stays where it is.
        length_unit: ``"mm"``, ``"px"`` or another name, for reports.
        left_right_pairs: pairs of names of visible joints that mirror each other, the left one
            first.

    Raises:
        SkeletonError: for a bad definition; the message names the joint or the parameter.
    """

    name: str
    dim: int
    parameters: Tuple[Parameter, ...]
    joints: Tuple[Joint, ...]
    position: Tuple[str, ...] = ()
    length_unit: str = "mm"
    left_right_pairs: Tuple[Tuple[str, str], ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "name", check_name(self.name, "skeleton"))
        object.__setattr__(self, "length_unit", check_name(self.length_unit, "length unit"))
        where = f"skeleton '{self.name}'"
        if type(self.dim) is not int or self.dim not in (2, 3):
            raise SkeletonError(f"{where}: dim is {shown(self.dim)}, expected 2 or 3")
        for field, kind in (("parameters", Parameter), ("joints", Joint)):
            items = check_sequence(getattr(self, field), f"{where}: {field}")
            if not all(isinstance(item, kind) for item in items):
                raise SkeletonError(f"{where}: {field} must be {kind.__name__}s")
            object.__setattr__(self, field, items)
        object.__setattr__(self, "position", _names(self.position, "position"))
        pairs = check_sequence(self.left_right_pairs, "left_right_pairs")
        pairs = tuple(_names(pair, "left_right_pairs") for pair in pairs)
        object.__setattr__(self, "left_right_pairs", pairs)
        joints = tuple(self._with_origin(joint) for joint in self.joints)
        object.__setattr__(self, "joints", joints)
        check_parameters(self)
        object.__setattr__(self, "_order", check_tree(self))
        object.__setattr__(self, "_index", {joint.name: i for i, joint in enumerate(joints)})
        object.__setattr__(self, "_bones", self._visible_bones())

    def _with_origin(self, joint: Joint) -> Joint:
        """Return a root without an offset as one at the origin, any other joint as it is."""
        if joint.parent is None and not joint.offset:
            return dataclasses.replace(joint, offset=(0.0,) * self.dim)
        return joint

    def _visible_bones(self):
        """Return (parent, child) for each visible joint but the root, in output order."""
        bones = []
        for joint in self.joints:
            if joint.hidden or joint.parent is None:
                continue
            ancestor = self.joint(joint.parent)
            while ancestor.hidden:
                ancestor = self.joint(ancestor.parent)
            bones.append((ancestor.name, joint.name))
        return tuple(bones)

    @property
    def parameter_names(self) -> Tuple[str, ...]:
        """Names of the P motion parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def joint_names(self) -> Tuple[str, ...]:
        """Names of the J visible joints, in output order."""
        return tuple(joint.name for joint in self.joints if not joint.hidden)

    @property
    def num_parameters(self) -> int:
        """P, the length of the motion vector."""
        return len(self.parameters)

    @property
    def num_joints(self) -> int:
        """J, the number of visible joints."""
        return len(self.joint_names)

    @property
    def root(self) -> Joint:
        """The joint without a parent."""
        return self.joints[self._order[0]]

    @property
    def topological_order(self) -> Tuple[int, ...]:
        """Indices into ``joints``, every parent before its children."""
        return self._order

    @property
    def bones(self) -> Tuple[Tuple[str, str], ...]:
        """(parent, child) names of the J-1 bones between visible joints, in the child's order."""
        return self._bones

    @property
    def bone_indices(self) -> Array:
        """``bones`` as indices into ``joint_names``, shape (J-1, 2)."""
        place = {name: i for i, name in enumerate(self.joint_names)}
        pairs = [(place[parent], place[child]) for parent, child in self._bones]
        return np.array(pairs, dtype=int).reshape(-1, 2)

    @property
    def bone_lengths(self) -> Array:
        """Rest length of each bone in the skeleton's length unit, shape (J-1,).

        It holds in every pose unless a hidden joint away from its parent turns in between.
        """
        return np.array([self._rest_length(*bone) for bone in self._bones])

    def _rest_length(self, ancestor, child):
        """Length of the rest bone; constant rotations and rest angles on the way count."""
        vector = np.zeros(3)
        joint = self.joint(child)
        while joint.name != ancestor:
            vector[: self.dim] += joint.offset
            joint = self.joint(joint.parent)
            if joint.name != ancestor:
                for rotation in reversed(joint.rotations):
                    vector = _turn(vector, rotation.axis, rotation.rest)
        return float(np.linalg.norm(vector))

    def joint(self, name: str) -> Joint:
        """Return the joint called ``name``; KeyError if there is none."""
        return self.joints[self._index[name]]

    def joint_index(self, name: str) -> int:
        """Return the index of the joint called ``name`` in ``joints``."""
        return self._index[name]

    def bounds(self) -> Tuple[Array, Array]:
        """Return lower and upper bounds, each of shape (P,), infinite where there is none."""
        lower = [-math.inf if p.lower is None else p.lower for p in self.parameters]
        upper = [math.inf if p.upper is None else p.upper for p in self.parameters]
        return np.array(lower), np.array(upper)

    def is_angle(self) -> Array:
        """Return a boolean mask of shape (P,) of the parameters in radians."""
        return np.array([p.unit == "radian" for p in self.parameters], dtype=bool)

    def scaled(self, factor: float, length_unit: Optional[str] = None) -> Skeleton:
        """Return the skeleton with every length multiplied by ``factor``, bounds included."""
        factor = check_finite(factor, f"skeleton '{self.name}': scale")
        if factor <= 0:
            raise SkeletonError(f"skeleton '{self.name}': scale is {factor}, expected above 0")

        def scale(value):
            return None if value is None else value * factor

        joints = [
            dataclasses.replace(j, offset=tuple(v * factor for v in j.offset)) for j in self.joints
        ]
        parameters = [
            dataclasses.replace(p, lower=scale(p.lower), upper=scale(p.upper))
            if p.unit == "length"
            else p
            for p in self.parameters
        ]
        return dataclasses.replace(
            self,
            joints=tuple(joints),
            parameters=tuple(parameters),
            length_unit=length_unit or self.length_unit,
        )

    def with_bone_lengths(self, lengths: Union[Array, Mapping[str, float]]) -> Skeleton:
        """Return the skeleton with bones of other lengths and the same directions.

        A bone that passes hidden joints is stretched as a whole. Bounds of lengths stay.

        Args:
            lengths: in the skeleton's length unit, for every bone in the order of ``bones``, shape
                (J-1,), or for some of them by the name of the child.

        Raises:
            SkeletonError: for another shape, an unknown child, a length that is not above 0, a
                length for a bone that has none (it has no direction), or bones that share a part
                between hidden joints and would stretch it differently.
        """
        factors = {}
        for child, length in _lengths_by_child(self, lengths).items():
            where = f"skeleton '{self.name}': length of the bone to '{child}'"
            length = check_finite(length, where)
            ancestor = next(a for a, c in self._bones if c == child)
            rest = self._rest_length(ancestor, child)
            if rest == 0 and length == 0:
                continue
            if rest == 0 or length <= 0:
                expected = "0, as it has no direction" if rest == 0 else "above 0"
                raise SkeletonError(f"{where} is {length}, expected {expected}")
            _set_factors(self, factors, child, ancestor, length / rest)
        joints = [
            dataclasses.replace(j, offset=tuple(v * factors.get(j.name, 1.0) for v in j.offset))
            for j in self.joints
        ]
        return dataclasses.replace(self, joints=tuple(joints))


def _lengths_by_child(skeleton: Skeleton, lengths) -> Mapping[str, float]:
    """Return all lengths by the name of the child; those of bones that are not named stay."""
    children = [child for _, child in skeleton.bones]
    where = f"skeleton '{skeleton.name}'"
    if isinstance(lengths, Mapping):
        for child in lengths:
            if child not in children:
                raise SkeletonError(f"{where}: no bone ends at {shown(child)}")
        return {**dict(zip(children, skeleton.bone_lengths)), **lengths}
    values = check_sequence(lengths, f"{where}: bone lengths")
    if len(values) != len(children):
        raise SkeletonError(f"{where}: {len(values)} bone lengths, expected {len(children)}")
    return dict(zip(children, values))


def _set_factors(skeleton: Skeleton, factors: dict, child: str, ancestor: str, factor: float):
    """Note the factor of each offset on the way from a visible joint up to its visible ancestor."""
    while child != ancestor:
        joint = skeleton.joint(child)
        if any(joint.offset):
            known = factors.setdefault(child, factor)
            if not math.isclose(known, factor, rel_tol=1e-9):
                raise SkeletonError(
                    f"hidden joint '{child}': its bones would stretch its offset by "
                    f"{known:.6g} and by {factor:.6g}, expected the same"
                )
        child = joint.parent


def _names(value, where: str) -> Tuple[str, ...]:
    return tuple(check_name(name, where) for name in check_sequence(value, where))


def _turn(vector: Sequence[float], axis, angle: float) -> Array:
    """Rotate a 3-vector about a unit axis by an angle in radians (Rodrigues)."""
    axis = np.asarray(axis)
    cos, sin = math.cos(angle), math.sin(angle)
    along = axis * axis.dot(vector) * (1 - cos)
    return np.asarray(vector) * cos + np.cross(axis, vector) * sin + along
