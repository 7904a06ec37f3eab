"""What an export says of itself, for readers without this package."""

import hashlib
import json

import numpy as np
import pytest
from hand_set import SHAPE, random_net

from gluon_dkpr.backend import mx
from gluon_dkpr.data import ImageFormat, RecordInfo, pose_layout
from gluon_dkpr.engine.export import ExportError, export_model
from gluon_dkpr.engine.signature import Signature
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.errors import DkprError
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import human36m, planar, skeleton_from_dict


def body_net(method="kinematic"):
    net = get_model("resnet18_v1b", human36m(), method)
    net.initialize(mx.init.Xavier())
    return net


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """{name: (files, tree)} of every toy method, one that takes bytes, and a body."""
    folder = tmp_path_factory.mktemp("signatures")
    found = {method: export_model(random_net(method), folder, method, SHAPE) for method in METHODS}
    found["bytes"] = export_model(random_net(), folder, "bytes", SHAPE, preprocess=True)
    found["grey"] = export_model(random_net(), folder, "grey", SHAPE, grey=True)
    found["body"] = export_model(body_net(), folder, "body", (64, 96, 3), margin=0.06)
    return {
        name: (written.paths, json.loads(written.paths["signature"].read_text()))
        for name, written in found.items()
    }


@pytest.mark.parametrize("method", METHODS)
def test_inputs_and_outputs_of_a_toy(method, exported):
    _, tree = exported[method]
    assert tree["format"] == "gluon_dkpr/signature/2"
    assert (tree["name"], tree["method"]) == (method, method)
    assert tree["graph"] == {"format": "mxnet", "preprocess": False}
    (data,) = tree["inputs"]
    assert (data["name"], data["dtype"], data["layout"]) == ("data", "float32", "NCHW")
    assert (data["shape"], data["range"], data["channels"]) == ([-1, 1, 128, 128], [0, 1], ["grey"])
    assert tree["crop"]["white_from"] == 0.5
    assert exported["grey"][1]["crop"]["white_from"] is None
    assert tree["crop"]["around"] == "picture"
    joints, *motion = tree["outputs"]
    assert (joints["name"], joints["shape"], joints["unit"]) == ("joints", [-1, 3, 2], "px")
    assert joints["names"] == ["root", "left_1", "right_1"]
    assert "x right, y down" in joints["frame"]
    assert len(motion) == (0 if method == "direct" else 1)
    for output in motion:
        assert (output["name"], output["shape"]) == ("motion", [-1, 3])
        assert output["names"] == ["x", "y", "theta"]
        assert output["units"] == ["px", "px", "radian"]
        np.testing.assert_allclose(np.degrees([output["lower"][2], output["upper"][2]]), [10, 80])


def test_a_graph_that_takes_bytes(exported):
    _, tree = exported["bytes"]
    assert tree["graph"]["preprocess"] is True
    (data,) = tree["inputs"]
    assert (data["dtype"], data["layout"], data["range"]) == ("uint8", "NHWC", [0, 255])
    assert (data["shape"], data["channels"]) == ([-1, 128, 128, 3], ["red", "green", "blue"])


def test_a_body(exported):
    _, tree = exported["body"]
    assert tree["inputs"][0]["shape"] == [-1, 3, 64, 96]
    joints, motion = tree["outputs"]
    assert (joints["unit"], joints["shape"]) == ("mm", [-1, 17, 3])
    assert "camera" in joints["frame"]
    assert joints["names"][joints["root"]] == "pelvis"
    assert motion["units"][:4] == ["mm", "mm", "mm", "radian"]
    assert motion["lower"][motion["names"].index("right_knee_flexion")] == -0.2
    assert tree["crop"]["size"] == [64, 96]
    assert (tree["crop"]["around"], tree["crop"]["margin"]) == ("box", 0.06)
    # ImageNet's, which the graph itself applies.
    assert tree["normalisation"]["mean"] == [0.485, 0.456, 0.406]
    assert tree["normalisation"]["std"] == [0.229, 0.224, 0.225]
    assert tree["normalisation"]["in_graph"] is True


def test_bones_can_be_measured_and_mirrored_by_number(exported):
    _, tree = exported["body"]
    skeleton = skeleton_from_dict(tree["skeleton"])
    assert skeleton == human36m()
    joints = forward_kinematics(skeleton, np.zeros((1, skeleton.num_parameters)))[0]
    assert len(tree["bones"]) == 16
    for bone in tree["bones"]:
        a, b = bone["joints"]
        names = tree["outputs"][0]["names"]
        assert (names[a], names[b]) == (bone["parent"], bone["child"])
        assert np.linalg.norm(joints[a] - joints[b]) == pytest.approx(bone["length"], abs=1e-5)
    mirrored = joints.copy()
    for pair in tree["flip_pairs"]:
        a, b = pair["joints"]
        mirrored[[a, b]] = joints[[b, a]]
    # The rest pose of the body is symmetric.
    np.testing.assert_allclose(mirrored * [-1, 1, 1], joints, atol=1e-9)
    assert len(tree["flip_pairs"]) == 6


def test_the_files_are_those_beside_it(exported):
    for paths, tree in exported.values():
        assert set(tree["files"]) == {"symbol", "parameters"}
        for key, entry in tree["files"].items():
            path = paths["signature"].with_name(tree["name"] + entry["suffix"])
            assert path == paths[key]
            data = path.read_bytes()
            assert entry["size"] == len(data)
            assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert set(tree["versions"]) == {"gluon_dkpr", "mxnet"}


def test_it_is_read_back_as_it_was_written(exported):
    for _, tree in exported.values():
        assert Signature.from_dict(tree).to_dict() == tree


def test_every_entry_is_needed(exported):
    _, tree = exported["kinematic"]
    for key in set(tree) - {"quantization"}:
        with pytest.raises(DkprError):
            Signature.from_dict({name: value for name, value in tree.items() if name != key})


def test_a_network_for_colours_is_not_exported_for_grey_images(tmp_path):
    """MXNet would spread the one channel over the three means, which the signature then holds."""
    with pytest.raises(ExportError, match=r"no images of shape \(64, 64, 1\).*expected 3"):
        export_model(body_net(), tmp_path / "out", "body", (64, 64, 1))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "generator", "margin", "grey"),
    [
        ((1, "png-binary"), "gluon_dkpr.data.toy", 0.0, False),
        ((1, "png"), "", 0.0, True),
        ((1, "jpeg"), "", 0.0, True),
        ((3, "jpeg"), "gluon_dkpr.data.body", 0.06, False),
    ],
)
def test_what_a_data_set_tells_of_a_networks_images(kind, generator, margin, grey):
    skeleton = planar(3)
    source = {"generator": generator} if generator else {}
    image = ImageFormat(64, 48, *kind)
    info = RecordInfo(skeleton, pose_layout(skeleton), image, {"train": (0, 1)}, 0, "", source)
    assert NetworkImages.of(info) == ((64, 48, kind[0]), margin, grey)
