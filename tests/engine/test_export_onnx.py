"""Exports as ONNX: onnxruntime's numbers are the network's, and every mistake is one line."""

import hashlib
import json
import sys

import numpy as np
import pytest
from hand_set import (
    SHAPE,
    assert_one_line,
    call_tool,
    contents,
    random_images,
    random_net,
    save_run,
)

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record, to_network_input
from gluon_dkpr.engine.export import ExportError, export_model, load_export
from gluon_dkpr.engine.export import write as write_module
from gluon_dkpr.engine.load import load_predictor
from gluon_dkpr.engine.pictures import to_channels
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import human36m

WANTED = "needs requirements/onnx.txt: tools/bootstrap.sh onnx"
onnx = pytest.importorskip("onnx", reason=WANTED)
onnxruntime = pytest.importorskip("onnxruntime", reason=WANTED)


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def nets():
    return {method: random_net(method) for method in METHODS}


@pytest.fixture(scope="module")
def exported(nets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    for method, net in nets.items():
        export_model(net, folder, method, SHAPE, "onnx")
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_plain_onnxruntime_gives_the_same_numbers(method, nets, exported):
    session = open_session(exported / f"{method}.onnx")
    (data,) = session.get_inputs()
    assert (data.name, data.type, data.shape[1:]) == ("data", "tensor(float)", [1, 128, 128])
    names = ["joints"] if method == "direct" else ["joints", "motion"]
    assert [output.name for output in session.get_outputs()] == names
    assert [output.shape[1:] for output in session.get_outputs()] == [[3, 2], [3]][: len(names)]
    for count in (1, 2, 5):
        images = to_network_input(random_images(count, seed=count))
        found = session.run(names, {"data": images})
        expected = nets[method].predict_pose(mx.nd.array(images))
        np.testing.assert_allclose(found[0], expected.joints.asnumpy(), atol=128e-6)
        for motion in found[1:]:
            np.testing.assert_allclose(motion, expected.motion.asnumpy(), rtol=1e-5, atol=1e-5)


def test_the_file_says_which_operators_it_is_of(exported):
    model = onnx.load(str(exported / "kinematic.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert model.producer_name == "gluon_dkpr"
    assert [value.name for value in model.graph.input] == ["data"]


@pytest.mark.parametrize("method", METHODS)
def test_loaded_back_it_predicts_the_same(method, nets, exported):
    images = random_images(4)
    expected = NetworkPredictor(nets[method]).predict(images)
    for name in (method, f"{method}.onnx", f"{method}-signature.json"):
        found = load_predictor(exported / name).predict(images)
        np.testing.assert_allclose(found.joints, expected.joints, atol=128e-6)
        assert (found.motion is None) == (method == "direct")


@pytest.mark.parametrize("method", METHODS)
def test_people_and_bytes(method, tmp_path):
    net = get_model("resnet18_v1b", human36m(), method)
    net.initialize(mx.init.Xavier())
    images = mx.nd.random.uniform(shape=(2, 3, 32, 32))
    with mx.autograd.record():
        net(images).wait_to_read()  # moves the running statistics away from 0 and 1
    net.output.weight.set_data(mx.nd.random.normal(0, 0.02, net.output.weight.shape))
    written = export_model(net, tmp_path, "body", (32, 32, 3), "onnx", preprocess=True)
    assert 0 < written.difference < 1e-5
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    expected = NetworkPredictor(net).predict(pictures).joints
    (found, *_) = open_session(tmp_path / "body.onnx").run(None, {"data": pictures})
    assert np.abs(expected[0] - expected[1]).max() > 1
    np.testing.assert_allclose(found, expected, atol=1e-5 * net.length)


def test_bytes_of_a_network_that_knows_grey(tmp_path):
    net = random_net()
    export_model(net, tmp_path, "grey", SHAPE, "onnx", preprocess=True, grey=True)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    expected = NetworkPredictor(net).predict(to_channels(pictures, 1, grey=True)).joints
    (found, *_) = open_session(tmp_path / "grey.onnx").run(None, {"data": pictures})
    np.testing.assert_allclose(found, expected, atol=128e-5)


def test_equal_networks_give_equal_files(tmp_path):
    for name in ("a", "b"):
        export_model(random_net(seed=4), tmp_path / name, "toy", SHAPE, "onnx")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_wrong_graph_is_found_out_before_it_is_kept(monkeypatch, tmp_path):
    def other_parameters(symbol, arrays, *arguments):
        arrays = {name: array * 1.01 for name, array in arrays.items()}
        return to_onnx(symbol, arrays, *arguments)

    to_onnx = write_module.to_onnx
    monkeypatch.setattr(write_module, "to_onnx", other_parameters)
    with pytest.raises(ExportError, match=r"toy\.onnx: joints differ by .* expected 0\.0001 at mo"):
        export_model(random_net(), tmp_path, "toy", SHAPE, "onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_extra(missing, monkeypatch, tmp_path, exported):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ExportError, match=f'wants {missing} .*pip install "gluon_dkpr.onnx."'):
        export_model(random_net(), tmp_path / "new", "toy", SHAPE, "onnx")
    assert not (tmp_path / "new").exists()
    if missing == "onnxruntime":
        with pytest.raises(ExportError, match=r"direct\.onnx: .*wants onnxruntime"):
            load_export(exported / "direct")


class TestDamage:
    @pytest.fixture
    def broken(self, exported, tmp_path):
        for suffix in (".onnx", "-signature.json"):
            (tmp_path / f"toy{suffix}").write_bytes((exported / f"kinematic{suffix}").read_bytes())
        return tmp_path

    @pytest.mark.parametrize("part", [0.0, 0.5, 0.999])
    def test_truncated(self, part, broken):
        data = (broken / "toy.onnx").read_bytes()
        (broken / "toy.onnx").write_bytes(data[: int(part * len(data))])
        with pytest.raises(ExportError, match=r"toy\.onnx: \d+ bytes with SHA-256"):
            load_export(broken)

    @pytest.mark.parametrize(
        ("data", "expected"),
        [(b"", "not one of ONNX"), (b"no graph", "not one of ONNX"), (b"other", "the graph takes")],
    )
    def test_foreign_with_the_right_hash(self, data, expected, broken, exported):
        if data == b"other":
            export_model(random_net(), broken / "other", "o", SHAPE, "onnx", preprocess=True)
            data = (broken / "other" / "o.onnx").read_bytes()
        (broken / "toy.onnx").write_bytes(data)
        tree = json.loads((broken / "toy-signature.json").read_text())
        tree["files"]["model"].update(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        (broken / "toy-signature.json").write_text(json.dumps(tree))
        with pytest.raises(ExportError, match=expected) as error:
            load_export(broken / "toy")
        assert "\n" not in str(error.value)

    def test_a_file_of_another_format_beside_it(self, broken):
        (broken / "toy-symbol.json").write_text("{}")
        with pytest.raises(
            ExportError, match=r"toy-symbol\.json: not of .*format 'onnx'.*toy\.onn"
        ):
            load_export(broken / "toy-symbol.json")

    def test_one_name_holds_one_export(self, broken):
        before = contents(broken)
        with pytest.raises(ExportError, match="expected another name or folder for format 'mxnet'"):
            export_model(random_net(), broken, "toy", SHAPE)
        assert contents(broken) == before


def test_command_lines(tmp_path):
    make_toy_record(tmp_path / "toy3", 3, 4, 6)
    run = save_run(tmp_path / "run", random_net(seed=3), tmp_path / "toy3")
    status, out, err = call_tool("export.py", run, "--format", "onnx", "--preprocess")
    assert (status, err) == (0, "")
    model = run / "export-onnx-bytes" / "toy3-kinematic.onnx"
    assert str(model) in out
    assert "largest difference from the network: " in out
    results = []
    for name in (run, model):
        done = call_tool("evaluate.py", name, "--data", tmp_path / "toy3", "--out", tmp_path / "r")
        assert done[0] == 0, done[2]
        results.append(json.loads((tmp_path / "r").read_text())["joint_error"])
    assert results[0] == pytest.approx(results[1], abs=1e-4)
    bad = call_tool("export.py", run, "--format", "onnx", "--out", run / "config.yaml")
    assert_one_line(bad, "config.yaml")
