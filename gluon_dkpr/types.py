"""Aliases that keep signatures readable.

``Tensor`` is what ``hybrid_forward`` receives: an ``mx.nd.NDArray`` or an ``mx.sym.Symbol``.
``Array`` is a NumPy array. Neither needs MXNet at run time.
"""

from typing import Any

import numpy as np

Tensor = Any
Array = np.ndarray
