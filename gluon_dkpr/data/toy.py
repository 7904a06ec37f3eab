"""The data of the toy problem (section 4.1 and figure 5): poses drawn at random and their pictures.

A pose is uniform in the bounds of the skeleton's parameters, kept only if its picture is whole and
tells the pose (inferred; the paper does not say how it chose):

* every joint is at least ``MARGIN_PX`` inside the centres of the outermost pixels;
* bones that share no joint keep ``MIN_DISTANCE_PX`` between their centre lines, so that black
  remains between them;
* bones that share a joint keep ``MIN_ANGLE`` between them.

Left and right cannot be mistaken: from the left first bone to the right one, through the inside of
the object, it is always less than half a turn.
"""

from __future__ import annotations

import math
import zlib
from typing import Callable, Iterator, Optional, Tuple

import numpy as np

from gluon_dkpr.data.images import ImageFormat
from gluon_dkpr.data.layout import LabelLayout, pose_layout
from gluon_dkpr.data.record import RecordInfo, write_record
from gluon_dkpr.data.render import LINE_WIDTH_PX, render_planar
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import Skeleton, planar
from gluon_dkpr.skeleton.planar import IMAGE_SIZE_PX
from gluon_dkpr.types import Array

TRAIN_SAMPLES = 16000
TEST_SAMPLES = 1000
# Half a line, and half a pixel for rounding its end.
MARGIN_PX = LINE_WIDTH_PX / 2 + 0.5
MIN_DISTANCE_PX = 2.0 * LINE_WIDTH_PX
MIN_ANGLE = math.radians(15)
# No pose in so many: the object does not fit the image. The planar objects need 3 to 8 a pose.
MAX_ATTEMPTS = 5000
_CHUNK = 4096


class ToyError(DkprError, ValueError):
    """The toy data cannot be made as asked."""


def sample_motion(
    skeleton: Skeleton, count: int, seed: int, split: str = "train", start: int = 0
) -> Array:
    """Return the motion of the samples ``start`` to ``start + count - 1`` of a split.

    Sample i is the first acceptable pose of a sequence that (seed, split, i) alone determine:
    attempt a reads block i of the Philox stream whose upper counter is a.

    Args:
        skeleton: of dimension 2 with a bound on both sides of every parameter.
        count: N, 0 or more.
        seed: 0 or more.
        split: its name; splits do not share samples.
        start: 0 or more.

    Returns:
        float64, shape (N, P), radians and px of the 128x128 image.

    Raises:
        ToyError: for an argument out of range, or an object that does not fit the image.
    """
    _check_not_negative(count=count, seed=seed, start=start)
    lower, upper = skeleton.bounds()
    if skeleton.dim != 2 or not np.isfinite(upper - lower).all():
        raise ToyError(
            f"skeleton '{skeleton.name}': expected dimension 2 and bounds on every parameter"
        )
    motion = np.empty((count, skeleton.num_parameters))
    accepted = 0
    for begin in range(0, count, _CHUNK):
        chunk = motion[begin : begin + _CHUNK]
        pending = np.arange(len(chunk))
        for attempt in range(MAX_ATTEMPTS):
            uniform = _uniform(seed, split, start + begin, attempt, chunk.shape)[pending]
            chunk[pending] = lower + (upper - lower) * uniform
            good = is_drawable(skeleton, chunk[pending])
            pending = pending[~good]
            accepted += np.count_nonzero(good)
            if not len(pending):
                break
            if not accepted and attempt * len(chunk) >= MAX_ATTEMPTS:
                break
        if len(pending):
            raise ToyError(
                f"skeleton '{skeleton.name}': {MAX_ATTEMPTS} attempts gave no pose that fits an "
                f"image of {IMAGE_SIZE_PX} px"
            )
    return motion


def is_drawable(skeleton: Skeleton, motion: Array) -> Array:
    """Return which poses meet the conditions at the top of this module: bool, shape (N,).

    Args:
        skeleton: of dimension 2.
        motion: shape (N, P), radians and px of the 128x128 image.
    """
    joints = forward_kinematics(skeleton, motion)
    last = IMAGE_SIZE_PX - 1 - MARGIN_PX
    good = ((joints >= MARGIN_PX) & (joints <= last)).all(axis=(1, 2))
    # The other checks are dearer and most poses have failed by now.
    good[good] = _is_clear(skeleton.bone_indices, joints[good])
    return good


