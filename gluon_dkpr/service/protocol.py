"""HTTP with a bound on how long a connection may be in the making."""

from __future__ import annotations

import asyncio
import json
from typing import Optional

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# Of a request's head: address and header lines, bytes.
MAX_HEAD_BYTES = 16_384


class PatientProtocol(H11Protocol):
    """Uvicorn's protocol, which would wait for ever for the rest of a head or an unwanted body.

    Attributes:
        patience: seconds; while a request is answered, the application has its own bounds.
    """

    patience = 30.0
    _deadline: Optional[asyncio.TimerHandle] = None

    def connection_made(self, transport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on waiting unless a request is now being answered."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self._wait()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, as JSON, unless an answer is on its way."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = (json.dumps({"error": msg}) + "\n").encode("ascii")
            headers = [("content-type", "application/json"), ("connection", "close")]
            answer = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.patience, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def protocol_with(patience: float) -> type:
    """Return the protocol with so many seconds of patience."""
    return type("PatientProtocol", (PatientProtocol,), {"patience": patience})
