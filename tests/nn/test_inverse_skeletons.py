"""Inverse kinematics of skeletons of every kind: exact, or another head."""

import numpy as np
import pytest
from inverse_points import poses, ready_head, right_points, tree

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    forward_kinematics,
    sample_within_bounds,
    skeleton_parts,
)
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton


@pytest.mark.parametrize(
    "offset",
    [(0.0, 1.0, 0.0), (0.4, -0.8, 0.6), (0.5, 0.5, 0.0)],
    ids=["along", "oblique", "across"],
)
def test_bones_in_any_direction_are_met_exactly(offset, hybridize):
    assert_exact(tree(offset), hybridize)


def test_rig_whose_arms_hang_at_an_angle(hybridize):
    assert_exact(a_pose(), hybridize)


def test_constant_direction_is_not_led_astray_by_the_bone_below():
    """A crane: its swivel turns about the mast, which a hinge without any freedom else carries."""
    lengths = tuple(Parameter(axis, "length") for axis in "xyz")
    angles = (Parameter("lift", "radian", -1.0, 1.0), Parameter("swivel", "radian", -1.0, 1.0))
    joints = (
        Joint("base", rotations=(Rotation("x", "lift"),)),
        Joint("top", "base", (0.0, 1.0, 0.0), (Rotation("y", "swivel"),)),
        Joint("hook", "top", (0.7, 0.0, 0.0)),
    )
    assert_exact(Skeleton("crane", 3, lengths + angles, joints, ("x", "y", "z")))


def assert_exact(skeleton, hybridize=False, motion=None, atol=3e-4):
    motion = poses(skeleton) if motion is None else motion
    head, statistics = ready_head(skeleton, motion, hybridize)
    assert head.has_guide
    z = mx.nd.array(right_points(head, skeleton, motion, statistics))
    expected = forward_kinematics(skeleton, motion)
    np.testing.assert_allclose(head(z).asnumpy(), expected, atol=atol)


def test_bones_nearly_along_a_hinge_that_nothing_else_tells_of():
    """Of such a part one direction is known, and that one has to do."""
    angles = tuple(Parameter(name, "radian", -1.0, 1.0) for name in ("yaw", "roll", "pitch"))
    twist = Parameter("twist", "radian", -3.0, 3.0)
    turns = tuple(map(Rotation, "yzx", ("yaw", "roll", "pitch")))
    joints = (
        Joint("disc", rotations=turns),
        Joint("side", "disc", (1.0, 0.0, 0.0)),
        Joint("wrist", "disc", (0.0, 1.0, 0.0), (Rotation("z", "twist"),)),
        Joint("tip", "wrist", (0.0, 0.04, 1.0)),
    )
    assert_exact(Skeleton("pointer", 3, (*angles, twist), joints))


def test_directions_with_a_coordinate_that_stays():
    """A turntable that stands still but for its turn: the directions of its arm stay level."""
    angles = (Parameter("table", "radian"), Parameter("arm", "radian", -1.0, 1.0))
    joints = (
        Joint("root", rotations=(Rotation("z", "table"),)),
        Joint("elbow", "root", (1.0, 0.3, 0.9), (Rotation("z", "arm"),)),
        Joint("tip", "elbow", (0.0, 0.5, 0.2)),
    )
    skeleton = Skeleton("table", 3, angles, joints)
    motion = np.random.RandomState(0).uniform(-np.pi, np.pi, (60, 2)) * [1.0, 0.3]
    assert_exact(skeleton, motion=motion)


def free(random, low, high):
    """Return bounds of any kind."""
    lower = random.uniform(-3, 2)
    upper = lower + random.uniform(low, high)
    return ((None, None), (lower, None), (None, upper), (lower, upper))[random.randint(4)]


