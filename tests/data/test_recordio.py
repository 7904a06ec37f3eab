"""The RecordIO container: interchangeable with MXNet's, and no damage goes unnoticed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.backend import mx
from gluon_dkpr.data.recordio import MAGIC, RecordError, frame, pack, parse_index, unframe, unpack

# Data in which the magic number is frequent, on and off the 4-byte boundary.
payloads = st.lists(st.one_of(st.just(MAGIC), st.binary(max_size=9)), max_size=8).map(b"".join)


@given(payloads)
def test_unframe_inverts_frame(data):
    blob = frame(data)
    assert len(blob) % 4 == 0
    assert unframe(blob) == data


@given(payloads, st.data())
def test_cut_frame_is_refused(data, draw):
    blob = frame(data)
    length = draw.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(RecordError):
        unframe(blob[:length])


def tricky_records():
    rng = np.random.default_rng(0)
    return [rng.bytes(n) + MAGIC * (n % 4) + rng.bytes(n % 7) for n in range(60)]


def test_mxnet_reads_our_frames(tmp_path):
    records, path = tricky_records(), tmp_path / "a.rec"
    path.write_bytes(b"".join(map(frame, records)))
    reader = mx.recordio.MXRecordIO(str(path), "r")
    assert [reader.read() for _ in records] == records
    assert reader.read() is None


def test_we_read_mxnets_frames(tmp_path):
    records, path = tricky_records(), tmp_path / "a.rec"
    writer = mx.recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(path), "w")
    for key, record in enumerate(records):
        writer.write_idx(key, record)
    writer.close()
    blob = path.read_bytes()
    edges = parse_index((tmp_path / "a.idx").read_bytes(), len(records), len(blob))
    assert [unframe(blob[a:b]) for a, b in zip(edges, edges[1:])] == records


def test_mxnet_unpacks_our_header():
    label = np.array([1.5, -2.0, 2.0**24], np.float32)
    header, image = mx.recordio.unpack(pack(2**40 + 1, label, b"image"))
    assert header.id == 2**40 + 1
    np.testing.assert_array_equal(header.label, label)
    assert image == b"image"


def test_unpack_inverts_pack():
    label = np.arange(5, dtype=np.float32)
    found, image = unpack(pack(7, label, b"image"), 7, 5)
    np.testing.assert_array_equal(found, label)
    assert image == b"image"


@pytest.mark.parametrize(
    ("key", "length", "cut", "message"),
    [
        (8, 2, None, "found the record of key 7"),
        (7, 3, None, "the label has 2 numbers, expected 3"),
        (7, 2, 10, "10 bytes, expected 24"),
        (7, 2, 28, "4 bytes, expected a label of 8"),
        (7, 2, 34, "checksum"),
    ],
)
def test_unpack_says_what_is_wrong(key, length, cut, message):
    record = pack(7, np.zeros(2, np.float32), b"image")
    with pytest.raises(RecordError, match=message):
        unpack(record[:cut], key, length)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0\t0\n1\tx\n", "something else than numbers"),
        (b"0\t0\n1\t16_0\n", "something else than numbers"),
        (b"0\t0\n1\t-4\n", "something else than numbers"),
        (b"", "0 lines, expected 2"),
        (b" \n", "0.5 lines, expected 2"),
        (b"0\t0\n", "1 lines, expected 2"),
        (b"0\t0\n1\n", "1.5 lines, expected 2"),
        (b"0\t0\n2\t16\n", "key 2 in line 2, expected 1"),
        (b"0\t4\n1\t16\n", "line 1 of the index"),
        (b"0\t0\n1\t0\n", "line 1 of the index"),
        (b"0\t0\n1\t32\n", "line 2 of the index"),
        (b"0\t0\n1\t" + b"9" * 30, "line 2 of the index"),
    ],
)
def test_index_that_does_not_fit_is_refused(text, message):
    with pytest.raises(RecordError, match=message):
        parse_index(text, count=2, total_bytes=32)
