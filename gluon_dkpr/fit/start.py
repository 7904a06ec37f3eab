"""Where the fit starts: one closed-form pass over the joints, from the root outwards.

Each joint is turned so that what hangs on it comes closest to the wanted points, with everything
further out in a given pose. For an arm with a bent elbow this is already the answer: the shoulder
sees the directions of elbow and wrist, and the elbow then closes the gap.
"""

from __future__ import annotations

from typing import List

import numpy as np

from gluon_dkpr.fit.euler import closest_angles, turned
from gluon_dkpr.fit.tree import Tree
from gluon_dkpr.types import Array

# Points behind k further turns count 0.01 ** k: what is rigidly attached to a joint decides, and
# the next points only what is left open (the turn about the line of the hips, the roll of an arm).
FADING = 0.01
# Turns beyond so many count alike: further powers, and products of them, would soon be 0.
MOST_FADED = 60
# What even those leave open stays as in the given pose, which counts like points of this weight.
HOLD = 1e-6


class Starter:
    """Closed-form starts for a tree.

    Args:
        tree: the skeleton.
        given: angles that everything further out has while a joint is turned, (P,).
    """

    def __init__(self, tree: Tree, given: Array):
        self.tree, self.given = tree, given
        self._turns = {}
        for i, turn in enumerate(tree.turns):
            self._turns.setdefault(turn.joint, []).append(i)
        columns = [turn.column for turn in tree.turns]
        self._free = {
            joint: all(columns.count(tree.turns[i].column) == 1 for i in turns)
            for joint, turns in self._turns.items()
        }
        self._arms, self._fading = {}, {}
        frames, points = tree.frames(given[:, None], np.ones(1))
        last = tree.last_turns()
        chains = [tree.chain(last[joint]) for joint in tree.visible]
        for joint in {tree.root, *self._turns}:
            turns = self._turns.get(joint, [])
            frame = frames[turns[-1], :, :, 0] if turns else np.eye(3)
            arms = points[tree.visible, :, 0] - points[joint, :, 0]
            self._arms[joint] = arms @ frame.T
            self._fading[joint] = np.array([_fading(turns, chain) for chain in chains])
        # The root moves with none of its turns, but says where it is.
        self._fading[tree.root][tree.visible.index(tree.root)] = 1.0

    def start(self, target: Array, weights: Array, scale: Array) -> Array:
        """Return motions (P, N), not clipped to the bounds.

        Args:
            target: wanted joints in the world, (J, 3, N); arbitrary where the weight is 0.
            weights: (J, N), in every frame one of them above 0.
            scale: of the bones, (N,).
        """
        tree, wanted = self.tree, target.transpose(2, 0, 1)
        motion = np.repeat(self.given[:, None], len(wanted), axis=1)
        world = np.broadcast_to(np.eye(3), (len(wanted), 3, 3))
        frames = {-1: world}
        points = {tree.root: np.repeat(tree.origin.T, len(wanted), axis=0)}
        bones = {bone.joint: bone for bone in tree.bones}
        for joint in tree.skeleton.topological_order:
            if joint in bones:
                bone = bones[joint]
                points[joint] = points[bone.parent] + scale[:, None] * (
                    frames[bone.turn] @ bone.offset
                )
            turns = self._turns.get(joint, [])
            if turns:
                outer = frames[tree.turns[turns[0]].parent]
                if self._free[joint]:
                    arms = (wanted - points[joint][:, None]) @ outer
                    self._turn(joint, turns, arms, weights, motion)
                for i in turns:
                    turn = tree.turns[i]
                    outer = turned(outer, turn.before, turn.coefficient * motion[turn.column])
                    frames[i] = outer
            if joint == tree.root and tree.position:
                frame = frames[turns[-1]] if turns else world
                shift = wanted - points[joint][:, None]
                shift = shift - scale[:, None, None] * (
                    self._arms[joint] @ frame.transpose(0, 2, 1)
                )
                points[joint] += (self._share(joint, weights)[..., None] * shift).sum(1)
        for axis, column in enumerate(tree.position):
            motion[column] = points[tree.root][:, axis] - tree.origin[axis]
        return motion

    def _share(self, joint: int, weights: Array) -> Array:
        faded = weights.T * self._fading[joint]
        return faded / faded.sum(1, keepdims=True)

    def _turn(self, joint, turns: List[int], arms: Array, weights: Array, motion: Array) -> None:
        """Set the angles of a joint's turns so that its arms come closest to ``arms`` (N, J, 3)."""
        own = self._arms[joint]
        faded = (weights.T * self._fading[joint])[..., None]
        if joint == self.tree.root and self.tree.position:
            # Where the root goes is open: only the shape counts.
            share = self._share(joint, weights)[..., None]
            arms = arms - (share * arms).sum(1, keepdims=True)
            own = own - (share * own).sum(1, keepdims=True)
        parts = [self.tree.turns[i] for i in turns]
        given = np.array([turn.coefficient * self.given[turn.column] for turn in parts])
        steps = [turn.before for turn in parts]
        hold = np.eye(3)[None]
        for step, angle in zip(steps, given):
            hold = turned(hold, step, np.array([angle]))
        size = (self._fading[joint][:, None] * self._arms[joint] ** 2).sum()
        covariance = np.matmul((faded * own).transpose(0, 2, 1), arms)
        covariance = covariance + HOLD * (size or 1.0) * hold.transpose(0, 2, 1)
        angles = closest_angles(steps, covariance, given)
        for turn, angle in zip(parts, angles):
            motion[turn.column] = angle / turn.coefficient


def _fading(turns: List[int], chain: List[int]) -> float:
    """Return the weight, for a joint with these turns, of a point at the end of a chain."""
    if turns and turns[-1] not in chain:
        return 0.0
    return FADING ** min(MOST_FADED, len(chain) - (chain.index(turns[-1]) + 1 if turns else 0))
