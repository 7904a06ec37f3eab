"""Data sets on disk: written whole or not at all, read back equal, damage refused."""

import errno
import json
import multiprocessing
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.data import (
    ImageFormat,
    LabelField,
    LabelLayout,
    RecordDataset,
    RecordError,
    make_toy_record,
    pose_layout,
    record_paths,
    write_record,
)
from gluon_dkpr.skeleton import planar

COUNTS = {"train": 12, "test": 5}
SKELETON = planar(3)
LAYOUT = LabelLayout((*pose_layout(SKELETON).fields, LabelField("subject", (), "1")))
IMAGE = ImageFormat(8, 6, 3, "png")


def make_samples():
    """Return images and labels by split, noise that nothing could guess."""
    rng = np.random.default_rng(5)
    return {
        split: [
            (
                rng.integers(0, 256, IMAGE.shape, dtype=np.uint8),
                {f.name: rng.normal(size=f.shape).astype(np.float32) for f in LAYOUT.fields},
            )
            for _ in range(count)
        ]
        for split, count in COUNTS.items()
    }


def write(path, samples=None, **changes):
    samples = samples or make_samples()
    encoded = {
        split: ((IMAGE.encode(image), LAYOUT.pack(labels)) for image, labels in some)
        for split, some in samples.items()
    }
    arguments = {"skeleton": SKELETON, "layout": LAYOUT, "image": IMAGE, "splits": encoded}
    return write_record(path, **{**arguments, "source": {"generator": "test"}, **changes})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def written(tmp_path):
    write(tmp_path / "set")
    return tmp_path / "set.rec"


@pytest.mark.parametrize("suffix", ["", ".rec", ".idx", ".json"])
def test_reads_back_what_was_written(written, suffix):
    for split, samples in make_samples().items():
        dataset = RecordDataset(str(written)[: -len(".rec")] + suffix, split)
        assert len(dataset) == len(samples)
        assert dataset.skeleton == SKELETON
        assert dataset.layout == LAYOUT
        assert dataset.image_shape == (8, 6, 3)
        images, labels = dataset.read(dataset.keys)
        only_labels = dataset.read_labels(dataset.keys)
        assert images.dtype == np.uint8
        for i, (image, sample) in enumerate(samples):
            np.testing.assert_array_equal(images[i], image)
            for name in LAYOUT.names:
                np.testing.assert_array_equal(labels[name][i], sample[name])
                np.testing.assert_array_equal(only_labels[name][i], sample[name])
        dataset.verify()


def test_reads_in_the_order_of_the_keys(written):
    dataset = RecordDataset(written, "test")
    assert dataset.keys.tolist() == [12, 13, 14, 15, 16]
    images, labels = dataset.read([16, 12, 16])
    samples = make_samples()["test"]
    for found, place in zip(range(3), (4, 0, 4)):
        np.testing.assert_array_equal(images[found], samples[place][0])
        assert labels["subject"][found] == samples[place][1]["subject"]
    images, labels = dataset.read([])
    assert images.shape == (0, 8, 6, 3)
    assert labels["joints"].shape == (0, 3, 2)


def test_wrong_array_is_no_damaged_record(written):
    dataset = RecordDataset(written, "test")
    for out in (np.zeros((1, 8, 6, 3), np.uint8), np.zeros((2, 8, 6, 3), np.float32)):
        with pytest.raises(RecordError, match="^out is .*, expected uint8") as caught:
            dataset.read([12, 13], out=out)
        assert type(caught.value) is RecordError


def test_mxnet_reads_the_set(written):
    idx_path = str(written.with_suffix(".idx"))
    reader = mx.recordio.MXIndexedRecordIO(idx_path, str(written), "r")
    samples = [sample for some in make_samples().values() for sample in some]
    assert reader.keys == list(range(len(samples)))
    for key, (image, labels) in enumerate(samples):
        header, found = mx.recordio.unpack_img(reader.read_idx(key))
        assert header.id == key
        np.testing.assert_array_equal(header.label, LAYOUT.pack(labels))
        np.testing.assert_array_equal(found[..., ::-1], image)


