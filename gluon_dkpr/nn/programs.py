"""How a tree of rotations becomes a short graph: three programs behind one interface.

A program holds constant arrays, and ``run`` composes operators that map a motion (B, P) to the sum
of the bones from the root to every joint, (B, J * D), before scale and position. Sequential depth:
``PlanarProgram`` constant, ``DenseProgram`` and ``ScanProgram`` logarithmic in the tree's depth.
"""

from __future__ import annotations

import itertools
from typing import Dict, List, Tuple

import numpy as np

from gluon_dkpr.nn.quaternion import LEFT, MERGE, RIGHT, ROTATE, SPREAD, multiply
from gluon_dkpr.nn.topology import Topology
from gluon_dkpr.types import Array, Tensor

# Turns per block of the dense program: its quaternion is a sum of 2**3 cosines and sines, which is
# cheaper than the products it replaces; from 4 on the trigonometry costs more than it saves.
BLOCK = 3


class PlanarProgram:
    """Two dimensions: rotations commute, so a bone's direction is the sum of angles above it."""

    def __init__(self, topology: Topology):
        bones = [bone for bone in topology.bones if bone.turn is not None]
        angles, vectors = [], []
        for bone in bones:
            angle, rest, turn = 0.0, 0.0, bone.turn
            while turn is not None:
                # The basis is (cos, sin) of half the rest angle in its w and z.
                rest += 2 * np.arctan2(
                    topology.turns[turn].basis[3, 0], topology.turns[turn].basis[0, 0]
                )
                angle = angle + topology.turns[turn].angle
                turn = topology.turns[turn].parent
            cos, sin = np.cos(rest), np.sin(rest)
            angles.append(angle)
            vectors.append(np.array([[cos, -sin], [sin, cos]]) @ bone.vector[:2])
        # cos * (vx, vy) + sin * (-vy, vx)
        vectors = np.array(vectors)
        by_cos = np.einsum("jb,bd->bjd", _moving_paths(topology), vectors)
        by_sin = np.einsum("jb,bd->bjd", _moving_paths(topology), vectors @ [[0, 1.0], [-1, 0]])
        self.constants = {
            "angles": np.array(angles).T,
            "bones": np.vstack([by_cos, by_sin]).reshape(2 * len(bones), -1),
        }

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J * 2)."""
        angle = F.dot(motion, constants["angles"])
        return F.dot(F.concat(F.cos(angle), F.sin(angle), dim=1), constants["bones"])


class DenseProgram:
    """Three dimensions, small trees: every step is a product with a constant matrix.

    The path of turns above a joint is cut into blocks of 3. A block's quaternion is a linear map of
    cosines and sines of signed sums of its half angles. Blocks are joined as in Sklansky's parallel
    prefix: in round r every turn whose block number has bit r set is multiplied from the left by
    the last turn of the path before its group of ``2**r`` blocks, ⌈log2(blocks)⌉ rounds in all.
    """

    def __init__(self, topology: Topology):
        self._topology = topology
        self._find_needed()
        self.constants: Dict[str, Array] = {}
        self._rounds: List[Tuple[List[int], List[int]]] = []
        self._widths = []
        features = self._block_features()
        # Per turn: which tensor of the pool holds its latest quaternion, and the (4, width) map.
        state = {turn: (0, matrix) for turn, matrix in features.items()}
        for number, changing in enumerate(self._schedule):
            left = [(state[ancestor], LEFT) for _, ancestor in changing]
            right = [(state[turn], RIGHT) for turn, _ in changing]
            sources = [
                self._add_map(f"{side}{number}", maps)
                for side, maps in (("left", left), ("right", right))
            ]
            self._rounds.append(tuple(sources))
            self._widths.append(8 * len(changing))
            for place, (turn, _) in enumerate(changing):
                matrix = np.zeros((4, 8 * len(changing)))
                matrix[:, 8 * place : 8 * place + 8] = MERGE
                state[turn] = (number + 1, matrix)
        carriers = sorted({bone.turn for bone in topology.bones if bone.turn is not None})
        self._final = self._add_map("spread", [(state[turn], SPREAD) for turn in carriers])
        self.constants["bones"] = self._bone_matrix(carriers)

    @property
    def cost(self) -> int:
        """Return its multiplications for one pose: the entries of its matrices."""
        return sum(array.size for array in self.constants.values())

    def _find_needed(self):
        """Find the turns whose quaternions are used, and who is multiplied in which round."""
        topology = self._topology
        depth = max(turn.depth for turn in topology.turns)
        count = (depth // BLOCK).bit_length()
        needed = {bone.turn for bone in topology.bones if bone.turn is not None}
        schedule = []
        for number in reversed(range(count)):
            changing = []
            for turn in sorted(needed):
                block = topology.turns[turn].depth // BLOCK
                if block >> number & 1:
                    last = (block >> number << number) * BLOCK - 1
                    changing.append((turn, topology.ancestor(turn, last)))
            needed |= {ancestor for _, ancestor in changing}
            schedule.append(changing)
        self._needed = sorted(needed)
        # With sparse bones a round can be empty.
        self._schedule = [changing for changing in schedule[::-1] if changing]

    def _block_features(self) -> Dict[int, Array]:
        """Add the constant ``angles``; return each needed turn's (4, features) block quaternion."""
        rows: Dict[tuple, int] = {}
        parts = {}
        for turn in self._needed:
            chain = self._block_chain(turn)
            parts[turn] = _signed_sums(chain)
            for row, _, _ in parts[turn]:
                rows.setdefault(tuple(row), len(rows))
        self.constants["angles"] = np.array(list(rows)).T
        self._widths.append(2 * len(rows))
        matrices = {}
        for turn, terms in parts.items():
            matrix = np.zeros((4, 2 * len(rows)))
            for row, by_cos, by_sin in terms:
                matrix[:, rows[tuple(row)]] += by_cos
                matrix[:, len(rows) + rows[tuple(row)]] += by_sin
            matrices[turn] = matrix
        return matrices

    def _block_chain(self, turn: int):
        """Return the turns of the block that ends with ``turn``, first one first."""
        first = self._topology.turns[turn].depth // BLOCK * BLOCK
        chain = []
        while turn is not None and self._topology.turns[turn].depth >= first:
            chain.append(self._topology.turns[turn])
            turn = self._topology.turns[turn].parent
        return chain[::-1]

    def _add_map(self, name, maps) -> List[int]:
        """Add one constant that applies every map to its source; return the sources it reads."""
        sources = sorted({source for (source, _), _ in maps})
        start = dict(zip(sources, np.cumsum([0] + [self._widths[s] for s in sources])))
        height = sum(outer.shape[0] for _, outer in maps)
        matrix = np.zeros((sum(self._widths[s] for s in sources), height))
        column = 0
        for (source, inner), outer in maps:
            rows = slice(start[source], start[source] + self._widths[source])
            matrix[rows, column : column + outer.shape[0]] = (outer @ inner).T
            column += outer.shape[0]
        self.constants[name] = matrix
        return sources

    def _bone_matrix(self, carriers) -> Array:
        """Return the map (10 * carriers, J * 3) from squares to summed bones."""
        place = {turn: i for i, turn in enumerate(carriers)}
        matrix = np.zeros((len(carriers), 10, len(self._topology.paths), 3))
        for column, bone in enumerate(self._topology.bones):
            if bone.turn is not None:
                rotate = np.einsum("ijs,j->si", ROTATE.reshape(3, 3, 10), bone.vector)
                path = self._topology.paths[:, column]
                matrix[place[bone.turn]] += path[None, :, None] * rotate[:, None]
        return matrix.reshape(10 * len(carriers), -1)

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J * 3)."""
        half = F.dot(motion, constants["angles"])
        pool = [F.concat(F.cos(half), F.sin(half), dim=1)]

        def read(name, sources):
            chosen = [pool[i] for i in sources]
            joined = chosen[0] if len(chosen) == 1 else F.concat(*chosen, dim=1)
            return F.dot(joined, constants[name])

        for number, (left, right) in enumerate(self._rounds):
            pool.append(read(f"left{number}", left) * read(f"right{number}", right))
        return F.dot(F.square(read("spread", self._final)), constants["bones"])


class ScanProgram:
    """Three dimensions, large trees: the work grows as turns times log(depth).

    Every turn is a row of a (turns, B, 8) tensor. In round r each row is multiplied from the left
    by the row of its ancestor 2**r turns up, or by the identity above the root: pointer doubling
    (Hillis and Steele), ⌈log2(depth)⌉ rounds of one gather and one product.
    """

    def __init__(self, topology: Topology):
        turns = topology.turns
        # Row 0 is the identity, the ancestor of everything above the root.
        parent = np.array([0] + [0 if t.parent is None else t.parent + 1 for t in turns])
        basis = np.zeros((len(turns) + 1, 4, 2))
        basis[0, 0, 0] = 1.0
        basis[1:] = [turn.basis for turn in turns]
        identity_angle = np.zeros_like(turns[0].angle)
        self.constants = {"angles": np.array([identity_angle] + [t.angle / 2 for t in turns])}
        self.constants["basis_left"] = np.einsum("ij,njk->nki", LEFT, basis)
        self.constants["basis_right"] = np.einsum("ij,njk->nki", RIGHT, basis)
        self._count = max(1, max(turn.depth for turn in turns).bit_length())
        for number in range(self._count):
            self.constants[f"ancestor{number}"] = parent.astype(float)
            parent = parent[parent]
        self.constants["merge_left"] = LEFT @ MERGE
        self.constants["merge_right"] = RIGHT @ MERGE
        self.constants["spread"] = SPREAD @ MERGE
        moving = [bone for bone in topology.bones if bone.turn is not None]
        self.constants["carriers"] = np.array([bone.turn + 1.0 for bone in moving])
        rotate = [np.einsum("ijs,j->si", ROTATE.reshape(3, 3, 10), b.vector) for b in moving]
        self.constants["rotate"] = np.array(rotate)
        self.constants["paths"] = _moving_paths(topology)

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J * 3)."""

        def linear(rows, name, size):
            weight = constants[name]
            return F.FullyConnected(rows, weight, no_bias=True, num_hidden=size, flatten=False)

        half = F.dot(constants["angles"], motion, transpose_b=True)  # (N, B)
        wave = F.stack(F.cos(half), F.sin(half), axis=1)  # (N, 2, B)
        left = F.batch_dot(wave, constants["basis_left"], transpose_a=True)  # (N, B, 8)
        right = F.batch_dot(wave, constants["basis_right"], transpose_a=True)
        for number in range(self._count):
            rows = F.take(left, constants[f"ancestor{number}"]) * right
            if number + 1 < self._count:
                left, right = linear(rows, "merge_left", 8), linear(rows, "merge_right", 8)
        carried = F.take(rows, constants["carriers"])
        squares = F.square(linear(carried, "spread", 10))
        bones = F.batch_dot(squares, constants["rotate"])  # (bones, B, 3)
        joints = F.transpose(F.dot(constants["paths"], bones), axes=(1, 0, 2))
        return F.reshape(joints, shape=(0, -1))


