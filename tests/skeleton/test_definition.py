"""Every bad definition is refused with a message that names the culprit."""

import dataclasses
import math

import numpy as np
import pytest

from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import rotation_matrix
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, SkeletonError

BEND = Parameter("bend")
X, Y = Parameter("x", "length"), Parameter("y", "length")


def arm(**changes):
    """A valid planar arm of two bones, with some fields replaced."""
    fields = {
        "name": "arm",
        "dim": 2,
        "parameters": (X, Y, BEND),
        "joints": (
            Joint("base", None, (), (Rotation("z", "bend"),)),
            Joint("elbow", "base", (1.0, 0.0), (Rotation("z", "bend", -1.0),)),
            Joint("hand", "elbow", (1.0, 0.0)),
        ),
        "position": ("x", "y"),
    }
    return Skeleton(**{**fields, **changes})


def arm_with(*extra, dim=2, **changes):
    """The arm with further joints."""
    return arm(joints=(*arm().joints, *extra), dim=dim, **changes)


def arm_parented(**parents):
    """The arm with other parents, None for a root."""
    joints = [dataclasses.replace(j, parent=parents.get(j.name, j.parent)) for j in arm().joints]
    return arm(joints=tuple(joints))


BAD_TREES = {
    "cycle": (lambda: arm_parented(elbow="hand"), "joint 'elbow'|joint 'hand'"),
    "cycle without a root": (lambda: arm_parented(base="hand"), "'arm' has no root"),
    "own parent": (lambda: arm_parented(hand="hand"), "joint 'hand'"),
    "below a cycle": (
        lambda: arm_with(Joint("loop", "loop", (0, 0)), Joint("leaf", "loop", (0, 0))),
        "joint 'loop'|joint 'leaf'",
    ),
    "two roots": (lambda: arm_parented(hand=None), "joint 'hand': a second root beside 'base'"),
    "no joints": (lambda: arm(joints=()), "'arm' has no root"),
    "unknown parent": (lambda: arm_parented(hand="foot"), "joint 'hand': unknown parent 'foot'"),
    "joint twice": (lambda: arm_with(Joint("hand", "base", (0, 0))), "joint 'hand' .* twice"),
    "hidden root": (
        lambda: arm(joints=(Joint("base", hidden=True), *arm_parented().joints[1:])),
        "joint 'base': the root cannot be hidden",
    ),
    "short offset": (lambda: arm_with(Joint("tip", "hand", (1,))), "joint 'tip': offset has 1"),
    "no offset": (lambda: arm_with(Joint("tip", "hand")), "joint 'tip': offset has 0"),
    "long offset": (lambda: arm_with(Joint("tip", "hand", (1, 2, 3))), "joint 'tip': offset has 3"),
    "planar axis x": (
        lambda: arm_with(Joint("tip", "hand", (1, 0), (Rotation("x", "bend"),))),
        "joint 'tip': axis",
    ),
    "planar axis -z": (
        lambda: arm_with(Joint("tip", "hand", (1, 0), (Rotation((0, 0, -1), "bend"),))),
        "joint 'tip': axis",
    ),
}

BAD_PARAMETERS = {
    "unknown": (
        lambda: arm_with(Joint("tip", "hand", (1, 0), (Rotation("z", "twist"),))),
        "joint 'tip': unknown parameter 'twist'",
    ),
    "length in a rotation": (
        lambda: arm_with(Joint("tip", "hand", (1, 0), (Rotation("z", "x"),))),
        "joint 'tip': parameter 'x' is a length",
    ),
    "twice": (lambda: arm(parameters=(X, Y, BEND, BEND)), "parameter 'bend' .* twice"),
    "none": (lambda: arm(parameters=()), "'arm' has no parameters"),
    "position of one": (lambda: arm(position=("x",)), "position names 1"),
    "position of three": (lambda: arm(position=("x", "y", "x")), "position names 3"),
    "position twice": (lambda: arm(position=("x", "x")), "position parameter 'x' .* twice"),
    "position by an angle": (lambda: arm(position=("x", "bend")), "position parameter 'bend'"),
    "position unknown": (lambda: arm(position=("x", "up")), "position parameter 'up'"),
}

