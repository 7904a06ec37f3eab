"""Broken uploads: always a clean answer, never a fault, and the service lives on."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import zlib
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from servers import PATIENCE_S, Centroid, ask, chunk, encoded, png, running, toy_picture

REFUSED = {400, 413, 415, 422}
LIMITS = {"max_bytes": 100_000, "max_pixels": 250_000, "wait_ms": 0.0}
PHOTO = np.dstack([toy_picture()] * 3)
GOOD = {
    "grey.png": encoded(toy_picture()),
    "colour.png": encoded(PHOTO),
    "alpha.png": encoded(np.dstack([PHOTO, toy_picture()])),
    "grey.jpg": encoded(toy_picture(), "JPEG"),
    "progressive.jpg": encoded(PHOTO, "JPEG", progressive=True),
}


# By how many zeros are in them.
PACKED = {count: zlib.compress(bytes(count)) for count in (0, 10, 100, 10**6, 3 * 10**6)}


@pytest.fixture(scope="module")
def service():
    with running(Centroid(), **LIMITS) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        yield server, connection
        connection.close()
        assert server.pose(GOOD["grey.png"]).status == 200
        assert server.in_flight == 0


def check(service, body, query="", kind="image/png"):
    """Send something and check that the answer is a pose or says what is wrong."""
    answer = ask(service[1], "POST", f"/v1/pose{query}", body, {"Content-Type": kind})
    if answer.status == 200:
        values = [*answer.json["joints"].values(), *answer.json["joints_px"].values()]
        assert np.isfinite(values).all()
    else:
        assert answer.status in REFUSED, (answer, body[:100])
        assert answer.error
        assert len(answer.body) < 500
    return answer.status


@st.composite
def mutated(draw):
    """Good pictures with bytes changed, added, taken away or doubled, cut off or put together."""
    data = bytearray(GOOD[draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(draw(st.integers(1, 4))):
        # Heads are short and matter most.
        last = min(len(data), draw(st.sampled_from([40, 400, 10**6])))
        place = draw(st.integers(0, last))
        length = draw(st.sampled_from([0, 1, 2, 4, 50]))
        what = draw(st.sampled_from("change add take double cut".split()))
        if what == "change":
            data[place : place + length] = draw(st.binary(min_size=length, max_size=length))
        elif what == "add":
            data[place:place] = draw(st.binary(max_size=60))
        elif what == "take":
            del data[place : place + length]
        elif what == "double":
            data[place:place] = data[place : place + 50 * length]
        else:
            del data[place:]
    return bytes(data)


@st.composite
def declared_png(draw):
    """PNGs with right checksums whose heads say anything, and whose pixels may be few or many."""
    sizes = st.one_of(st.integers(0, 600), st.integers(0, 2**32 - 1))
    depth, colour, packing, filtering, interlace = (
        draw(st.sampled_from(values))
        for values in ([1, 2, 4, 8, 16, 255], [0, 2, 3, 4, 6, 7], [0, 1], [0, 1], [0, 1, 2])
    )
    head = (draw(sizes), draw(sizes), depth, colour, packing, filtering, interlace)
    pixels = PACKED[draw(st.sampled_from([0, 100, 10**6]))]
    pixels = pixels[: draw(st.sampled_from([0, 5, len(pixels)]))]
    kinds = st.sampled_from([b"iCCP", b"zTXt", b"PLTE", b"tRNS", b"eXIf"])
    extra = [
        chunk(kind, PACKED[draw(st.sampled_from([10, 3 * 10**6]))])
        for kind in draw(st.lists(kinds, max_size=3))
    ]
    return png(*head, chunks=b"".join(extra) + chunk(b"IDAT", pixels))


@st.composite
def declared_jpeg(draw):
    """JPEGs whose frame says another size or number of colours than they have."""
    data = bytearray(GOOD[draw(st.sampled_from(["grey.jpg", "progressive.jpg"]))])
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    size = st.one_of(st.integers(0, 600), st.integers(0, 65535))
    data[frame + 5 : frame + 9] = struct.pack(">HH", draw(size), draw(size))
    if draw(st.booleans()):
        data[frame + 9] = draw(st.integers(0, 255))
    return bytes(data)


uploads = st.one_of(
    mutated(),
    declared_png(),
    declared_jpeg(),
    st.binary(max_size=300),
    st.binary(max_size=100).map(lambda data: b"\x89PNG\r\n\x1a\n" + data),
    st.binary(max_size=100).map(lambda data: b"\xff\xd8\xff" + data),
    st.sampled_from(sorted(GOOD.values())),
)
numbers = st.one_of(st.floats(), st.integers(-(10**12), 10**12), st.floats(-200, 300))
boxes = st.one_of(
    st.just(""),
    st.text(max_size=30).map(lambda text: "?box=" + quote(text)),
    st.text(max_size=30).map(lambda text: "?" + quote(text)),
    st.lists(numbers, min_size=4, max_size=4).map(
        lambda box: "?box=" + quote(",".join(map(str, box)))
    ),
)
shared = settings(suppress_health_check=list(HealthCheck), deadline=None)


@settings(shared, max_examples=200)
@given(uploads, boxes, st.sampled_from(["image/png", "text/html", "multipart/form-data", ""]))
@example(GOOD["grey.png"], "?box=0,0,5e-324,5e-324", "image/png")
@example(GOOD["grey.png"], "?box=50,30,1e-300,1e6", "image/png")
@example(GOOD["grey.png"], "?box=50,30,1e-30,1e-30", "image/png")
def test_whatever_is_sent_the_answer_is_clean(service, body, query, kind):
    check(service, body, query, kind)


@pytest.mark.slow
def test_whatever_is_sent_the_answer_is_clean_at_length(service):
    before = resident_bytes()

    @settings(shared, max_examples=5_000)
    @given(uploads, boxes)
    def send(body, query):
        check(service, body, query)

    send()
    assert resident_bytes() - before < 300e6


@settings(shared, max_examples=50)
@given(st.binary(max_size=200), st.sampled_from([b"", b"GET / HTTP/1.1\r\n", b"POST /v1/pose "]))
def test_whatever_is_no_http_is_refused_or_closed(service, data, begin):
    with socket.create_connection(("127.0.0.1", service[0].port), PATIENCE_S) as connection:
        connection.sendall(begin + data + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert answer[:9] in (b"", b"HTTP/1.1 ")
    assert answer[9:10] in (b"", b"2", b"4")


def test_damage_is_found_where_it_is(service):
    """Of a PNG cut off anywhere nothing is predicted; of one that is whole, a pose is."""
    data = GOOD["colour.png"]
    assert check(service, data) == 200
    cuts = range(1, len(data) - 20, max(1, len(data) // 40))
    assert {check(service, data[:cut]) for cut in cuts} == {415, 422}


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
