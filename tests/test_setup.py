"""The pins, the package metadata and the Makefile."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gluon_dkpr

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("base", "cpu", "cu112", "h36m", "test", "people", "docs", "onnx", "cpp", "serve")

# What GluonCV asks for and the pins leave out on purpose; requirements/base.txt says why.
LEFT_OUT = {"opencv-python", "pandas", "autocfg", "yacs"}
# The same of onnxruntime, where it is installed; requirements/onnx.txt says why.
LEFT_OUT_OF_ONNX = {"coloredlogs", "flatbuffers", "sympy"}
# And of headers that come as a package of Python; requirements/cpp.txt says why.
LEFT_OUT_OF_CPP = {"importlib-resources"}


def load_setup():
    spec = importlib.util.spec_from_file_location("dkpr_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_lock(name: str) -> list:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return [Requirement(text) for text in (line.split("#")[0].strip() for line in lines) if text]


def pins(*locks: str) -> dict:
    return {canonicalize_name(r.name): r for lock in locks for r in read_lock(lock)}


def version(pin: Requirement) -> str:
    return next(iter(pin.specifier)).version


# -- pins


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_is_one_exact_pin(lock):
    requirements = read_lock(lock)
    assert requirements
    for requirement in requirements:
        operators = [specifier.operator for specifier in requirement.specifier]
        assert operators == ["=="], requirement
        assert "*" not in version(requirement), requirement


def test_nothing_is_pinned_twice():
    names = [canonicalize_name(r.name) for lock in LOCKS for r in read_lock(lock)]
    assert len(names) == len(set(names))


def test_what_must_stay_out_is_out():
    assert not (LEFT_OUT | LEFT_OUT_OF_ONNX | {"torch"}) & set(pins(*LOCKS))


@pytest.mark.parametrize(
    ("requires", "locks"),
    [
        ("INSTALL_REQUIRES", ["base"]),
        ("TEST_REQUIRES", ["test"]),
        # The videos are read by what is there anyway.
        ("H36M_REQUIRES", ["h36m", "base"]),
        ("ONNX_REQUIRES", ["onnx"]),
        ("SERVE_REQUIRES", ["serve"]),
    ],
)
def test_pins_are_within_what_setup_asks_for(requires, locks):
    pinned = pins(*locks)
    for text in getattr(load_setup(), requires):
        wanted = Requirement(text)
        assert version(pinned[canonicalize_name(wanted.name)]) in wanted.specifier, text


@pytest.mark.parametrize(
    ("requires", "lock"), [("CPU_REQUIRES", "cpu"), ("CU112_REQUIRES", "cu112")]
)
def test_the_builds_are_pinned_alike(requires, lock):
    assert sorted(getattr(load_setup(), requires)) == sorted(map(str, read_lock(lock)))


def test_motion_capture_is_pinned_alike():
    (motion_capture,) = load_setup().MOCAP_REQUIRES
    assert motion_capture == str(pins("people")["pybullet"])


def test_horovod_is_pinned_alike():
    assert [str(pins("horovod")["horovod"])] == load_setup().HOROVOD_REQUIRES


def test_no_extra_brings_torch():
    """A package of people.txt asks for torch: no extra may name one but the motion capture."""
    extras = {canonicalize_name(Requirement(text).name) for text in load_setup().MOCAP_REQUIRES}
    assert extras & set(pins("people")) == {"pybullet"}


def test_version_is_read_without_importing():
    assert load_setup().read_version() == gluon_dkpr.__version__


in_venv = pytest.mark.skipif(
    Path(sys.prefix).resolve() != (ROOT / ".venv").resolve(), reason="not the Python of .venv"
)


@in_venv
def test_venv_has_the_pinned_versions():
    build = "cu112" if "mxnet-cu112" in installed_names() else "cpu"
    for name, pin in pins("base", "h36m", "test", build).items():
        if pin.marker is None or pin.marker.evaluate():
            assert metadata.version(name) == version(pin), name
    for name, pin in pins("people", "docs", "onnx", "cpp", "serve").items():
        if name in installed_names() and (pin.marker is None or pin.marker.evaluate()):
            assert metadata.version(name) == version(pin), name


@in_venv
def test_pins_are_complete():
    """Whatever a pinned package asks for is pinned, too: --no-deps would not bring it.

    Of people.txt only files are read, so what these packages would need does not matter.
    """
    installed = installed_names()
    missing = set()
    for name in installed - set(pins("people")):
        for text in metadata.requires(name) or []:
            wanted = Requirement(text)
            needed = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
            if needed and canonicalize_name(wanted.name) not in installed:
                missing.add(canonicalize_name(wanted.name))
    expected = LEFT_OUT | (LEFT_OUT_OF_ONNX if "onnxruntime" in installed else set())
    expected |= LEFT_OUT_OF_CPP - installed if "nlohmann-json" in installed else set()
    assert missing - {"wheel"} == expected  # the CUDA wheels ask for wheel, to no end


def installed_names() -> set:
    return {canonicalize_name(d.metadata["Name"]) for d in metadata.distributions()}


# -- make


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_make_alone_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    for target in re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE).group(1).split():
        assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE), target


@pytest.mark.parametrize("script", ["tools/bootstrap.sh", ".ci/run"])
def test_scripts_can_be_run(script):
    assert os.access(str(ROOT / script), os.X_OK)
