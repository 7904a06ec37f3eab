"""Graphs with the pre-processing inside: raw bytes in, the same poses out."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hand_set import SHAPE, random_images, random_net

from gluon_dkpr.backend import mx
from gluon_dkpr.engine.export import ExportError, export_model, load_export
from gluon_dkpr.engine.graph import from_bytes
from gluon_dkpr.engine.pictures import is_white, to_channels, to_network_image
from gluon_dkpr.engine.predictor import EvaluationError, NetworkPredictor
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.skeleton import human36m

FOREIGN_READER = """
import os, sys
import numpy as np
sys.modules["gluon_dkpr"] = None  # importing it fails
os.environ["MXNET_SUBGRAPH_VERBOSE"] = "0"
import mxnet as mx

pictures = np.load("pictures.npy")
block = mx.gluon.SymbolBlock.imports("toy-symbol.json", ["data"], "toy-0000.params")
# The C predict API knows float32 alone.
for kind in ("uint8", "float32"):
    joints, motion = block(mx.nd.array(pictures, dtype=kind))
    np.savez(f"{kind}.npz", joints=joints.asnumpy(), motion=motion.asnumpy())
    block = mx.gluon.SymbolBlock.imports("toy-symbol.json", ["data"], "toy-0000.params")
print(mx.sym.load("toy-symbol.json").list_outputs())
"""


def random_pictures(count, shape=(128, 128), seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, *shape, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    return random_net()


@pytest.fixture(scope="module")
def exported(net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    export_model(net, folder, "toy", SHAPE, preprocess=True)
    return folder


def test_colours_become_black_and_white_as_in_prediction(net, exported):
    pictures = random_pictures(4)
    pictures[:, :, 40:] = 0
    images = np.stack([to_network_image(picture, SHAPE)[0] for picture in pictures])
    expected = NetworkPredictor(net).predict(images)
    found = load_export(exported).predict(pictures)
    np.testing.assert_allclose(found.joints, expected.joints, atol=1e-4)
    np.testing.assert_allclose(found.motion, expected.motion, atol=1e-4)


def test_colours_become_grey_for_a_network_that_knows_grey(net, tmp_path):
    pictures = random_pictures(4)
    images = np.stack([to_network_image(picture, SHAPE, grey=True)[0] for picture in pictures])
    assert len(np.unique(images)) > 200
    export_model(net, tmp_path, "grey", SHAPE, preprocess=True, grey=True)
    model = load_export(tmp_path)
    assert model.grey
    expected = NetworkPredictor(net).predict(images).joints
    np.testing.assert_allclose(model.predict(pictures).joints, expected, atol=1e-4)


def test_the_border_of_grey_values_is_exact():
    """A half is rounded up, in NumPy and in the graph: 299 r + 587 g + 114 b = 1000 n + 500."""
    r, g, b = np.meshgrid(*(np.arange(256),) * 3, indexing="ij")
    ties = (299 * r + 587 * g + 114 * b) % 1000 == 500
    assert ties.sum() > 5000
    colours = np.stack([r[ties], g[ties], b[ties]], axis=-1).astype(np.uint8)[None]
    graph = from_bytes(mx.sym.var("data"), 1, grey=True)
    (found,) = graph.eval(data=mx.nd.array(colours[..., None, :], dtype="uint8"))
    expected = (colours @ np.array([299, 587, 114]) + 500) // 1000
    np.testing.assert_array_equal(to_channels(colours, 1, grey=True)[..., 0], expected)
    np.testing.assert_array_equal(found.asnumpy()[:, 0, :, 0] * 255, expected)


def test_the_border_of_white_is_exact():
    """Half of white is white, whatever colours make it: 299 r + 587 g + 114 b = 127500."""
    r, g, b = np.meshgrid(*(np.arange(256),) * 3, indexing="ij")
    ties = 299 * r + 587 * g + 114 * b == 127_500
    assert ties.sum() > 50
    colours = np.stack([r[ties], g[ties], b[ties]], axis=-1).astype(np.uint8)
    assert is_white(colours).all()
    assert not is_white(colours - np.uint8([0, 0, 1]) * (colours[:, 2:] > 0))[
        colours[:, 2] > 0
    ].any()


def test_images_of_the_data_set_are_taken_too(net, exported):
    images = random_images(3)
    model = load_export(exported)
    expected = NetworkPredictor(net).predict(images).joints
    np.testing.assert_allclose(model.predict(images).joints, expected, atol=1e-4)
    with pytest.raises(EvaluationError, match=r"expected uint8 \(B, 128, 128, 1\)"):
        model.predict(random_pictures(1, (64, 64)))


def test_the_graph_takes_bytes_only(exported):
    model = load_export(exported)
    raw = mx.nd.array(random_pictures(2), dtype="uint8")
    assert model(raw).joints.shape == (2, 3, 2)
    with pytest.raises(ExportError, match=r"float32.*expected an NDArray of uint8 \(B, 128, 128,"):
        model(raw.astype("float32"))


def test_a_reader_without_this_package(exported, tmp_path):
    for file in exported.iterdir():
        shutil.copy(file, tmp_path)
    pictures = random_pictures(3)
    np.save(tmp_path / "pictures.npy", pictures)
    command = [sys.executable, "-c", FOREIGN_READER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['joints_output', 'motion_output']"
    expected = load_export(exported).predict(pictures)
    for kind in ("uint8", "float32"):
        with np.load(tmp_path / f"{kind}.npz") as found:
            np.testing.assert_allclose(found["joints"], expected.joints, atol=1e-4)
            np.testing.assert_allclose(found["motion"], expected.motion, atol=1e-5)


def test_a_network_of_colours(tmp_path):
    net = get_model("resnet18_v1b", human36m(), "direct")
    net.initialize(mx.init.Xavier())
    export_model(net, tmp_path, "body", (64, 48, 3), preprocess=True)
    pictures = random_pictures(2, (64, 48))
    expected = NetworkPredictor(net).predict(pictures).joints
    assert np.abs(expected).max() > 0
    found = load_export(tmp_path).predict(pictures).joints
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_steps_have_names_of_their_own(exported):
    nodes = json.loads((exported / "toy-symbol.json").read_text())["nodes"]
    steps = [node["name"] for node in nodes if node["name"].startswith("preprocess_")]
    assert steps[0] == "preprocess_float"
    assert steps[-1] == "preprocess_white"
