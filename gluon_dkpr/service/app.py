"""The service as an ASGI application."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any, Mapping, Optional

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.service.answers import USAGE, pose_answer, signature_answer
from gluon_dkpr.service.batcher import Batcher
from gluon_dkpr.service.body import read_body, read_box
from gluon_dkpr.service.limits import Limits, RequestError
from gluon_dkpr.service.metrics import Metrics
from gluon_dkpr.service.work import Found, Upload

LOG = logging.getLogger("gluon_dkpr.service")
LATER = {"Retry-After": "1"}


class PoseService:
    """Answers requests for poses.

    Args:
        predictor: tells names and units only; the network runs in the batcher's thread.
        batcher: of a :class:`~gluon_dkpr.service.work.PoseWork`.
        limits: bounds.
        metrics: what is counted.

    Attributes:
        draining: what is in flight is answered, more is sent away.
        in_flight: poses asked for and not yet answered.
    """

    def __init__(
        self, predictor: ImagePredictor, batcher: Batcher, limits: Limits, metrics: Metrics
    ):
        self._predictor, self._batcher = predictor, batcher
        self._limits, self._metrics = limits, metrics
        self.draining, self.in_flight = False, 0
        metrics.watch(lambda: len(batcher), lambda: self.in_flight)

    async def pose(self, request: Request) -> Response:
        """POST /v1/pose: the pose in the picture that is the body."""
        if self.draining:
            raise RequestError(503, "the service is being stopped", LATER)
        if self.in_flight >= self._limits.queue:
            message = f"{self.in_flight} requests are in flight, expected fewer; try again"
            raise RequestError(503, message, LATER)
        self.in_flight += 1
        try:
            box = read_box(request)
            upload = Upload(await read_body(request, self._limits), box)
            begin = time.perf_counter()
            found = await self._find(request, upload)
        finally:
            self.in_flight -= 1
        self._metrics.picture()
        return _json(pose_answer(self._predictor, found, time.perf_counter() - begin))

    async def _find(self, request: Request, upload: Upload) -> Found:
        """Have the pose found, as long as there is somebody who waits for it."""
        future = asyncio.wrap_future(self._batcher.submit(upload))
        # The body is complete: nothing more comes but the end of the connection.
        gone = asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait(
                {future, gone}, timeout=self._limits.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if future.done():
                return future.result()
            if gone.done():
                raise RequestError(499, "the sender has gone")
            raise RequestError(504, f"no pose within {self._limits.timeout:g} s, try again", LATER)
        finally:
            gone.cancel()
            future.cancel()

    async def signature(self, request: Request) -> Response:
        """GET /v1/signature: names, units and limits."""
        return _json(signature_answer(self._predictor, self._limits))

    async def health(self, request: Request) -> Response:
        """GET /health: whether requests are welcome."""
        if self.draining:
            return _json({"status": "draining"}, 503, LATER)
        return _json({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """GET /metrics: for Prometheus."""
        text, kind = self._metrics.text()
        return Response(text, headers={"Content-Type": kind})

    async def usage(self, request: Request) -> Response:
        """GET /: how to use it."""
        host = request.headers.get("host", "HOST:PORT")
        return PlainTextResponse(USAGE.format(host=host))


def make_app(service: PoseService, metrics: Metrics) -> Starlette:
    """Return the application; every error is answered as JSON, ``{"error": ...}``."""
    routes = [
        Route("/", service.usage),
        Route("/health", service.health),
        Route("/metrics", service.metrics),
        Route("/v1/pose", service.pose, methods=["POST"]),
        Route("/v1/signature", service.signature),
    ]
    paths = frozenset(route.path for route in routes)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(_Watch, metrics=metrics, paths=paths)],
        exception_handlers={RequestError: _refuse, HTTPException: _refuse_by_route},
    )
    # It would send people to whatever the request calls its host.
    app.router.redirect_slashes = False
    return app


class _Watch:
    """Counts requests, and answers what nobody has foreseen."""

    def __init__(self, app, metrics: Metrics, paths: frozenset):
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope, receive, send) -> None:
        begin, status = time.perf_counter(), None

        async def watched(message):
            nonlocal status
            status = message.get("status", status)
            await send(message)

        # Paths are a stranger's: only ours get a counter each.
        path = scope["path"] if scope["path"] in self._paths else "other"
        try:
            await self._app(scope, receive, watched)
        except Exception:
            LOG.exception("internal fault at %s %s", scope["method"], path)
            if status is not None:
                raise
            answer = _json({"error": "internal fault; the service's log tells more"}, 500)
            await answer(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - begin
            self._metrics.request(path, str(status or "none"), seconds)


async def _refuse(request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, error.status, error.headers)


async def _refuse_by_route(request: Request, error: Exception) -> Response:
    where = f"{request.method} {request.url.path}"
    message = f"{error.detail}: {where:.80}; GET / tells what there is"
    return _json({"error": message}, error.status_code, error.headers)


def _json(tree: Any, status: int = 200, headers: Optional[Mapping[str, str]] = None) -> Response:
    text = json.dumps(tree, allow_nan=False) + "\n"
    return Response(text, status, dict(headers or {}), media_type="application/json")
