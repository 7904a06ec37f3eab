"""What the page in the browser is made of: its networks, and the runtime that is fetched."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.data import sample_motion
from gluon_dkpr.data.render import render_planar
from gluon_dkpr.engine import reproduce
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.metrics import mpjpe
from gluon_dkpr.skeleton import planar

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "docs" / "demo"
METHODS = ("kinematic", "direct")


def load_script(name: str):
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def measured():
    rows = json.loads((DEMO / "measured.json").read_text(encoding="utf-8"))
    return {row["method"]: row for row in rows}


# -- the networks


@pytest.mark.parametrize("method", METHODS)
def test_errors_are_those_of_the_files(method, measured):
    """On the 1,000 test images of the data set, made anew."""
    pytest.importorskip("onnxruntime")
    from gluon_dkpr.engine import load_export

    skeleton = planar(6)
    joints = forward_kinematics(skeleton, sample_motion(skeleton, 1000, seed=0, split="test"))
    model = load_export(DEMO / f"toy6-{method}.onnx")
    found = model.predict(render_planar(skeleton, joints, 128, 128)).joints
    row = measured[method]["int8"]
    assert row["n"] == 1000
    assert mpjpe(joints, found) == pytest.approx(row["joint_error"], abs=1e-3)
    assert (DEMO / f"toy6-{method}.onnx").stat().st_size == row["bytes"] < 2_500_000


def test_both_were_trained_alike_and_lose_little(measured):
    first, second = (measured[method] for method in METHODS)
    for name in ("preset", "epochs", "seed"):
        assert first[name] == second[name]
    for row in (first, second):
        assert row["int8"]["joint_error"] < 1.02 * row["float32"]["joint_error"]


def test_the_readme_tells_what_was_measured(measured):
    text = (DEMO / "README.md").read_text(encoding="utf-8")
    for method, row in measured.items():
        errors = [f"{row[kind]['joint_error']:.3f}" for kind in ("float32", "int8")]
        assert re.search(rf"\| {method} .*\b{errors[0]}\b.*\b{errors[1]}\b", text)
        assert row["epochs"] == reproduce.EPOCHS and "tools/reproduce_toy.py --levels 6" in text


def test_rows_are_quantised_to_half_a_step():
    pytest.importorskip("onnx")
    weight = np.random.default_rng(1).normal(size=(5, 400)).astype(np.float32)
    weight[1] *= 1e-6
    weight[2] = 0
    integers, scale = load_script("make").quantise_rows(weight)
    assert integers.dtype == np.int8
    assert np.abs(integers).max(axis=1).tolist() == [127, 127, 0, 127, 127]
    assert (np.abs(integers * scale[:, None] - weight) <= 0.5001 * scale[:, None]).all()


# -- the runtime


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of npm, as files; returns how to put an archive there and what its sum is."""
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", tmp_path.as_uri())
    folder = tmp_path / "web" / "-"
    folder.mkdir(parents=True)

    def put(names) -> str:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w:gz") as tar:
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(name)
                tar.addfile(member, io.BytesIO(name.encode()))
        (folder / "web-1.0.tgz").write_bytes(data.getvalue())
        return "sha512-" + base64.b64encode(hashlib.sha512(data.getvalue()).digest()).decode()

    return put


def test_the_files_of_the_page_are_taken_out_of_the_archive(registry, tmp_path):
    fetch = load_script("fetch")
    names = [f"package/dist/{name}" for name in fetch.FILES]
    integrity = registry([*names, "package/dist/other.js", "package/../../evil"])
    fetch.unpack(fetch.download("web", "1.0", integrity), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(fetch.FILES)
    assert (tmp_path / "out" / fetch.FILES[0]).read_text() == names[0]


def test_another_archive_or_none_is_refused(registry, tmp_path):
    fetch = load_script("fetch")
    integrity = registry(["package/dist/ort.wasm.min.mjs"])
    with pytest.raises(fetch.FetchError, match=r"web-1\.0\.tgz: sum is sha512-.*, expected x"):
        fetch.download("web", "1.0", "x")
    with pytest.raises(fetch.FetchError, match=r"web-2\.0\.tgz"):
        fetch.download("web", "2.0", integrity)
    with pytest.raises(fetch.FetchError, match="no package/dist/ort-wasm-simd-threaded.mjs"):
        fetch.unpack(fetch.download("web", "1.0", integrity), tmp_path / "out")


def test_the_pin_is_whole():
    name, version, integrity = load_script("fetch").read_pin()
    assert name == "onnxruntime-web"
    assert f"onnxruntime=={version} " in (ROOT / "requirements" / "onnx.txt").read_text()
    assert len(base64.b64decode(integrity[len("sha512-") :])) == 64


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    command = [sys.executable, str(DEMO / "fetch.py"), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "127.0.0.1:9/onnxruntime-web" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
