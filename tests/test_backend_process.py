"""What a new process says when it imports gluon_dkpr.backend where something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_dkpr import backend

ROOT = Path(backend.__file__).resolve().parent.parent

IMPORT_BACKEND = """
from gluon_dkpr.errors import DkprError
try:
    from gluon_dkpr import backend
    {then}
except DkprError as error:
    print(type(error).__name__ + ": " + str(error))
"""


def run(code: str, *path: Path, options=(), timeout=None, **settings: str):
    """Run ``code`` in a new process with these folders before all others on its path."""
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, [*path, ROOT])), **settings)
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=timeout
    )


@pytest.fixture
def stubs(tmp_path):
    """An environment of stubs only: ``stubs.add`` makes modules, ``stubs.message`` imports."""
    return Stubs(tmp_path)


class Stubs:
    def __init__(self, folder: Path):
        self.folder = folder
        self.add("numpy", "__version__ = '1.23.5'")

    def add(self, module: str, code: str, distribution: str = "", version: str = "1.9.1") -> None:
        package = self.folder / module
        package.mkdir(exist_ok=True)
        (package / "__init__.py").write_text(code)
        if distribution:
            self.add_distribution(distribution, version)

    def add_distribution(self, name: str, version: str = "1.9.1") -> None:
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")

    def message(self, then: str = "pass") -> str:
        """Import the backend without site-packages; return its message, which must be one line."""
        done = run(IMPORT_BACKEND.format(then=then), self.folder, options=["-S"])
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1, done.stdout
        return done.stdout.strip()


def loading(library: str) -> str:
    """Code of a stub that fails with the loader's own words about a library that is not there."""
    return f"import ctypes\nctypes.CDLL({library!r})"


# -- in an environment of stubs


def test_without_mxnet(stubs):
    assert stubs.message().startswith("BackendError: MXNet is not installed; run: pip install")


def test_with_both_builds(stubs):
    stubs.add("mxnet", "__version__ = '1.9.1'", "mxnet")
    stubs.add_distribution("mxnet-cu112")
    assert "mxnet and mxnet-cu112 are both installed" in stubs.message()


def test_with_new_numpy(stubs):
    stubs.add("numpy", "__version__ = '1.26.4'")
    stubs.add("mxnet", "raise SystemExit('mxnet was imported')", "mxnet")
    assert "found NumPy 1.26.4" in stubs.message()


@pytest.mark.parametrize(
    ("build", "library", "advice"),
    [
        # A version that no machine has, so that the loader fails on every machine.
        ("mxnet", "libquadmath.so.0.99", "apt-get install"),
        ("mxnet-cu112", "libcuda.so.1.99", "NVIDIA driver"),
        ("mxnet-cu112", "libcublas.so.11.99", "gluon_dkpr[cu112]"),
    ],
)
def test_with_missing_library(stubs, build, library, advice):
    stubs.add("mxnet", loading(library), build)
    message = stubs.message()
    assert f"{build} needs {library}, which was not found" in message
    assert advice in message


def test_with_emptied_mxnet(stubs):
    (stubs.folder / "mxnet").mkdir()
    stubs.add_distribution("mxnet")
    assert "the files of mxnet are incomplete" in stubs.message()


def test_with_missing_python_dependency(stubs):
    stubs.add("mxnet", "import requests", "mxnet")
    assert "mxnet needs the module requests; run: pip install requests" in stubs.message()


def test_with_damaged_cuda_library(stubs):
    folder = stubs.folder / "nvidia" / "cuda_runtime" / "lib"
    folder.mkdir(parents=True)
    (folder / "libcudart.so.11.0").write_bytes(b"")
    stubs.add("mxnet", "__version__ = '1.9.1'", "mxnet-cu112")
    message = stubs.message()
    assert "the library of mxnet-cu112 does not load" in message
    assert "libcudart.so.11.0" in message


