"""Poses in arrays, picture files, videos and what a webcam sees.

From what the user names to what is written: sources give frames, boxes say what to look at, the
estimate is smoothed over time if wanted, and writers make files of it.
"""

from gluon_dkpr.engine.prediction.boxes import Boxes
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.prediction.estimate import PoseEstimate, estimate_poses
from gluon_dkpr.engine.prediction.options import Options
from gluon_dkpr.engine.prediction.run import Prediction, predict_inputs
from gluon_dkpr.engine.prediction.smoothing import smooth_motion, smooth_poses

__all__ = [
    "Boxes",
    "Options",
    "PoseEstimate",
    "Prediction",
    "PredictionError",
    "estimate_poses",
    "predict_inputs",
    "smooth_motion",
    "smooth_poses",
]
