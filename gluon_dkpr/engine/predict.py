"""Poses in picture files: joints and angles as JSON, and the skeleton drawn over the picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

import cv2
import numpy as np

from gluon_dkpr.engine.evaluate import ImagePredictor, motion_of
from gluon_dkpr.engine.pictures import PictureFileError, read_picture, to_network_image
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write
from gluon_dkpr.geometry import Crop
from gluon_dkpr.skeleton import Skeleton
from gluon_dkpr.types import Array
from gluon_dkpr.viz import PREDICTED_COLOR, draw_pose

FORMAT = "gluon_dkpr/prediction/1"
# Small pictures are enlarged to about this many px, so that the skeleton does not hide them.
_OVERLAY_PX = 512


class PredictionError(DkprError, ValueError):
    """A model cannot predict what is asked."""


@dataclass(frozen=True)
class PicturePose:
    """A pose in a picture.

    Attributes:
        skeleton: the object.
        joints_px: shape (J, 2), px of the picture, x right and y down, the centre of the upper left
            pixel at (0, 0).
        angles_deg: of every parameter in radians, by name.
        crop: what the network saw of the picture.
    """

    skeleton: Skeleton
    joints_px: Array
    angles_deg: Dict[str, float]
    crop: Crop

    @property
    def root_px(self) -> Tuple[float, float]:
        """The root joint, (x, y), px of the picture."""
        x, y = self.joints_px[self.skeleton.joint_names.index(self.skeleton.root.name)]
        return float(x), float(y)


class WrittenFiles(NamedTuple):
    """What was written for a picture."""

    json: Path
    overlay: Path


class Prediction(NamedTuple):
    """What became of one picture: pose and files, or an error."""

    picture: Path
    pose: Optional[PicturePose]
    files: Optional[WrittenFiles]
    error: Optional[str]


def predict_picture(predictor: ImagePredictor, picture: Array) -> PicturePose:
    """Return the pose in a picture of any size.

    Args:
        predictor: of a two-dimensional skeleton in px; it knows its image shape.
        picture: uint8, shape (H, W, 3), red, green, blue.

    Raises:
        PredictionError: for another skeleton, or a prediction that is not finite.
        PictureFileError: for a picture that the network cannot be shown.
    """
    skeleton = predictor.skeleton
    if skeleton.dim != 2 or skeleton.length_unit != "px":
        raise PredictionError(
            f"the model predicts '{skeleton.name}' in {skeleton.dim} dimensions and "
            f"{skeleton.length_unit}, expected 2 and px"
        )
    image, crop = to_network_image(picture, predictor.image_shape)
    pose = predictor.predict(image[None])
    if not np.isfinite(pose.joints).all():
        raise PredictionError("the network's joints are not finite numbers")
    # A crop neither turns nor mirrors, so the angles are those in the picture.
    motion = motion_of(skeleton, pose)[0]
    degrees = {
        parameter.name: float(np.degrees(value))
        for parameter, value in zip(skeleton.parameters, motion)
        if parameter.unit == "radian"
    }
    return PicturePose(skeleton, crop.to_image(pose.joints[0]), degrees, crop)


def predict_files(
    predictor: ImagePredictor, pictures: Sequence[Union[str, Path]], folder
) -> Iterator[Prediction]:
    """Predict picture files one by one and write ``<stem>.json`` and ``<stem>-overlay.png``.

    A picture that fails does not stop the others. Where two have the same stem, or a file would be
    written over one of the pictures, the later one gets ``<stem>-2``, ``<stem>-3``, ...

    Args:
        predictor: as :func:`predict_picture` takes it.
        pictures: PNG or JPEG files.
        folder: made if it is missing.

    Yields:
        One :class:`Prediction` for each picture.

    Raises:
        PredictionError: for a model of another kind of skeleton.
        OSError: if the folder cannot be written to.
    """
    paths = [Path(picture) for picture in pictures]
    targets = output_files(paths, Path(folder))
    for path, files in zip(paths, targets):
        try:
            picture = read_picture(path)
            pose = predict_picture(predictor, picture)
        except PictureFileError as error:
            message = str(error)
            yield Prediction(path, None, None, message.replace(f"{path}: ", "", 1))
            continue
        Path(folder).mkdir(parents=True, exist_ok=True)
        _write_overlay(files.overlay, picture, pose)
        with atomic_write(files.json) as file:
            json.dump(_to_dict(path, picture, pose, predictor), file, indent=1, allow_nan=False)
            file.write("\n")
        yield Prediction(path, pose, files, None)


def output_files(pictures: Sequence[Path], folder: Path) -> List[WrittenFiles]:
    """Return the files of each picture, no two alike and none of them one of the pictures."""
    taken = {picture.resolve() for picture in pictures}
    chosen = []
    for picture in pictures:
        number, files = 1, _files(folder, picture.stem)
        while any(file.resolve() in taken for file in files):
            number += 1
            files = _files(folder, f"{picture.stem}-{number}")
        taken.update(file.resolve() for file in files)
        chosen.append(files)
    return chosen


def _files(folder: Path, stem: str) -> WrittenFiles:
    return WrittenFiles(folder / f"{stem}.json", folder / f"{stem}-overlay.png")


def _to_dict(path: Path, picture: Array, pose: PicturePose, predictor: ImagePredictor) -> dict:
    height, width = picture.shape[:2]
    joints = {
        name: [round(float(x), 3), round(float(y), 3)]
        for name, (x, y) in zip(pose.skeleton.joint_names, pose.joints_px)
    }
    return {
        "format": FORMAT,
        "picture": {"name": path.name, "width": width, "height": height},
        "skeleton": pose.skeleton.name,
        "method": predictor.method,
        "joints_px": joints,
        "angles_deg": {name: round(value, 3) for name, value in pose.angles_deg.items()},
        "crop": vars(pose.crop),
    }


def _write_overlay(path: Path, picture: Array, pose: PicturePose) -> None:
    scale, thickness = _overlay_size(picture.shape)
    drawn = draw_pose(picture, pose.skeleton, pose.joints_px, PREDICTED_COLOR, scale, thickness)
    _, data = cv2.imencode(".png", cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    with atomic_write(path, "wb") as file:
        file.write(data.tobytes())


def _overlay_size(shape: Tuple[int, ...]) -> Tuple[int, int]:
    """Return enlargement and line thickness for a picture of shape (H, W, 3)."""
    longer = max(shape[:2])
    scale = max(1, round(_OVERLAY_PX / longer))
    return scale, max(2, round(longer * scale / 200))
