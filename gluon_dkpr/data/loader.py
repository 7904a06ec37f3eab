"""Batches in an order that depends on nothing but the seed and the epoch."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, Iterator, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

CACHE_MODES = ("auto", "always", "never")
CACHE_BYTES = 512 << 20
# OpenCV decodes outside Python's lock, so two threads keep two cores busy.
WORKERS = 2
PREFETCH_BATCHES = 4
_CACHE_CHUNK = 256


class LoaderError(DkprError, ValueError):
    """A loader is asked for something it cannot give."""


@dataclass(frozen=True)
class Batch:
    """Some samples of a data set.

    Attributes:
        images: uint8, shape (B, H, W, C).
        labels: for each field of the layout a float32 array, shape (B, *field shape), in the
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

    A set that fits ``cache_bytes`` is decoded once, when its first batch is asked for, and kept as
    uint8. A larger one is decoded ahead by two threads, at most five batches at a time.

    Args:
        dataset: a :class:`RecordDataset`, or anything with its ``keys``, ``image_shape``,
            ``read`` and length.
        batch_size: B, 1 or more.
        seed: of the order, 0 or more.
        shuffle: False serves every epoch in the order of the keys.
        cache: ``"auto"`` keeps what fits, ``"always"`` and ``"never"`` do what they say.
        cache_bytes: what ``"auto"`` may keep, in bytes of decoded images.

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
    ):
        if batch_size < 1:
            raise LoaderError(f"batch_size is {batch_size}, expected 1 or more")
        if seed < 0:
            raise LoaderError(f"seed is {seed}, expected 0 or more")
        if cache not in CACHE_MODES:
            raise LoaderError(f"cache is {cache!r}, expected one of {CACHE_MODES}")
        if not len(dataset):
            raise LoaderError("the data set has no samples, expected 1 or more")
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        decoded_bytes = len(dataset) * int(np.prod(dataset.image_shape))
        self.cached = cache == "always" or (cache == "auto" and decoded_bytes <= cache_bytes)
        self._memory = None

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.dataset) // self.batch_size)

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
        the batch it belongs to. Closing the iterator early ends the threads.

        Args:
            epoch: 0 or more.
            start_step: batches to skip, at most ``len(self)``.

        Raises:
            LoaderError: for a value out of range.
            RecordError: for a damaged record.
        """
        if epoch < 0:
            raise LoaderError(f"epoch is {epoch}, expected 0 or more")
        if not 0 <= start_step <= len(self):
            raise LoaderError(f"start_step is {start_step}, expected 0 to {len(self)}")
        order = self.order(epoch)
        begins = range(start_step * self.batch_size, len(order), self.batch_size)
        return self._batches([order[begin : begin + self.batch_size] for begin in begins])

    def _batches(self, steps) -> Iterator[Batch]:
        if not self.cached:
            yield from _ahead(self._read, steps)
            return
        if self._memory is None:
            self._memory = self._decode_all()
        images, labels = self._memory
        for positions in steps:
            some = {name: values[positions] for name, values in labels.items()}
            yield Batch(images[positions], some, self.dataset.keys[positions])

    def _read(self, positions: Array) -> Batch:
        keys = self.dataset.keys[positions]
        return Batch(*self.dataset.read(keys), keys)

    def _decode_all(self) -> Tuple[Array, Dict[str, Array]]:
        """Return all images (N, H, W, C) and labels, in the order of the keys."""
        count = len(self.dataset)
        images = np.empty((count, *self.dataset.image_shape), dtype=np.uint8)
        labels = {}
        starts = range(0, count, _CACHE_CHUNK)
        chunks = [np.arange(begin, min(begin + _CACHE_CHUNK, count)) for begin in starts]
        for positions, chunk in zip(chunks, _ahead(self._read, chunks)):
            images[positions] = chunk.images
            for name, values in chunk.labels.items():
                labels.setdefault(name, np.empty((count, *values.shape[1:]), values.dtype))
                labels[name][positions] = values
        return images, labels


def _ahead(function: Callable, items: Iterable) -> Iterator:
    """Yield ``function(item)`` in the order of the items, computed a few ahead by threads."""
    executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="gluon_dkpr-batch")
    pending = deque()
    try:
        for item in items:
            pending.append(executor.submit(function, item))
            if len(pending) > PREFETCH_BATCHES:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Also reached when the consumer closes the generator or an item failed.
        for future in pending:
            future.cancel()
        executor.shutdown(wait=True)
