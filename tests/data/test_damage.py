"""Damaged records: found, counted and passed over, the same way in every run."""

import multiprocessing
import os
import pickle
import struct

import numpy as np
import pytest

from gluon_dkpr.data import (
    BatchLoader,
    DamagedRecordError,
    ImageFormat,
    RecordDataset,
    RecordError,
    pose_layout,
    write_record,
)
from gluon_dkpr.data import dataset as dataset_module
from gluon_dkpr.data.record_file import BLOCK_BYTES, check_damage, describe_damage
from gluon_dkpr.skeleton import planar

SKELETON = planar(3)
LAYOUT = pose_layout(SKELETON)
IMAGE = ImageFormat(8, 8, 3, "png")
COUNTS = {"train": 40, "test": 20}


def write(path, counts=COUNTS):
    """Write samples whose label and image hold their key."""

    def samples(first, count):
        for key in range(first, first + count):
            image = IMAGE.encode(np.full(IMAGE.shape, key, np.uint8))
            yield image, np.full(LAYOUT.length, key, np.float32)

    splits, first = {}, 0
    for name, count in counts.items():
        splits[name] = samples(first, count)
        first += count
    write_record(path, SKELETON, LAYOUT, IMAGE, splits, {})
    return path.with_suffix(".rec")


@pytest.fixture
def rec(tmp_path):
    return write(tmp_path / "set")


def edges_of(rec):
    lines = rec.with_suffix(".idx").read_text().split()
    return [*map(int, lines[1::2]), os.path.getsize(rec)]


def overwrite(rec, place, data):
    with open(rec, "r+b") as file:
        file.seek(place)
        file.write(data)


def flip(rec, key, offset):
    """Flip a bit ``offset`` bytes into a record."""
    place = edges_of(rec)[key] + offset
    overwrite(rec, place, bytes([rec.read_bytes()[place] ^ 16]))


