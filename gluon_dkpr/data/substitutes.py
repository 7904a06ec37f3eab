"""What is served in the place of samples whose records are damaged."""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np

from gluon_dkpr.data.record_file import check_damage
from gluon_dkpr.data.recordio import DamagedRecordError
from gluon_dkpr.types import Array


class Substitutes:
    """Reads samples of a data set; another one stands for each that cannot be read.

    Which one is a pure function of seed and position, given what is damaged: the first readable one
    of a random sequence of positions. So it depends neither on the timing of threads nor on when
    the damage was noticed; and a run of damaged records is not all replaced by one neighbour.

    Args:
        dataset: with ``keys``, ``read`` and length; what it knows of ``damaged`` records is not
            tried again.
        seed: 0 or more.

    Attributes:
        damaged: what was met so far, key -> what is wrong.
    """

    def __init__(self, dataset, seed: int):
        self._dataset, self._seed = dataset, seed
        self._path = getattr(dataset, "path", "the data set")
        self.damaged: Dict[int, str] = dict(getattr(dataset, "damaged", {}))

    def read(self, positions: Array, out: Array) -> Tuple[Array, Dict[str, Array], Array]:
        """Return images, labels and keys of samples.

        Args:
            positions: in the data set, (N,).
            out: contiguous array for the images.

        Raises:
            RecordError: if too many records are damaged.
        """
        while True:
            keys = np.array([self._key(position) for position in positions.tolist()], np.int64)
            try:
                return (*self._dataset.read(keys, out), keys)
            except DamagedRecordError as error:
                self.damaged[error.key] = error.reason

    def _key(self, position: int) -> int:
        """Return the key of a position, or of its first substitute that is not known as damaged."""
        key = int(self._dataset.keys[position])
        if key in self.damaged:
            sequence = np.random.SeedSequence([self._seed, position])
            random = np.random.Generator(np.random.PCG64(sequence))
            while key in self.damaged:
                # Copied, as other threads may add to it. A few are damaged, so the loop is short.
                check_damage(self._path, dict(self.damaged), len(self._dataset))
                key = int(self._dataset.keys[random.integers(len(self._dataset))])
        return key
