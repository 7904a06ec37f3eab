"""Inverse kinematics in the kinematic head: from points to motion, and back to exact joints."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.geometry import (
    forward_kinematics,
    part_axes,
    part_levers,
    pose_statistics,
    sample_within_bounds,
    skeleton_parts,
)
from gluon_dkpr.nn import make_head
from gluon_dkpr.nn.inverse_frames import part_frames
from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton, hand, human36m

HUMAN, HAND = human36m().scaled(1e-3), hand().scaled(1e-2)


def tree(offset=(0.0, 1.0, 0.0)):
    """Return a skeleton of parts with three, two and one rotations in all orders of the axes."""
    names, joints, parameters = "abcdefgh", [], [Parameter(axis, "length") for axis in "xyz"]
    turns = ("xyz", "yzx", "zxy", "xzy", "zyx", "yxz", "zx", "x")
    for i, axes in enumerate(turns):
        rotations = tuple(Rotation(axis, f"{names[i]}{axis}", (-1.0) ** i) for axis in axes)
        parameters += [Parameter(f"{names[i]}{axis}") for axis in axes]
        parent = names[(i - 1) // 2] if i else None
        joints.append(Joint(names[i], parent, offset if i else (0.0, 0.0, 0.0), rotations))
    joints.append(Joint("tip", "h", (0.0, 1.0, 0.0)))
    return Skeleton("tree", 3, tuple(parameters), tuple(joints), ("x", "y", "z"))


def poses(skeleton, count=60):
    """Return motions of all directions of the root."""
    motion = sample_within_bounds(skeleton, count)
    random = np.random.RandomState(3)
    for name in ("root_yaw", "root_roll"):
        if name in skeleton.parameter_names:
            place = skeleton.parameter_names.index(name)
            motion[:, place] = random.uniform(-np.pi, np.pi, count)
    for i, name in enumerate(skeleton.position):
        motion[:, skeleton.parameter_names.index(name)] = random.uniform(-1, 1, count) * (i + 1)
    return motion


def right_points(head, skeleton, motion, statistics):
    """Return the z that tells the truth: joints, directions, positions."""
    parts = skeleton_parts(skeleton)
    joints = forward_kinematics(skeleton, motion)
    frames = part_frames(skeleton, parts, part_levers(skeleton, parts))
    frames = [(i, frame.order[1]) for i, frame in enumerate(frames) if frame.hinted]
    axes = part_axes(skeleton, parts, motion)
    z = (joints - statistics.joints_mean) / statistics.joints_std
    z, joints = (array.reshape(len(motion), -1) for array in (z, joints))
    points = head.motion.points.data().asnumpy().T.astype(float)
    start = head.motion.start.data().asnumpy().astype(float)
    told = (joints @ points[: z.shape[1]] + start).reshape(len(z), len(parts), 2, 3)
    rows = points[z.shape[1] :].reshape(-1, 3, len(parts), 2, 3)
    found = [z]
    for row, (i, second) in zip(rows, frames):
        missing = axes[:, i, second] - told[:, i, 1]
        # A coordinate that never changes is no output.
        found.append(missing @ np.linalg.pinv(row[:, i, 1]))
    places = ~skeleton.is_angle()
    found.append(((motion - statistics.motion_mean) / statistics.motion_std)[:, places])
    return np.concatenate(found, axis=1)


def ready_head(skeleton, motion, hybridize=False):
    """Return a head that knows the motions, and their statistics."""
    statistics = pose_statistics(skeleton, motion)
    head = make_head("kinematic", skeleton, statistics)
    head.initialize()
    if hybridize:
        head.hybridize()
    return head, statistics


@pytest.mark.parametrize("skeleton", [HUMAN, HAND], ids=["human", "hand"])
def test_right_points_give_the_right_joints(skeleton, hybridize):
    motion = poses(skeleton)
    head, statistics = ready_head(skeleton, motion, hybridize)
    z = right_points(head, skeleton, motion, statistics)
    assert z.shape[1] == head.num_inputs
    joints, found, guide = (a.asnumpy() for a in head.guided(mx.nd, mx.nd.array(z)))
    expected = forward_kinematics(skeleton, motion)
    size = np.abs(expected - expected[:, :1]).max()
    assert np.abs(guide - expected).max() < 1e-4 * size
    assert np.linalg.norm(joints - expected, axis=-1).max() < 1e-4 * size
    # Joints are those of the motion that is told, whatever the points.
    again = forward_kinematics(skeleton, found.astype(float))
    assert np.abs(joints - again).max() < 1e-4 * size


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


@pytest.mark.parametrize("skeleton", [HUMAN, HAND], ids=["human", "hand"])
def test_bones_are_exact_and_gradients_finite_whatever_z(skeleton, seed):
    head, _ = ready_head(skeleton, poses(skeleton))
    z = np.random.randn(40, head.num_inputs) * np.logspace(-3, 1, 40)[:, None]
    z[0] = 0
    z = mx.nd.array(z)
    z.attach_grad()
    with mx.autograd.record():
        joints, _, guide = head.guided(mx.nd, z)
        loss = joints.square().sum() + guide.square().sum()
    loss.backward()
    assert np.isfinite(z.grad.asnumpy()).all()
    parent, child = skeleton.bone_indices.T
    joints = joints.asnumpy()
    lengths = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
    expected = np.broadcast_to(skeleton.bone_lengths, lengths.shape)
    np.testing.assert_allclose(lengths, expected, atol=1e-5)


def test_gradient_is_that_of_finite_differences(seed):
    head, _ = ready_head(HUMAN, poses(HUMAN))
    z = 0.7 * np.random.randn(3, head.num_inputs)
    weight = np.random.randn(3, 17, 3)

    def value(array):
        return (head(mx.nd.array(array)).asnumpy().astype(float) * weight).sum(axis=(1, 2))

    variable = mx.nd.array(z)
    variable.attach_grad()
    with mx.autograd.record():
        loss = (head(variable) * mx.nd.array(weight)).sum()
    loss.backward()
    step = 2e-3
    for i in range(0, head.num_inputs, 5):
        move = np.zeros_like(z)
        move[:, i] = step
        numeric = (value(z + move) - value(z - move)) / (2 * step)
        np.testing.assert_allclose(variable.grad.asnumpy()[:, i], numeric, rtol=0.02, atol=0.02)


def test_descent_on_z_with_the_guide_reaches_any_pose():
    """As in training, but without a network."""
    motion = poses(HUMAN, 30)
    target = mx.nd.array(forward_kinematics(HUMAN, motion))
    head, _ = ready_head(HUMAN, motion, hybridize=True)
    z = mx.gluon.Parameter("z", shape=(30, head.num_inputs))
    z.initialize(mx.init.Zero())
    trainer = mx.gluon.Trainer([z], "adam", {"learning_rate": 0.05})
    for _ in range(300):
        with mx.autograd.record():
            joints, _, guide = head.guided(mx.nd, z.data())
            loss = (joints - target).square().sum() + 3 * (guide - target).square().sum()
        loss.backward()
        trainer.step(1)
    error = np.linalg.norm(head(z.data()).asnumpy() - target.asnumpy(), axis=-1)
    assert np.median(error.mean(axis=1)) < 0.01, error.mean(axis=1)


def test_scale_stretches_joints_and_guide_alike():
    head, _ = ready_head(HUMAN, poses(HUMAN))
    z, scale = (
        mx.nd.random.normal(shape=(4, head.num_inputs)),
        mx.nd.array([[0.8], [1], [1.1], [2]]),
    )
    z[:, -3:] = 0
    plain, stretched = head.guided(mx.nd, z), head.guided(mx.nd, z, scale)
    factor = scale.asnumpy()[:, :, None]
    root = plain[0].asnumpy()[:, :1]
    expected = (plain[0].asnumpy() - root) * factor + root
    np.testing.assert_allclose(stretched[0].asnumpy(), expected, atol=1e-5)
    guide = plain[2].asnumpy()
    expected = (guide - guide[:, :1]) * factor + guide[:, :1]
    np.testing.assert_allclose(stretched[2].asnumpy(), expected, atol=1e-5)


def _replaced(skeleton, name, rotations):
    joints = [
        Joint(j.name, j.parent, j.offset if j.parent else (0.0, 0.0, 0.0), rotations, j.hidden)
        if j.name == name
        else j
        for j in skeleton.joints
    ]
    names = {r.parameter for joint in joints for r in joint.rotations} | set(skeleton.position)
    parameters = tuple(p for p in skeleton.parameters if p.name in names)
    return Skeleton("changed", 3, parameters, tuple(joints), skeleton.position)


@pytest.mark.parametrize(
    "rotations",
    [
        (Rotation("x", "right_knee_flexion", 0.5),),
        (Rotation("x", "left_knee_flexion"),),
        (Rotation((0.6, 0.8, 0.0), "right_knee_flexion"), Rotation("x", "right_hip_twist")),
        (Rotation("x", "right_knee_flexion"), Rotation("y", None, 1.0, 0.3)),
        (Rotation("y", None, 1.0, 0.3),),
    ],
    ids=["geared", "shared", "shared-and-oblique", "constant-last", "constant-alone"],
)
def test_skeletons_without_a_closed_form_get_another_head(rotations):
    changed = _replaced(HUMAN, "right_knee", rotations)
    assert skeleton_parts(HUMAN) is not None and skeleton_parts(changed) is None
    head = make_head("kinematic", changed)
    assert not head.has_guide and make_head("kinematic", HUMAN).has_guide
    head.initialize()
    z = mx.nd.zeros((2, head.num_inputs))
    assert head(z).shape == (2, 17, 3) and head.guided(mx.nd, z)[2] is None


def test_raw_outputs_have_no_guide():
    assert not make_head("kinematic", HUMAN, raw_outputs=True).has_guide
