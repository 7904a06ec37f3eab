"""How a tree of rotations becomes a short graph: three programs behind one interface.

A program holds constant arrays, and ``run`` composes operators that map a motion (B, P) to the sum
of the bones from the root to every joint, (B, J, D), before scale and position. Sequential depth:
``PlanarProgram`` constant, ``DenseProgram`` and ``ScanProgram`` logarithmic in the tree's depth.
"""

from __future__ import annotations

import itertools
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from gluon_dkpr.nn.linear import linear
from gluon_dkpr.nn.quaternion import LEFT, MERGE, RIGHT, ROTATE, SPREAD, multiply
from gluon_dkpr.nn.topology import Topology, Turn
from gluon_dkpr.types import Array, Tensor

# Turns per block: its quaternion is a sum of 2**5 cosines and sines, and the human body, nine turns
# deep, two blocks. With blocks of 3 it takes a round more and 1.3 times as long at batch 1, as long
# at batch 52, and 0.75 times as long at batch 4096 (two CPU cores).
BLOCK = 5


class Program:
    """Constant arrays by name, and products with them."""

    def __init__(self):
        self.constants: Dict[str, Array] = {}

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J, D)."""
        raise NotImplementedError

    def linear(self, F, data, constants, name: str, shift: Optional[str] = None):
        """Apply the matrix ``name`` (outputs, inputs) to the last axis, and add a constant."""
        added = None if shift is None else constants[shift]
        return linear(F, data, constants[name], len(self.constants[name]), added)


class PlanarProgram(Program):
    """Two dimensions: rotations commute, so a bone's direction is the sum of angles above it."""

    def __init__(self, topology: Topology):
        super().__init__()
        bones = [bone for bone in topology.bones if bone.turn is not None]
        angles, rests = [], []
        for bone in bones:
            angle, rest, turn = 0.0, np.arctan2(bone.vector[1], bone.vector[0]), bone.turn
            while turn is not None:
                basis = topology.turns[turn].basis
                # It is (cos, sin) of half the rest angle in its w and z.
                rest += 2 * np.arctan2(basis[3, 0], basis[0, 0])
                angle = angle + topology.turns[turn].angle
                turn = topology.turns[turn].parent
            angles.append(angle)
            rests.append(rest)
        reach = moving_paths(topology) * [np.hypot(*bone.vector[:2]) for bone in bones]
        self.constants["angles"], self.constants["phases"] = cosines_and_sines(angles, rests)
        # (J, 2, 2 * bones): x of the cosines, y of the sines.
        self.constants["bones"] = np.einsum("jb,de->jdeb", reach, np.eye(2)).reshape(
            2 * len(reach), -1
        )

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J, 2)."""
        directions = F.sin(self.linear(F, motion, constants, "angles", "phases"))
        return F.reshape(self.linear(F, directions, constants, "bones"), shape=(0, -1, 2))


class DenseProgram(Program):
    """Three dimensions, small trees: products with constant matrices, and squares in between.

    The path of turns above a joint is cut into blocks of 5. A block's quaternion is a linear map of
    cosines and sines of signed sums of its half angles. Blocks are joined as in Sklansky's parallel
    prefix: in round r every turn whose block number has bit r set is multiplied from the left by
    the last turn of the path before its group of ``2**r`` blocks, ⌈log2(blocks)⌉ rounds in all.

    A product is a difference of squares, ``4 l r = (l + r)**2 - (l - r)**2``, so that a round is
    one matrix and one square; what it leaves as it is passes through as ``4 q = 4 q * 1``.
    """

    def __init__(self, topology: Topology):
        super().__init__()
        self._topology = topology
        carriers = sorted({bone.turn for bone in topology.bones if bone.turn is not None})
        schedule, needed = self._schedule(carriers)
        # Per turn: the map (4, width) from what the round before has left to its quaternion.
        state = self._block_quaternions(needed[0])
        self._rounds = len(schedule)
        for number, changing in enumerate(schedule):
            state = self._add_round(number, dict(changing), needed[number + 1], state)
        self.constants["spread"] = np.vstack([SPREAD @ state[turn] for turn in carriers])
        self.constants["bones"] = self._bone_matrix(carriers)

    @property
    def cost(self) -> int:
        """Return its multiplications for one pose: the entries of its matrices."""
        return sum(array.size for array in self.constants.values())

    def _schedule(self, carriers: Sequence[int]):
        """Return who is multiplied by whom in every round, and who is needed before and after."""
        topology = self._topology
        depth = max(turn.depth for turn in topology.turns)
        needed = [sorted(carriers)]
        schedule: List[List[Tuple[int, int]]] = []
        for number in reversed(range((depth // BLOCK).bit_length())):
            changing = []
            for turn in needed[0]:
                block = topology.turns[turn].depth // BLOCK
                if block >> number & 1:
                    last = (block >> number << number) * BLOCK - 1
                    changing.append((turn, topology.ancestor(turn, last)))
            if changing:  # with sparse bones a round can be empty
                schedule.insert(0, changing)
                needed.insert(0, sorted({*needed[0], *(ancestor for _, ancestor in changing)}))
        return schedule, needed

    def _block_quaternions(self, turns: Sequence[int]) -> Dict[int, Array]:
        """Add the constants of the angles; return each turn's (4, features) block quaternion."""
        rows: Dict[tuple, int] = {}
        sums = {turn: signed_sums(self._block_chain(turn)) for turn in turns}
        for row, _, _ in itertools.chain(*sums.values()):
            rows.setdefault(tuple(row), len(rows))
        angles, phases = cosines_and_sines(list(rows))
        self.constants["angles"], self.constants["phases"] = angles, phases
        matrices = {}
        for turn, terms in sums.items():
            matrices[turn] = np.zeros((4, 2 * len(rows)))
            for row, by_cos, by_sin in terms:
                matrices[turn][:, rows[tuple(row)]] += by_cos
                matrices[turn][:, len(rows) + rows[tuple(row)]] += by_sin
        return matrices

    def _block_chain(self, turn: int) -> List[Turn]:
        """Return the turns of the block that ends with ``turn``, first one first."""
        first = self._topology.turns[turn].depth // BLOCK * BLOCK
        chain = []
        while turn is not None and self._topology.turns[turn].depth >= first:
            chain.append(self._topology.turns[turn])
            turn = self._topology.turns[turn].parent
        return chain[::-1]

    def _add_round(self, number: int, changing: Dict[int, int], needed, state) -> Dict[int, Array]:
        """Add the constants of a round; return the maps from its squares to quaternions."""
        sums, shifts, merges = [], [], []
        for turn in needed:
            if turn in changing:
                left, right, merge = LEFT @ state[changing[turn]], RIGHT @ state[turn], MERGE
            else:
                left, right, merge = state[turn], np.zeros_like(state[turn]), np.eye(4)
            # Without a factor from the tree, the other one is a constant 1.
            shift = np.full(len(left), float(turn not in changing))
            sums += [left + right, left - right]
            shifts += [shift, -shift]
            merges.append(np.hstack([merge, -merge]) / 4)
        self.constants[f"round{number}"] = np.vstack(sums)
        self.constants[f"shift{number}"] = np.concatenate(shifts)
        begins = np.cumsum([0] + [merge.shape[1] for merge in merges])
        maps = {}
        for turn, merge, begin in zip(needed, merges, begins):
            maps[turn] = np.zeros((4, begins[-1]))
            maps[turn][:, begin : begin + merge.shape[1]] = merge
        return maps

    def _bone_matrix(self, carriers) -> Array:
        """Return the map (J * 3, 10 * carriers) from squares to summed bones."""
        place = {turn: i for i, turn in enumerate(carriers)}
        matrix = np.zeros((len(self._topology.paths), 3, len(carriers), 10))
        for column, bone in enumerate(self._topology.bones):
            if bone.turn is not None:
                rotate = np.einsum("ijs,j->is", ROTATE.reshape(3, 3, 10), bone.vector)
                path = self._topology.paths[:, column]
                matrix[:, :, place[bone.turn]] += path[:, None, None] * rotate
        return matrix.reshape(-1, 10 * len(carriers))

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J, 3)."""
        data = F.sin(self.linear(F, motion, constants, "angles", "phases"))
        for number in range(self._rounds):
            data = F.square(self.linear(F, data, constants, f"round{number}", f"shift{number}"))
        squares = F.square(self.linear(F, data, constants, "spread"))
        return F.reshape(self.linear(F, squares, constants, "bones"), shape=(0, -1, 3))


def cosines_and_sines(angles, rests=0.0) -> Tuple[Array, Array]:
    """Return rows and phases whose sines are the cosines of angles plus rests, then their sines."""
    phases = np.broadcast_to(rests, len(angles))
    return np.vstack([angles, angles]), np.concatenate([phases + np.pi / 2, phases])


def moving_paths(topology: Topology) -> Array:
    """Return the paths (J, moving bones) of bones that some turn carries."""
    moving = [i for i, bone in enumerate(topology.bones) if bone.turn is not None]
    return topology.paths[:, moving]


def sign_rows(count: int) -> Array:
    """Return all signs (2**(count - 1), count) of a sum whose first one is +."""
    return np.array([(1.0, *rest) for rest in itertools.product((1.0, -1.0), repeat=count - 1)])


def signed_sums(chain: Sequence[Turn]) -> List[Tuple[Array, Array, Array]]:
    """Expand the product of a chain's quaternions into cosines and sines.

    With h_i the k half angles and S the places of the sines, a product of cosines and sines is
    ``2**(1-k) * sum Re(prod_{i in S} sign_i * (-1j)**|S| * exp(1j * phi))`` over ``sign_rows``,
    with ``phi = sum(sign_i * h_i)``.

    Returns:
        List of (row (P,) of phi, (4,) factor of cos(phi), (4,) factor of sin(phi)).
    """
    count = len(chain)
    terms = []
    for signs in sign_rows(count):
        row = sum(sign * turn.angle / 2 for sign, turn in zip(signs, chain))
        by_cos, by_sin = np.zeros(4), np.zeros(4)
        for sines in itertools.product((0, 1), repeat=count):
            product = chain[0].basis[:, sines[0]]
            for turn, sine in zip(chain[1:], sines[1:]):
                product = multiply(product, turn.basis[:, sine])
            negative = np.prod([sign for sign, sine in zip(signs, sines) if sine])
            factor = negative * 2.0 ** (1 - count)
            power = sum(sines) % 4
            if power % 2 == 0:
                by_cos += factor * (1 if power == 0 else -1) * product
            else:
                by_sin += factor * (1 if power == 1 else -1) * product
        terms.append((row, by_cos, by_sin))
    return terms