BAD_PAIRS = {
    "unknown": (("elbow", "foot"),),
    "itself": (("hand", "hand"),),
    "three": (("base", "elbow", "hand"),),
    "one": (("hand",),),
    "hidden": (("hand", "ghost"),),
    "a joint in two pairs": (("base", "elbow"), ("hand", "base")),
    "the same pair swapped": (("elbow", "hand"), ("hand", "elbow")),
    "not names": ((["elbow"], ["hand"]),),
    "a text": ("elbow", "hand"),
    "numbers": (1, 2),
}

BAD_PARTS = {
    "axis too long": (lambda: Rotation((1, 1, 0), "bend"), "'bend': axis .* length 1.41421"),
    "axis zero": (lambda: Rotation((0, 0, 0), "bend"), "'bend': axis .* length 0"),
    "axis overflows": (lambda: Rotation((1e200, 0, 0), "bend"), "'bend': axis"),
    "axis of two": (lambda: Rotation((0, 1), "bend"), "'bend': axis has 2 numbers"),
    "axis unknown": (lambda: Rotation("w", "bend"), "'bend': axis is 'w'"),
    "axis a number": (lambda: Rotation(1, "bend"), "'bend': axis"),
    "axis of texts": (lambda: Rotation(("1", 0, 0), "bend"), "'bend': axis"),
    "axis a mapping": (lambda: Rotation({0: 0, 0.6: 0, 0.8: 0}, "bend"), "'bend': axis"),
    "axis NaN": (lambda: Rotation((math.nan, 0, 1), "bend"), "'bend': axis"),
    "coefficient inf": (lambda: Rotation("x", "bend", math.inf), "'bend': coefficient"),
    "coefficient text": (lambda: Rotation("x", "bend", "2"), "'bend': coefficient"),
    "coefficient true": (lambda: Rotation("x", "bend", True), "'bend': coefficient"),
    "rest NaN": (lambda: Rotation("x", "bend", 1.0, math.nan), "'bend': rest"),
    "rest None": (lambda: Rotation("x", "bend", 1.0, None), "'bend': rest"),
    "rest beyond floats": (lambda: Rotation("x", "bend", 1.0, 10**400), "'bend': rest"),
    # Python refuses to print so long a number: the message must not try.
    "rest beyond printing": (lambda: Rotation("x", "bend", 1.0, 10**5000), "'bend': rest"),
    "rotation by a number": (lambda: Rotation("x", 3), "parameter name is 3"),
    "offset NaN": (lambda: Joint("tip", "hand", (0, math.nan)), "joint 'tip': offset"),
    "offset inf": (lambda: Joint("tip", "hand", (0, -math.inf)), "joint 'tip': offset"),
    "offset complex": (lambda: Joint("tip", "hand", (0, 1j)), "joint 'tip': offset"),
    "offset a number": (lambda: Joint("tip", "hand", 1.0), "joint 'tip': offset"),
    "offset a matrix": (lambda: Joint("tip", "hand", np.eye(2)), "joint 'tip': offset"),
    "not a rotation": (lambda: Joint("tip", "hand", (0, 0), ("z",)), "joint 'tip': 'z'"),
    "one rotation": (lambda: Joint("tip", "hand", (0, 0), Rotation("z")), "joint 'tip'"),
    "hidden by 1": (lambda: Joint("tip", "hand", (0, 0), (), 1), "joint 'tip': hidden is 1"),
    "parent a number": (lambda: Joint("tip", 3), "joint 'tip'.* 3"),
    "no name": (lambda: Joint(""), "joint name is ''"),
    "name of blanks": (lambda: Joint(" tip"), "joint name is ' tip'"),
    "name of two lines": (lambda: Joint("t\nip"), r"joint name is 't\\nip'"),
    "name a number": (lambda: Parameter(7), "parameter name is 7"),
    "unit": (lambda: Parameter("bend", "degree"), "'bend': unit is 'degree'"),
    "unit a list": (lambda: Parameter("bend", ["radian"]), "'bend': unit"),
    "bounds crossed": (lambda: Parameter("bend", "radian", 1, 0), "'bend': lower 1.0 is above"),
    "bound NaN": (lambda: Parameter("bend", "radian", math.nan), "'bend': lower"),
    "bound inf": (lambda: Parameter("bend", "radian", 0, math.inf), "'bend': upper"),
    "bound text": (lambda: Parameter("bend", "radian", "0"), "'bend': lower"),
}

