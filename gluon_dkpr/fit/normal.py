"""The normal equations of the fit without a Jacobian: composite bodies on a tree.

A turn about the unit axis a through c moves the point p by ``a x p + v`` with ``v = c x a``: (a, v)
is its screw. For a turn t and a turn s on the way to it only the joints below t move with both, so
``(J^T W J)_st = screw_s . F_t`` where ``F_t`` are moment and force of the composite body of those
joints (masses: the weights) that moves with screw_t. This is the composite rigid body algorithm of
robot dynamics (Featherstone, Rigid Body Dynamics Algorithms, section 6.2) with point masses; a
coordinate of the root is the screw (0, e). It takes a tenth of the time of a product of Jacobians,
and the matrix has an entry only where one parameter is on the way to another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Tuple

import numpy as np

from gluon_dkpr.fit.factor import FEW, PackedMatrix, as_slice
from gluon_dkpr.fit.tree import Pose, Tree
from gluon_dkpr.types import Array


@dataclass(frozen=True)
class _Products:
    """Where the products of one screw's force with the screws on its way (k of them) go.

    Attributes:
        screws: which screws, (k,).
        places: a slice or (k,) places in the packed matrix.
        factors: (k, 1); both orders of two turns by one parameter count into its diagonal entry.
        distinct: no place appears twice, and all factors are 1.
    """

    screws: Any
    places: Any
    factors: Array
    distinct: bool


class NormalEquations:
    """J^T W J and J^T W r of a tree; unknowns are its P parameters and, if asked for, the scale.

    Attributes:
        structure: :class:`~gluon_dkpr.fit.factor.PackedMatrix` of the matrix.
        with_scale: the scale of the bones is the last unknown.
    """

    def __init__(self, tree: Tree, with_scale: bool = False):
        self.tree, self.with_scale = tree, with_scale
        size = tree.num_parameters + int(with_scale)
        self._columns, chains = _screws_and_chains(tree)
        self.structure = _structure(size, self._columns, chains, with_scale)
        self._products = [self._products_of(i, chain) for i, chain in enumerate(chains)]
        pairs = [(i, s) for i, chain in enumerate(chains) for s in chain]
        own, other = np.array(pairs, dtype=int).reshape(-1, 2).T
        columns = self._columns
        places = [self.structure.place(columns[i], columns[s]) for i, s in pairs]
        self._pairs = own, other, np.array(places, dtype=int)
        self._parents, self._holders = _subtrees(tree)
        self._coefficients = np.ones((len(chains), 1, 1))
        for i, turn in enumerate(tree.turns, len(tree.position)):
            self._coefficients[i] = turn.coefficient
        self._shared = len(set(self._columns.tolist())) < len(chains)
        if with_scale:
            self._scale_places = [self.structure.place(i, size - 1) for i in range(size)]

    def _products_of(self, screw: int, chain: List[int]) -> _Products:
        own = self._columns[screw]
        places = np.array([self.structure.place(own, self._columns[s]) for s in chain])
        factors = [2.0 if s != screw and self._columns[s] == own else 1.0 for s in chain]
        order = np.argsort(places, kind="stable")
        distinct = len(set(places.tolist())) == len(places)
        return _Products(
            as_slice(np.array(chain)[order]),
            as_slice(places[order]),
            np.array(factors)[order][:, None],
            distinct,
        )

    def assemble(self, pose: Pose, residual: Array, weights: Array, scale: Array):
        """Return J^T W J as packed entries (entries, B) and J^T W r (n, B).

        Args:
            pose: frames of B poses.
            residual: wanted minus present joints, (J, 3, B).
            weights: of the joints, (J, B).
            scale: of the bones, (B,).
        """
        screws = self._screws(pose)
        mass, first, second = self._bodies(pose.joints, weights)
        force = np.empty_like(screws)
        axis, velocity = screws[:, :3], screws[:, 3:]
        # Moment sum w p x (a x p + v) and force sum w (a x p + v).
        spread = second[:, 0] + second[:, 1] + second[:, 2]
        _cross(first, velocity, force[:, :3])
        force[:, :3] += spread[:, None] * axis - _times(second, axis)
        _cross(axis, first, force[:, 3:])
        force[:, 3:] += mass[:, None] * velocity
        force *= self._coefficients
        screws *= self._coefficients
        matrix = self._products_of_all(screws, force)
        wrench = self._wrenches(pose.joints, weights[:, None] * residual)
        gradient = self._by_unknown(np.einsum("skb,skb->sb", screws, wrench))
        if self.with_scale:
            # The scale moves p by p / scale: no moment, so only the velocities count.
            pull = self._by_unknown(np.einsum("skb,skb->sb", screws[:, 3:], first))
            matrix[self._scale_places] = pull / scale
            weighted = weights[:, None] * pose.joints
            matrix[self._scale_places[-1]] = (weighted * pose.joints).sum((0, 1)) / scale**2
            gradient[-1] = (weighted * residual).sum((0, 1)) / scale
        return matrix, gradient

    def _products_of_all(self, screws: Array, force: Array) -> Array:
        """Return the matrix (entries, B) of screws and forces (S, 6, B)."""
        matrix = np.zeros((self.structure.num_entries, screws.shape[2]))
        if screws.shape[2] <= FEW and not self._shared:
            own, other, places = self._pairs
            matrix[places] = np.einsum("pkb,pkb->pb", screws[other], force[own])
            return matrix
        for i, products in enumerate(self._products):
            product = np.einsum("skb,kb->sb", screws[products.screws], force[i])
            if products.distinct:
                matrix[products.places] += product
            else:
                np.add.at(matrix, products.places, products.factors * product)
        return matrix

    def _by_unknown(self, values: Array) -> Array:
        """Return the sums of the screws' values (S, B) for each unknown, (n, B)."""
        sums = np.zeros((self.structure.size, values.shape[1]))
        if self._shared:
            np.add.at(sums, self._columns, values)
        else:
            sums[self._columns] = values
        return sums

    def _screws(self, pose: Pose) -> Array:
        """Return the screws of all unknown turns and coordinates, (S, 6, B)."""
        fixed = len(self.tree.position)
        screws = np.zeros((fixed + len(pose.axes), 6, pose.axes.shape[2]))
        for i in range(fixed):
            screws[i, 3 + i] = 1.0
        screws[fixed:, :3] = pose.axes
        _cross(pose.centres, pose.axes, screws[fixed:, 3:])
        return screws

    def _bodies(self, points: Array, weights: Array) -> Tuple[Array, Array, Array]:
        """Return mass (S, B), first (S, 3, B) and second moments (S, 6, B) below each screw.

        The second moments are xx, yy, zz, xy, yz, zx.
        """
        count = points.shape[2]
        moments = np.empty((len(points), 10, count))
        moments[:, 0] = weights
        np.multiply(weights[:, None], points, out=moments[:, 1:4])
        weighted = moments[:, 1:4]
        np.multiply(weighted, points, out=moments[:, 4:7])
        np.multiply(weighted[:, :2], points[:, 1:], out=moments[:, 7:9])
        np.multiply(weighted[:, 2], points[:, 0], out=moments[:, 9])
        sums = self._sums_below(moments)
        return sums[:, 0], sums[:, 1:4], sums[:, 4:]

    def _wrenches(self, points: Array, forces: Array) -> Array:
        """Return the sums of moments and forces on the joints below each screw, (S, 6, B)."""
        wrench = np.empty((len(points), 6, points.shape[2]))
        _cross(points, forces, wrench[:, :3])
        wrench[:, 3:] = forces
        return self._sums_below(wrench)

    def _sums_below(self, values: Array) -> Array:
        """Return the sums over the joints that each screw moves, (J, ..., B) to (S, ..., B)."""
        sums = np.zeros((len(self._parents),) + values.shape[1:])
        for joint, screw in self._holders:
            sums[screw] += values[joint]
        for screw in range(len(sums) - 1, 0, -1):
            if self._parents[screw] >= 0:
                sums[self._parents[screw]] += sums[screw]
        return sums


