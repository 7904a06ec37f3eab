"""What a run's folder remembers of its data set."""

import json

import pytest

from gluon_dkpr.engine.run_data import RunData, RunDataError, load_run_data, save_run_data
from gluon_dkpr.engine.signature_parts import NetworkImages

DATA = RunData(NetworkImages((64, 48, 3), 0.06, False), "ab" * 32)


def test_is_read_back(tmp_path):
    save_run_data(tmp_path, DATA)
    assert load_run_data(tmp_path) == DATA


def test_a_run_of_before_has_none(tmp_path):
    assert load_run_data(tmp_path) is None


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"format": "gluon_dkpr/run-data/9"}, "format is 'gluon_dkpr/run-data/9', expected"),
        ({"images": {"shape": [64, 48, 3]}}, "images are {'shape': [64, 48, 3]}, expected"),
        ({"shape": [64, 48]}, "shape is [64, 48], expected [H, W, 1 or 3]"),
        ({"shape": [64, 48, 2]}, "shape is [64, 48, 2]"),
        ({"shape": [64, -48, 1]}, "shape is [64, -48, 1]"),
        ({"shape": [64, 48.0, 1]}, "shape is [64, 48.0, 1]"),
        ({"shape": [1 << 40, 48, 1]}, "shape is [1099511627776, 48, 1]"),
        ({"margin": -0.5}, "margin is -0.5, expected a number from 0"),
        ({"margin": 10**400}, "margin is 1000"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"grey": 1}, "grey and rec_sha256 are 1 and"),
        ({"rec_sha256": None}, "grey and rec_sha256 are False and None, expected"),
    ],
)
def test_another_value_is_an_error_that_names_the_file(part, message, tmp_path):
    save_run_data(tmp_path, DATA)
    path = tmp_path / "data.json"
    tree = json.loads(path.read_text())
    for name, value in part.items():
        (tree if name in tree else tree["images"])[name] = value
    path.write_text(json.dumps(tree))
    with pytest.raises(RunDataError) as error:
        load_run_data(tmp_path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000])
def test_another_content_is_an_error(content, tmp_path):
    (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(RunDataError, match=r"data\.json: "):
        load_run_data(tmp_path)
