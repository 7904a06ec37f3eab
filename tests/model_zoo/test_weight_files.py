"""Weight files of every format: PyTorch's own bytes, MXNet's, safetensors', and damaged ones."""

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file
from torch_writer import Call, Global, Raw, pickled, tensor, write_legacy, write_zip
from weight_files import (
    FIXTURES,
    ONE,
    array,
    eighths,
    params,
    read,
    refusal,
    safe,
)

from gluon_dkpr.backend import mx
from gluon_dkpr.model_zoo.weights import WeightsError, open_weights


@pytest.mark.parametrize("container", ["zip", "legacy"])
def test_the_bytes_of_pytorch_itself(container):
    """Saved by torch 2.14.1: every type and kind of view, of numbers that all types hold exactly.

    arange(n) / 8 - 1, reshaped; "slice" and "step" are views [5:11] and [1:20:6] of 40 numbers,
    "transposed" the transpose of (3, 4), "channels_last" has those strides.
    """
    path = os.path.join(FIXTURES, f"torch-{container}.pth")
    with open_weights(path) as tensors:
        shapes = {name: stored.shape for name, stored in tensors.items()}
        with pytest.raises(WeightsError, match="a tensor of int64, expected floating-point"):
            tensors["int64"].read()
    with open_weights(path) as tensors:
        found = {name: stored.read() for name, stored in tensors.items() if name != "int64"}
    expected = {
        "float32": eighths(2, 3),
        "float64": eighths(4),
        "float16": eighths(5),
        "bfloat16": eighths(6),
        "scalar": np.float32(0.5),
        "transposed": eighths(3, 4).T,
        "slice": eighths(40)[5:11].reshape(2, 3),
        "step": eighths(40)[1:20:6],
        "channels_last": eighths(2, 3, 2, 2),
        "parameter": eighths(3),
        "empty": np.zeros((0, 2)),
    }
    assert set(found) == set(expected)
    assert shapes["int64"] == ()
    for name, numbers in expected.items():
        assert found[name].dtype == np.float32
        assert found[name].flags.c_contiguous
        assert shapes[name] == numbers.shape
        np.testing.assert_array_equal(found[name], numbers, err_msg=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_safetensors_of_every_float(dtype, tmp_path):
    path = tmp_path / "some.safetensors"
    numbers = np.array([[1.5, -2.0, 3e38]], "float64")
    if dtype == "bfloat16":  # NumPy has none
        data = (numbers.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        entry = {"dtype": "BF16", "shape": [1, 3], "data_offsets": [0, 6]}
        header = json.dumps({"a": entry}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    else:
        with np.errstate(over="ignore"):
            save_file({"a": numbers.astype(dtype)}, path)
    found = read(path)["a"]
    assert found.dtype == np.float32
    expected = [[1.5, -2.0, np.inf if dtype == "float16" else 3e38]]
    np.testing.assert_allclose(found, expected, rtol=0.005 if dtype == "bfloat16" else 1e-7)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_params_of_gluon(dtype, tmp_path):
    path = str(tmp_path / "some.params")
    arrays = {"a.weight": eighths(2, 3), "b": eighths(1)}
    mx.nd.save(path, {n: mx.nd.array(a, dtype=dtype) for n, a in arrays.items()})
    found = read(path)
    assert list(found) == list(arrays)
    for name, numbers in arrays.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], numbers)


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_checkpoint_of_a_training_script(key, tmp_path):
    state = {"module.a": tensor("0", (2, 3)), "module.b": tensor("1", (1,))}
    momentum = {"state": {0: {"momentum_buffer": tensor("2", (4,))}}, "param_groups": [{"lr": 0.1}]}
    root = {"epoch": 3, key: state, "optimizer": momentum, "best": None, "done": True}
    arrays = {"0": eighths(2, 3), "1": eighths(1), "2": eighths(4)}
    write_zip(tmp_path / "last.pth", root, {k: a.tobytes() for k, a in arrays.items()})
    found = read(tmp_path / "last.pth")
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], arrays["0"])


