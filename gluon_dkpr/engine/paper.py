"""What the paper reports of Human3.6M: its table 1 (Deep Kinematic Pose Regression, 2016).

Mean Euclidean error in mm of 17 root-relative joints on subjects S9 and S11, four cameras.
"""

from __future__ import annotations

from typing import Dict, Tuple

from gluon_dkpr.data.human import ACTIONS

#: Heads of the columns in table 1, by action.
ABBREVIATIONS: Dict[str, str] = dict(
    zip(
        ACTIONS,
        (
            *("Direc", "Discu", "Eat", "Greet", "Phone", "Photo", "Pose", "Purch"),
            *("Sit", "SitDn", "Smoke", "Wait", "WalkDog", "Walk", "WalkPair"),
        ),
    )
)
#: The rows of table 1, mm, in the order of ``ACTIONS``.
TABLE_1: Dict[str, Tuple[float, ...]] = {
    "Direct": (
        *(106.38, 104.68, 104.28, 107.80, 115.44, 114.05, 103.80, 109.03),
        *(125.87, 149.15, 112.64, 105.37, 113.69, 98.19, 110.17),
    ),
    "ModelFit": (
        *(109.75, 110.47, 113.98, 112.17, 123.66, 122.82, 121.27, 117.98),
        *(137.29, 157.44, 136.85, 110.57, 128.16, 102.25, 114.61),
    ),
    "Kinematic": (
        *(91.83, 102.41, 96.95, 98.75, 113.35, 125.22, 90.04, 93.84),
        *(132.16, 158.97, 106.91, 94.41, 126.04, 79.02, 98.96),
    ),
}
#: The last column of table 1 as it is printed: the unweighted mean of the actions.
AVERAGES: Dict[str, float] = {"Direct": 112.03, "ModelFit": 121.28, "Kinematic": 107.26}
