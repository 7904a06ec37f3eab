"""What a service counts, in the text format of Prometheus."""

from __future__ import annotations

import math
from typing import Callable, Tuple

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """Counters of one service, in a registry of its own.

    Args:
        batch: pictures in a batch, at most.
    """

    def __init__(self, batch: int):
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "dkpr_requests", "Requests answered", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "dkpr_request_seconds",
            "Time from the head of a request to the end of its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        powers = (2**power for power in range(math.ceil(math.log2(batch))))
        self._batches = Histogram(
            "dkpr_batch_pictures",
            "Requests that were worked on together",
            buckets=(*powers, batch),
            registry=self._registry,
        )
        self._pictures = Counter(
            "dkpr_pictures", "Pictures whose pose was found", registry=self._registry
        )
        self._queue = Gauge(
            "dkpr_queue_length", "Requests that wait for their batch", registry=self._registry
        )
        self._places = Gauge(
            "dkpr_requests_in_flight",
            "Poses asked for and not yet answered",
            registry=self._registry,
        )

    def watch(self, waiting: Callable[[], int], in_flight: Callable[[], int]) -> None:
        """Say who knows the length of the queue and the requests in flight."""
        self._queue.set_function(waiting)
        self._places.set_function(in_flight)

    def request(self, path: str, status: str, seconds: float) -> None:
        """Count a request; ``path`` must be one of a few."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, size: int) -> None:
        """Count a batch."""
        self._batches.observe(size)

    def picture(self) -> None:
        """Count a pose found."""
        self._pictures.inc()

    def text(self) -> Tuple[bytes, str]:
        """Return all of it, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
