"""Random damage to small files of every format: read, or refused by WeightsError."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from weight_files import (
    FIXTURES,
    ONE,
    array,
    eighths,
    params,
    safe,
)

from gluon_dkpr.model_zoo.weights import WeightsError, open_weights


def small_files():
    """Return a small valid file of every format."""
    files = {}
    for container in ("zip", "legacy"):
        with open(os.path.join(FIXTURES, f"torch-{container}.pth"), "rb") as file:
            files[container] = file.read()
    files["params"] = params([b"a", b"b"], [array((2, 3), eighths(2, 3).tobytes()), ONE])
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    files["safetensors"] = safe(entry)
    return files


SMALL_FILES = small_files()


@settings(max_examples=int(os.environ.get("DKPR_FUZZ", "300")))
@given(st.sampled_from(sorted(SMALL_FILES)), st.data())
def test_damaged_bytes_raise_nothing_else(tmp_path_factory, kind, data):
    content = bytearray(SMALL_FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.just(b"\xff" * 8)))
        content[place : place + data.draw(st.sampled_from([0, len(piece)]))] = piece
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(1, len(content))) :]
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    try:
        with open_weights(path) as tensors:
            for name, stored in tensors.items():
                if name != "int64":
                    assert stored.read().shape == stored.shape
    except WeightsError as error:
        assert str(error).startswith(f"{path}: ")
        assert len(str(error)) < 500
