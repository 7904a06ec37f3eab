"""Exports: the same numbers anywhere, and one clear line for everything else."""

import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hand_set import (
    SHAPE,
    SUFFIXES,
    assert_one_line,
    call_tool,
    contents,
    load_tool,
    random_images,
    random_net,
    save_run,
)

from gluon_dkpr.backend import mx
from gluon_dkpr.data import to_network_input
from gluon_dkpr.engine.export import ExportError, export_model, load_export
from gluon_dkpr.engine.load import load_predictor
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.errors import DkprError
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import METHODS, KinematicLayer
from gluon_dkpr.skeleton import human36m, planar

# Relative to the image size; angles in radians.
SAME = 1e-6

FOREIGN_READER = """
import json, os, sys
import numpy as np
sys.modules["gluon_dkpr"] = None  # importing it fails
os.environ["MXNET_SUBGRAPH_VERBOSE"] = "0"
import mxnet as mx

images = np.load("images.npy")
for name in json.loads(sys.argv[1]):
    block = mx.gluon.SymbolBlock.imports(f"{name}-symbol.json", ["data"], f"{name}-0000.params")
    for count in (len(images), 1):
        outputs = block(mx.nd.array(images[:count]))
        outputs = outputs if isinstance(outputs, list) else [outputs]
        np.savez(f"{name}-{count}.npz", *(output.asnumpy() for output in outputs))
assert not [name for name in sys.modules if name.startswith("gluon_dkpr.")]
"""


@pytest.fixture(scope="module")
def nets():
    return {method: random_net(method) for method in METHODS}


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    """A folder with an export of every method."""
    folder = tmp_path_factory.mktemp("exported")
    for method, net in nets.items():
        export_model(net, folder, method, SHAPE)
    return folder


def assert_same(found, expected):
    assert found.shape == expected.shape
    scale = np.where(np.abs(expected).max() > 4, 128, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=SAME * scale)


def test_a_reader_without_this_package_gets_the_same_numbers(nets, exported, tmp_path):
    for file in exported.iterdir():
        shutil.copy(file, tmp_path)
    images = to_network_input(random_images(3))
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-c", FOREIGN_READER, json.dumps(METHODS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for method, net in nets.items():
        pose = [p.asnumpy() for p in net.predict_pose(mx.nd.array(images)) if p is not None]
        assert len(pose) == (1 if method == "direct" else 2)
        # Poses differ between images, so that a constant graph would be found out.
        assert np.abs(pose[0][0] - pose[0][1]).max() > 1
        for count in (3, 1):
            with np.load(tmp_path / f"{method}-{count}.npz") as found:
                assert len(found.files) == len(pose)
                for key, expected in zip(found.files, pose):
                    assert_same(found[key], expected[:count])


@pytest.mark.parametrize("method", METHODS)
def test_loaded_back_it_predicts_the_same(method, nets, exported):
    model = load_export(exported / method)
    assert (model.method, model.image_shape) == (method, SHAPE)
    assert model.skeleton == nets[method].skeleton
    images = random_images(5)
    found = model.predict(images)
    expected = NetworkPredictor(nets[method]).predict(images)
    assert_same(found.joints, expected.joints)
    assert (found.motion is None) == (method == "direct")
    if found.motion is not None:
        assert_same(found.motion, expected.motion)
    raw = model(mx.nd.array(to_network_input(images)))
    assert_same(raw.joints.asnumpy(), expected.joints)


def test_batch_normalisation_is_exported(tmp_path):
    net = get_model("resnet18_v1b", human36m(), "kinematic")
    net.initialize(mx.init.Xavier())
    images = mx.nd.random.uniform(shape=(2, 3, 64, 64))
    with mx.autograd.record():
        net(images).wait_to_read()  # moves the running statistics away from 0 and 1
    paths = export_model(net, tmp_path, "body", (64, 64, 3)).paths
    statistics = [name for name in mx.nd.load(str(paths["parameters"])) if "running_" in name]
    assert statistics
    assert all(name.startswith("aux:") for name in statistics)
    model = load_export(paths["symbol"])
    for found, expected in zip(model(images), net.predict_pose(images)):
        np.testing.assert_allclose(found.asnumpy(), expected.asnumpy(), rtol=1e-5, atol=1e-3)


def test_a_network_on_two_devices(tmp_path):
    net = random_net()
    expected = contents_of_export(net, tmp_path / "one")
    net.collect_params().reset_ctx([mx.cpu(0), mx.cpu(1)])
    net.predictor.collect_params().reset_ctx([mx.cpu(0), mx.cpu(1)])
    assert contents_of_export(net, tmp_path / "two") == expected


