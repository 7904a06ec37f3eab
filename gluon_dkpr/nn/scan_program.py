"""Three dimensions, large trees: a graph whose work grows as turns times log(depth)."""

from __future__ import annotations

from typing import Dict, List, Sequence

import numpy as np

from gluon_dkpr.nn.programs import (
    Program,
    cosines_and_sines,
    moving_paths,
    sign_rows,
    signed_sums,
)
from gluon_dkpr.nn.quaternion import (
    LEFT,
    MERGE,
    RIGHT,
    SPREAD_Z,
    TURN_Z,
    from_z_axis,
    multiply,
)
from gluon_dkpr.nn.topology import Topology
from gluon_dkpr.types import Array, Tensor

# Turns per strand. With 3, and a round more, a chain of 64 takes 1.05 times as long at batch 1, 1.1
# at batch 52 and 0.9 at batch 4096; with 5 the trigonometry costs more than a round.
STRAND = 4


class ScanProgram(Program):
    """Pointer doubling (Hillis and Steele) over ends of strands, then one product for each bone.

    The tree of turns is cut every 4 turns below the root, and what lies between into *strands*:
    ways from a cut to a leaf or the next cut. A strand is a row of tensors (strands, B, ·). Its
    quaternions, that at its end and one for each of its bones, are linear maps of cosines and sines
    of signed sums of its half angles. In round r the end of every strand is multiplied from the
    left by that of the strand 2**r further up, ⌈log2(depth / 4)⌉ rounds of a gather and a product;
    one more brings them to the bones. Strand 0 turns nothing and is above the root.

    A bone's quaternion takes the z axis to its direction; lengths are in the last matrix, which
    sums bones along the paths.
    """

    def __init__(self, topology: Topology):
        super().__init__()
        strands = [[], *_cut_into_strands(topology)]
        parents = _parents(topology, strands)
        bones = [bone for bone in topology.bones if bone.turn is not None]
        owner = {turn: i for i in reversed(range(len(strands))) for turn in strands[i]}
        places: List[List[int]] = [[] for _ in strands]
        for number, bone in enumerate(bones):
            places[owner[bone.turn]].append(number)
        self._strands, self._places = len(strands), max(map(len, places))

        turns = topology.turns
        half = np.zeros((len(strands), STRAND, len(turns[0].angle)))
        features = 2 * (2**STRAND - 1)
        quaternions = np.zeros((len(strands), 1 + self._places, 4, features))
        quaternions[0, 0] = _quaternion(topology, [])
        reach = np.zeros((len(topology.paths), self._places, len(strands)))
        paths = moving_paths(topology)
        for i, strand in enumerate(strands[1:], 1):
            half[i, : len(strand)] = [turns[turn].angle / 2 for turn in strand]
            quaternions[i, 0] = _quaternion(topology, strand)
            for place, number in enumerate(places[i]):
                bone = bones[number]
                carrier = _quaternion(topology, strand[: strand.index(bone.turn) + 1])
                toward = from_z_axis(bone.vector)
                quaternions[i, 1 + place] = np.transpose([multiply(q, toward) for q in carrier.T])
                reach[:, place, i] = paths[:, number] * np.linalg.norm(bone.vector)

        constants = self.constants
        constants["half"] = half.reshape(-1, half.shape[-1])
        signs = [np.pad(sign_rows(n), ((0, 0), (0, STRAND - n))) for n in range(1, STRAND + 1)]
        constants["signs"], constants["phases"] = cosines_and_sines(np.vstack(signs))
        constants["quaternions"] = quaternions.reshape(len(strands), -1, features).swapaxes(1, 2)
        end, bone = np.eye(1 + self._places)[:1], np.eye(1 + self._places)[1:]
        constants["end_left"] = np.kron(end, LEFT)
        constants["bone_right"] = np.kron(bone, RIGHT)
        self._add_rounds(parents, np.kron(end, RIGHT))
        constants["parents"] = parents.astype(float)
        constants["spread"] = np.kron(np.eye(self._places), SPREAD_Z @ MERGE)
        # Outputs by axis, then by place.
        axes = np.einsum("as,pq->apqs", TURN_Z, np.eye(self._places))
        constants["directions"] = axes.reshape(3 * self._places, -1)
        constants["reach"] = reach.reshape(len(reach), -1)

    def _add_rounds(self, parents: Array, end_right: Array) -> None:
        """Add what joins the ends of strands, and what brings them to the places of bones."""
        depth = np.zeros(len(parents), int)
        for i in range(1, len(parents)):
            depth[i] = depth[parents[i]] + 1
        # Only ends that another strand begins at are asked for.
        self._rounds = max(0, int(depth[parents].max()) - 1).bit_length()
        if self._rounds:
            self.constants["end_right"] = end_right
        for number in range(self._rounds):
            self.constants[f"ancestors{number}"] = parents.astype(float)
            parents = parents[parents]
        if self._rounds > 1:
            self.constants["left"], self.constants["right"] = LEFT @ MERGE, RIGHT @ MERGE
        ends = LEFT @ MERGE if self._rounds else np.eye(8)
        self.constants["bone_left"] = np.tile(ends, (self._places, 1))

    def run(self, F, motion: Tensor, constants: Dict[str, Tensor]) -> Tensor:
        """Map motion (B, P) to summed bones (B, J, 3)."""

        def linear(data, name, shift=None):
            return self.linear(F, data, constants, name, shift)

        half = F.reshape(linear(motion, "half"), shape=(0, self._strands, STRAND))
        waves = F.sin(linear(F.transpose(half, axes=(1, 0, 2)), "signs", "phases"))
        own = F.batch_dot(waves, constants["quaternions"])  # (strands, B, 4 * (1 + places))

        ends = linear(own, "end_left")
        if self._rounds:
            right = linear(own, "end_right")
        for number in range(self._rounds):
            ends = F.take(ends, constants[f"ancestors{number}"]) * right
            if number + 1 < self._rounds:
                ends, right = linear(ends, "left"), linear(ends, "right")
        above = linear(F.take(ends, constants["parents"]), "bone_left")
        squares = F.square(linear(above * linear(own, "bone_right"), "spread"))
        bones = F.transpose(linear(squares, "directions"), axes=(1, 2, 0))
        bones = F.reshape(bones, shape=(0, 3, -1))  # (B, 3, places * strands)
        return F.transpose(linear(bones, "reach"), axes=(0, 2, 1))


