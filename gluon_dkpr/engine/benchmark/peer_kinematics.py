"""pytorch_kinematics answering timed rounds. Runs in the peer's own environment, as a program.

``build`` comes first for every case; :mod:`peer_answers` says how it is asked.
"""

from __future__ import annotations

import sys
import time
from importlib import metadata

import pytorch_kinematics
import torch
from peer_answers import serve


class Peer:
    """The chains that were built, and the inputs that were made for them."""

    def __init__(self):
        self._chains = {}
        self._calls = {}

    def versions(self) -> dict:
        """Return what the numbers depend on."""
        return {
            "pytorch_kinematics": metadata.version("pytorch_kinematics"),
            "torch": torch.__version__,
            "python": sys.version.split()[0],
            "threads": torch.get_num_threads(),
        }

    def build(self, case: str, urdf: str, links: list, parameters: list) -> None:
        """Build the chain of a case; ``links`` are its outputs, in order."""
        chain = pytorch_kinematics.build_chain_from_urdf(urdf)
        # Its own order of the parameters: found once, so that it costs nothing per call.
        order = [parameters.index(name) for name in chain.get_joint_parameter_names()]
        self._chains[case] = (chain, links, order)

    def joints(self, case: str, mode: str, motion: list, weight: list) -> dict:
        """Return joints (B, J, 3) and the gradient of ``sum(weight * joints)``, (B, P)."""
        _, _, order = self._chains[case]
        angles = torch.tensor(motion)[:, order].requires_grad_()
        joints = self._function(case, mode)(angles)
        joints.backward(torch.tensor(weight))
        gradient = torch.empty_like(angles)
        gradient[:, order] = angles.grad
        return {"joints": joints.tolist(), "gradient": gradient.tolist()}

    def time(self, case: str, mode: str, batch: int, calls: int, seed: int) -> float:
        """Return the seconds of one call of forward and backward, the mean of ``calls``."""
        key = (case, mode, batch)
        if key not in self._calls:
            chain, links, _ = self._chains[case]
            torch.manual_seed(seed)
            angles = torch.randn(batch, chain.n_joints, requires_grad=True)
            weight = torch.randn(batch, len(links), 3)
            self._calls[key] = (self._function(case, mode), angles, weight)
        function, angles, weight = self._calls[key]
        begin = time.perf_counter()
        for _ in range(calls):
            angles.grad = None
            function(angles).backward(weight)
        return (time.perf_counter() - begin) / calls

    def _function(self, case: str, mode: str):
        """Return a function from angles (B, P) to joints (B, J, 3).

        Modes: ``eager`` is the documented call; ``tensor`` takes the transforms before they become
        one object a link; ``compiled`` is that through torch.compile.
        """
        chain, links, _ = self._chains[case]
        frames = chain.get_frame_indices(*links)

        def eager(angles):
            transforms = chain.forward_kinematics(angles, frame_indices=frames)
            return torch.stack([transforms[link].get_matrix()[:, :3, 3] for link in links], dim=1)

        def tensor(angles):
            transforms = chain.forward_kinematics_tensor(angles)
            return transforms[frames, :, :3, 3].transpose(0, 1)

        if mode == "compiled":
            return torch.compile(tensor, dynamic=False)
        return {"eager": eager, "tensor": tensor}[mode]


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve(Peer())
