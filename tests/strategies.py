"""Hypothesis strategies of random skeletons and motions, and skeletons that several tests use."""

import numpy as np
from hypothesis import strategies as st

from gluon_dkpr.skeleton import Joint, Parameter, Rotation, Skeleton

COEFFICIENTS = (1.0, -1.0, 0.5, -2.0, 0.0)
NAMES = ("tree", "Baum №1", "yes", "1.0")


@st.composite
def skeletons(draw, dims=(2, 3), max_joints=9):
    """A valid skeleton of any kind that the definition allows.

    Hypothesis chooses (and shrinks) the size only; the rest follows from a seed, because drawing
    some hundred numbers through it would take most of the time of a test.
    """
    dim = draw(st.sampled_from(dims))
    count = draw(st.integers(1, max_joints))
    return random_skeleton(dim, count, draw(st.integers(0, 2**32 - 1)))


def random_skeleton(dim, count, seed):
    """Return a tree of ``count`` joints in random order, hidden and shared things included."""
    random = np.random.RandomState(seed)
    position = tuple("xyz"[:dim]) if random.rand() < 0.5 else ()
    angles = [f"angle{i}" for i in range(random.randint(1, 7))]
    parameters = [Parameter(name, "length", *_bounds(random)) for name in position]
    parameters += [Parameter(name, "radian", *_bounds(random)) for name in angles]
    joints = [_random_joint(random, dim, i, angles) for i in range(count)]
    random.shuffle(parameters)
    random.shuffle(joints)
    visible = [joint.name for joint in joints if not joint.hidden]
    pairs = (tuple(visible[:2]),) if len(visible) > 1 and random.rand() < 0.5 else ()
    return Skeleton(
        name=NAMES[random.randint(len(NAMES))],
        dim=dim,
        parameters=tuple(parameters),
        joints=tuple(joints),
        position=position,
        length_unit=("mm", "px")[random.randint(2)],
        left_right_pairs=pairs,
    )


def _bounds(random):
    lower, upper = -random.rand(), random.rand()
    return ((None, None), (lower, None), (None, upper), (lower, upper))[random.randint(4)]


def _random_joint(random, dim, index, angles):
    # Half of the joints continue a chain: trees of random parents are shallow.
    parent = index - 1 if index and random.rand() < 0.5 else random.randint(max(1, index))
    rotations = [_random_rotation(random, dim, angles) for _ in range(random.randint(4))]
    return Joint(
        name=f"joint{index}",
        parent=f"joint{parent}" if index else None,
        offset=tuple(random.uniform(-2, 2, dim) * (random.rand(dim) < 0.8)),
        rotations=tuple(rotations),
        hidden=index > 0 and random.rand() < 0.25,
    )


def _random_rotation(random, dim, angles):
    tilted = random.normal(size=3)
    axes = ("x", "y", "z", tuple(tilted / np.linalg.norm(tilted)))
    return Rotation(
        axis="z" if dim == 2 else axes[random.randint(4)],
        # One in five is a constant rotation.
        parameter=None if random.rand() < 0.2 else angles[random.randint(len(angles))],
        coefficient=COEFFICIENTS[random.randint(len(COEFFICIENTS))],
        rest=random.uniform(-np.pi, np.pi) if random.rand() < 0.5 else 0.0,
    )


def random_motion(skeleton, batch, seed, largest_angle=np.pi):
    """Return a motion (batch, P) of uniform angles and positions of a few units, float64."""
    random = np.random.RandomState(seed)
    angles = random.uniform(-largest_angle, largest_angle, (batch, skeleton.num_parameters))
    lengths = random.uniform(-3, 3, angles.shape)
    return np.where(skeleton.is_angle(), angles, lengths)


def pose_size(skeleton, motion, scale=None):
    """Return the farthest that a joint can be from the origin in any pose of a batch.

    Rounding errors of a float are relative to the numbers that are added up on the way to a joint,
    so this is what a tolerance for joints is relative to.
    """
    bones = sum(np.linalg.norm(joint.offset) for joint in skeleton.joints)
    position = np.abs(motion[:, ~skeleton.is_angle()]).sum(axis=1).max()
    return float(bones * (1.0 if scale is None else np.max(scale)) + position) or 1.0


def chain(count, dim=3):
    """Return a chain of ``count`` bones, one rotation at the start of each, axes in turn."""
    names = [f"turn{i}" for i in range(count)]
    axes = "zxy" if dim == 3 else "z"
    bone = (0.0, 0.5, 0.2)[:dim]
    tree = [Joint("joint0", None, (), (Rotation(axes[0], names[0]),))]
    for i in range(1, count + 1):
        turn = (Rotation(axes[i % len(axes)], names[i]),) if i < count else ()
        tree.append(Joint(f"joint{i}", f"joint{i - 1}", bone, turn))
    return Skeleton(
        name=f"chain{count}", dim=dim, parameters=tuple(map(Parameter, names)), joints=tuple(tree)
    )
