"""Find MXNet, check it, and say in one line what is wrong when it cannot be used.

Importing this module imports MXNet, so every other module writes ``from gluon_dkpr.backend import
mx``. Where ``mxnet-cu112`` is installed, pip's CUDA libraries are loaded first, so no
``LD_LIBRARY_PATH`` is needed.

The functions before ``find_facts`` judge what is handed to them and look at nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import sys
import warnings
from importlib import import_module, metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from gluon_dkpr import __version__
from gluon_dkpr.cores import openmp_threads, usable_cores
from gluon_dkpr.errors import DkprError

CPU_BUILD = "mxnet==1.9.1"
EITHER_BUILD = f"pip install {CPU_BUILD} (CPU) or mxnet-cu112==1.9.1 (GPU)"
RIGHT_NUMPY = 'pip install "numpy>=1.21,<1.24"'

#: Environment variables that are set for MXNet unless the user has set them.
SETTINGS = {
    # Copies from and to NumPy by one thread. Beyond 200,000 numbers MXNet takes a team of OpenMP
    # threads for them, beside that of its engine. Together these are more than there are cores;
    # libgomp then lets idle threads sleep at once, and small operators wait 0.1 ms for each waking:
    # the kinematic head 10 instead of 1.5 ms, a training step 3 % (two cores).
    "MXNET_CPU_PARALLEL_SIZE": str(2**31 - 1),
    # Lines that MXNet would print on import or on first use.
    "MXNET_SUBGRAPH_VERBOSE": "0",  # "Start to execute MKLDNN Convolution optimization pass."
    "MXNET_CUDA_LIB_CHECKING": "0",  # a newer CUDA 11 than at build time works and is not news
    "MXNET_CUDNN_LIB_CHECKING": "0",  # the same for cuDNN 8
}

#: Sonames that libmxnet.so of mxnet-cu112 needs, each after those that it needs itself.
CUDA_LIBRARIES = (
    *("libcudart.so.11.0", "libnvToolsExt.so.1", "libcublasLt.so.11", "libcublas.so.11"),
    *("libcufft.so.10", "libcurand.so.10", "libcusparse.so.11", "libcusolver.so.11"),
    *("libnvrtc.so.11.2", "libcudnn.so.8", "libnccl.so.2"),
)

#: What `import gluoncv` needs besides MXNet: it hides the ImportError of any of them.
GLUONCV_NEEDS = ("PIL", "matplotlib", "portalocker", "requests", "scipy", "tqdm", "yaml")


class BackendError(DkprError):
    """MXNet, GluonCV or a device cannot be used as asked."""


class Facts(NamedTuple):
    """What is installed, as found without importing MXNet."""

    distributions: Mapping[str, str]  #: name -> version of every installed build of MXNet
    importable: bool  #: whether there is a module called mxnet
    numpy: Optional[str]  #: version of NumPy; None where it is missing
    python: Tuple[int, int]  #: major and minor version


def version_pair(version: str) -> Tuple[int, int]:
    """Return (major, minor) of a version such as ``1.23.5`` or ``2.0.0rc1``."""
    major, minor = re.findall(r"\d+", f"{version}.0")[:2]
    return int(major), int(minor)


def diagnose(facts: Facts) -> Optional[str]:
    """Return one line about what would make ``import mxnet`` fail, or None when nothing would."""
    if not (3, 8) <= facts.python < (3, 12):
        found = ".".join(map(str, facts.python))
        return f"MXNet 1.9.1 works on Python 3.8 to 3.11; found Python {found}"
    if len(facts.distributions) > 1:
        names = sorted(facts.distributions)
        return (
            f"{' and '.join(names)} are both installed and overwrite each other's files; keep one:"
            f" pip uninstall -y {' '.join(names)}, then {EITHER_BUILD}"
        )
    if not facts.importable and facts.distributions:
        return _explain_incomplete(next(iter(facts.distributions)))
    if not facts.importable:
        return f"MXNet is not installed; run: {EITHER_BUILD}"
    if facts.numpy is None:
        return f"NumPy is not installed; run: {RIGHT_NUMPY}"
    if version_pair(facts.numpy) >= (1, 24):
        wrong = f"uses np.bool, which NumPy 1.24 removed; found NumPy {facts.numpy}"
        return f"MXNet 1.9.1 {wrong}; run: {RIGHT_NUMPY}"
    return None


def explain_import_error(error: BaseException, distributions: Iterable[str]) -> Optional[str]:
    """Return one line about why ``import mxnet`` failed, or None when the reason is not known.

    ``error`` is what the import, or the loading of a CUDA library before it, raised;
    ``distributions`` has the names of the installed builds of MXNet.
    """
    build = next(iter(distributions), "mxnet")
    text = str(error)
    missing = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", text)
    if isinstance(error, OSError) and missing is not None:
        return _explain_missing_library(missing.group(1), build)
    if isinstance(error, OSError):
        return f"the library of {build} does not load: {' '.join(text.split())}"
    if isinstance(error, ModuleNotFoundError) and error.name != "mxnet":
        return f"{build} needs the module {error.name}; run: pip install {error.name}"
    if "Cannot find the MXNet library" in text or "has no attribute '__version__'" in text:
        return _explain_incomplete(build)
    return None


def _explain_incomplete(build: str) -> str:
    """Return one line about a build that is listed as installed, and is not there or in part."""
    return (
        f"the files of {build} are incomplete;"
        f" run: pip uninstall -y {build}, then pip install {build}==1.9.1"
    )


def _explain_missing_library(name: str, build: str) -> str:
    """Return one line about a shared library that the loader did not find."""
    found = f"{build} needs {name}, which was not found"
    if name.startswith(("libgomp", "libquadmath")):
        return f"{found}; run: apt-get install libgomp1 libquadmath0 (or your system's like of it)"
    if name.startswith("libcuda.so"):
        return (
            f"{found}: it comes with the NVIDIA driver; install that, or take the CPU build:"
            f" pip uninstall -y {build}, then pip install {CPU_BUILD} (with make: make BUILD=cpu)"
        )
    if name.startswith(("libcu", "libnv", "libnccl")):
        return f'{found}; run: pip install "gluon_dkpr[cu112]", which brings the CUDA 11 libraries'
    return f"{found}; install the system package that has it"


def parse_device_names(text: str) -> List[Tuple[str, int]]:
    """Read ``cpu``, ``gpu0,gpu1`` and the like as (kind, index) pairs; a missing number is 0.

    Raises:
        BackendError: on any other syntax, a device named twice, or both kinds.
    """
    expected = "expected cpu, gpu, or a list such as gpu0,gpu1 or cpu0,cpu1"
    devices = []
    for part in text.split(","):
        found = re.fullmatch(r"(cpu|gpu)([0-9]{0,3})", part.strip())
        if found is None:
            raise BackendError(f"device {part.strip()!r} in {text!r} is not known; {expected}")
        device = (found.group(1), int(found.group(2) or 0))
        if device in devices:
            raise BackendError(f"device {device[0]}{device[1]} appears twice in {text!r}")
        devices.append(device)
    if len({kind for kind, _ in devices}) > 1:
        raise BackendError(f"devices {text!r} mix cpu and gpu; {expected}")
    return devices


def check_gpus(wanted: Iterable[int], count: int, has_cuda: bool) -> None:
    """Raise a BackendError unless the ``wanted`` indices are among ``count`` GPUs, and usable."""
    highest = max(wanted)
    if not has_cuda:
        raise BackendError(
            f"gpu{highest} was asked for, but this MXNet is a CPU build; run: pip uninstall -y"
            ' mxnet, then pip install "gluon_dkpr[cu112]" (with make: make BUILD=cu112 ...)'
        )
    if highest >= count:
        raise BackendError(f"gpu{highest} was asked for, but the number of GPUs found is {count}")


def cuda_library_paths(roots: Iterable[Path]) -> List[Path]:
    """Return pip's CUDA libraries below ``roots`` (folders ``nvidia``), in the order of loading.

    Those that are not there are left out: the system may have them.
    """
    found = {path.name: path for root in roots for path in root.glob("*/lib/lib*.so.*")}
    return [found[name] for name in CUDA_LIBRARIES if name in found]


def find_facts() -> Facts:
    """Look at what is installed, without importing MXNet."""
    builds = {}
    for distribution in metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        # Not mxnet-model-server and the like, which have other files.
        if re.fullmatch(r"mxnet(-native|-mkl|-cu\d+(mkl)?)?", name):
            builds[name] = distribution.version
    try:
        numpy_version = import_module("numpy").__version__
    except ImportError:
        numpy_version = None
    importable = util.find_spec("mxnet") is not None
    return Facts(builds, importable, numpy_version, sys.version_info[:2])


def _load_cuda_libraries() -> None:
    """Load pip's CUDA libraries, so that the loader knows their sonames when libmxnet.so comes."""
    spec = util.find_spec("nvidia")
    roots = spec.submodule_search_locations if spec is not None else None
    for path in cuda_library_paths(map(Path, roots or ())):
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)