def _moving_paths(topology: Topology) -> Array:
    moving = [i for i, bone in enumerate(topology.bones) if bone.turn is not None]
    return topology.paths[:, moving]


def _signed_sums(chain):
    """Expand the product of a chain's quaternions into cosines and sines.

    With h_i the k half angles and S the places of the sines, a product of cosines and sines is
    ``2**(1-k) * sum Re(prod_{i in S} sign_i * (-1j)**|S| * exp(1j * phi))`` over all signs whose
    first is +, with ``phi = sum(sign_i * h_i)``.

    Returns:
        List of (row (P,) of phi, (4,) factor of cos(phi), (4,) factor of sin(phi)).
    """
    count = len(chain)
    terms = []
    for rest in itertools.product((1.0, -1.0), repeat=count - 1):
        signs = (1.0, *rest)
        row = sum(sign * turn.angle / 2 for sign, turn in zip(signs, chain))
        by_cos, by_sin = np.zeros(4), np.zeros(4)
        for sines in itertools.product((0, 1), repeat=count):
            product = chain[0].basis[:, sines[0]]
            for turn, sine in zip(chain[1:], sines[1:]):
                product = multiply(product, turn.basis[:, sine])
            factor = np.prod([sign for sign, sine in zip(signs, sines) if sine]) * 2.0 ** (
                1 - count
            )
            power = sum(sines) % 4
            if power % 2 == 0:
                by_cos += factor * (1 if power == 0 else -1) * product
            else:
                by_sin += factor * (1 if power == 1 else -1) * product
        terms.append((row, by_cos, by_sin))
    return terms
