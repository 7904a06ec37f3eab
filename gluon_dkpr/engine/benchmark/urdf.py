"""A skeleton as URDF, the language that other kinematics libraries read."""

from __future__ import annotations

from typing import List, Tuple
from xml.sax.saxutils import quoteattr

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import rotation_matrix
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array


class UrdfError(DkprError, ValueError):
    """A skeleton that URDF cannot express."""


def skeleton_to_urdf(skeleton: Skeleton) -> Tuple[str, List[str]]:
    """Return a URDF text and the links at which the skeleton's visible joints are, in order.

    Each rotation by a parameter becomes one joint of URDF, called as the parameter. A link hangs
    directly below the last turn above it, however many joints that do not turn lie between: the
    shortest tree there is, so that nobody is timed for what need not be done.

    Raises:
        UrdfError: for a planar object, a root that moves, or a parameter that turns more than once
            or by another coefficient than 1 or -1.
    """
    _check(skeleton)
    elements: List[str] = ['<link name="world"/>']
    frames = {}  # joint name -> (link of the last turn above its children, constant after it)
    links = {}
    for index in skeleton.topological_order:
        joint = skeleton.joints[index]
        link, place = frames.get(joint.parent, ("world", np.eye(4)))
        place = place @ _transform(translation=joint.offset)
        for rotation in joint.rotations:
            place = place @ _transform(_turn(rotation, rotation.rest))
            if rotation.parameter is not None:
                axis = rotation.coefficient * np.array(rotation.axis)
                link = _add(elements, rotation.parameter, "continuous", link, place, axis)
                links.setdefault(joint.name, link)  # a turn leaves its own origin where it is
                place = np.eye(4)
        if joint.name not in links and not joint.hidden:
            links[joint.name] = _add(elements, f"at {joint.name}", "fixed", link, place)
        frames[joint.name] = (link, place)
    text = "\n".join([f"<robot name={quoteattr(skeleton.name)}>", *elements, "</robot>"])
    return text, [links[name] for name in skeleton.joint_names]


def _check(skeleton: Skeleton) -> None:
    turns = [r for joint in skeleton.joints for r in joint.rotations if r.parameter is not None]
    names = [rotation.parameter for rotation in turns]
    if skeleton.dim != 3 or skeleton.position:
        raise UrdfError(f"skeleton '{skeleton.name}' is planar or moves: URDF has a fixed root")
    for rotation in turns:
        if names.count(rotation.parameter) > 1 or abs(rotation.coefficient) != 1.0:
            raise UrdfError(
                f"parameter '{rotation.parameter}' turns more than once or by a factor that is "
                "neither 1 nor -1: URDF has no word for it"
            )


def _add(elements: List[str], name: str, kind: str, parent: str, place: Array, axis=None) -> str:
    """Append a link and the joint that carries it; return the link's name."""
    link = f"link {name}"
    origin = f'<origin xyz="{_numbers(place[:3, 3])}" rpy="{_numbers(_roll_pitch_yaw(place))}"/>'
    turn = "" if axis is None else f'<axis xyz="{_numbers(axis)}"/>'
    elements.append(f"<link name={quoteattr(link)}/>")
    elements.append(
        f'<joint name={quoteattr(name)} type="{kind}"><parent link={quoteattr(parent)}/>'
        f"<child link={quoteattr(link)}/>{origin}{turn}</joint>"
    )
    return link


def _turn(rotation, angle: float) -> Array:
    return rotation_matrix(rotation.axis, np.array([angle]))[0]


def _transform(rotation: Array = None, translation=(0.0, 0.0, 0.0)) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3) if rotation is None else rotation
    matrix[:3, 3] = translation
    return matrix


def _roll_pitch_yaw(matrix: Array) -> Array:
    """Return the angles (3,) with ``matrix = Rz(yaw) Ry(pitch) Rx(roll)``, as URDF has it."""
    cos_pitch = np.hypot(matrix[0, 0], matrix[1, 0])
    pitch = np.arctan2(-matrix[2, 0], cos_pitch)
    if cos_pitch < 1e-9:  # straight up or down: roll and yaw are one angle
        return np.array([np.arctan2(-matrix[1, 2], matrix[1, 1]), pitch, 0.0])
    roll = np.arctan2(matrix[2, 1], matrix[2, 2])
    return np.array([roll, pitch, np.arctan2(matrix[1, 0], matrix[0, 0])])


def _numbers(values) -> str:
    return " ".join(repr(float(value)) for value in values)