def random_tree(seed):
    """Return a skeleton of parts with bones in any direction and length, some joints hidden."""
    random = np.random.RandomState(seed)
    parameters, joints = [], []
    for i in range(random.randint(3, 8)):
        basis, _ = np.linalg.qr(random.normal(size=(3, 3)))
        basis = basis if random.rand() < 0.3 else np.eye(3)[random.permutation(3)]
        turns = [Rotation(tuple(basis[0]), None, 1.0, random.uniform(-3, 3))] * (
            random.rand() < 0.3
        )
        count = random.randint(i > 0 and random.rand() < 0.5, 4)
        for k in range(count):
            parameters.append(Parameter(f"turn{i}{k}", "radian", *free(random, 0.1, 6)))
            sign, rest = random.choice([-1.0, 1.0]), random.choice([0.0, random.uniform(-3, 3)])
            turns.append(Rotation(tuple(basis[k]), parameters[-1].name, sign, rest))
        # Some bones lie along an axis, some nearly so, some are short.
        bone = random.uniform(-1, 1, 3) * 10.0 ** random.choice([0, random.uniform(-3, 0)], 3)
        bone = np.eye(3)[random.randint(3)] if random.rand() < 0.3 else bone
        parent = f"joint{random.choice([i - 1, random.randint(i)])}" if i else None
        joints.append(
            Joint(f"joint{i}", parent, tuple(bone) if i else (0.0, 0.0, 0.0),
                  tuple(turns) if count else (), hidden=bool(i and random.rand() < 0.15))
        )  # fmt: skip
    joints.append(Joint("tip", joints[-1].name, (0.0, 0.5, 0.2)))
    return Skeleton("random", 3, tuple(parameters), tuple(joints))


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_any_skeleton_is_met_exactly_or_has_another_head(first):
    guides = 0
    for seed in range(first, first + 10):
        skeleton = random_tree(seed)
        lower, upper = skeleton.bounds()
        lower = np.where(np.isfinite(lower), lower, np.minimum(-3.0, upper - 2))
        upper = np.where(np.isfinite(upper), upper, np.maximum(3.0, lower + 2))
        motion = np.random.RandomState(seed).uniform(lower, upper, (20, len(lower)))
        if ready_head(skeleton, motion)[0].has_guide:
            guides += 1
            assert_exact(skeleton, motion=motion, atol=1e-3)
    assert guides


@pytest.mark.parametrize("turns", [0, 1, -1, 2, 5])
def test_middle_angles_are_found_on_the_side_of_their_bounds(turns):
    """Three rotations have two answers; where bounds allow one only, it is that one."""
    bounds = [(-1.0, 1.0), (turns * np.pi - 1.4, turns * np.pi + 1.2), (2.0, 4.0)]
    names = ("first", "middle", "last")
    turn = tuple(Rotation(axis, name, -1.0, 0.1) for axis, name in zip("yzx", names))
    joints = (
        Joint("disc", rotations=turn),
        Joint("side", "disc", (1.0, 0.0, 0.0)),
        Joint("top", "disc", (0.0, 1.0, 0.0)),
    )
    parameters = tuple(Parameter(n, "radian", *pair) for n, pair in zip(names, bounds))
    skeleton = Skeleton("disc", 3, parameters, joints)
    motion = sample_within_bounds(skeleton, 40)
    head, statistics = ready_head(skeleton, motion)
    z = right_points(head, skeleton, motion, statistics)
    _, found, _ = head.guided(mx.nd, mx.nd.array(z))
    np.testing.assert_allclose(found.asnumpy(), motion, atol=2e-3)


def a_pose():
    """Return a body without legs whose rest pose is the A of animators."""
    parameters, joints = [Parameter(axis, "length") for axis in "xyz"], []

    def add(name, parent, offset, axes):
        rotations = tuple(Rotation(axis, f"{name}_{axis}") for axis in axes)
        parameters.extend(Parameter(r.parameter, "radian", -1.0, 1.0) for r in rotations)
        joints.append(Joint(name, parent, offset, rotations))

    add("hips", None, (0.0, 0.0, 0.0), "yxz")
    add("neck", "hips", (0.0, 0.5, 0.02), "zxy")
    add("head", "neck", (0.0, 0.2, 0.05), "")
    for side, sign in (("left", 1.0), ("right", -1.0)):
        add(f"{side}_shoulder", "neck", (0.2 * sign, -0.05, 0.0), "zxy")
        add(f"{side}_elbow", f"{side}_shoulder", (0.2 * sign, -0.2, 0.0), "y")
        add(f"{side}_hand", f"{side}_elbow", (0.18 * sign, -0.17, 0.05), "")
    return Skeleton("a-pose", 3, tuple(parameters), tuple(joints), ("x", "y", "z"))


