"""Servers to ask, with predictors whose answers are known and which can be held up."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import struct
import threading
import time
import zlib
from typing import NamedTuple, Optional

import numpy as np
import pytest
from PIL import Image

for module in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(module, reason="requirements/serve.txt is not installed")

from gluon_dkpr.backend import mx  # noqa: E402
from gluon_dkpr.data import render_planar  # noqa: E402
from gluon_dkpr.engine.predictor import ImagePredictor  # noqa: E402
from gluon_dkpr.geometry import forward_kinematics  # noqa: E402
from gluon_dkpr.model_zoo import Pose  # noqa: E402
from gluon_dkpr.service import Limits  # noqa: E402
from gluon_dkpr.service.run import Server, open_listener  # noqa: E402
from gluon_dkpr.skeleton import planar  # noqa: E402

SHAPE = (128, 128, 1)
# No test should wait so long; it bounds those that fail.
PATIENCE_S = 150


class Centroid(ImagePredictor):
    """Says where the white of a picture is: another answer for every picture, the same in a batch.

    Attributes:
        batches: sizes of the batches so far.
        threads: that have called it.
        gate: holds calls up while it is not set.
        fault: raised, if there is one.
    """

    def __init__(self, method="kinematic"):
        super().__init__(planar(3), method, SHAPE, mx.cpu())
        self.batches, self.threads = [], {threading.current_thread()}
        self.gate, self.entered, self.fault = threading.Event(), threading.Event(), None
        self.gate.set()

    def predict(self, images):
        self.threads.add(threading.current_thread())
        self.batches.append(len(images))
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        if self.fault is not None:
            raise self.fault
        motion = np.array([self.motion(image) for image in images])
        joints = forward_kinematics(self.skeleton, motion)
        return Pose(joints, None if self.method == "direct" else motion)

    @staticmethod
    def motion(image):
        rows, columns = np.nonzero(image[..., 0])
        spread = rows.std() / 128 if len(rows) else 0.0
        return [columns.mean() if len(rows) else 0.0, rows.mean() if len(rows) else 0.0, spread]


class Answer(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """The text of an error; also checks that the answer is one, and tells no secrets."""
        assert list(self.json) == ["error"], self.body
        assert self.headers["content-type"] == "application/json"
        assert "Traceback" not in self.json["error"]
        assert ".py" not in self.json["error"]
        return self.json["error"]


class Running:
    """A server in a thread of this process."""

    def __init__(self, predictor: ImagePredictor, **limits):
        self.listener = open_listener("127.0.0.1", 0)
        self.port = self.listener.getsockname()[1]
        self.server = Server(lambda: predictor, Limits(**limits))
        self.thread = threading.Thread(
            target=self.server.serve_until_stopped, args=[self.listener], daemon=True
        )
        self.thread.start()
        if isinstance(predictor, Centroid):
            predictor.batches.clear()  # of the warming up
            predictor.entered.clear()

    @property
    def in_flight(self) -> int:
        return self.server.service.in_flight

    def stop(self) -> None:
        self.server.handle_exit(15, None)
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()

    def ask(self, method: str, path: str, body=None, headers: Optional[dict] = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            return ask(connection, method, path, body, headers)

    def pose(self, data: bytes, query: str = "") -> Answer:
        return self.ask("POST", f"/v1/pose{query}", data)

    def metric(self, name: str) -> float:
        """Return the sum over all labels of a metric."""
        text = self.ask("GET", "/metrics").body.decode()
        lines = [line for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        assert lines, name
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def ask(connection, method: str, path: str, body=None, headers: Optional[dict] = None) -> Answer:
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, found, response.read())


@contextlib.contextmanager
def running(predictor: ImagePredictor, **limits):
    server = Running(predictor, **limits)
    try:
        yield server
    finally:
        if isinstance(predictor, Centroid):
            predictor.gate.set()
        server.stop()


def until(true, what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.002)


def toy_picture(x=60.0, y=40.0, angle_deg=35.0, size=128):
    """Return a picture of the toy, grey, 0 and 255."""
    joints = forward_kinematics(planar(3), [[x, y, np.radians(angle_deg)]])
    return render_planar(planar(3), joints, size, size)[0, ..., 0]


def encoded(picture, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*head: int, chunks: bytes = b"") -> bytes:
    """Return a PNG.

    Args:
        head: width, height, and if it is not grey: depth, colour, packing, filter, interlace.
        chunks: between its head and its end.
    """
    head = struct.pack(">IIBBBBB", *head, *(8, 0, 0, 0, 0)[len(head) - 2 :])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + chunk(b"IEND", b"")


def in_threads(calls):
    """Return what functions return that are called at one time."""
    results = [None] * len(calls)

    def call(index):
        results[index] = calls[index]()

    threads = [threading.Thread(target=call, args=[i], daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    return results