def test_threads_forks_and_pickles_read_alike(written):
    dataset = RecordDataset(written, "train")
    expected, _ = dataset.read(dataset.keys)
    keys = [[key] for key in dataset.keys.tolist()] * 5
    with ThreadPoolExecutor(4) as threads:
        by_threads = [images for images, _ in threads.map(dataset.read, keys)]
    with multiprocessing.get_context("fork").Pool(2) as processes:
        by_forks = [images for images, _ in processes.map(dataset.read, keys)]
    for some in (by_threads, by_forks):
        np.testing.assert_array_equal(np.concatenate(some), np.tile(expected, (5, 1, 1, 1)))
    again, _ = pickle.loads(pickle.dumps(dataset)).read(dataset.keys)
    np.testing.assert_array_equal(again, expected)


def test_closed_set_does_not_read_another_file(written):
    with RecordDataset(written, "train") as dataset:
        dataset.read([0])
    with pytest.raises(ValueError, match="closed"):
        dataset.read([0])


def refused(path, split="train"):
    """Return the message with which a set is refused, checking that it is one line."""
    with pytest.raises(RecordError) as caught:
        RecordDataset(path, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".rec", ".idx", ".json"])
def test_missing_file_is_named(written, suffix):
    missing = written.with_suffix(suffix)
    missing.unlink()
    assert refused(written).startswith(f"{missing}: cannot be opened: No such file")


def test_unknown_split_and_key_are_named(written):
    assert "no split 'val', expected ['train', 'test']" in refused(written, "val")
    dataset = RecordDataset(written, "test")
    for key in (-1, 11, 17):
        with pytest.raises(
            RecordError, match=f"key {key} is not in split 'test', expected 12 to 16"
        ):
            dataset.read([key])


@pytest.mark.parametrize("suffix", [".rec", ".idx"])
def test_every_truncation_is_refused(written, suffix):
    path = written.with_suffix(suffix)
    whole = path.read_bytes()
    # The last byte of the index is a line end, which nothing depends on.
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        assert refused(written).startswith(f"{path}: ")
    path.write_bytes(whole + b"1")
    assert refused(written).startswith(f"{path}: ")


def test_truncation_after_opening_is_noticed(written):
    dataset = RecordDataset(written, "train")
    os.truncate(written, 100)
    with pytest.raises(RecordError, match="record 11 is damaged"):
        dataset.read([11])


def test_no_flipped_bit_goes_unnoticed(written):
    dataset = RecordDataset(written, "train")
    images, labels = dataset.read([3])
    lines = written.with_suffix(".idx").read_text().splitlines()
    begin, end = (int(line.split()[1]) for line in lines[3:5])
    unnoticed = []
    with open(written, "r+b") as file:
        for place in range(begin, end):
            file.seek(place)
            original = file.read(1)
            file.seek(place)
            file.write(bytes([original[0] ^ 1 << place % 8]))
            file.flush()
            try:
                again, more = dataset.read([3])
                # Only what carries nothing: the header's single label, and the padding.
                unnoticed.append(place - begin)
                np.testing.assert_array_equal(again, images)
                np.testing.assert_array_equal(more["joints"], labels["joints"])
            except RecordError as error:
                assert f"{written}: record 3 is damaged: " in str(error)
            with pytest.raises(RecordError, match="SHA-256 is"):
                dataset.verify()
            file.seek(place)
            file.write(original)
            file.flush()
    dataset.verify()
    header_label = set(range(12, 16))
    padding = set(range(end - begin - 3, end - begin))
    assert set(unnoticed) <= header_label | padding


