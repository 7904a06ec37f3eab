"""The error of the room."""

from gluon_dkpr.errors import DkprError


class PredictionError(DkprError, ValueError):
    """What is asked of a model cannot be predicted, or its result not be written."""
