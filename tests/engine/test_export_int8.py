"""Exports in int8: calibrated on a data set, measured on it, and refused if they cost too much."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hand_set import (
    SHAPE,
    assert_one_line,
    call_tool,
    load_tool,
    random_images,
    random_net,
    save_run,
)

from gluon_dkpr.backend import mx
from gluon_dkpr.data import ImageFormat, RecordDataset, make_toy_record, pose_layout, write_record
from gluon_dkpr.engine.evaluate import predict_dataset
from gluon_dkpr.engine.export import Calibration, ExportError, export_model, load_export
from gluon_dkpr.engine.predictor import EvaluationError, NetworkPredictor
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.skeleton import planar

FOREIGN_READER = """
import os, sys
import numpy as np
sys.modules["gluon_dkpr"] = None  # importing it fails
os.environ["MXNET_SUBGRAPH_VERBOSE"] = "0"
import mxnet as mx

pictures = np.load("pictures.npy")
block = mx.gluon.SymbolBlock.imports("toy-symbol.json", ["data"], "toy-0000.params")
np.save("joints.npy", block(mx.nd.array(pictures, dtype="uint8"))[0].asnumpy())
"""


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "toy3"
    make_toy_record(path, 3, 40, 30)
    return path


@pytest.fixture(scope="module")
def net():
    return random_net()


@pytest.fixture(scope="module")
def exported(net, record, tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8")
    how = Calibration(str(record), samples=35, max_loss_percent=20.0)
    export_model(net, folder, "toy", SHAPE, "int8", preprocess=True, calibration=how)
    return folder


def rgb(images):
    return np.repeat(images, 3, axis=3)


def test_it_predicts_about_the_same(net, record, exported):
    test = RecordDataset(record, "test")
    expected = predict_dataset(NetworkPredictor(net), test).joints
    found = predict_dataset(load_export(exported), test).joints
    difference = np.linalg.norm(found - expected, axis=-1).mean()
    spread = np.linalg.norm(expected - expected.mean(axis=0), axis=-1).mean()
    # Integers are not the same as float32, but nearer than a pose is to any other.
    assert 0 < difference < 0.2 * spread


def test_head_last_layer_and_preprocessing_stay_in_float(net, exported):
    nodes = json.loads((exported / "toy-symbol.json").read_text())["nodes"]
    names = [node["name"] for node in nodes]
    integer = [
        node["name"]
        for node in nodes
        if "quantized_" in node["op"] or node.get("attrs", {}).get("quantized") == "true"
    ]
    signature = load_export(exported).signature
    assert len(integer) == signature.quantization["integer_nodes"] >= 4
    assert not [name for name in integer if "preprocess" in name or "head" in name]
    last = next(node for node in nodes if net.output.weight.name in
                [names[source] for source, *_ in node["inputs"]])  # fmt: skip
    assert last["name"] not in integer
    assert "joints" in names
    assert "motion" in names
    parameters = mx.nd.load(str(exported / "toy-0000.params"))
    types = {name.split(":")[1]: array.dtype for name, array in parameters.items()}
    assert types[net.output.weight.name] == np.float32
    assert np.int8 in types.values()


def test_bones_keep_their_length(exported):
    joints = load_export(exported).predict(random_images(6)).joints
    lengths = np.linalg.norm(joints[:, 1:] - joints[:, :1], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(planar(3).bone_lengths, (6, 2)), rtol=1e-5)


def test_a_reader_without_this_package(exported, tmp_path):
    for file in exported.iterdir():
        shutil.copy(file, tmp_path)
    images = random_images(3)
    np.save(tmp_path / "pictures.npy", rgb(images))
    command = [sys.executable, "-c", FOREIGN_READER]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expected = load_export(exported).predict(images).joints
    np.testing.assert_allclose(np.load(tmp_path / "joints.npy"), expected, atol=1e-3)


def test_the_signature_tells_what_it_costs(record, exported):
    tree = json.loads((exported / "toy-signature.json").read_text())
    assert tree["graph"] == {"format": "int8", "preprocess": True}
    how, error = (tree["quantization"][key] for key in ("calibration", "error"))
    assert (how["record"], how["samples"], how["mode"]) == ("toy3.rec", 35, "naive")
    assert how["sha256"] == json.loads(record.with_suffix(".json").read_text())["rec"]["sha256"]
    assert (error["split"], error["images"], error["unit"]) == ("test", 30, "px")
    growth = 100 * (error["int8"] - error["float32"]) / error["float32"]
    assert error["loss_percent"] == pytest.approx(growth)
    assert abs(growth) <= error["max_loss_percent"] == 20


def test_too_much_loss_is_refused(net, tmp_path):
    """Where the truth is what the network says, integers can only be worse."""
    skeleton, image = planar(3), ImageFormat(*SHAPE, "png-binary")
    images = random_images(12)
    pose = NetworkPredictor(net).predict(images)
    layout = pose_layout(skeleton)
    samples = [
        (image.encode(i), layout.pack({"joints": j, "motion": m})) for i, j, m in zip(images, *pose)
    ]
    splits = {"train": samples[:6], "test": samples[6:]}
    write_record(tmp_path / "own", skeleton, layout, image, splits, {})
    how = Calibration(str(tmp_path / "own"))
    with pytest.raises(ExportError, match=r"int8 the joint error .* grows from .* expected 5 % at"):
        export_model(net, tmp_path / "out", "toy", SHAPE, "int8", calibration=how)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"samples": 0}, "0 samples to calibrate on"),
        ({"max_loss_percent": float("nan")}, "largest loss is nan %"),
    ],
)
def test_settings_out_of_range(change, expected, net, record, tmp_path):
    how = Calibration(str(record))._replace(**change)
    with pytest.raises(ExportError, match=expected):
        export_model(net, tmp_path / "out", "toy", SHAPE, "int8", calibration=how)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--calibration", "--samples", "--max-loss"])
@pytest.mark.parametrize("kind", ["mxnet", "onnx"])
def test_flags_of_int8_alone(flag, kind, capsys):
    with pytest.raises(SystemExit) as exit_:
        load_tool("export.py").main(["run", "--format", kind, flag, "7"])
    assert exit_.value.code == 2
    assert (
        "--calibration, --samples and --max-loss are for --format int8" in capsys.readouterr().err
    )


def test_a_calibration_belongs_to_int8(net, record, tmp_path):
    for kind, how in (("int8", None), ("mxnet", Calibration(str(record)))):
        with pytest.raises(ExportError, match="a calibration is needed for int8, and for it alone"):
            export_model(net, tmp_path, "toy", SHAPE, kind, calibration=how)


def test_a_data_set_of_another_object(record, tmp_path):
    net = get_model("toy_cnn", planar(6))
    net.initialize()
    with pytest.raises(EvaluationError, match="shows skeleton 'planar3', expected 'planar6'"):
        export_model(net, tmp_path, "six", SHAPE, "int8", calibration=Calibration(str(record)))


def test_command_line(record, tmp_path):
    run = save_run(tmp_path / "run", random_net(seed=3), record)
    arguments = ("--format", "int8", "--samples", "20", "--max-loss", "50")
    status, out, err = call_tool("export.py", run, *arguments)
    assert (status, err) == (0, "")
    assert str(run / "export-int8" / "toy3-kinematic-0000.params") in out
    assert "joint error on toy3.rec, 30 test images: " in out
    assert "calibrated on 20 images" in out
    done = call_tool("evaluate.py", run / "export-int8", "--data", record)
    assert done[0] == 0, done[2]
    bad = call_tool("export.py", run, "--format", "int8", "--calibration", tmp_path / "none")
    assert_one_line(bad, tmp_path / "none")
