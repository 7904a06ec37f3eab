"""Products with constant matrices."""

from __future__ import annotations

from typing import Optional

from gluon_dkpr.types import Tensor


def linear(F, data: Tensor, matrix: Tensor, size: int, shift: Optional[Tensor] = None) -> Tensor:
    """Apply a matrix (size, inputs) to the last axis of data, and add a shift (size,).

    It is a ``FullyConnected``: on CPUs that is oneDNN's, several times as fast as ``dot``, whose
    OpenBLAS may besides never return (seen with 256 x 256) when two devices of a process call it at
    once, both with more than one thread.

    What comes out may go to one operator, or to several that are no functions of single numbers:
    where graphs are compiled for oneDNN (the C interface does so, ``optimize_for`` too), MXNet 1.9
    merges a ``FullyConnected`` with a square, root or absolute value behind it, and what else takes
    its result reads memory that nobody wrote.
    """
    options = {"num_hidden": size, "flatten": False}
    if shift is None:
        return F.FullyConnected(data, matrix, no_bias=True, **options)
    return F.FullyConnected(data, matrix, shift, **options)