def _cross(a: Array, b: Array, out: Array) -> None:
    """Write the cross products of (S, 3, B) into ``out``."""
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[:, j], b[:, k], out=out[:, i])
        out[:, i] -= a[:, k] * b[:, j]


def _times(second: Array, vector: Array) -> Array:
    """Return the symmetric matrices xx, yy, zz, xy, yz, zx times the vectors (S, 3, B)."""
    product = second[:, :3] * vector
    for i, j, place in ((0, 1, 3), (1, 2, 4), (2, 0, 5)):
        product[:, i] += second[:, place] * vector[:, j]
        product[:, j] += second[:, place] * vector[:, i]
    return product


def _screws_and_chains(tree: Tree) -> Tuple[Array, List[List[int]]]:
    """Return the parameter of each screw, and the screws on the way to it, itself included."""
    fixed = len(tree.position)
    columns = list(tree.position) + [turn.column for turn in tree.turns]
    chains = [list(range(i + 1)) for i in range(fixed)]
    for i in range(len(tree.turns)):
        chains.append(list(range(fixed)) + [fixed + turn for turn in tree.chain(i)])
    return np.array(columns, dtype=int), chains


def _structure(size: int, columns: Array, chains, with_scale: bool) -> PackedMatrix:
    depth = np.zeros(size)
    coupled = [set() for _ in range(size)]
    for i, chain in enumerate(chains):
        depth[columns[i]] = max(depth[columns[i]], len(chain))
        coupled[columns[i]] |= {int(columns[s]) for s in chain} - {int(columns[i])}
    if with_scale:
        depth[-1] = -1
        for row in coupled[:-1]:
            row.add(size - 1)
    return PackedMatrix(np.argsort(-depth, kind="stable"), coupled)


def _subtrees(tree: Tree):
    """Return the screw before each screw (-1: none), and (joint, last screw that moves it)."""
    fixed, last = len(tree.position), tree.last_turns()
    parents = list(range(-1, fixed - 1))
    parents += [fixed + t.parent if t.parent >= 0 else fixed - 1 for t in tree.turns]
    holders = [(j, fixed + last[joint]) for j, joint in enumerate(tree.visible)]
    return parents, [(j, screw) for j, screw in holders if screw >= 0]