def import_mxnet() -> ModuleType:
    """Import MXNet with ``SETTINGS`` and return the module.

    Raises:
        BackendError: one line that says what is wrong, what was found and what to do.
    """
    facts = find_facts()
    problem = diagnose(facts)
    if problem is not None:
        raise BackendError(problem)
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # Gluon registers an initialiser for every constant under its memory address, and warns when an
    # address comes again: in a process that builds several networks, for no reason.
    warnings.filterwarnings("ignore", message=".*New initializer .*isoverriding existing.*")
    try:
        if any("-cu" in build for build in facts.distributions):
            _load_cuda_libraries()
        with _threads_for_all_cores():
            module = import_module("mxnet")
        module.__version__  # noqa: B018  a folder left by an uninstall imports, and is empty
    except (OSError, ImportError, RuntimeError, AttributeError) as error:
        problem = explain_import_error(error, facts.distributions)
        if problem is None:
            raise
        raise BackendError(problem) from error
    return module


@contextlib.contextmanager
def _threads_for_all_cores() -> Iterator[None]:
    """Let MXNet, while it is imported, find as many threads as there are cores.

    Left alone it takes half of the processors for hyper-threads, and computes with one of two real
    cores. To tune its elementwise operators it halves once more: with less than four processors
    they never use more than one. What the user has set is left alone; child processes, which may
    share the cores among them, decide for themselves.
    """
    threads = openmp_threads()
    wanted = {"OMP_NUM_THREADS": threads}
    if threads.isdigit():  # OpenMP takes lists, too
        wanted["MXNET_USE_NUM_CORES_OPERATOR_TUNING"] = threads
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def import_gluoncv() -> ModuleType:
    """Import GluonCV and return the module.

    Raises:
        BackendError: when it is missing, refuses another package, or cannot use MXNet.
    """
    try:
        module = import_module("gluoncv")
    except RuntimeError as error:
        refused = re.search(r"Legacy torch==(\S+) detected", str(error))
        if refused is None:
            raise
        raise BackendError(
            f"GluonCV does not work beside torch {refused.group(1)}; run: pip uninstall -y torch,"
            " or use an environment of its own (make builds one)"
        ) from error
    except ImportError as error:
        raise BackendError(_explain_gluoncv(str(error))) from error
    if not hasattr(module, "model_zoo"):  # beside torch 1.x it hides that its MXNet part failed
        raise BackendError(_explain_gluoncv("its model zoo is missing"))
    return module


