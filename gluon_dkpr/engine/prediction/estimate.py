"""Poses in pictures that are NumPy arrays."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from gluon_dkpr.engine.evaluate import motion_of
from gluon_dkpr.engine.pictures import to_network_image
from gluon_dkpr.engine.prediction.boxes import check_box, check_inside, crop_around
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.placing import place, project
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.fit import fit_model
from gluon_dkpr.geometry import Crop
from gluon_dkpr.model_zoo import Pose
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array

BATCH = 32
#: A focal length in px, or focal lengths x, y and principal point x, y.
Camera = Union[float, Sequence[float]]


@dataclass(frozen=True)
class PoseEstimate:
    """A pose in a picture.

    Attributes:
        skeleton: the object.
        joints: (J, D), in the skeleton's unit. Of people: mm, measured from the root joint, axes
            of the camera. Of an object in px: px of the crop.
        joints_px: (J, 2), px of the picture, x right and y down, the centre of the upper left pixel
            at (0, 0).
        motion: (P,), radians and the skeleton's unit, in the frame of ``joints``; ``None`` for
            direct joint in three dimensions, unless its skeleton has been fitted.
        crop: what the network saw of the picture.
        margin: of the crop, see :class:`~gluon_dkpr.engine.signature_parts.NetworkImages`.
        intrinsics: of the camera, if it is known, (4,): focal lengths x, y, principal point x, y,
            px.
        root: where the root joint is in the frame of this camera, (3,), in the skeleton's unit, if
            a body of the skeleton's size is seen; else ``None``.
    """

    skeleton: Skeleton
    joints: Array
    joints_px: Array
    motion: Optional[Array]
    crop: Crop
    margin: float = 0.0
    intrinsics: Optional[Array] = None
    root: Optional[Array] = None

    @property
    def angles_deg(self) -> Optional[Dict[str, float]]:
        """Every parameter in radians, by name, in degrees; ``None`` without a motion."""
        if self.motion is None:
            return None
        pairs = zip(self.skeleton.parameters, self.motion)
        return {p.name: float(np.degrees(value)) for p, value in pairs if p.unit == "radian"}

    @property
    def root_px(self) -> Tuple[float, float]:
        """The root joint, (x, y), px of the picture."""
        x, y = self.joints_px[self.skeleton.joint_names.index(self.skeleton.root.name)]
        return float(x), float(y)


def estimate_poses(
    predictor: ImagePredictor,
    pictures: Sequence[Array],
    boxes: Optional[Sequence] = None,
    batch: int = BATCH,
    camera: Optional[Camera] = None,
    model_fit: bool = False,
) -> List[PoseEstimate]:
    """Return the pose in each picture.

    Args:
        predictor: from :func:`~gluon_dkpr.engine.load.load_predictor`.
        pictures: uint8, shape (H, W, 3) each, red, green, blue, of any size.
        boxes: what to look at in each picture, (x, y, width, height) in px, from the outer corner
            of the upper left pixel; may reach beyond the picture. The network sees the smallest
            square around it, with the margin of its training set. ``None``, for all or for one:
            the whole picture, which then is the network's crop.
        batch: pictures that the network sees at a time.
        camera: of all pictures, focal length in px (with the principal point in the middle of each
            picture) or focal lengths x, y and principal point x, y. Without it joints are put into
            the picture by weak perspective, see
            :func:`~gluon_dkpr.engine.prediction.placing.place`.
        model_fit: replace what direct joint predicts by the pose of the skeleton nearest to it,
            which gives the motion. Without effect on the other methods.

    Raises:
        PredictionError: for a box, camera or batch that is none, a model that cannot tell its
            image size, or a prediction that is not finite.
        PictureFileError: for a picture that the network cannot be shown.
    """
    if boxes is not None and len(boxes) != len(pictures):
        raise PredictionError(f"{len(boxes)} boxes, expected {len(pictures)}, one for each picture")
    check_batch(batch)
    boxes = [None] * len(pictures) if boxes is None else boxes
    estimates = []
    for begin in range(0, len(pictures), batch):
        some = slice(begin, begin + batch)
        seen = [see(predictor, *pair, camera) for pair in zip(pictures[some], boxes[some])]
        estimates += estimate_seen(predictor, seen, model_fit)
    return estimates


@dataclass(frozen=True)
class Seen:
    """A picture as the network sees it: uint8 image, its crop, and the camera's intrinsics."""

    image: Array
    crop: Crop
    intrinsics: Optional[Array]