BAD_FIELDS = {
    "dim 4": {"dim": 4},
    "dim a float": {"dim": 2.0},
    "dim True": {"dim": True},
    "dim a text": {"dim": "2"},
    "dim a list": {"dim": [2]},
    "name None": {"name": None},
    "length unit None": {"length_unit": None},
    "joints None": {"joints": None},
    "joints a joint": {"joints": Joint("base")},
    "joints of names": {"joints": ("base",)},
    "parameters a number": {"parameters": 3},
    "parameters of names": {"parameters": ("bend",)},
    "position None": {"position": None},
    "position a text": {"position": "xy"},
    "position of lists": {"position": (["x"], ["y"])},
    "position of numbers": {"position": (0, 1)},
    "pairs None": {"left_right_pairs": None},
    "pairs a text": {"left_right_pairs": "ab"},
}


def cases(table):
    return pytest.mark.parametrize("case", list(table.values()), ids=list(table))


@cases({**BAD_TREES, **BAD_PARAMETERS, **BAD_PARTS})
def test_bad_definition_names_the_culprit(case):
    make, message = case
    with pytest.raises(SkeletonError, match=message) as caught:
        make()
    assert isinstance(caught.value, DkprError)
    assert "\n" not in str(caught.value)


@cases(BAD_PAIRS)
def test_bad_pairs(case):
    with pytest.raises(SkeletonError, match="left_right_pairs"):
        arm_with(Joint("ghost", "hand", (0, 0), hidden=True), left_right_pairs=case)


@cases(BAD_FIELDS)
def test_bad_field_is_named(case):
    (field,) = case
    with pytest.raises(SkeletonError, match=field.replace("_", "[_ ]")):
        arm(**case)


def test_valid_definitions_stay_valid():
    """What the tables above start from is accepted: they fail for the reason they state."""
    assert arm().bones == (("base", "elbow"), ("elbow", "hand"))
    assert arm(position=()).num_parameters == 3
    assert arm(left_right_pairs=[["elbow", "hand"]]).left_right_pairs == (("elbow", "hand"),)


def test_frozen():
    skeleton = arm()
    for part in (skeleton, skeleton.joints[0], skeleton.joints[0].rotations[0], BEND):
        for field in dataclasses.fields(part):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(part, field.name, None)


def test_what_it_returns_is_a_copy():
    skeleton = arm()
    for value in (skeleton.bone_lengths, skeleton.bone_indices, *skeleton.bounds()):
        value[...] = -7
    skeleton.is_angle()[...] = False
    assert skeleton.bone_lengths.tolist() == [1.0, 1.0]
    assert skeleton.bone_indices.tolist() == [[0, 1], [1, 2]]
    assert skeleton.bounds()[0].tolist() == [-math.inf] * 3
    assert skeleton.is_angle().tolist() == [False, False, True]


def test_caller_keeps_no_handle_on_the_inside():
    """Lists handed in are copied."""
    offset, joints = [1.0, 0.0], list(arm().joints)
    joints.append(Joint("tip", "hand", offset))
    skeleton = arm(joints=joints)
    offset[0] = 5.0
    joints.clear()
    assert skeleton.joint("tip").offset == (1.0, 0.0)
    assert skeleton.num_joints == 4


@pytest.mark.parametrize("factor", [0, -1.0, math.nan, math.inf, "2", None])
def test_scaled_refuses(factor):
    with pytest.raises(SkeletonError, match="'arm': scale"):
        arm().scaled(factor)


def test_axis_of_six_digits_becomes_a_unit_vector():
    axis = Rotation((0.577350, 0.577350, 0.577350), "bend").axis
    assert math.sqrt(sum(v * v for v in axis)) == pytest.approx(1.0, abs=1e-15)
    assert Rotation(axis, "bend").axis == axis
    np.testing.assert_allclose(
        rotation_matrix(axis, np.array([2 * np.pi / 3]))[0, :, 0], [0, 1, 0], atol=1e-12
    )
