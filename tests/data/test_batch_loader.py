"""Batches: order, resumption, cache, prefetch, threads."""

import multiprocessing
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_dkpr.data import (
    BatchLoader,
    LoaderError,
    RecordDataset,
    RecordError,
    make_toy_record,
)
from gluon_dkpr.data import loader as loader_module
from gluon_dkpr.data.loader import READY_BATCHES


class Numbers:
    """A data set in memory: the image and the label of key k hold k."""

    image_shape = (1, 1, 1)

    def __init__(self, count, bad_key=None):
        self.keys = np.arange(100, 100 + count)
        self.bad_key = bad_key
        self.reads = 0

    def __len__(self):
        return len(self.keys)

    def read(self, keys, out):
        self.reads += 1
        if self.bad_key in keys:
            raise RecordError(f"record {self.bad_key} is damaged")
        out[:, 0, 0, 0] = keys
        return out, {"joints": np.array(keys, np.float32).reshape(-1, 1, 1)}


def keys_of(batches):
    return [batch.keys.tolist() for batch in batches]


def flat(lists):
    return [item for some in lists for item in some]


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("gluon_dkpr-batch")]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "toy"
    make_toy_record(path, level=6, train=70, test=10)
    return RecordDataset(path, "train")


@pytest.mark.parametrize("cache", ["always", "never"])
@given(
    count=st.integers(1, 40),
    batch_size=st.integers(1, 50),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 100),
    data=st.data(),
)
def test_epoch_is_a_permutation_and_resumes(cache, count, batch_size, seed, epoch, data):
    loader = BatchLoader(Numbers(count), batch_size, seed, cache=cache)
    batches = list(loader.epoch(epoch))
    keys = keys_of(batches)
    assert len(batches) == len(loader)
    assert [len(b) for b in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert sorted(flat(keys)) == list(range(100, 100 + count))
    for batch in batches:
        assert batch.images[:, 0, 0, 0].tolist() == batch.keys.tolist()
        assert batch.labels["joints"][:, 0, 0].tolist() == batch.keys.tolist()
    start = data.draw(st.integers(0, len(loader)))
    fresh = BatchLoader(Numbers(count), batch_size, seed, cache=cache)
    assert keys_of(fresh.epoch(epoch, start)) == keys[start:]


def test_order_depends_on_seed_and_epoch_alone():
    first = BatchLoader(Numbers(50), 8, seed=3)
    list(first.epoch(0))
    other = BatchLoader(Numbers(50), 8, seed=3)
    assert keys_of(first.epoch(5)) == keys_of(other.epoch(5))
    orders = {tuple(BatchLoader(Numbers(50), 8, s).order(e)) for s in (3, 4) for e in (0, 1)}
    assert len(orders) == 4
    in_order = BatchLoader(Numbers(50), 8, shuffle=False)
    assert flat(keys_of(in_order.epoch(1))) == list(range(100, 150))


def test_order_stays_what_it_was():
    # A checkpoint made by an older version must resume in the same order.
    assert BatchLoader(Numbers(8), 1, seed=1).order(2).tolist() == [6, 0, 7, 5, 1, 4, 3, 2]


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_neither_cache_nor_workers_change_what_is_served(toy, workers):
    cached = BatchLoader(toy, 16, seed=1, cache="always", workers=workers)
    direct = BatchLoader(toy, 16, seed=1, cache="never", workers=workers)
    for epoch in range(2):
        expected, _ = toy.read(toy.keys[cached.order(epoch)])
        for a, b in zip(cached.epoch(epoch), direct.epoch(epoch)):
            np.testing.assert_array_equal(a.keys, b.keys)
            np.testing.assert_array_equal(a.images, expected[: len(a)])
            np.testing.assert_array_equal(a.images, b.images)
            expected = expected[len(a) :]
            assert a.labels.keys() == b.labels.keys()
            for name in a.labels:
                np.testing.assert_array_equal(a.labels[name], b.labels[name])
        assert not len(expected)


def test_batches_can_be_written_to(toy):
    loader = BatchLoader(toy, 16, cache="always")
    first = next(loader.epoch(0))
    kept = first.images.copy(), first.labels["joints"].copy()
    first.images[:] = 7
    first.labels["joints"][:] = 7
    again = next(loader.epoch(0))
    np.testing.assert_array_equal(again.images, kept[0])
    np.testing.assert_array_equal(again.labels["joints"], kept[1])


def test_auto_cache_keeps_to_its_budget(toy, monkeypatch):
    decoded = 70 * 128 * 128
    assert BatchLoader(toy, 16, cache_bytes=decoded).cached
    assert not BatchLoader(toy, 16, cache_bytes=decoded - 1).cached
    for count, cached in ((70, True), (69, False)):
        monkeypatch.setattr(loader_module, "CACHE_SAMPLES", count)
        assert BatchLoader(toy, 16).cached == cached
    assert BatchLoader(toy, 16, cache="always").cached


def test_cache_decodes_once():
    numbers = Numbers(30)
    loader = BatchLoader(numbers, 4)
    assert numbers.reads == 0
    for epoch in range(3):
        list(loader.epoch(epoch))
    assert numbers.reads == 1


def test_prefetch_is_bounded():
    numbers = Numbers(200)
    batches = BatchLoader(numbers, 1, cache="never", workers=3).epoch(0)
    next(batches)
    time.sleep(0.05)
    assert 1 <= numbers.reads <= 3 + READY_BATCHES + 1
    batches.close()


def test_early_close_leaves_nothing_running():
    numbers = Numbers(200)
    loader = BatchLoader(numbers, 1, cache="never", workers=3)
    batches = loader.epoch(0)
    next(batches)
    batches.close()
    reads = numbers.reads
    time.sleep(0.05)
    assert numbers.reads == reads
    assert len(list(loader.epoch(0))) == 200


def test_threads_live_as_long_as_the_loader(toy):
    before = set(loader_threads())  # of loaders that are just going
    loader = BatchLoader(toy, 4, cache="never", workers=3)
    list(loader.epoch(0))
    threads = set(loader_threads()) - before
    assert 1 <= len(threads) <= 3
    list(loader.epoch(1))
    more = set(loader_threads()) - before
    assert threads <= more
    assert len(more) <= 3
    del loader
    for thread in more:
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_loader_works_after_a_fork(toy):
    loader = BatchLoader(toy, 16, cache="never")
    expected = keys_of(loader.epoch(0))
    context = multiprocessing.get_context("fork")
    answer = context.SimpleQueue()
    child = context.Process(target=lambda: answer.put(keys_of(loader.epoch(0))))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert answer.get() == expected
    assert keys_of(loader.epoch(0)) == expected


@pytest.mark.parametrize("cache", ["always", "never"])
def test_worker_error_reaches_the_consumer(cache):
    batches = BatchLoader(Numbers(20, bad_key=113), 2, shuffle=False, cache=cache).epoch(0)
    served = []
    with pytest.raises(RecordError, match="record 113 is damaged"):
        for batch in batches:
            served.append(batch)
    assert len(served) == (6 if cache == "never" else 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"cache": "yes"}, "cache is 'yes'"),
        ({"workers": 0}, "workers is 0"),
        ({"on_damage": "hide"}, "on_damage is 'hide'"),
        ({"dataset": Numbers(0)}, "no samples"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(LoaderError, match=message):
        BatchLoader(**{"dataset": Numbers(5), "batch_size": 2, **arguments})


def test_bad_step_is_refused_at_once():
    loader = BatchLoader(Numbers(5), 2)
    for epoch, start in ((-1, 0), (0, -1), (0, 4)):
        with pytest.raises(LoaderError):
            loader.epoch(epoch, start)
    assert list(loader.epoch(0, 3)) == []