def test_dictionary_and_parameter_as_old_pythons_wrote_them(tmp_path):
    """Python 2 hands an ordered dictionary its pairs; an old parameter is a call of its class."""
    view = tensor("0", (3,), legacy=True)
    old = Call(Global("torch._utils", "_rebuild_tensor"), view.arguments[:4])
    parameter = Call(Global("torch.nn.parameter", "Parameter"), (old,))
    parameter = Raw(pickled(parameter)[2:-1] + b"\x88\x89}\x87b")  # its state
    name = Raw(b"U\x06weight")
    root = Call(Global("collections", "OrderedDict"), ([[name, parameter]],))
    write_legacy(tmp_path / "old.pth", root, {"0": eighths(3).tobytes()})
    np.testing.assert_array_equal(read(tmp_path / "old.pth")["weight"], eighths(3))


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_expanded_tensors_and_strides_that_lead_nowhere(legacy, tmp_path):
    far = (1 << 62) - 1
    root = {
        "expanded": tensor("0", (5000, 3), strides=(0, 1), count=3, legacy=legacy),
        "one": tensor("0", (1, 3), strides=(far, 1), count=3, legacy=legacy),
        "none": tensor("0", (0, 3), strides=(far, far), count=3, legacy=legacy),
    }
    write = write_legacy if legacy else write_zip
    write(tmp_path / "some.pth", root, {"0": eighths(3).tobytes()})
    found = read(tmp_path / "some.pth")
    np.testing.assert_array_equal(found["expanded"], np.tile(eighths(3), (5000, 1)))
    np.testing.assert_array_equal(found["one"], eighths(1, 3))
    assert found["none"].shape == (0, 3)


# -- what is refused


@pytest.mark.parametrize(
    "content, reason",
    [
        (params([b"a"], [ONE])[:20], "cut short"),
        (params([b"a"], [ONE])[:-1], "cut short"),
        (struct.pack("<QQQ", 0x112, 0, 1 << 60), "claims 1152921504606846976 arrays"),
        (params([], [ONE]), "1 arrays and 0 names"),
        (params([b"a"], [array((1 << 40,), b"")]), "cut short"),
        (params([b"a"], [array((1 << 62, 1 << 62), b"")]), "cut short"),
        (params([b"a"], [array((-1,), bytes(4))]), "shape (-1,)"),
        (
            params([b"a"], [array((1,), bytes(4), dimensions=1 << 30)]),
            "1073741824 dimensions",
        ),
        (params([b"a"], [array((1,), bytes(4), dimensions=-5)]), "-5 dimensions"),
        (params([b"a"], [array((1,), bytes(4), dtype=99)]), "type 99"),
        (
            params([b"a"], [array((1,), bytes(8), dtype=6)]),
            "int64, expected floating-point",
        ),
        (params([b"a"], [array((1,), bytes(4), storage=1)]), "sparse"),
        (params([b"a"], [array((1,), bytes(4), version=7)]), "0x7"),
        (params([b"\xff"], [ONE]), "UTF-8"),
        (params([b"a" * 2000], [ONE]), "a name of 2000 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_params(content, reason, tmp_path):
    path = tmp_path / "hostile.params"
    path.write_bytes(content)
    assert reason in refusal(path)


def test_the_writer_of_params_is_right(tmp_path):
    """MXNet reads what the tests above damage, in all its versions of an array."""
    for version in (0xF993FAC9, 0xF993FACA):
        path = str(tmp_path / "some.params")
        with open(path, "wb") as file:
            file.write(params([b"a"], [array((2, 3), eighths(2, 3).tobytes(), version)]))
        with mx.util.np_shape(version == 0xF993FACA):
            np.testing.assert_array_equal(mx.nd.load(path)["a"].asnumpy(), eighths(2, 3))
        np.testing.assert_array_equal(read(path)["a"], eighths(2, 3))


@pytest.mark.parametrize(
    "content, reason",
    [
        (
            safe({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, b"12"),
            "not a valid",
        ),
        (
            safe({"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 4]}),
            "not a valid",
        ),
        (safe({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}), "not a valid"),
        (safe({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}), "not a valid"),
        (safe({"dtype": "Q4", "shape": [1], "data_offsets": [0, 4]}), "not a valid"),
        (
            safe({"dtype": "I32", "shape": [1], "data_offsets": [0, 4]}),
            "a tensor of I32",
        ),
        (safe(b"{}", length=1 << 60), "a header of 1152921504606846976 bytes"),
        (safe(b"{" * 1000), "not a valid"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_safetensors(content, reason, tmp_path):
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(content)
    assert reason in refusal(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"\x89PNG\r\n\x1a\n", b"hello" * 50], ids=repr)
def test_other_files(content, tmp_path):
    (tmp_path / "other.pth").write_bytes(content)
    assert "not a file of weights, expected a Gluon .params" in refusal(tmp_path / "other.pth")


def test_missing_files_and_folders(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.pth")
    assert "no such file" in refusal(tmp_path)
