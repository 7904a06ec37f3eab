"""Batches in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, Iterator, Optional, Tuple

import numpy as np

from gluon_dkpr.cores import usable_cores
from gluon_dkpr.data.record_file import ON_DAMAGE
from gluon_dkpr.data.substitutes import Substitutes
from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

CACHE_MODES = ("auto", "always", "never")
CACHE_BYTES = 512 << 20
# A larger set takes too long to decode before its first batch, however small its images are.
CACHE_SAMPLES = 100_000
# One core decodes some 2,500 photographs of 224 px in a second: more than these are never needed.
MAX_WORKERS = 8
# Batches that are ready or being made, beside one for each thread.
READY_BATCHES = 2
_CACHE_CHUNK = 256


class LoaderError(DkprError, ValueError):
    """A loader is asked for something it cannot give."""


@dataclass(frozen=True)
class Batch:
    """Some samples of a data set.

    Attributes:
        images: uint8, shape (B, H, W, C).
        labels: for each field of the layout a float32 array, shape (B, ...), in the
            field's unit.
        keys: int64, shape (B,).
    """

    images: Array
    labels: Dict[str, Array]
    keys: Array

    def __len__(self) -> int:
        return len(self.keys)


class BatchLoader:
    """Serves a data set batch by batch, the last one smaller when the division leaves a rest.

    A set of at most 100,000 samples that fits ``cache_bytes`` is decoded once, when its first batch
    is asked for, and kept as uint8. A larger one is decoded ahead by threads, ``workers + 3``
    batches at a time at most: OpenCV decodes outside Python's lock, so threads keep all cores busy
    and share their memory. What is served does not depend on ``workers`` or the cache.

    Args:
        dataset: a :class:`RecordDataset`, or anything with its ``keys``, ``image_shape``, length
            and ``read(keys, out)``.
        batch_size: B, 1 or more.
        seed: of the order, 0 or more.
        shuffle: False serves every epoch in the order of the keys.
        cache: ``"auto"`` keeps what fits, ``"always"`` and ``"never"`` do what they say.
        cache_bytes: what ``"auto"`` may keep, in bytes of decoded images.
        workers: threads that decode; by default one for each core, 8 at most.
        on_damage: ``"skip"`` serves another sample in the place of one whose record is damaged, the
            same one whenever it is asked for, so that order, number and size of the batches stay
            what they are; see :attr:`damaged`.
        share: from the positions of a batch to those that are read here, for a worker that does a
            part of every batch; the part may be empty.

    Raises:
        LoaderError: for a value out of range or a data set without samples.
    """

    def __init__(
        self,
        dataset,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        cache: str = "auto",
        cache_bytes: int = CACHE_BYTES,
        workers: Optional[int] = None,
        on_damage: str = "raise",
        share: Optional[Callable[[Array], Array]] = None,
    ):
        workers = default_workers() if workers is None else workers
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("seed", seed, 0),
            ("workers", workers, 1),
        ):
            if value < least:
                raise LoaderError(f"{name} is {value}, expected {least} or more")
        for name, value, choice in (
            ("cache", cache, CACHE_MODES),
            ("on_damage", on_damage, ON_DAMAGE),
        ):
            if value not in choice:
                raise LoaderError(f"{name} is {value!r}, expected one of {choice}")
        if not len(dataset):
            raise LoaderError("the data set has no samples, expected 1 or more")
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        self.workers, self._share = workers, share or (lambda positions: positions)
        decoded_bytes = len(dataset) * int(np.prod(dataset.image_shape))
        small = decoded_bytes <= cache_bytes and len(dataset) <= CACHE_SAMPLES
        self.cached = cache == "always" or (cache == "auto" and small)
        self._substitutes = Substitutes(dataset, seed) if on_damage == "skip" else None
        self._memory = None
        self._pool, self._pool_process = None, 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.dataset) // self.batch_size)

    @property
    def damaged(self) -> Dict[int, str]:
        """Damaged records that were met so far and not served: key -> what is wrong."""
        return {} if self._substitutes is None else self._substitutes.damaged

    def order(self, epoch: int) -> Array:
        """Return the positions of the samples in the order of an epoch: int64, shape (N,).

        A pure function of (seed, epoch): permutation by PCG64 of SeedSequence([seed, epoch]).
        """
        if not self.shuffle:
            return np.arange(len(self.dataset))
        sequence = np.random.SeedSequence([self.seed, epoch])
        return np.random.Generator(np.random.PCG64(sequence)).permutation(len(self.dataset))

    def epoch(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Return the batches of an epoch from step ``start_step`` on.

        They equal the tail of the whole epoch. What goes wrong while decoding is raised here, at
        the batch it belongs to. When the iterator is closed early, nothing goes on being read.

        Args:
            epoch: 0 or more.
            start_step: batches to skip, at most ``len(self)``.

        Raises:
            LoaderError: for a value out of range.
            RecordError: for a damaged record, or with ``"skip"`` for too many of them.
        """
        if epoch < 0:
            raise LoaderError(f"epoch is {epoch}, expected 0 or more")
        if not 0 <= start_step <= len(self):
            raise LoaderError(f"start_step is {start_step}, expected 0 to {len(self)}")
        order = self.order(epoch)
        begins = range(start_step * self.batch_size, len(order), self.batch_size)
        steps = [self._share(order[begin : begin + self.batch_size]) for begin in begins]
        return self._batches(steps)

    def _batches(self, steps) -> Iterator[Batch]:
        if not self.cached:
            yield from self._read_ahead(steps)
            return
        if self._memory is None:
            self._memory = self._decode_all()
        whole = self._memory
        for positions in steps:
            some = {name: values[positions] for name, values in whole.labels.items()}
            yield Batch(whole.images[positions], some, whole.keys[positions])

    def _read_ahead(self, steps: Iterable[Array]) -> Iterator[Batch]:
        # The images' memory is taken here: what a thread takes for itself and another one frees is
        # kept by the C library, for each thread, and more of it after every epoch.
        shape = self.dataset.image_shape
        items = ((positions, np.empty((len(positions), *shape), np.uint8)) for positions in steps)
        return _ahead(self._threads(), self._read, items, self.workers + READY_BATCHES)

    def _threads(self) -> ThreadPoolExecutor:
        """Return the threads, which live as long as the loader.

        OpenCV keeps a little memory of every thread that ever decoded, so not new ones for every
        epoch. Threads do not survive a fork.
        """
        if self._pool_process != os.getpid():
            self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="gluon_dkpr-batch")
            self._pool_process = os.getpid()
        return self._pool

    def _read(self, item: Tuple[Array, Array]) -> Batch:
        positions, images = item
        if self._substitutes is not None:
            return Batch(*self._substitutes.read(positions, images))
        keys = self.dataset.keys[positions]
        return Batch(*self.dataset.read(keys, images), keys)

    def _decode_all(self) -> Batch:
        """Return the samples of all positions as one batch."""
        count = len(self.dataset)
        images = np.empty((count, *self.dataset.image_shape), dtype=np.uint8)
        labels, keys = {}, np.empty(count, np.int64)
        starts = range(0, count, _CACHE_CHUNK)
        chunks = [np.arange(begin, min(begin + _CACHE_CHUNK, count)) for begin in starts]
        for positions, chunk in zip(chunks, self._read_ahead(chunks)):
            images[positions], keys[positions] = chunk.images, chunk.keys
            for name, values in chunk.labels.items():
                labels.setdefault(name, np.empty((count, *values.shape[1:]), values.dtype))
                labels[name][positions] = values
        return Batch(images, labels, keys)


def default_workers() -> int:
    """Return how many threads decode: one for each core that this process may use, 8 at most."""
    return min(usable_cores(), MAX_WORKERS)


def _ahead(
    executor: ThreadPoolExecutor, function: Callable, items: Iterable, ahead: int
) -> Iterator:
    """Yield ``function(item)`` in the order of the items, computed ahead by threads."""
    pending = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Also reached when the consumer closes the generator or an item failed.
        wait([future for future in pending if not future.cancel()])
