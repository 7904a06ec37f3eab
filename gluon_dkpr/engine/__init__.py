"""Training, evaluation, model fit, export and prediction.

``fit_model`` needs no MXNet. What does is imported when it is asked for; the rest of the room is
imported module by module where it is used.
"""

from gluon_dkpr.fit import FitResult, fit_model

__all__ = [
    "FitResult",
    "estimate_poses",
    "export_model",
    "fit_model",
    "load_export",
    "load_predictor",
]


def __getattr__(name):
    if name in ("export_model", "load_export"):
        from gluon_dkpr.engine import export

        return getattr(export, name)
    if name == "load_predictor":
        from gluon_dkpr.engine.load import load_predictor

        return load_predictor
    if name == "estimate_poses":
        from gluon_dkpr.engine.prediction import estimate_poses

        return estimate_poses
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