def _cut_into_strands(topology: Topology) -> List[List[int]]:
    """Return the strands; every turn is in one or, above a branching, in several."""
    turns = topology.turns
    has_next = {turn.parent for turn in turns if turn.depth % STRAND}
    strands = []
    for number in range(len(turns)):
        if number not in has_next:
            strand = [number]
            while turns[strand[0]].depth % STRAND:
                strand.insert(0, turns[strand[0]].parent)
            strands.append(strand)
    return strands


def _parents(topology: Topology, strands: Sequence[Sequence[int]]) -> Array:
    """Return for each strand the one at whose end it begins, 0 at the root; parents come first."""
    ends = {strand[-1]: i for i, strand in enumerate(strands) if strand}
    ends[None] = 0
    begins = [topology.turns[strand[0]].parent if strand else None for strand in strands]
    return np.array([ends[turn] for turn in begins])


def _quaternion(topology: Topology, chain: Sequence[int]) -> Array:
    """Return the map (4, features) to the quaternion of the first turns of a strand.

    Features are the cosines of the sums of the first angle, of the first two, and so on, then the
    sines; that of the first angle of strand 0, which has none, is 1.
    """
    count = 2**STRAND - 1
    matrix = np.zeros((4, 2 * count))
    if not chain:
        matrix[0, 0] = 1.0
        return matrix
    begin = 2 ** (len(chain) - 1) - 1
    terms = signed_sums([topology.turns[turn] for turn in chain])
    for place, (_, by_cos, by_sin) in enumerate(terms, begin):
        matrix[:, place], matrix[:, count + place] = by_cos, by_sin
    return matrix
