"""Package metadata of gluon_dkpr.

The ranges below say what the library works with. The exact set that is tested is in
``requirements/``; ``make`` installs that one.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Read ``__version__`` as text: importing the package would need what is not yet installed."""
    source = (ROOT / "gluon_dkpr" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', source, re.MULTILINE)
    if found is None:
        raise RuntimeError('gluon_dkpr/__init__.py has no line __version__ = "..."')
    return found.group(1)


def read_description() -> str:
    """Read the text that the package index shows, if there is one."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


INSTALL_REQUIRES = [
    # MXNet 1.9.1 uses np.bool, which NumPy 1.24 removed. 1.21 is the oldest tried.
    "numpy>=1.21,<1.24",
    # The last release; its model zoo is the only part used. It asks pip for opencv-python, which
    # wants libGL and GLib; opencv-python-headless has the same module cv2 without them. pip then
    # installs both and the last one wins: requirements/base.txt (--no-deps) is the clean way.
    "gluoncv==0.10.5.post0",
    # 4.12 asks for NumPy 2.
    "opencv-python-headless>=4.5,<4.12",
    # `import gluoncv` needs SciPy; 1.11 and later ask for newer NumPy than some of ours.
    "scipy>=1.7,<1.11",
    # 3.8 dropped Python 3.8; the pictures that tests compare are drawn by 3.7.
    "matplotlib>=3.5,<3.8",
    # `import gluoncv` uses distutils.version, which comes from setuptools where Python warns about
    # its own.
    "setuptools>=60",
    "imageio>=2.9",
    # GluonCV's lock on its model store, taken to tidy up after a failed download.
    "portalocker>=2",
    "PyYAML>=5.4",
    # Pretrained weights; 500 kB, and it needs nothing else.
    "safetensors>=0.4,<1",
    "tqdm>=4.60",
    "tensorboardX>=2.5",
]

# mxnet and mxnet-cu112 own the same folder: take exactly one of the extras cpu and cu112.
CPU_REQUIRES = ["mxnet==1.9.1"]

CU112_REQUIRES = [
    # Machine code for compute capability 5.x to 8.x only.
    "mxnet-cu112==1.9.1",
    # The CUDA 11 libraries that it is linked with. gluon_dkpr.backend loads them, so no CUDA
    # toolkit and no LD_LIBRARY_PATH is needed; the driver's libcuda.so.1 is. Pinned because
    # cuDNN 8, NCCL 2 and these sonames are what the binary wants: the versions are a tried set.
    "nvidia-cublas-cu11==11.10.3.66",
    "nvidia-cuda-nvrtc-cu11==11.7.99",
    "nvidia-cuda-runtime-cu11==11.7.99",
    "nvidia-cudnn-cu11==8.5.0.96",
    "nvidia-cufft-cu11==10.9.0.58",
    "nvidia-curand-cu11==10.2.10.91",
    "nvidia-cusolver-cu11==11.4.0.1",
    "nvidia-cusparse-cu11==11.7.4.91",
    "nvidia-nccl-cu11==2.14.3",
    "nvidia-nvtx-cu11==11.7.91",
]

# Real motion capture: its package data is read, the physics engine is not used. The last release;
# its files are those that the reader was tried on. Rendered people want more, see
# requirements/people.txt: no extra can leave out torch, which one of the packages asks for.
MOCAP_REQUIRES = ["pybullet==3.2.7"]

# Human3.6M as it is distributed.
H36M_REQUIRES = [
    "cdflib>=1.2,<2",
    "h5py>=3.7,<4",
    # Since 4.7 a video can be decoded in one thread, so that FFmpeg's complaints come in time.
    "opencv-python-headless>=4.7,<4.12",
]

# Exports as ONNX. MXNet's converter imports onnx.mapping, which onnx is giving up.
ONNX_REQUIRES = ["onnx>=1.13,<1.17", "onnxruntime>=1.15,<1.20"]

# tools/serve.py. It reaches into uvicorn's protocol, which is not promised to stay as it is.
SERVE_REQUIRES = ["starlette>=0.40,<1", "uvicorn>=0.30,<0.35", "prometheus-client>=0.17,<1"]

# Has no wheel; unless it is built as requirements/horovod.txt says, it knows nothing of MXNet.
HOROVOD_REQUIRES = ["horovod==0.28.1"]

TEST_REQUIRES = ["pytest>=8,<9", "hypothesis>=6.100,<7", "ruff==0.11.13"]

if __name__ == "__main__":
    setup(
        name="gluon_dkpr",
        version=read_version(),
        description="Deep Kinematic Pose Regression on Apache MXNet",
        long_description=read_description(),
        long_description_content_type="text/markdown",
        license="Apache-2.0",
        packages=find_packages(include=["gluon_dkpr", "gluon_dkpr.*"]),
        package_data={"gluon_dkpr.skeleton": ["*.yaml"]},
        # MXNet 1.9.1 needs NumPy < 1.24, which has no wheels for Python 3.12.
        python_requires=">=3.8,<3.12",
        install_requires=INSTALL_REQUIRES,
        extras_require={
            "cpu": CPU_REQUIRES,
            "cu112": CU112_REQUIRES,
            "horovod": HOROVOD_REQUIRES,
            "mocap": MOCAP_REQUIRES,
            "h36m": H36M_REQUIRES,
            "onnx": ONNX_REQUIRES,
            "serve": SERVE_REQUIRES,
            "test": TEST_REQUIRES,
        },
        classifiers=[
            "License :: OSI Approved :: Apache Software License",
            "Operating System :: POSIX :: Linux",
            *[f"Programming Language :: Python :: 3.{minor}" for minor in (8, 9, 10, 11)],
            "Topic :: Scientific/Engineering :: Image Recognition",
        ],
        zip_safe=False,
    )
