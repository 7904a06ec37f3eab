"""Poses smoothed over time, in the space of motions: bones keep their lengths.

Around each frame a parabola is fitted to what came before and after, weighted by a Gaussian
(Savitzky and Golay's filter with other weights): unlike a weighted mean it does not flatten turning
points, and it holds at both ends of a sequence. Not angles are averaged but the rotation matrices
of each joint, so that neither full turns nor the two answers of three angles, nor gimbal lock, make
a joint swing. The angles that come nearest to the mean rotation make the smoothed motion, and
forward kinematics its joints.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import deque
from typing import Iterable, Iterator, List, Optional, Tuple

import numpy as np

from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import PoseEstimate, placed, project_again
from gluon_dkpr.fit.euler import closest_angles, turned
from gluon_dkpr.fit.tree import Tree
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

# How many standard deviations of the Gaussian count.
_REACH = 3.0
_DEGREE = 2
#: A window keeps so many frames before and after, however long it is asked to be.
MAX_RADIUS = 1000
# Below, only a frame itself counts; far below the one, and far above the other, numbers overflow.
_MIN_FRAMES, _MAX_FRAMES = 1e-2, 1e9


def smooth_poses(poses: Iterable[PoseEstimate], frames: float) -> Iterator[PoseEstimate]:
    """Yield the poses of a video, smoothed; each as soon as the ``3 * frames`` after it are known.

    Args:
        poses: with motion, in order; an iterator is read as far as it is needed.
        frames: standard deviation of the Gaussian, in frames; 0 changes nothing.

    Raises:
        PredictionError: for a pose without motion (see ``model_fit`` of
            :func:`~gluon_dkpr.engine.prediction.estimate_poses`), or a bad ``frames``.
    """
    poses = iter(poses)
    if radius_of(frames) == 0:
        yield from poses
        return
    first = next(poses, None)
    if first is None:
        return
    filter_ = MotionFilter(first.skeleton, frames)

    def series():
        yield first
        yield from poses

    seen: deque = deque()

    def rows():
        for pose in series():
            if pose.motion is None:
                raise PredictionError(
                    "direct joint predicts no motion to be smoothed; fit its skeleton (model fit)"
                )
            seen.append(pose)
            yield pose.motion, _place(pose)

    for motion, place in filter_.run(rows()):
        yield _moved(seen.popleft(), motion, place)


def smooth_motion(skeleton: Skeleton, motion: Array, frames: float) -> Array:
    """Return motions (F, P) smoothed over time.

    Args:
        skeleton: the object.
        motion: radians and the skeleton's length unit, frames in order.
        frames: standard deviation of the Gaussian, in frames; 0 changes nothing.

    Raises:
        PredictionError: for motion of another shape, or a bad ``frames``.
    """
    motion = np.asarray(motion, dtype=np.float64)
    if motion.ndim != 2 or motion.shape[1] != skeleton.num_parameters:
        raise PredictionError(
            f"motion has shape {motion.shape}, expected (F, {skeleton.num_parameters})"
        )
    if radius_of(frames) == 0 or not len(motion):
        return motion.copy()
    rows = ((row, np.empty(0)) for row in motion)
    return np.array([row for row, _ in MotionFilter(skeleton, frames).run(rows)])


def radius_of(frames: float) -> int:
    """Return how many frames before and after count.

    Raises:
        PredictionError: unless ``frames`` is 0 to 1e9.
    """
    if not 0 <= frames <= _MAX_FRAMES:
        raise PredictionError(
            f"smoothing over {frames!r:.40} frames, expected 0 to {_MAX_FRAMES:.0e}"
        )
    return min(MAX_RADIUS, math.ceil(_REACH * frames))


class MotionFilter:
    """Smooths a series of motions.

    Args:
        skeleton: the object.
        frames: standard deviation of the Gaussian, in frames, above 0.
    """

    def __init__(self, skeleton: Skeleton, frames: float):
        self._radius, self._frames = radius_of(frames), frames
        tree = Tree(skeleton)
        self._periodic = skeleton.is_angle()
        for turn in tree.turns:
            # A full turn of the parameter is one of the joint.
            self._periodic[turn.column] &= float(turn.coefficient).is_integer()
        self._joints = _rotations(tree)
        columns = [column for joint in self._joints for column in joint.columns]
        self._alone = np.setdiff1d(np.arange(skeleton.num_parameters), columns)

    def run(self, rows: Iterable[Tuple[Array, Array]]) -> Iterator[Tuple[Array, Array]]:
        """Yield motion (P,) and other numbers (K,), smoothed, for each pair of them."""
        window: deque = deque()
        before: Optional[Array] = None
        centre = 0
        for motion, others in rows:
            window.append(self._row(motion, others))
            if len(window) > centre + self._radius:
                before, others = self._smoothed(window, centre, before)
                yield before, others
                if centre == self._radius:
                    window.popleft()
                else:
                    centre += 1
        while centre < len(window):
            before, others = self._smoothed(window, centre, before)
            yield before, others
            centre += 1

    def _row(self, motion: Array, others: Array):
        return motion, others, [joint.matrix(motion) for joint in self._joints]

    def _smoothed(self, window: deque, centre: int, before: Optional[Array]):
        """Return what stands at ``centre`` of the window, angles near to those before."""
        first = max(0, centre - self._radius)
        some = [window[i] for i in range(first, min(len(window), centre + self._radius + 1))]
        weights = _weights(first - centre, len(some), self._frames)
        motion = some[centre - first][0].copy()
        reference = motion if before is None else before
        values = np.array([row[0][self._alone] for row in some])
        turning = self._periodic[self._alone]
        values[:, turning] = np.unwrap(values[:, turning], axis=0)
        motion[self._alone] = weights @ values
        for i, joint in enumerate(self._joints):
            mean = np.tensordot(weights, np.array([row[2][i] for row in some]), axes=1)
            motion[joint.columns] = joint.angles(mean, reference[joint.columns])
        turn = 2 * np.pi * self._periodic
        motion -= turn * np.round((motion - reference) / (2 * np.pi))
        return motion, weights @ np.array([row[1] for row in some])


@dataclasses.dataclass(frozen=True)
class _JointRotation:
    """The rotation of one joint by parameters that turn nothing else.

    Attributes:
        columns: of the parameters.
        signs: +1 or -1, radians of the turn for one of the parameter.
        steps: constant rotation in front of each turn about z, (3, 3) each.
    """

    columns: List[int]
    signs: Array
    steps: List[Array]

    def matrix(self, motion: Array) -> Array:
        """Return the rotation, (3, 3)."""
        frame = np.eye(3)[None]
        for step, angle in zip(self.steps, self.signs * motion[self.columns]):
            frame = turned(frame, step, np.array([angle]))
        return frame[0]

    def angles(self, mean: Array, near: Array) -> Array:
        """Return the parameters whose rotation is nearest to a mean of rotations."""
        found = closest_angles(self.steps, mean.T[None], self.signs * near)[:, 0]
        return self.signs * found


def _rotations(tree: Tree) -> List[_JointRotation]:
    """Return the rotations that can be averaged as such: no shared or geared parameters."""
    used = [turn.column for turn in tree.turns]
    joints = []
    for index in sorted({turn.joint for turn in tree.turns}):
        turns = [turn for turn in tree.turns if turn.joint == index]
        if all(used.count(t.column) == 1 and abs(t.coefficient) == 1 for t in turns):
            signs = np.array([turn.coefficient for turn in turns])
            steps = [turn.before for turn in turns]
            joints.append(_JointRotation([t.column for t in turns], signs, steps))
    return joints


# All frames but those near the ends have the same.
@functools.lru_cache(maxsize=8)
def _weights(first: int, count: int, frames: float) -> Array:
    """Return what each frame, from offset ``first`` on, counts for the parabola's value at 0."""
    offsets = first + np.arange(count)
    frames = max(frames, _MIN_FRAMES)
    gauss = np.exp(-0.5 * np.square(offsets / frames))
    # In any unit of time the parabola is the same. In one much longer than the window its square
    # would be lost in the rounding.
    unit = min(frames, max(1, np.abs(offsets).max()))
    powers = (offsets / unit)[:, None] ** np.arange(min(_DEGREE, len(offsets) - 1) + 1)
    root = np.sqrt(gauss)[:, None]
    return np.linalg.pinv(powers * root)[0] * root[:, 0]


def _place(pose: PoseEstimate) -> Array:
    """Return where the root is: in px of the picture, or in space if the camera is known."""
    if pose.skeleton.length_unit == "px":
        return np.array(pose.root_px)
    return np.empty(0) if pose.root is None else pose.root


def _moved(pose: PoseEstimate, motion: Array, place: Array) -> PoseEstimate:
    """Return the pose with another motion and its root at another place."""
    skeleton = pose.skeleton
    joints = forward_kinematics(skeleton, motion[None])[0]
    root = joints[skeleton.joint_names.index(skeleton.root.name)]
    wanted = pose.crop.to_crop(place) if skeleton.length_unit == "px" else np.zeros_like(root)
    if skeleton.position:
        motion = motion.copy()
        columns = [skeleton.parameter_names.index(name) for name in skeleton.position]
        motion[columns] += wanted - root
        joints = joints + (wanted - root)
    pose = dataclasses.replace(pose, joints=joints, motion=motion)
    if pose.root is not None:
        return project_again(dataclasses.replace(pose, root=place))
    return placed([pose])[0]