def contents_of_export(net, folder):
    export_model(net, folder, "toy", SHAPE)
    return contents(folder)


def test_equal_networks_give_equal_files(tmp_path):
    first = contents_of_export(random_net(seed=4), tmp_path / "a")
    # Names must not count what else was made in this process.
    KinematicLayer(planar(6))
    get_model("toy_cnn", planar(10), "parameter")
    second = contents_of_export(random_net(seed=4), tmp_path / "b")
    assert sorted(first) == sorted(f"toy{suffix}" for suffix in SUFFIXES)
    assert first == second


@pytest.mark.parametrize("hybrid", [False, True])
def test_the_network_is_left_as_it_was(hybrid, tmp_path):
    net = random_net()
    if hybrid:
        net.hybridize(static_alloc=True)
    images = mx.nd.array(to_network_input(random_images(2)))
    before = net(images).asnumpy()
    export_model(net, tmp_path, "toy", SHAPE)
    np.testing.assert_array_equal(net(images).asnumpy(), before)
    with mx.autograd.record():
        loss = net(images).sum()
    loss.backward()
    assert np.abs(net.output.bias.grad().asnumpy()).max() > 0


def test_graphs_hold_no_addresses_and_names_are_unique(exported):
    for method in METHODS:
        nodes = json.loads((exported / f"{method}-symbol.json").read_text())["nodes"]
        names = [node["name"] for node in nodes]
        assert len(set(names)) == len(names)
        assert [n["name"] for n in nodes if n["op"] == "null" and "attrs" not in n] == ["data"]
        keys = {key for node in nodes if node["op"] == "null" for key in node.get("attrs", {})}
        assert keys == {"__dtype__", "__shape__"}


class TestFailingExport:
    @pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x\n"])
    def test_names_that_are_no_file_names(self, name, tmp_path):
        with pytest.raises(ExportError, match="export name is"):
            export_model(random_net(), tmp_path, name, SHAPE)
        assert not list(tmp_path.iterdir())

    def test_images_that_the_network_does_not_take(self, tmp_path):
        with pytest.raises(ExportError, match=r"takes no images of shape \(64, 64, 1\)"):
            export_model(random_net(), tmp_path / "out", "toy", (64, 64, 1))
        assert not (tmp_path / "out").exists()

    def test_what_stood_there_stays(self, tmp_path):
        net = random_net()
        before = contents_of_export(net, tmp_path)
        # It differs from itself, which is found out after everything is written.
        net.output.bias.set_data(mx.nd.full(net.output.bias.shape, np.nan))
        with pytest.raises(ExportError, match="joints differ by nan"):
            export_model(net, tmp_path, "toy", SHAPE)
        assert contents(tmp_path) == before

    @pytest.mark.parametrize("limit", [100_000, 1_000_000])
    def test_a_full_disk(self, limit, tmp_path):
        net = random_net()
        before = contents_of_export(net, tmp_path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with pytest.raises(ExportError, match=r"toy-0000\.params: not written whole"):
                export_model(net, tmp_path, "toy", SHAPE)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert contents(tmp_path) == before

    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "out").write_text("mine")
        with pytest.raises(OSError) as error:
            export_model(random_net(), tmp_path / "out", "toy", SHAPE)
        assert error.value.filename
        assert (tmp_path / "out").read_text() == "mine"


class TestTool:
    def test_exports_the_best_checkpoint_of_a_run(self, tmp_path):
        run = save_run(tmp_path / "run", random_net(seed=3))
        status, out, err = call_tool("export.py", run)
        assert (status, err) == (0, "")
        files = [run / "export" / f"toy3-kinematic{suffix}" for suffix in SUFFIXES]
        assert all(str(file) in out for file in files)
        assert sorted((run / "export").iterdir()) == sorted(files)
        images = random_images(2)
        expected = load_predictor(run).predict(images).joints
        np.testing.assert_allclose(load_export(run / "export").predict(images).joints, expected)

    def test_mistakes(self, tmp_path):
        run = save_run(tmp_path / "run", random_net())
        bad = call_tool("export.py", run, "--name", "../x", "--out", tmp_path / "new")
        assert_one_line(bad, "export.py: error: export name is '../x'")
        main = load_tool("export.py").main
        with pytest.raises(ExportError, match=f"{tmp_path}: no run folder or checkpoint"):
            main([str(tmp_path)])
        (run / "checkpoint" / "last-0001-000000" / "network.params").write_bytes(b"no parameters")
        with pytest.raises(DkprError, match="none of its 1 checkpoints is whole"):
            main([str(run), "--checkpoint", "last", "--out", str(tmp_path / "new")])
        assert not (tmp_path / "new").exists()
