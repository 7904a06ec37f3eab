"""Surfaces of quads: merging, smoothing, normals. The oracle is a ball."""

import numpy as np

from gluon_dkpr.data.body.surface import merge_vertices, smoothed, vertex_normals


def ball(count=24, radius=100.0):
    """Return a closed surface of quads about a ball (a cube blown up), counter-clockwise."""
    steps = np.linspace(-1, 1, count + 1)
    places, faces = {}, []

    def vertex(point):
        return places.setdefault(tuple(np.round(point, 9)), len(places))

    for axis in range(3):
        for sign in (-1, 1):
            for i in range(count):
                for j in range(count):
                    corners = []
                    for a, b in ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)):
                        point = np.empty(3)
                        point[axis] = sign
                        point[(axis + 1) % 3], point[(axis + 2) % 3] = steps[a], steps[b]
                        corners.append(vertex(point))
                    faces.append(corners[::sign])
    points = np.array(list(places))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True), np.array(faces)


def volume(vertices, faces):
    """Return the volume that a closed surface holds, by the divergence theorem."""
    total = 0.0
    for second, third in ((1, 2), (2, 3)):
        a, b, c = (vertices[faces[:, k]] for k in (0, second, third))
        total += np.einsum("ni,ni->", a, np.cross(b, c)) / 6
    return total


def edges(faces):
    """Return each edge with its direction, without those of no length."""
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
    return {(a, b) for a, b in ends.tolist() if a != b}


def test_merging_keeps_the_surface_closed_and_its_place():
    vertices, faces = ball()
    kept, left = merge_vertices(vertices, faces, np.full(len(vertices), 20.0))
    assert len(kept) < len(vertices) / 3
    assert len(left) < len(faces) / 2
    assert left.max() == len(kept) - 1
    # Every edge is there in both directions: no hole.
    assert {(b, a) for a, b in edges(left)} == edges(left)
    assert abs(volume(vertices[kept], left) / volume(vertices, faces) - 1) < 0.1


def test_triangles_have_their_last_corner_twice():
    vertices, faces = ball()
    _, left = merge_vertices(vertices, faces, np.full(len(vertices), 20.0))
    doubled = left == np.roll(left, -1, axis=1)
    assert doubled.any()
    assert not doubled[:, [0, 1, 3]].any()


def test_width_0_leaves_vertices_alone():
    vertices, faces = ball()
    cell = np.where(vertices[:, 0] > 0, 0.0, 20.0)
    kept, _ = merge_vertices(vertices, faces, cell)
    assert set(np.flatnonzero(cell == 0)) <= set(kept)
    assert (vertices[kept, 0] <= 0).sum() < (vertices[:, 0] <= 0).sum() / 2


def test_normals_point_outwards():
    vertices, faces = ball()
    normals = vertex_normals(vertices, faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)
    assert ((normals * vertices).sum(axis=1) > 99).all()


def test_smoothing_takes_bumps_away_only_where_asked():
    vertices, faces = ball()
    random = np.random.default_rng(0)
    rough = vertices * random.uniform(0.97, 1.03, (len(vertices), 1))
    own = vertices[:, 1] > 0
    radius = np.linalg.norm(smoothed(rough, faces, own, 4), axis=1)
    inner = vertices[:, 1] > 20
    assert radius[inner].std() < 0.5 * np.linalg.norm(rough, axis=1)[inner].std()
    np.testing.assert_array_equal(radius[~own], np.linalg.norm(rough, axis=1)[~own])
