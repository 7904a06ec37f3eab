"""Surfaces of quads: fewer of them where a picture cannot show all, smoother ones, normals."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from gluon_dkpr.types import Array


def merge_vertices(vertices: Array, faces: Array, cell: Array) -> Tuple[Array, Array]:
    """Merge the vertices that lie in one cell of a grid.

    A merged vertex is the one that is nearest to the mean of its cell, so that whatever belongs to
    vertices (weights, shapes) is kept. Faces that lose two corners vanish.

    Args:
        vertices: (V, 3), mm.
        faces: (F, 4), indices of vertices.
        cell: width of the grid at each vertex, (V,), mm; 0 leaves the vertex alone. Vertices
            merge only with those of an equal width.

    Returns:
        Indices of the vertices that are left, (N,), and the faces that are left, (M, 4), indices
        of these; the last two corners of a triangle are the same.
    """
    used = np.unique(faces)
    width = cell[used]
    keys = np.floor(vertices[used] / np.where(width > 0, width, 1.0)[:, None])
    keys = np.column_stack([keys, width, np.where(width > 0, -1, used)])
    _, cluster = np.unique(keys, axis=0, return_inverse=True)
    cluster = cluster.ravel()
    count = np.bincount(cluster)
    mean = np.stack([np.bincount(cluster, vertices[used, axis]) / count for axis in range(3)], -1)
    distance = np.linalg.norm(vertices[used] - mean[cluster], axis=1)
    order = np.lexsort((distance, cluster))
    kept = used[order[np.searchsorted(cluster[order], np.arange(len(count)))]]
    lookup = np.full(len(vertices), -1)
    lookup[used] = cluster
    return kept, _proper(lookup[faces])


def smoothed(vertices: Array, faces: Array, own: Array, rounds: int) -> Array:
    """Return the vertices (N, 3), those of ``own`` (N,) moved half-way to their neighbours' mean.

    Args:
        vertices: (N, 3).
        faces: (F, 4).
        own: (N,), bool.
        rounds: how many times.
    """
    ends = np.concatenate([faces, np.roll(faces, 1, axis=1)], axis=0).ravel()
    others = np.concatenate([np.roll(faces, 1, axis=1), faces], axis=0).ravel()
    used = own[ends] & (ends != others)
    ends, others = ends[used], others[used]
    count = np.maximum(np.bincount(ends, minlength=len(vertices)), 1)[:, None]
    for _ in range(rounds):
        total = [np.bincount(ends, vertices[others, axis], len(vertices)) for axis in range(3)]
        mean = np.stack(total, axis=1) / count
        vertices = np.where(own[:, None], (vertices + mean) / 2, vertices)
    return vertices


def vertex_normals(vertices: Array, faces: Array) -> Array:
    """Return the unit normals of the surface at its vertices, outwards, (N, 3)."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    flat = faces.ravel()
    total = [np.bincount(flat, np.repeat(normal[:, axis], 4), len(vertices)) for axis in range(3)]
    summed = np.stack(total, axis=1)
    return summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9)


def _proper(faces: Array) -> Array:
    """Return the faces with three or four different corners; doubled corners go to the end."""
    following = np.roll(faces, -1, axis=1)
    doubled = faces == following
    crossed = (faces[:, 0] == faces[:, 2]) | (faces[:, 1] == faces[:, 3])
    good = (doubled.sum(axis=1) <= 1) & ~crossed
    faces, doubled = faces[good], doubled[good]
    # Turned so that a doubled corner is the third, equal to the fourth.
    shift = np.where(doubled.any(axis=1), doubled.argmax(axis=1) - 2, 0)
    columns = (np.arange(4) + shift[:, None]) % 4
    return np.take_along_axis(faces, columns, axis=1)
