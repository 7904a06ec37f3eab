"""Points that tell the truth about a motion, for tests of the inverse kinematics."""

import numpy as np

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