def test_swapped_index_lines_are_noticed(written):
    idx_path = written.with_suffix(".idx")
    lines = [line.split("\t") for line in idx_path.read_text().splitlines()]
    lines[4][1] = str(int(lines[4][1]) + 4)
    idx_path.write_text("".join(f"{key}\t{offset}\n" for key, offset in lines))
    dataset = RecordDataset(written, "train")
    dataset.read([0, 1, 2, 5, 6])
    for key in (3, 4):
        with pytest.raises(RecordError, match=f"record {key} is damaged"):
            dataset.read([key])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "gluon_dkpr/record/2"}, "schema is 'gluon_dkpr/record/2', expected"),
        ({"schema": None}, "schema is None"),
        ({"count": 18}, "count is 18, expected 17"),
        ({"count": True}, "'count' is True, expected int"),
        ({"skeleton": {}}, "format is None"),
        ({"splits": {"train": [0, 12], "test": [13, 5]}}, "expected to begin at 12"),
        ({"splits": {"train": [0]}}, "expected [first key, count]"),
        ({"splits": {}}, "expected one sample or more"),
        ({"label": {"length": 11, "fields": []}}, "label fields are []"),
        ({"source": None}, "'source' is None, expected dict"),
    ],
)
def test_wrong_json_is_refused(written, change, message):
    json_path = written.with_suffix(".json")
    json_path.write_text(json.dumps({**json.loads(json_path.read_text()), **change}))
    found = refused(written)
    assert found.startswith(f"{json_path}: ")
    assert message in found


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b" " * (17 << 20)], ids=len
)
def test_json_that_is_none_is_refused(written, text):
    written.with_suffix(".json").write_bytes(text)
    refused(written)


@pytest.mark.parametrize("error", [ValueError("bad sample"), KeyboardInterrupt()])
def test_failure_keeps_what_was_there(tmp_path, error):
    def failing(samples):
        yield from samples
        raise error

    write(tmp_path / "set")
    before = contents(tmp_path)
    image = IMAGE.encode(np.zeros(IMAGE.shape, np.uint8))
    good = [(image, np.zeros(LAYOUT.length, np.float32))] * 3
    with pytest.raises(type(error)):
        write(tmp_path / "set", splits={"train": failing(good)})
    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", [".rec", ".idx", ".json"])
def test_full_disk_keeps_what_was_there(tmp_path, monkeypatch, suffix):
    """Each file in turn is the one that does not fit."""
    write(tmp_path / "set")
    before, real = contents(tmp_path), os.fsync

    def full(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(suffix):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    samples = {"train": make_samples()["test"]}
    with pytest.raises(OSError) as caught:
        write(tmp_path / "set", samples)
    assert caught.value.filename == str(tmp_path / f"set{suffix}")
    assert contents(tmp_path) == before


def test_failure_leaves_no_folder(tmp_path):
    label = np.zeros(LAYOUT.length + 1, np.float32)
    with pytest.raises(RecordError, match=r"label of shape \(11,\), expected"):
        write(tmp_path / "a" / "b" / "set", splits={"train": [(b"", label)]})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RecordError, match="expected one sample or more"):
        write(tmp_path / "a" / "set", splits={"train": []})
    assert list(tmp_path.iterdir()) == []


def test_new_set_replaces_the_old_one(tmp_path):
    write(tmp_path / "set")
    make_toy_record(tmp_path / "set", level=3, train=2, test=0)
    assert len(RecordDataset(tmp_path / "set", "train")) == 2
    assert sorted(contents(tmp_path)) == ["set.idx", "set.json", "set.rec"]


def test_names(tmp_path):
    base = tmp_path / "toy.v1"
    assert record_paths(base) == record_paths(f"{base}.idx")
    assert [path.name for path in record_paths(base)] == ["toy.v1.rec", "toy.v1.idx", "toy.v1.json"]
    with pytest.raises(RecordError, match="names a folder"):
        record_paths(f"{tmp_path}{os.sep}")
    (tmp_path / "set.json").mkdir()
    with pytest.raises(RecordError, match=r"set\.json: is a folder"):
        write(tmp_path / "set")