def damage(rec, kind, key):
    edges = edges_of(rec)
    if kind == "magic":
        flip(rec, key, 1)
    elif kind == "length":  # a frame that would reach 300 MB beyond the file
        overwrite(rec, edges[key] + 4, struct.pack("<I", 300 << 20))
    elif kind == "part":  # as if it went on in the next record
        overwrite(rec, edges[key] + 4, struct.pack("<I", 1 << 29 | 8))
    elif kind == "header":  # number of the record
        flip(rec, key, 8 + 8)
    elif kind == "label":
        flip(rec, key, 8 + 24 + 2)
    elif kind == "image":
        flip(rec, key, (edges[key + 1] - edges[key]) * 3 // 4)
    elif kind == "zeros":
        overwrite(rec, edges[key], bytes(edges[key + 1] - edges[key]))


KINDS = ("magic", "length", "part", "header", "label", "image", "zeros")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_damage_is_found_and_skipped(rec, kind):
    damage(rec, kind, 7)
    strict = RecordDataset(rec, "train")
    with pytest.raises(DamagedRecordError, match=r"set\.rec: record 7 is damaged: "):
        strict.read([7])
    with pytest.raises(DamagedRecordError, match=r"set\.rec: record 7 is damaged: "):
        strict.read_labels(strict.keys)
    dataset = RecordDataset(rec, "train", on_damage="skip")
    assert list(dataset.damaged) == [7]
    assert RecordDataset(rec, "test", on_damage="skip").damaged == {}
    rest = [key for key in range(40) if key != 7]
    labels = dataset.read_labels(dataset.keys, on_damage="skip")
    assert labels["joints"][:, 0, 0].tolist() == rest
    readable = dataset.readable()
    assert readable.keys.tolist() == rest
    assert readable.read_labels(readable.keys)["motion"][:, 0].tolist() == rest
    assert len(dataset) == 40
    loader = BatchLoader(dataset, 8, on_damage="skip")
    served = np.concatenate([batch.keys for batch in loader.epoch(0)])
    assert len(served) == 40
    assert set(served.tolist()) == set(rest)
    assert list(loader.damaged) == [7]


def test_file_that_was_cut_off(rec):
    edges = edges_of(rec)
    os.truncate(rec, edges[55] + 9)
    for split in COUNTS:
        with pytest.raises(RecordError, match=rf"set\.rec: {edges[55] + 9} bytes, expected "):
            RecordDataset(rec, split)
    assert RecordDataset(rec, "train", on_damage="skip").damaged == {}
    dataset = RecordDataset(rec, "test", on_damage="skip")
    assert list(dataset.damaged) == [55, 56, 57, 58, 59]
    assert dataset.damaged[56] == f"the file ends at byte {edges[55] + 9}, expected {edges[60]}"
    assert dataset.readable().keys.tolist() == list(range(40, 55))
    with open(rec, "ab") as file:
        file.write(bytes(edges[60]))
    with pytest.raises(RecordError, match="bytes, expected "):
        RecordDataset(rec, "test", on_damage="skip")


def test_large_sets_are_not_read_when_they_are_opened(rec, monkeypatch):
    damage(rec, "image", 7)
    for limit in ("SCAN_BYTES", "SCAN_RECORDS"):
        with monkeypatch.context() as patch:
            patch.setattr(dataset_module, limit, 30)
            dataset = RecordDataset(rec, "train", on_damage="skip")
        assert dataset.damaged == {}
        assert list(dataset.find_damaged()) == [7]


def epoch_of(loader, epoch=0):
    return [(b.keys.tolist(), b.images[:, 0, 0, 0].tolist()) for b in loader.epoch(epoch)]


def test_what_stands_in_depends_on_nothing_but_the_damage(rec, monkeypatch):
    undamaged = RecordDataset(rec, "train", on_damage="skip")
    expected = epoch_of(BatchLoader(undamaged, 8, seed=3))
    bad = (3, 4, 5, 30)
    for key in bad:
        damage(rec, "label", key)
    opened = RecordDataset(rec, "train", on_damage="skip")
    assert sorted(opened.damaged) == list(bad)
    monkeypatch.setattr(dataset_module, "SCAN_BYTES", 0)
    options = {"batch_size": 8, "seed": 3, "on_damage": "skip"}
    found = []
    for cache in ("always", "never"):
        for workers in (1, 2, 7):
            for dataset in (opened, RecordDataset(rec, "train", on_damage="skip")):
                loader = BatchLoader(dataset, cache=cache, workers=workers, **options)
                found.append([epoch_of(loader, epoch) for epoch in (0, 1)])
                assert sorted(loader.damaged) == list(bad)
    assert all(epochs == found[0] for epochs in found)
    # A run that begins in the middle serves what the whole epoch does.
    loader = BatchLoader(RecordDataset(rec, "train"), cache="never", **options)
    assert [b.keys.tolist() for b in loader.epoch(0, 2)] == [keys for keys, _ in found[0][0][2:]]
    # The others are where they were; the image is always the one of the key.
    for (keys, images), (before, _) in zip(found[0][0], expected):
        assert images == keys
        assert [k for k, b in zip(keys, before) if b not in bad] == [
            b for b in before if b not in bad
        ]
        assert not set(keys) & set(bad)
    substitutes = [
        k
        for (keys, _), (before, _) in zip(found[0][0], expected)
        for k, b in zip(keys, before)
        if b in bad
    ]
    assert len(set(substitutes)) > 1


@pytest.mark.parametrize("cache", ["always", "never"])
def test_damage_after_opening_is_passed_over(rec, cache):
    dataset = RecordDataset(rec, "train", on_damage="skip")
    loader = BatchLoader(dataset, 8, cache=cache, on_damage="skip")
    damage(rec, "magic", 11)
    assert loader.damaged == {}
    assert not [keys for keys, _ in epoch_of(loader) if 11 in keys]
    assert loader.damaged[11].startswith("the magic number is ")


def test_image_that_cannot_be_decoded_is_damage(tmp_path):
    """Its checksum is right: it was written so."""
    good = IMAGE.encode(np.zeros(IMAGE.shape, np.uint8))
    label = np.zeros(LAYOUT.length, np.float32)
    samples = [(good, label), (b"no image", label), (good, label)]
    write_record(tmp_path / "set", SKELETON, LAYOUT, IMAGE, {"train": samples}, {})
    dataset = RecordDataset(tmp_path / "set", "train", on_damage="skip")
    with pytest.raises(DamagedRecordError, match="record 1 is damaged: 8 bytes that are not a png"):
        dataset.read([0, 1])
    loader = BatchLoader(dataset, 3, on_damage="skip")
    assert [len(batch) for batch in loader.epoch(0)] == [3]
    assert loader.damaged == {1: "8 bytes that are not a png image"}


def test_raise_is_the_default(rec):
    damage(rec, "image", 20)
    for cache in ("always", "never"):
        with pytest.raises(DamagedRecordError, match="record 20 is damaged"):
            list(BatchLoader(RecordDataset(rec, "train"), 4, cache=cache).epoch(0))


def test_too_much_damage_is_an_error_that_counts(rec, monkeypatch):
    for key in range(5, 16):
        damage(rec, "zeros", key)
    with pytest.raises(RecordError) as caught:
        RecordDataset(rec, "train", on_damage="skip")
    message = str(caught.value)
    assert message.startswith(
        f"{rec}: 11 records are damaged: 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, ... (record 5: "
    )
    assert message.endswith("expected at most 10 of 40")
    assert "\n" not in message
    monkeypatch.setattr(dataset_module, "SCAN_BYTES", 0)
    dataset = RecordDataset(rec, "train", on_damage="skip")
    for cache in ("always", "never"):
        with pytest.raises(RecordError, match="11 records are damaged: 5, .*at most 10 of 40"):
            for epoch in range(2):
                list(BatchLoader(dataset, 4, cache=cache, on_damage="skip").epoch(epoch))


def test_set_without_a_readable_record_ends(tmp_path):
    rec = write(tmp_path / "few", {"train": 3})
    dataset = RecordDataset(rec, "train")
    for key in range(3):
        damage(rec, "zeros", key)
    with pytest.raises(RecordError, match="3 records are damaged: 0, 1, 2 "):
        list(BatchLoader(dataset, 1, workers=3, on_damage="skip").epoch(0))


def test_limit():
    path = "x.rec"
    check_damage(path, {}, 0)
    check_damage(path, dict.fromkeys(range(1000), "bad"), 100_000)
    with pytest.raises(RecordError, match=r"x\.rec: 1001 records .* at most 1000 of 100000"):
        check_damage(path, dict.fromkeys(range(1001), "bad"), 100_000)
    assert describe_damage({9: "bad", 4: "worse"}) == (
        "2 records are damaged: 4, 9 (record 4: worse)"
    )
    assert describe_damage({4: "worse"}) == "1 record is damaged: 4 (record 4: worse)"


def test_blocks_read_what_single_records_do(tmp_path):
    """Records larger and smaller than a block, in every order."""
    image = ImageFormat(2, 2, 1, "png")
    rng = np.random.default_rng(0)
    sizes = [10, BLOCK_BYTES + 5, 3, BLOCK_BYTES // 2, BLOCK_BYTES // 2, 1, 1]
    labels = rng.normal(size=(len(sizes), LAYOUT.length)).astype(np.float32)
    samples = [(rng.bytes(size), label) for size, label in zip(sizes, labels)]
    write_record(tmp_path / "set", SKELETON, LAYOUT, image, {"train": samples}, {})
    dataset = RecordDataset(tmp_path / "set", "train")
    for keys in ([0, 1, 2, 3, 4, 5, 6], [6, 5, 4], [2, 2, 3], [], [1], [0, 2, 4, 5, 6]):
        found = dataset.read_labels(keys)
        expected = LAYOUT.unpack(labels[keys])
        for name in LAYOUT.names:
            np.testing.assert_array_equal(found[name], expected[name])


def test_bad_sector_loses_only_its_own_record(rec, monkeypatch):
    """A read that touches record 9 fails as a whole, as a disk's would."""
    begin = edges_of(rec)[9]
    real = os.pread

    def pread(descriptor, length, offset):
        if offset <= begin < offset + length:
            raise OSError(5, "Input/output error")
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    dataset = RecordDataset(rec, "train", on_damage="skip")
    assert dataset.damaged == {9: "it cannot be read: Input/output error"}


def test_readable_sets_can_be_sent_to_other_processes(rec):
    damage(rec, "image", 7)
    dataset = RecordDataset(rec, "train", on_damage="skip").readable()
    again = pickle.loads(pickle.dumps(dataset))
    assert again.keys.tolist() == dataset.keys.tolist()
    assert again.damaged == dataset.damaged
    with multiprocessing.get_context("fork").Pool(1) as pool:
        images, _ = pool.apply(again.read, (dataset.keys,))
    assert images[:, 0, 0, 0].tolist() == dataset.keys.tolist()
    error = pickle.loads(pickle.dumps(DamagedRecordError("a.rec", 3, "bad")))
    assert str(error) == "a.rec: record 3 is damaged: bad"


def test_readable_set_outlives_the_one_it_came_from(rec):
    readable = RecordDataset(rec, "train").readable()
    assert readable.read([3])[0][0, 0, 0, 0] == 3


def test_readable_set_of_a_readable_set(rec):
    """Half of a split is damaged, and no more than may be."""
    for key in range(40, 50):
        damage(rec, "zeros", key)
    first = RecordDataset(rec, "test").readable()
    again = first.readable()
    assert again.keys.tolist() == first.keys.tolist() == list(range(50, 60))
    assert list(first.find_damaged()) == list(range(40, 50))


def test_wrong_option_is_refused(rec):
    with pytest.raises(RecordError, match="on_damage is 'ignore', expected one of"):
        RecordDataset(rec, "train", on_damage="ignore")
