"""Starting the service and stopping it in good order."""

from __future__ import annotations

import logging
import signal
import socket
from typing import Callable, Optional, Tuple

import uvicorn

from gluon_dkpr.engine.predictor import ImagePredictor
from gluon_dkpr.service.app import PoseService, make_app
from gluon_dkpr.service.batcher import Batcher
from gluon_dkpr.service.limits import Limits, ServiceError
from gluon_dkpr.service.metrics import Metrics
from gluon_dkpr.service.protocol import MAX_HEAD_BYTES, protocol_with
from gluon_dkpr.service.work import PoseWork

# Connections beyond this are answered with 503, whatever they want.
MAX_CONNECTIONS = 500
KEEP_ALIVE_S = 5


class Server(uvicorn.Server):
    """A server of poses: its batcher's thread, its application and their end.

    Args:
        load: returns what predicts; called in the batcher's thread.
        limits: bounds.

    Raises:
        DkprError: what ``load`` raises.
    """

    def __init__(self, load: Callable[[], ImagePredictor], limits: Limits):
        metrics = Metrics(limits.batch)

        def make_work() -> PoseWork:
            work = PoseWork(load(), limits)
            for size in {1, limits.batch}:
                work.warm_up(size)
            return work

        self.batcher = Batcher(make_work, limits.batch, limits.wait_ms / 1000, metrics.batch)
        work = self.batcher.start()
        self.service = PoseService(work.predictor, self.batcher, limits, metrics)
        # A picture may take the time to arrive, and again the time to be answered.
        self.drain_s = 2 * limits.timeout
        super().__init__(
            uvicorn.Config(
                make_app(self.service, metrics),
                http=protocol_with(limits.timeout),
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=self.drain_s,
                loop="asyncio",
                ws="none",
                lifespan="off",
                interface="asgi3",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="error",
            )
        )

    def handle_exit(self, sig, frame) -> None:
        """Begin to drain: called by SIGTERM and SIGINT."""
        self.service.draining = True
        super().handle_exit(sig, frame)

    def serve_until_stopped(self, listener: socket.socket) -> None:
        """Answer requests until a signal comes and what was in flight is answered."""
        self.run(sockets=[listener])
        self.batcher.close(timeout=self.drain_s)


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: name or address.
        port: 0 for any that is free.

    Raises:
        ServiceError: if it cannot be had; says why.
    """
    try:
        if not 0 <= port < 65_536:  # getaddrinfo would cut it off
            raise OverflowError("a port is 0 to 65535")
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ServiceError(
            f"cannot listen at {host}, port {port}: {reason}; --port 0 takes one that is free"
        ) from None
    # Connections inherit it. Without it the body of an answer, which is written after its head,
    # waits 40 ms for the other side; asyncio does this only for sockets it has made itself.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def url_of(listener: socket.socket) -> str:
    """Return where a socket can be reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_service(
    load: Callable[[], ImagePredictor],
    limits: Optional[Limits] = None,
    address: Tuple[str, int] = ("127.0.0.1", 8000),
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Answer requests until SIGTERM or SIGINT.

    Then no more are accepted, those in flight are answered, and it returns: within twice the time
    limit, whatever the network does.

    Args:
        load: returns what predicts.
        limits: bounds.
        address: host and port.
        ready: is told the URL when requests are answered.

    Raises:
        ServiceError: if the address cannot be had.
        DkprError: what ``load`` raises.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    with open_listener(*address) as listener:
        server = Server(load, limits or Limits())
        # Uvicorn installs the same when it runs: a signal between here and there must not be lost.
        # It passes the signal on when all is done, to end the process as if it were its fault;
        # then this does nothing more.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)
        ready(url_of(listener))
        server.serve_until_stopped(listener)
