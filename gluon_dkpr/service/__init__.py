"""Poses over HTTP: one network, one thread that runs it, and requests in batches.

Above the engine, and the only room that needs the packages of the extra ``serve``: Starlette for
the application, uvicorn for the protocol, prometheus_client for the counters.
"""

from importlib import import_module

from gluon_dkpr.service.limits import Limits, RequestError, ServiceError

PACKAGES = ("starlette", "uvicorn", "prometheus_client")


def check_packages() -> None:
    """Raise ServiceError, which says how to install them, unless the extra's packages are there."""
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise ServiceError(
                f"the service needs {name} ({error}); install the extra 'serve' or "
                "requirements/serve.txt"
            ) from None


__all__ = ["Limits", "RequestError", "ServiceError", "check_packages"]
