"""Skeletons as YAML files. Reading is safe: a file can hold data only, never code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from gluon_dkpr.files import atomic_write, read_bounded_text
from gluon_dkpr.skeleton.checks import SkeletonError, shown
from gluon_dkpr.skeleton.parts import AXES, Joint, Parameter, Rotation
from gluon_dkpr.skeleton.skeleton import Skeleton

FORMAT = "gluon_dkpr/skeleton/1"
# A file larger than this is no skeleton; parsing YAML takes a hundred times its size in memory.
MAX_BYTES = 4 << 20
# Numbers and dates that look right and are not make PyYAML raise these beside its own errors.
BAD_YAML = (yaml.YAMLError, ValueError, OverflowError, RecursionError)
_AXIS_NAMES = {vector: name for name, vector in AXES.items()}


class PlainLoader(yaml.SafeLoader):
    """Plain data that says one thing: no tags, no key twice, and no aliases.

    A handful of aliases can stand for gigabytes, and a tag makes PyYAML raise almost anything.
    """

    def compose_node(self, parent, index):
        """Refuse what stands for something else."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise ComposerError(None, None, "aliases are not supported", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise ComposerError(None, None, "tags are not supported", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        """Refuse a key that comes twice."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"key {shown(key.value)} twice"
                    raise ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def save_skeleton(skeleton: Skeleton, path: Union[str, os.PathLike]) -> None:
    """Write a skeleton as YAML; :func:`load_skeleton` gives an equal one back."""
    text = yaml.safe_dump(skeleton_to_dict(skeleton), sort_keys=False, default_flow_style=None)
    with atomic_write(path) as file:
        file.write(text)


def load_skeleton(path: Union[str, os.PathLike]) -> Skeleton:
    """Read a skeleton from YAML.

    Raises:
        SkeletonError: if the file cannot be read or is not a valid skeleton; names the file.
    """
    path = Path(path)
    text = read_bounded_text(path, MAX_BYTES, SkeletonError)
    try:
        return skeleton_from_dict(_parse(text))
    except SkeletonError as error:
        raise SkeletonError(f"{path}: {error}") from None


def _parse(text: str):
    """Return the data that a YAML file holds."""
    try:
        return yaml.load(text, Loader=PlainLoader)
    except BAD_YAML as error:
        reason = " ".join(str(error).split())
        raise SkeletonError(f"not valid YAML: {reason}") from None


def skeleton_to_dict(skeleton: Skeleton) -> dict:
    """Return the skeleton as plain dictionaries, lists, texts and numbers."""
    return {
        "format": FORMAT,
        "name": skeleton.name,
        "dim": skeleton.dim,
        "length_unit": skeleton.length_unit,
        "position": list(skeleton.position),
        "parameters": [_parameter_to_dict(p) for p in skeleton.parameters],
        "joints": [_joint_to_dict(j) for j in skeleton.joints],
        "left_right_pairs": [list(pair) for pair in skeleton.left_right_pairs],
    }


def skeleton_from_dict(tree: dict) -> Skeleton:
    """Build a skeleton from what :func:`skeleton_to_dict` returns.

    Raises:
        SkeletonError: for another format, a missing or unknown key, or a bad definition.
    """
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != FORMAT:
        raise SkeletonError(f"format is {shown(found)}, expected {FORMAT!r}")
    fields = _take(
        tree, "skeleton", ("name", "dim", "parameters", "joints"), ("format", *_OPTIONAL)
    )
    fields.pop("format")
    parameters = _items(fields.pop("parameters"), "parameters")
    joints = _items(fields.pop("joints"), "joints")
    return Skeleton(
        parameters=tuple(_parameter_from_dict(p) for p in parameters),
        joints=tuple(_joint_from_dict(j) for j in joints),
        **fields,
    )


_OPTIONAL = ("position", "length_unit", "left_right_pairs")


def _parameter_to_dict(parameter: Parameter) -> dict:
    tree = {"name": parameter.name, "unit": parameter.unit}
    for side in ("lower", "upper"):
        if getattr(parameter, side) is not None:
            tree[side] = getattr(parameter, side)
    return tree


def _parameter_from_dict(tree) -> Parameter:
    return Parameter(**_take(tree, "parameter", ("name",), ("unit", "lower", "upper")))


def _joint_to_dict(joint: Joint) -> dict:
    tree = {"name": joint.name}
    if joint.parent is not None:
        tree["parent"] = joint.parent
    tree["offset"] = list(joint.offset)
    if joint.rotations:
        tree["rotations"] = [_rotation_to_dict(r) for r in joint.rotations]
    if joint.hidden:
        tree["hidden"] = True
    return tree


def _joint_from_dict(tree) -> Joint:
    fields = _take(tree, "joint", ("name",), ("parent", "offset", "rotations", "hidden"))
    where = f"joint {shown(fields['name'])}"
    rotations = _items(fields.get("rotations", []), f"{where}: rotations")
    try:
        fields["rotations"] = tuple(_rotation_from_dict(r) for r in rotations)
    except SkeletonError as error:
        raise SkeletonError(f"{where}: {error}") from None
    return Joint(**fields)


def _rotation_to_dict(rotation: Rotation) -> dict:
    tree = {"axis": _AXIS_NAMES.get(rotation.axis, list(rotation.axis))}
    if rotation.parameter is not None:
        tree["parameter"] = rotation.parameter
    if rotation.coefficient != 1.0:
        tree["coefficient"] = rotation.coefficient
    if rotation.rest != 0.0:
        tree["rest"] = rotation.rest
    return tree


def _rotation_from_dict(tree) -> Rotation:
    fields = _take(tree, "rotation", ("axis",), ("parameter", "coefficient", "rest"))
    return Rotation(**fields)


def _items(value, where: str) -> list:
    if not isinstance(value, list):
        raise SkeletonError(f"{where} is {shown(value)}, expected a list")
    return value


def _take(tree, kind: str, required, optional) -> dict:
    """Return a copy of a mapping; raise for a missing or an unknown key."""
    if not isinstance(tree, dict):
        raise SkeletonError(f"{kind} is {shown(tree)}, expected a mapping")
    name = f"{kind} {shown(tree['name'])}" if "name" in tree else kind
    for key in required:
        if key not in tree:
            raise SkeletonError(f"{name}: no '{key}'")
    known = (*required, *optional)
    for key in tree:
        if key not in known:
            raise SkeletonError(f"{name}: unknown key {shown(key)}, expected one of {list(known)}")
    return dict(tree)
