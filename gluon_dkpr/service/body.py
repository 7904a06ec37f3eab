"""What a request says: its body within bounds, and the box in its address."""

from __future__ import annotations

import asyncio
from typing import Optional

from starlette.requests import ClientDisconnect, Request

from gluon_dkpr.engine.prediction import PredictionError
from gluon_dkpr.engine.prediction.boxes import Box, parse_box
from gluon_dkpr.service.limits import Limits, RequestError

_BOX = "expected box=x,y,width,height in px of the picture"


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of a request.

    Raises:
        RequestError: 400 if it is empty, 408 if it takes too long, 413 if it is too large: as soon
            as that is known, 415 if it is packed, 499 if the sender has gone.
    """
    packed = request.headers.get("content-encoding", "identity")
    if packed != "identity":
        raise RequestError(415, f"content-encoding is {packed:.40}, expected none")
    declared = request.headers.get("content-length")
    if declared is not None:
        _check_size(int(declared), limits)
    try:
        body = await asyncio.wait_for(_receive(request, limits), limits.timeout)
    except asyncio.TimeoutError:
        message = f"the body has not arrived within {limits.timeout:g} s"
        raise RequestError(408, message, {"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestError(499, "the sender has gone") from None
    if not body:
        raise RequestError(400, "the body is empty, expected a PNG or JPEG picture")
    return body


async def _receive(request: Request, limits: Limits) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        _check_size(len(body), limits)
    return bytes(body)


def _check_size(size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise RequestError(413, f"the body has {size} bytes or more, expected at most "
                           f"{limits.max_bytes}")  # fmt: skip


def read_box(request: Request) -> Optional[Box]:
    """Return the box in the address of a request, ``None`` if it names none.

    Raises:
        RequestError: 422 for anything but one box.
    """
    pairs = request.query_params.multi_items()
    unknown = sorted({name for name, _ in pairs if name != "box"})
    if unknown:
        raise RequestError(422, f"parameter {unknown[0][:40]!r} is not known, {_BOX}")
    if len(pairs) > 1:
        raise RequestError(422, f"{len(pairs)} boxes, expected one: a request for each")
    if not pairs:
        return None
    try:
        return parse_box(pairs[0][1])
    except PredictionError as error:
        raise RequestError(422, str(error)) from None