def test_keeps_the_users_settings(stubs):
    stubs.add("mxnet", "__version__ = '1.9.1'", "mxnet")
    code = "from gluon_dkpr import backend; import os; print(os.environ['MXNET_SUBGRAPH_VERBOSE'])"
    folder = stubs.folder
    assert run(code, folder, options=["-S"], MXNET_SUBGRAPH_VERBOSE="1").stdout == "1\n"


def test_without_gluoncv(stubs):
    stubs.add("mxnet", "__version__ = '1.9.1'", "mxnet")
    assert "GluonCV is not installed" in stubs.message("backend.import_gluoncv()")
    # It swallows the ImportError of whatever it needs, and blames MXNet.
    stubs.add("gluoncv", "raise ImportError('Unable to import modules due to missing `mxnet`')")
    for module in set(backend.GLUONCV_NEEDS) - {"scipy"}:
        stubs.add(module, "")
    assert "GluonCV needs modules that are missing: scipy;" in stubs.message(
        "backend.import_gluoncv()"
    )


# -- in this environment


def test_real_gluoncv_beside_torch_2(tmp_path):
    (tmp_path / "torch.py").write_text("__version__ = '2.1.0'\n")
    done = run(IMPORT_BACKEND.format(then="backend.import_gluoncv()"), tmp_path)
    assert done.stdout.startswith("BackendError: GluonCV does not work beside torch 2.1.0; run: ")
    assert done.stdout.count("\n") == 1


def test_real_import_is_quiet():
    done = run(
        "from gluon_dkpr.backend import mx, import_gluoncv\n"
        "import_gluoncv().model_zoo.get_model\n"
        "net = mx.gluon.nn.Conv2D(4, 3)\n"
        "net.initialize(); net.hybridize(static_alloc=True)\n"
        "net(mx.nd.zeros((1, 3, 8, 8))).wait_to_read()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_large_copies_start_no_threads():
    done = run(
        "import os\n"
        "import numpy as np\n"
        "from gluon_dkpr.backend import mx\n"
        "threads = lambda: len(os.listdir('/proc/self/task'))\n"
        "mx.nd.zeros(1000000).wait_to_read()\n"
        "before = threads()\n"
        "mx.nd.array(np.zeros(1000000, np.float32)).asnumpy()\n"
        "print(threads() - before)",
        OMP_NUM_THREADS="4",
    )
    assert done.stdout == "0\n", done.stderr


THREADS = """
import os
from gluon_dkpr import backend
from gluon_dkpr.cores import physical_cores
print(physical_cores(), os.environ.get("OMP_NUM_THREADS"))
"""


@pytest.mark.parametrize("threads", [None, "1"])
def test_mxnet_computes_on_all_cores_unless_told_otherwise(threads, monkeypatch):
    """So say OpenMP itself, and what MXNet measures for operators that it tunes."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    settings = {"OMP_NUM_THREADS": threads} if threads else {}
    done = run(THREADS, OMP_DISPLAY_ENV="true", MXNET_VERBOSE_TUNING_INFO="1", **settings)
    assert done.returncode == 0, done.stderr
    cores, seen = done.stdout.split()
    assert seen == str(threads)  # child processes see what the user has set, no more
    assert f"OMP_NUM_THREADS = '{threads or cores}'" in done.stderr
    tuned_for_one = "OMP overhead: 2147483647 nanoseconds" in done.stderr
    assert tuned_for_one == ((threads or cores) == "1")


TWO_DEVICES = """
from gluon_dkpr.backend import mx
from gluon_dkpr.nn.linear import linear
matrices = [mx.nd.random.normal(shape=(256, 256), ctx=mx.cpu(i)) for i in (0, 1)]
for matrix in matrices:
    matrix.attach_grad()
for _ in range(10):
    for _ in range(20):
        for matrix in matrices:
            with mx.autograd.record():
                product = linear(mx.nd, matrix, matrix, 256)
            product.backward()
    mx.nd.waitall()
print("done")
"""


def test_products_of_two_devices_with_two_threads_each_come_to_an_end():
    """With ``dot`` in their place this waits for ever."""
    done = run(TWO_DEVICES, OMP_NUM_THREADS="2", timeout=100)
    assert done.stdout == "done\n", done.stderr
