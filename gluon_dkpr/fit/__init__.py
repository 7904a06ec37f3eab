"""ModelFit: motion parameters from joints. NumPy only, works without MXNet."""

from gluon_dkpr.fit.checks import FitError, FitWarning
from gluon_dkpr.fit.model_fit import FitResult, fit_model

__all__ = ["FitError", "FitResult", "FitWarning", "fit_model"]
