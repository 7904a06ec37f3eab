"""Training, evaluation, model fit, export and prediction.

``fit_model`` needs no MXNet; the rest of the room is imported module by module where it is used.
"""

from gluon_dkpr.fit import FitResult, fit_model

__all__ = ["FitResult", "fit_model"]
