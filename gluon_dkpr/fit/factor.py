"""Symmetric positive matrices of one sparsity pattern, solved for many frames at once.

Numbers are packed rows of shape (entries, B). Of the row that is eliminated k-th the diagonal entry
comes first, then the entries of the later rows that it is coupled with. A tree eliminated from the
tips inwards factors without fill-in (Featherstone, Rigid Body Dynamics Algorithms, section 6.5);
whatever fill-in another pattern brings is found once by symbolic elimination.
"""

from __future__ import annotations

from typing import List, Sequence, Set

import numpy as np

from gluon_dkpr.types import Array

# Of so few frames the calls cost more than the numbers: fewer calls that copy more. The arithmetic
# is the same to the last bit.
FEW = 64


class PackedMatrix:
    """The structure of a sparse symmetric matrix.

    Args:
        order: unknowns in order of elimination.
        coupled: for each unknown those that it has an entry with.

    Attributes:
        size: number of unknowns, n.
        num_entries: length of a packed matrix.
        diagonal: place of each unknown's diagonal entry, (n,).
    """

    def __init__(self, order: Sequence[int], coupled: Sequence[Set[int]]):
        self.size = len(order)
        self._order = np.asarray(order, dtype=int)
        self._rank = np.argsort(self._order)
        self._columns = _eliminate([{int(self._rank[j]) for j in coupled[i]} for i in order])
        lengths = [1 + len(columns) for columns in self._columns]
        self._starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(int)
        self.num_entries = int(sum(lengths))
        self.diagonal = self._starts[self._rank]
        self._updates = [self._updates_of(k) for k in range(self.size)]
        self._updates_at_once = [self._updates_at_once_of(k) for k in range(self.size)]

    def place(self, i: int, j: int) -> int:
        """Return the place of the entry of the unknowns i and j."""
        return self._place(*sorted((int(self._rank[i]), int(self._rank[j]))))

    def places(self, unknown: int) -> List[int]:
        """Return the places of all entries of an unknown off the diagonal."""
        k = int(self._rank[unknown])
        own = [self._place(k, j) for j in self._columns[k]]
        return own + [self._place(i, k) for i in range(k) if k in self._columns[i]]

    def dense(self, matrix: Array) -> Array:
        """Return packed matrices (entries, B) as (B, n, n)."""
        full = np.zeros((matrix.shape[1], self.size, self.size))
        for k, columns in enumerate(self._columns):
            i = self._order[k]
            full[:, i, i] = matrix[self._starts[k]]
            for a, j in enumerate(self._order[columns], 1):
                full[:, i, j] = full[:, j, i] = matrix[self._starts[k] + a]
        return full

    def solve(self, matrix: Array, right: Array) -> Array:
        """Solve by LDL^T; ``matrix`` (entries, B) is overwritten by its factors.

        Args:
            matrix: positive definite packed matrices.
            right: right-hand sides, (n, B).

        Returns:
            Solutions, (n, B).
        """
        solution = right[self._order]
        few = matrix.shape[1] <= FEW
        factors = []
        for k, columns in enumerate(self._columns):
            start = self._starts[k]
            row = matrix[start + 1 : start + 1 + len(columns)]
            factor = row / matrix[start]
            if few:
                places, a, b = self._updates_at_once[k]
                matrix[places] -= factor[a] * row[b]
            else:
                for a, places in enumerate(self._updates[k]):
                    matrix[places] -= factor[a] * row[a:]
            solution[columns] -= factor * solution[k]
            factors.append(factor)
        solution /= matrix[self._starts]
        for k in range(self.size - 1, -1, -1):
            if len(self._columns[k]):
                solution[k] -= (factors[k] * solution[self._columns[k]]).sum(0)
        return solution[self._rank]

    def _place(self, i: int, j: int) -> int:
        start = int(self._starts[i])
        return start if i == j else start + 1 + int(np.searchsorted(self._columns[i], j))

    def _updates_of(self, k: int):
        """Return where the outer product of row k goes, for each later row."""
        updates = []
        for a, i in enumerate(self._columns[k]):
            updates.append(as_slice([self._place(i, j) for j in self._columns[k][a:]]))
        return updates

    def _updates_at_once_of(self, k: int):
        """Return the same as places, and which entries of row k are multiplied there."""
        columns = self._columns[k]
        a, b = np.triu_indices(len(columns))
        places = [self._place(columns[i], columns[j]) for i, j in zip(a, b)]
        return np.array(places, dtype=int), a, b


def as_slice(places: Sequence[int]):
    """Return consecutive places as a slice, which NumPy reads without a copy."""
    places = [int(place) for place in places]
    if places and places == list(range(places[0], places[0] + len(places))):
        return slice(places[0], places[0] + len(places))
    return np.array(places, dtype=int)


def _eliminate(pattern: List[Set[int]]) -> List[Array]:
    """Return for each row the later rows it is coupled with, fill-in included, in order."""
    later = [{j for j in row if j > k} for k, row in enumerate(pattern)]
    for k, row in enumerate(pattern):
        for j in row:
            if j < k:
                later[j].add(k)
    for row in later:
        for i in row:
            later[i] |= {j for j in row if j > i}
    return [np.array(sorted(row), dtype=int) for row in later]
