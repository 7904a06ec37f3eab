"""What a service takes, and how it says no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional

from gluon_dkpr.errors import DkprError


class ServiceError(DkprError, ValueError):
    """A service cannot be started."""


class RequestError(DkprError):
    """A request cannot be answered.

    Args:
        status: of HTTP.
        message: what was found and what was expected.
        headers: more of the answer.
    """

    def __init__(self, status: int, message: str, headers: Optional[Mapping[str, str]] = None):
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})


# The network plans its memory for a whole batch.
MAX_BATCH = 256
# Eleven days. The system's clocks end somewhere beyond.
MAX_SECONDS = 1e6


@dataclass(frozen=True)
class Limits:
    """Bounds on size, number and time; together they bound the memory.

    Args:
        batch: pictures that go through the network together, at most.
        wait_ms: how long the first of a batch waits for others.
        max_bytes: of a request's body.
        max_pixels: of a picture; told from its header, before it is decoded.
        timeout: seconds in which a picture must have arrived, and again in which it must be
            answered.
        queue: requests that are read, wait or are computed at one time; more are sent away.

    Raises:
        ServiceError: for a number that is no limit.
    """

    batch: int = 8
    wait_ms: float = 5.0
    max_bytes: int = 10_000_000
    max_pixels: int = 16_000_000
    timeout: float = 30.0
    queue: int = 32

    def __post_init__(self):
        for name in ("batch", "max_bytes", "max_pixels", "queue"):
            if getattr(self, name) < 1:
                raise ServiceError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.batch > MAX_BATCH:
            raise ServiceError(f"batch is {self.batch}, expected at most {MAX_BATCH}")
        if not 0 <= self.wait_ms <= 1000 * MAX_SECONDS:
            most = f"{1000 * MAX_SECONDS:g}"
            raise ServiceError(f"wait_ms is {self.wait_ms}, expected 0 to {most}")
        if not 0 < self.timeout <= MAX_SECONDS:
            most = f"{MAX_SECONDS:g}"
            raise ServiceError(f"timeout is {self.timeout}, expected seconds above 0, up to {most}")