def see(
    predictor: ImagePredictor,
    picture: Array,
    box: Optional[Sequence[float]] = None,
    camera: Optional[Camera] = None,
) -> Seen:
    """Return what the network sees of a picture; arguments and errors as :func:`estimate_poses`."""
    if predictor.image_shape is None:
        raise PredictionError("the model does not know which image size it takes")
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise PredictionError(
            f"a picture is {picture.dtype} {picture.shape}, expected uint8 (H, W, 3)"
        )
    crop = None
    if box is not None:
        box = check_box(box)
        check_inside(box, picture.shape)
        crop = crop_around(box, predictor.image_shape[0], predictor.margin)
    image, crop = to_network_image(picture, predictor.image_shape, crop, predictor.grey)
    return Seen(image, crop, None if camera is None else intrinsics_of(camera, picture.shape))


def estimate_seen(
    predictor: ImagePredictor,
    seen: Sequence[Seen],
    model_fit: bool = False,
    sequence: bool = False,
    before: Optional[PoseEstimate] = None,
) -> List[PoseEstimate]:
    """Return the poses in what one call of the network sees.

    Args:
        predictor: as in :func:`estimate_poses`.
        seen: from :func:`see`.
        model_fit: as in :func:`estimate_poses`.
        sequence: they follow each other in time, which the fit then uses.
        before: the pose before the first, of a sequence.
    """
    if not seen:
        return []
    skeleton = predictor.skeleton
    pose = predictor.predict(np.stack([one.image for one in seen]))
    if not all(values is None or np.isfinite(values).all() for values in pose):
        raise PredictionError("the network's joints are not finite numbers")
    pose = Pose(pose.joints, motion_of(skeleton, pose))
    if skeleton.length_unit != "px":
        pose = from_root(skeleton, pose)
    if model_fit and pose.motion is None:
        init = None if before is None else before.motion
        fitted = fit_model(skeleton, pose.joints, init=init, sequence=sequence)
        pose = from_root(skeleton, Pose(fitted.joints, fitted.motion))
    estimates = []
    for i, one in enumerate(seen):
        motion = None if pose.motion is None else pose.motion[i]
        joints, margin = pose.joints[i], predictor.margin
        empty = np.full((len(joints), 2), np.nan)
        parts = skeleton, joints, empty, motion, one.crop, margin, one.intrinsics
        estimates.append(PoseEstimate(*parts))
    return placed(estimates)


def placed(estimates: Sequence[PoseEstimate]) -> List[PoseEstimate]:
    """Return the poses with ``joints_px`` and ``root`` as their joints and crops tell them."""
    if not estimates:
        return []
    first = estimates[0]
    if first.skeleton.length_unit == "px":
        # A crop neither turns nor mirrors, so the angles are those in the picture.
        return [
            dataclasses.replace(one, joints_px=one.crop.to_image(one.joints)) for one in estimates
        ]
    camera = None
    if first.intrinsics is not None:
        camera = np.array([one.intrinsics for one in estimates])
    joints = np.array([one.joints for one in estimates])
    where = place(first.skeleton, joints, [e.crop for e in estimates], first.margin, camera)
    return [
        dataclasses.replace(
            one,
            joints_px=where.joints_px[i],
            root=None if where.root is None else where.root[i],
        )
        for i, one in enumerate(estimates)
    ]


def project_again(estimate: PoseEstimate) -> PoseEstimate:
    """Return a pose, seen by a known camera, with ``joints_px`` as its joints and root tell."""
    joints_px = project(estimate.joints + estimate.root, estimate.intrinsics)
    return dataclasses.replace(estimate, joints_px=joints_px)


def from_root(skeleton: Skeleton, pose: Pose) -> Pose:
    """Return poses with the root joint at the origin, joints and motion alike."""
    root = pose.joints[:, skeleton.joint_names.index(skeleton.root.name)]
    motion = pose.motion
    if motion is not None and skeleton.position:
        motion = motion.copy()
        motion[:, [skeleton.parameter_names.index(name) for name in skeleton.position]] -= root
    return Pose(pose.joints - root[:, None], motion)


def intrinsics_of(camera: Camera, shape: Sequence[int]) -> Array:
    """Return focal lengths x, y and principal point x, y, (4,), px.

    Args:
        camera: as in :func:`estimate_poses`.
        shape: of the picture, height and width first.

    Raises:
        PredictionError: for anything else.
    """
    try:
        values = np.atleast_1d(np.asarray(camera, dtype=np.float64))
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape not in ((1,), (4,)) or not np.isfinite(values).all() or values[:2].min() <= 0:
        raise PredictionError(
            f"camera is {camera!r:.80}, expected a focal length in px above 0, or focal lengths "
            "x, y and principal point x, y"
        )
    if len(values) == 4:
        return values
    height, width = shape[:2]
    return np.array([values[0], values[0], (width - 1) / 2, (height - 1) / 2])


def check_batch(batch: int) -> None:
    """Raise PredictionError unless it is a number of pictures."""
    if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)) or batch < 1:
        raise PredictionError(f"batch is {batch!r}, expected 1 or more pictures")