def hinged(lower, upper, rest=0.0):
    """Return a disc with a hand, and of which angle that is."""
    parameters = [Parameter(name, "radian", -1.0, 1.0) for name in ("yaw", "roll", "pitch")]
    turns = tuple(map(Rotation, "yzx", ("yaw", "roll", "pitch")))
    hinge = Rotation("x", "hinge", 1.0, rest)
    joints = (
        Joint("disc", rotations=turns),
        Joint("side", "disc", (1.0, 0.0, 0.0)),
        Joint("hinge", "disc", (0.0, 1.0, 0.0), (hinge,)),
        Joint("hand", "hinge", (0.0, 0.0, 1.0)),
    )
    parameters.append(Parameter("hinge", "radian", lower, upper))
    return Skeleton("disc", 3, tuple(parameters), joints)


@pytest.mark.parametrize(
    ("lower", "upper", "rest"), [(0.0, 5.5, 0.0), (-0.5, 0.5, np.pi), (2.0, 4.0, 1.0)]
)
def test_angles_within_bounds_are_found_there(lower, upper, rest):
    skeleton = hinged(lower, upper, rest)
    motion = sample_within_bounds(skeleton, 40)
    head, statistics = ready_head(skeleton, motion)
    z = right_points(head, skeleton, motion, statistics)
    _, found, _ = head.guided(mx.nd, mx.nd.array(z))
    np.testing.assert_allclose(found.asnumpy(), motion, atol=1e-3)


def one_place(*joints):
    """Return an object that pans at its root and tilts at a joint of no bone's."""
    lengths = tuple(Parameter(axis, "length") for axis in "xyz")
    angles = tuple(Parameter(name, "radian", -1.0, 1.0) for name in ("pan", "tilt"))
    root = Joint("root", rotations=(Rotation("y", "pan"),))
    return Skeleton("rig", 3, lengths + angles, (root, *joints), ("x", "y", "z"))


TILT = (Rotation("x", "tilt"),)


@pytest.mark.parametrize(
    "joints",
    [
        (
            Joint("hub", "root", (0.0, 0.0, 0.0), TILT, hidden=True),
            Joint("tip", "hub", (0, 0, 1.0)),
        ),
        (
            Joint("elbow", "root", (0, 1.0, 0), TILT, hidden=True),
            Joint("tip", "elbow", (0, 1.0, 0)),
        ),
        (Joint("same", "root", (0.0, 0.0, 0.0), TILT),),
        (
            Joint("wrist", "root", (0.0, 1.0, 0.0)),
            Joint("elbow", "root", (0.03, 0.0, 0.0), TILT, hidden=True),
            Joint("tip", "elbow", (0, 0, 1.0)),
        ),
        (
            Joint("near", "root", (0.0, 0.0, 1e-5), TILT),
            Joint("tip", "near", (0, 1.0, 0)),
        ),
        (
            Joint("elbow", "root", (0, 1.0, 0), TILT, hidden=True),
            Joint("one", "elbow", (0, 1.0, 0)),
            Joint("other", "elbow", (0, 1.02, 0)),
        ),
    ],
    ids=["hub", "hidden-elbow", "no-bone", "nearly-at-the-root", "bone-of-nothing", "look-alike"],
)
def test_joints_that_do_not_tell_get_another_head(joints):
    skeleton = one_place(*joints)
    assert skeleton_parts(skeleton) is not None
    motion = poses(skeleton)
    head, _ = ready_head(skeleton, motion)
    assert not head.has_guide
    z = mx.nd.random.normal(shape=(2, head.num_inputs))
    assert np.isfinite(head(z).asnumpy()).all()
