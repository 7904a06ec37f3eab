"""The checks of gluon_dkpr.backend as functions of facts, and its devices and versions."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import gluon_dkpr
from gluon_dkpr import backend
from gluon_dkpr.backend import BackendError, Facts, mx
from gluon_dkpr.errors import DkprError

GOOD = Facts({"mxnet": "1.9.1"}, importable=True, numpy="1.23.5", python=(3, 11))


# -- judging facts


def test_nothing_wrong():
    assert backend.diagnose(GOOD) is None
    assert backend.diagnose(GOOD._replace(distributions={"mxnet-cu112": "1.9.1"})) is None
    # A build from source has no metadata.
    assert backend.diagnose(GOOD._replace(distributions={})) is None


@pytest.mark.parametrize("version", ["1.21.0", "1.22.4", "1.23.5", "1.23.0rc1"])
def test_numpy_old_enough(version):
    assert backend.diagnose(GOOD._replace(numpy=version)) is None


@pytest.mark.parametrize(
    ("change", "found", "advice"),
    [
        ({"numpy": "1.24.0"}, "NumPy 1.24.0", 'pip install "numpy>=1.21,<1.24"'),
        ({"numpy": "2.1.3"}, "NumPy 2.1.3", 'pip install "numpy>=1.21,<1.24"'),
        ({"numpy": None}, "NumPy is not installed", "pip install"),
        # NumPy < 1.24 does not exist for Python 3.12: advice about NumPy would lead nowhere.
        ({"python": (3, 12), "numpy": "1.26.4"}, "found Python 3.12", "3.8 to 3.11"),
        ({"python": (3, 7)}, "found Python 3.7", "3.8 to 3.11"),
        (
            {"distributions": {"mxnet": "1.9.1", "mxnet-cu112": "1.9.1"}},
            "mxnet and mxnet-cu112 are both installed",
            "pip uninstall -y mxnet mxnet-cu112",
        ),
        ({"distributions": {}, "importable": False}, "not installed", "pip install mxnet==1.9.1"),
        # Half of the cure of a doubled install: the other one's files are gone too.
        (
            {"distributions": {"mxnet-cu112": "1.9.1"}, "importable": False},
            "files of mxnet-cu112 are incomplete",
            "pip uninstall -y mxnet-cu112, then pip install mxnet-cu112==1.9.1",
        ),
    ],
)
def test_diagnose(change, found, advice):
    message = backend.diagnose(GOOD._replace(**change))
    assert found in message
    assert advice in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("library", "advice"),
    [
        ("libgomp.so.1", "apt-get install libgomp1 libquadmath0"),
        ("libquadmath.so.0", "apt-get install libgomp1 libquadmath0"),
        ("libcuda.so.1", "NVIDIA driver"),
        ("libcudnn.so.8", "gluon_dkpr[cu112]"),
        ("libnccl.so.2", "gluon_dkpr[cu112]"),
        ("libelse.so", "system package"),
    ],
)
def test_missing_library(library, advice):
    error = OSError(f"{library}: cannot open shared object file: No such file or directory")
    message = backend.explain_import_error(error, ["mxnet-cu112"])
    assert message.startswith(f"mxnet-cu112 needs {library}, which was not found")
    assert advice in message


def test_unknown_import_errors_are_not_explained_away():
    assert backend.explain_import_error(RuntimeError("something else"), ["mxnet"]) is None
    assert backend.explain_import_error(ImportError("cannot import name x"), ["mxnet"]) is None


# -- CUDA libraries from pip


def test_cuda_libraries_come_in_order(tmp_path, monkeypatch):
    for name in reversed(backend.CUDA_LIBRARIES):
        library = tmp_path / "nvidia" / name.split(".")[0] / "lib" / name
        library.parent.mkdir(parents=True)
        library.touch()
    (library.parent / "libnvblas.so.11").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    loaded = []
    monkeypatch.setattr(backend.ctypes, "CDLL", lambda path, mode: loaded.append((path, mode)))
    backend._load_cuda_libraries()
    assert [Path(path).name for path, _ in loaded] == list(backend.CUDA_LIBRARIES)
    assert {mode for _, mode in loaded} == {backend.ctypes.RTLD_GLOBAL}


def test_absent_cuda_libraries_are_left_to_the_system(tmp_path):
    (tmp_path / "cudnn" / "lib").mkdir(parents=True)
    library = tmp_path / "cudnn" / "lib" / "libcudnn.so.8"
    library.touch()
    assert backend.cuda_library_paths([tmp_path]) == [library]
    assert backend.cuda_library_paths([]) == []


# -- devices


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("cpu", [("cpu", 0)]),
        ("gpu", [("gpu", 0)]),
        ("cpu0,cpu1", [("cpu", 0), ("cpu", 1)]),
        ("gpu1, gpu0", [("gpu", 1), ("gpu", 0)]),
        ("gpu12", [("gpu", 12)]),
    ],
)
def test_device_names(text, devices):
    assert backend.parse_device_names(text) == devices


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "device '' in ''"),
        ("cpu,", "device '' in 'cpu,'"),
        ("tpu", "device 'tpu'"),
        ("cpu(0)", "device 'cpu(0)'"),
        ("gpu-1", "device 'gpu-1'"),
        ("gpu99999999999", "device 'gpu99999999999'"),
        ("gpu\u0663", "device 'gpu\u0663'"),
        ("cpu,cpu0", "cpu0 appears twice"),
        ("gpu0,gpu1,gpu0", "gpu0 appears twice"),
        ("cpu0,gpu0", "mix cpu and gpu"),
    ],
)
def test_wrong_device_names(text, found):
    with pytest.raises(BackendError) as caught:
        backend.parse_contexts(text)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_contexts():
    assert backend.parse_contexts("cpu") == [mx.cpu(0)]
    assert backend.parse_contexts("cpu0,cpu1") == [mx.cpu(0), mx.cpu(1)]


def test_gpu_on_cpu_build():
    with pytest.raises(BackendError, match=r"CPU build; run: .*gluon_dkpr\[cu112\]"):
        backend.check_gpus([0], count=0, has_cuda=False)


@pytest.mark.skipif(mx.runtime.Features().is_enabled("CUDA"), reason="this is a GPU build")
def test_gpu_context_on_this_cpu_build():
    with pytest.raises(BackendError, match="this MXNet is a CPU build"):
        backend.parse_contexts("gpu")


def test_too_few_gpus():
    backend.check_gpus([1, 0], count=2, has_cuda=True)
    with pytest.raises(BackendError, match="gpu2 was asked for, .* found is 2"):
        backend.check_gpus([0, 2], count=2, has_cuda=True)


def test_driver_that_fails(monkeypatch):
    def fail():
        raise mx.MXNetError("Traceback:\n  line\nMXNetError: CUDA: unknown error")

    monkeypatch.setattr(mx.context, "num_gpus", fail)
    with pytest.raises(BackendError, match="driver does not answer: MXNetError: CUDA: unknown"):
        backend.parse_contexts("gpu0")


# -- the rest


def test_backend_error_is_a_users_mistake():
    assert issubclass(BackendError, DkprError)


def test_numpy_is_left_as_it_is():
    # The missing np.bool could be put back for MXNet; every other package would see it too.
    assert "bool" not in vars(np)


def test_versions_are_what_is_installed():
    found = backend.versions()
    assert found["gluoncv"].startswith("0.10.5")  # not what gluoncv.__version__ says
    assert found["mxnet"] == mx.__version__
    assert found["mxnet_build"] in ("mxnet", "mxnet-cu112", "source")
    assert found["numpy"] == np.__version__
    assert found["gluon_dkpr"] == gluon_dkpr.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["cores"] >= 1
    assert found["cpu"]
    assert json.loads(json.dumps(found)) == found