def make_toy_record(
    path,
    level: int = 3,
    train: int = TRAIN_SAMPLES,
    test: int = TEST_SAMPLES,
    seed: int = 0,
    progress: Optional[Callable[[int], None]] = None,
) -> RecordInfo:
    """Write the toy data set of a level; equal arguments give equal files, byte for byte.

    Args:
        path: NAME of the data set, with or without suffix.
        level: number of motion parameters, 3, 6, 8 or 10.
        train, test: samples of the two splits, 0 or more and not both 0.
        seed: 0 or more.
        progress: called with the number of samples made since the last call.

    Raises:
        SkeletonError: for another level.
        ToyError: for a number out of range.
        RecordError, OSError: if it cannot be written.
    """
    skeleton = planar(level)
    counts = {"train": train, "test": test}
    _check_not_negative(**counts, seed=seed)
    if not train + test:
        raise ToyError("train and test are both 0, expected a sample or more")
    layout = pose_layout(skeleton)
    image = ImageFormat(IMAGE_SIZE_PX, IMAGE_SIZE_PX, 1, "png-binary")
    splits = {
        name: _samples(skeleton, layout, image, count, seed, name, progress)
        for name, count in counts.items()
    }
    parameters = {"level": level, **counts, "line_width_px": LINE_WIDTH_PX}
    parameters.update(margin_px=MARGIN_PX, min_distance_px=MIN_DISTANCE_PX, min_angle=MIN_ANGLE)
    source = {"generator": "gluon_dkpr.data.toy", "seed": seed, "parameters": parameters}
    return write_record(path, skeleton, layout, image, splits, source)


def _check_not_negative(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 0:
            raise ToyError(f"{name} is {value}, expected 0 or more")


def _samples(
    skeleton: Skeleton,
    layout: LabelLayout,
    image: ImageFormat,
    count: int,
    seed: int,
    split: str,
    progress: Optional[Callable[[int], None]],
) -> Iterator[Tuple[bytes, Array]]:
    for begin in range(0, count, _CHUNK):
        motion = sample_motion(skeleton, min(_CHUNK, count - begin), seed, split, begin)
        joints = forward_kinematics(skeleton, motion)
        pictures = render_planar(skeleton, joints, image.height, image.width)
        for picture, pose, angles in zip(pictures, joints, motion):
            yield image.encode(picture), layout.pack({"joints": pose, "motion": angles})
        if progress:
            progress(len(motion))


def _uniform(seed: int, split: str, start: int, attempt: int, shape: Tuple[int, int]) -> Array:
    """Return uniform numbers in [0, 1) of ``shape``; row i depends on start + i, not on start."""
    count, width = shape
    # A Philox block has 4 numbers; a row takes whole blocks, so that rows can be found.
    blocks = -(-width // 4)
    key = np.random.SeedSequence([seed, zlib.crc32(split.encode())]).generate_state(2, np.uint64)
    stream = np.random.Philox(counter=[start * blocks, attempt, 0, 0], key=key)
    words = stream.random_raw(count * blocks * 4).reshape(count, blocks * 4)[:, :width]
    return (words >> np.uint64(11)) * 2.0**-53


def _is_clear(bones: Array, joints: Array) -> Array:
    """Return whether no two bones fold, touch or cross: bool, shape (N,).

    Args:
        bones: (parent, child) indices of joints, shape (J-1, 2).
        joints: shape (N, J, 2), px.
    """
    clear = np.ones(len(joints), dtype=bool)
    for i, first in enumerate(bones):
        for second in bones[:i]:
            shared = np.intersect1d(first, second)
            if len(shared):
                (a,), (b,) = np.setdiff1d(first, shared), np.setdiff1d(second, shared)
                clear &= _angle(joints[:, shared[0]], joints[:, a], joints[:, b]) >= MIN_ANGLE
            else:
                ends = [joints[:, j] for j in (*first, *second)]
                clear &= _segment_distance(*ends) >= MIN_DISTANCE_PX
    return clear


def _angle(corner: Array, a: Array, b: Array) -> Array:
    """Return the angle at ``corner`` between ``a`` and ``b``, each (N, 2): radians, shape (N,)."""
    u, v = a - corner, b - corner
    return np.arctan2(np.abs(_cross(u, v)), (u * v).sum(axis=-1))


def _segment_distance(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Return the distance of the segments ab and cd: ends (N, 2) in px, result (N,) in px."""
    nearest = np.minimum(
        np.minimum(_point_distance(a, c, d), _point_distance(b, c, d)),
        np.minimum(_point_distance(c, a, b), _point_distance(d, a, b)),
    )
    # They cross when each has its ends on both sides of the other.
    apart_cd = _cross(b - a, c - a) * _cross(b - a, d - a) < 0
    apart_ab = _cross(d - c, a - c) * _cross(d - c, b - c) < 0
    return np.where(apart_cd & apart_ab, 0.0, nearest)


def _point_distance(point: Array, a: Array, b: Array) -> Array:
    """Return the distance of ``point`` to the segment ab: all (N, 2) in px, result (N,) in px."""
    along = b - a
    share = ((point - a) * along).sum(axis=-1) / (along * along).sum(axis=-1)
    foot = a + np.clip(share, 0, 1)[:, None] * along
    return np.linalg.norm(point - foot, axis=-1)


def _cross(u: Array, v: Array) -> Array:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