def _explain_gluoncv(cause: str) -> str:
    """Return one line about why GluonCV did not take MXNet."""
    if util.find_spec("gluoncv") is None:
        return "GluonCV is not installed; run: pip install gluoncv==0.10.5.post0"
    missing = [name for name in GLUONCV_NEEDS if util.find_spec(name) is None]
    if missing:
        return f"GluonCV needs modules that are missing: {', '.join(missing)}; install them by pip"
    return f"GluonCV does not import with this MXNet: {cause}"


def parse_contexts(text: str) -> List[Any]:
    """Turn ``cpu``, ``gpu``, ``gpu0,gpu1`` or ``cpu0,cpu1`` into a list of ``mx.Context``.

    Raises:
        BackendError: on wrong syntax, a device named twice, both kinds, a GPU on a CPU build, or
            more GPUs than there are.
    """
    devices = parse_device_names(text)
    if devices[0][0] == "gpu":
        try:
            count = mx.context.num_gpus()
        except mx.MXNetError as error:
            cause = str(error).strip().splitlines()[-1]
            raise BackendError(f"the NVIDIA driver does not answer: {cause}") from error
        has_cuda = mx.runtime.Features().is_enabled("CUDA")
        check_gpus([index for _, index in devices], count, has_cuda)
    return [mx.Context(kind, index) for kind, index in devices]


def versions() -> Dict[str, Any]:
    """Return what a result depends on: versions, platform, processor, number of usable cores."""
    return {
        "python": platform.python_version(),
        "gluon_dkpr": __version__,
        "mxnet": mx.__version__,
        "mxnet_build": next(iter(find_facts().distributions), "source"),
        # The metadata, not gluoncv.__version__: that says 0.11.0 in release 0.10.5.post0.
        "gluoncv": next((d.version for d in metadata.distributions(name="gluoncv")), None),
        "numpy": import_module("numpy").__version__,
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": usable_cores(),
    }


def _cpu_name() -> str:
    """Return the processor's name as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    info = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return found.group(1) if found is not None else platform.processor() or platform.machine()


mx = import_mxnet()
