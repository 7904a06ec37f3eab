"""What Human3.6M calls its subjects, cameras, joints and actions, and what we call them."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from gluon_dkpr.data.human import ACTIONS
from gluon_dkpr.errors import DkprError

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
#: In the order in which a label's ``subject`` counts them.
SUBJECTS = TRAIN_SUBJECTS + TEST_SUBJECTS
#: In the order in which a label's ``camera`` counts them.
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
#: Frames a second of every original video.
FPS = 50.0
FILE_JOINTS = 32
#: Which of the 32 joints of a file are the 17 of ``human36m()``, in its order.
JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)

_SYNONYMS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}
# The whole name must match: "Sitting" begins "SittingDown", "Walking" begins "WalkingDog".
_NAME = re.compile(r"([A-Za-z]+)(?: ([0-9]{1,3}))?")


class H36mError(DkprError, ValueError):
    """Human3.6M cannot be converted as asked; the message names file, found and expected."""


class Problem(NamedTuple):
    """Something that is not as it should be, and that does not stop the rest.

    Attributes:
        kind: a few words that problems of the same sort share.
        where: subject, file (relative to the raw folder) or video.
        message: what was found, what was expected and what is done about it.
    """

    kind: str
    where: str
    message: str


class Take(NamedTuple):
    """An action as one file name tells it.

    Attributes:
        action: one of ``ACTIONS``.
        number: that the name ends with; ``None`` for none.
    """

    action: str
    number: Optional[int]

    @property
    def order(self) -> tuple:
        """Sorts the takes of an action: by number, the one without a number last."""
        return (self.number is None, self.number or 0)


def parse_take(name: str) -> Optional[Take]:
    """Return what ``Directions 1`` or ``TakingPhoto`` stands for, ``None`` if it is no action."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    action = _SYNONYMS.get(found[1], found[1])
    if action not in ACTIONS:
        return None
    return Take(action, None if found[2] is None else int(found[2]))


def is_skipped(name: str) -> bool:
    """Tell whether a file name is that of the calibration takes, action 1, which have no action."""
    return name.startswith("_ALL")
