"""Bounds on size, number and time, and what was made to get around them."""

import contextlib
import json
import socket
import time

import numpy as np
import pytest
from servers import (
    PATIENCE_S,
    Centroid,
    Running,
    chunk,
    encoded,
    in_threads,
    png,
    running,
    toy_picture,
    until,
)

from gluon_dkpr.engine.pictures import PictureFileError
from gluon_dkpr.service import Limits, ServiceError
from gluon_dkpr.service.guard import MAX_JUNK, MAX_PARTS, MAX_SCANS, check_parts

HEAD = b"POST /v1/pose HTTP/1.1\r\nHost: localhost\r\n"


@contextlib.contextmanager
def connected(server: Running):
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as connection:
        yield connection


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def read_all(connection) -> bytes:
    """Return everything until the other side closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while True:
            part = connection.recv(65536)
            if not part:
                break
            parts.append(part)
    return b"".join(parts)


class TestSize:
    def test_a_length_that_is_declared_is_refused_at_once(self):
        with running(Centroid(), max_bytes=1000) as server, connected(server) as connection:
            connection.sendall(HEAD + b"Connection: close\r\nContent-Length: 1001\r\n\r\n")
            answer = read_all(connection)
        assert status_of(answer) == 413
        assert b"expected at most 1000" in answer

    def test_a_body_of_the_largest_size_is_taken(self):
        data = encoded(toy_picture())
        with running(Centroid(), max_bytes=len(data)) as server:
            assert server.pose(data).status == 200
            assert server.pose(data + b"\0").status == 413

    def test_a_body_of_no_declared_length_is_refused_while_it_comes(self):
        def endless():
            for _ in range(200):
                yield b"\0" * 10_000

        with running(Centroid(), max_bytes=50_000) as server:
            answer = server.ask("POST", "/v1/pose", endless())
            assert answer.status == 413
            # And the connection can be used again: nothing is left on it.
            assert server.pose(encoded(toy_picture())).status == 200

    @pytest.mark.parametrize(
        "data",
        [
            png(5000, 5000),
            png(2**31 - 1, 2**31 - 1),
            png(20_000, 1),
            encoded(np.zeros((1100, 1000), np.uint8)),
            encoded(np.zeros((1100, 1000), np.uint8), "JPEG"),
        ],
    )
    def test_pixels_are_counted_before_they_are_decoded(self, data):
        with running(Centroid(), max_pixels=1_000_000) as server:
            answer = server.pose(data)
        assert answer.status == 413
        assert "expected at most 1000000 px" in answer.error

    def test_a_head_that_does_not_end(self):
        with running(Centroid()) as server, connected(server) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(HEAD + b"X: " + b"y" * 100_000)
            assert read_all(connection)[9:12] in (b"400", b"")
            assert server.ask("GET", "/health").status == 200


class TestTypes:
    @pytest.mark.parametrize(
        "data",
        [b"GIF89a" + b"\0" * 50, b"RIFF\0\0\0\0WEBP", b"%PDF-1.7", b"\0" * 100, b"--boundary\r\n"],
    )
    def test_the_bytes_tell_the_type(self, data):
        with running(Centroid()) as server:
            answer = server.ask("POST", "/v1/pose", data, {"Content-Type": "image/png"})
        assert answer.status == 415
        assert "neither PNG nor JPEG, expected the bytes of one as the whole body" in answer.error

    def test_a_packed_body(self):
        with running(Centroid()) as server:
            answer = server.ask("POST", "/v1/pose", b"x", {"Content-Encoding": "gzip"})
        assert answer.status == 415
        assert "content-encoding is gzip, expected none" in answer.error

    def test_an_empty_body(self):
        with running(Centroid()) as server:
            assert server.pose(b"").status == 400


class TestNumber:
    def test_more_than_the_queue_holds_are_sent_away(self):
        predictor = Centroid()
        data = encoded(toy_picture())
        with running(predictor, queue=3, batch=1) as server:
            predictor.gate.clear()

            def probe():
                until(lambda: server.in_flight == 3, "3 requests are in flight")
                answer = server.pose(data)
                health = server.ask("GET", "/health")
                predictor.gate.set()
                return answer, health

            *answers, (refused, health) = in_threads([lambda: server.pose(data)] * 3 + [probe])
            assert [answer.status for answer in answers] == [200] * 3
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert "3 requests are in flight" in refused.error
            assert health.status == 200
            assert server.in_flight == 0
            assert server.pose(data).status == 200

    def test_an_upload_holds_its_place(self):
        with running(Centroid(), queue=1) as server, connected(server) as connection:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nsome")
            until(lambda: server.in_flight == 1, "the upload has begun")
            assert server.pose(encoded(toy_picture())).status == 503
            connection.close()
            until(lambda: server.in_flight == 0, "the sender is known to have gone")
            assert server.pose(encoded(toy_picture())).status == 200


class TestTime:
    def test_a_slow_upload(self):
        with running(Centroid(), timeout=0.3) as server, connected(server) as connection:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nsome")
            answer = read_all(connection)
            assert status_of(answer) == 408
            assert b"the body has not arrived within 0.3 s" in answer
            assert server.in_flight == 0

    @pytest.mark.parametrize("begin", [b"", b"POST /v1/po", HEAD])
    def test_a_head_that_never_comes(self, begin):
        with running(Centroid(), timeout=0.3) as server, connected(server) as connection:
            connection.sendall(begin)
            assert read_all(connection) == b""

    def test_a_body_that_nobody_wants_and_that_never_ends(self):
        limits = {"timeout": 0.3, "max_bytes": 10}
        with running(Centroid(), **limits) as server, connected(server) as connection:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n")
            connection.sendall(b"x" * 100 + b"\r\n")
            assert status_of(connection.recv(65536)) == 413
            begin = time.monotonic()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                while time.monotonic() < begin + PATIENCE_S:
                    connection.sendall(b"1\r\nx\r\n")
                    time.sleep(0.02)

    def test_a_slow_prediction_is_given_up(self):
        predictor = Centroid()
        with running(predictor, timeout=0.3, batch=1) as server:
            predictor.gate.clear()
            first, second = in_threads([lambda: server.pose(encoded(toy_picture()))] * 2)
            for answer in (first, second):
                assert (answer.status, answer.headers["retry-after"]) == (504, "1")
                assert "no pose within 0.3 s" in answer.error
            predictor.gate.set()
            # The second was cancelled before its batch: nobody computes it.
            assert server.pose(encoded(toy_picture())).status == 200
            assert predictor.batches == [1, 1]

    def test_a_sender_that_goes_is_not_computed_for(self):
        predictor = Centroid()
        data = encoded(toy_picture())
        with running(predictor, batch=1) as server:
            predictor.gate.clear()

            def others():
                assert predictor.entered.wait(PATIENCE_S)
                with connected(server) as connection:
                    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(data) + data)
                    until(lambda: server.in_flight == 2, "the second waits")
                until(lambda: server.in_flight == 1, "the second has gone")
                predictor.gate.set()

            first, _ = in_threads([lambda: server.pose(data), others])
            assert first.status == 200
            assert server.pose(data).status == 200
            assert predictor.batches == [1, 1]


class TestGuard:
    def test_usual_pictures_pass(self):
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        for data in (
            encoded(noise),
            encoded(noise, "JPEG"),
            encoded(noise, "JPEG", progressive=True),
            encoded(noise, "JPEG", comment=b"c" * 60_000, icc_profile=b"i" * 200_000),
        ):
            check_parts(data, "it")
            for length in (0, 3, 9, 20, 200):
                check_parts(data[:length], "it")

    def test_a_jpeg_that_sends_its_pixels_again_and_again(self):
        data = encoded(np.zeros((512, 512), np.uint8), "JPEG", progressive=True)
        scan = data[data.rindex(b"\xff\xda") : -2]
        with pytest.raises(PictureFileError, match=f"scans, expected at most {MAX_SCANS}"):
            check_parts(data[:-2] + scan * 40 + data[-2:], "it")

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (png(8, 8, chunks=chunk(b"IDAT", b"") * MAX_PARTS), "chunks"),
            (b"\xff\xd8" + b"\xff\xfe\x00\x02" * MAX_PARTS, "segments"),
            (b"\xff\xd8" + b"\xff\xff" * MAX_PARTS, "segments"),
            (b"\xff\xd8\xff\xfe\x00\x02" + b"\0" * (MAX_JUNK + 1), "between its segments"),
            (b"\xff\xd8" + b"\xff\0\0" * MAX_JUNK, "segments"),
        ],
    )
    def test_millions_of_empty_parts(self, data, expected):
        begin = time.process_time()
        with pytest.raises(PictureFileError, match=expected):
            check_parts(data + b"\0" * 1_000_000, "it")
        assert time.process_time() - begin < 1
        with running(Centroid()) as server:
            assert server.pose(data).status == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch": 0},
        {"batch": 10_000},
        {"max_bytes": 0},
        {"max_pixels": -1},
        {"queue": 0},
        {"timeout": 0.0},
        {"timeout": float("nan")},
        {"timeout": 1e12},
        {"wait_ms": -1.0},
        {"wait_ms": float("inf")},
        {"wait_ms": 1e15},
    ],
)
def test_limits_that_are_none(wrong):
    with pytest.raises(ServiceError, match=f"{next(iter(wrong))} is .*, expected"):
        Limits(**wrong)


def test_what_is_not_http_is_told_so():
    with running(Centroid()) as server, connected(server) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        head, body = read_all(connection).split(b"\r\n\r\n", 1)
    assert status_of(head) == 400
    assert list(json.loads(body)) == ["error"]
