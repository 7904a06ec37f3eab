"""From uploaded bytes to poses: what the service's one thread does."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Union

import numpy as np

from gluon_dkpr.engine.pictures import (
    PictureFileError,
    PictureKindError,
    PictureSizeError,
    decode_picture,
)
from gluon_dkpr.engine.prediction import PoseEstimate
from gluon_dkpr.engine.prediction.boxes import Box
from gluon_dkpr.engine.prediction.estimate import Seen, estimate_seen, see
from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.errors import DkprError
from gluon_dkpr.service.guard import check_parts
from gluon_dkpr.service.limits import Limits, RequestError
from gluon_dkpr.types import Array

# What messages call an upload.
NAME = "the picture"
_KIND = ", expected the bytes of one as the whole body"
# The more general comes last.
_STATUS = ((PictureSizeError, 413), (PictureKindError, 415), (PictureFileError, 422))


class Upload(NamedTuple):
    """A picture as it came.

    Attributes:
        data: bytes of a PNG or JPEG.
        box: of the object; without it the whole picture.
    """

    data: bytes
    box: Optional[Box] = None


class Found(NamedTuple):
    """A pose, and the size of its picture in px."""

    estimate: PoseEstimate
    width: int
    height: int


class Shown(NamedTuple):
    """What is kept of an upload: what the network sees, not the picture, which may be large."""

    seen: Seen
    width: int
    height: int


class PoseWork:
    """Finds the poses in a batch of uploads; a bad one does not harm the others.

    Args:
        predictor: as :func:`~gluon_dkpr.engine.load.load_predictor` returns it.
        limits: of the service.
    """

    def __init__(self, predictor: ImagePredictor, limits: Limits):
        self.predictor, self._max_pixels = predictor, limits.max_pixels

    def warm_up(self, batch: int) -> None:
        """Run the network once, so that the first request need not wait for MXNet to plan it.

        Args:
            batch: pictures in a batch.
        """
        self.predictor.predict(np.zeros((batch, *self.predictor.image_shape), np.uint8))

    def prepare(self, upload: Upload) -> Shown:
        """Return what is shown to the network of an upload.

        Raises:
            RequestError: if that is the upload's fault: 413, 415 or 422.
        """
        try:
            picture = read_upload(upload, self._max_pixels)
            height, width = picture.shape[:2]
            return Shown(see(self.predictor, picture, upload.box), width, height)
        except PictureFileError as error:
            raise _to_request_error(error) from None

    def finish(self, shown: Sequence[Shown]) -> List[Union[Found, DkprError]]:
        """Return the pose, or why there is none, of each of those shown."""
        try:
            estimates = estimate_seen(self.predictor, [one.seen for one in shown])
        except DkprError as error:
            if len(shown) == 1:
                return [error]
            # One of them is to blame.
            return [result for one in shown for result in self.finish([one])]
        return [Found(e, one.width, one.height) for e, one in zip(estimates, shown)]


def read_upload(upload: Upload, max_pixels: int) -> Array:
    """Return the picture of an upload, uint8 (H, W, 3), red, green, blue.

    Raises:
        PictureFileError: for what is no picture, is damaged, too large or too slow to read.
    """
    check_parts(upload.data, NAME)
    return decode_picture(upload.data, NAME, max_pixels)


def _to_request_error(error: PictureFileError) -> RequestError:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return RequestError(status, f"{error}{_KIND if status == 415 else ''}")
