"""What this suite has found, each by the shortest input that showed it."""

import json
from pathlib import Path

import numpy as np
import pytest

from gluon_dkpr.cli import Parser
from gluon_dkpr.config import ConfigError, load_config, save_config
from gluon_dkpr.data import ImageFormat, LabelField, LabelLayout
from gluon_dkpr.data.h36m.boxes import VARIABLE, MaskBoxes
from gluon_dkpr.data.h36m.metadata import read_subactions
from gluon_dkpr.data.h36m.names import H36mError
from gluon_dkpr.data.joint_files import JointFileError, read_joints
from gluon_dkpr.data.recordio import RecordError
from gluon_dkpr.engine.launch.hosts import LaunchError, read_hosts
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.prediction.boxes import Boxes
from gluon_dkpr.engine.prediction.errors import PredictionError
from gluon_dkpr.engine.signature import ExportError, Signature
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import (
    Parameter,
    SkeletonError,
    planar,
    save_skeleton,
    skeleton_from_dict,
    skeleton_to_dict,
)

SIGNATURES = Path(__file__).parents[2] / "symbols" / "signatures"
# Twelve lines that stand for 10**10 entries.
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 11)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "train: {learning_rate: .inf}",
        "train: {weight_decay: .nan}",
        f"train: {{warmup: 1{'0' * 400}}}",
        "train: {seed: !!bool x}",
        "train: {warmup: !!float ''}",
        f"{'x' * 3000}: 1",
        f"train: {{optimizer: {'x' * 3000}}}",
    ],
    ids=range(8),
)
def test_configuration(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as info:
        load_config(path)
    assert len(str(info.value)) < 700


def test_superscripts_are_no_numbers(tmp_path):
    path = tmp_path / "a"
    path.write_text("node1 slots=² address=10.0.0.1")
    with pytest.raises(LaunchError, match=":1: 'slots=²', expected slots=N"):
        read_hosts(path)
    row = "<tr><td>2</td><td>²</td><td>Directions</td></tr>"
    path.write_text(f"<m><mapping><tr><td/><td/><td>S1</td></tr>{row}</mapping></m>")
    with pytest.raises(H36mError, match="no table of file names"):
        read_subactions(path)


def test_header_of_an_array_that_ends_within_a_bracket(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((1, 2, 2)))
    path.write_bytes(path.read_bytes().replace(b"}", b" "))
    with pytest.raises(JointFileError, match="no NumPy file of numbers"):
        read_joints(path, planar(3))


@pytest.mark.parametrize("entry", [{"frame": float("inf")}, {"box": [10**400, 1, 2, 3]}])
def test_box_beyond_all_numbers(tmp_path, entry):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"name": "a", "box": [1, 2, 3, 4], **entry}]))
    with pytest.raises(PredictionError, match="entry 0: "):
        Boxes.read(path)


def test_sizes_that_only_a_header_claims():
    with pytest.raises(RecordError, match="at most 4096 px"):
        ImageFormat(1 << 20, 8, 3, "png")
    with pytest.raises(RecordError, match="label of more than"):
        LabelLayout((LabelField("joints", (10**9, 10**9), "px"),))


def test_endless_name():
    with pytest.raises(SkeletonError, match="3000 characters, expected at most 100"):
        Parameter("x" * 3000)


def test_endless_name_of_a_machine(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("9" * 3000)
    with pytest.raises(LaunchError, match=":1: 9{60} has no known address") as info:
        read_hosts(path)
    assert len(str(info.value)) < 400


def test_tree_in_the_place_of_a_list():
    tree = {"joints": {f"key{i}": {"name": "x" * 60, "more": list(range(9))} for i in range(9)}}
    with pytest.raises(SkeletonError, match="joints is .*, expected a list") as info:
        skeleton_from_dict({**skeleton_to_dict(planar(3)), **tree})
    assert len(str(info.value)) < 300


def test_masks_whose_references_lie_behind_the_end_of_the_file(tmp_path):
    h5py, path = pytest.importorskip("h5py"), tmp_path / "a.mat"
    with h5py.File(path, "w") as file:
        mask = file.create_dataset("mask", data=np.ones((4, 3)))
        masks = file.create_dataset(VARIABLE, (2, 1), dtype=h5py.ref_dtype)
        masks[:, 0] = mask.ref
        place = masks.id.get_offset()
    data = path.read_bytes()
    moved = data.replace(place.to_bytes(8, "little"), (2 * len(data)).to_bytes(8, "little"))
    assert moved != data
    path.write_bytes(moved)
    with pytest.raises(H36mError, match="'Masks' cannot be read, OSError"):
        MaskBoxes(path)


def test_run_of_an_unknown_method(tmp_path):
    save_config(get_preset("toy3"), tmp_path / "config.yaml")
    save_skeleton(planar(3), tmp_path / "skeleton.yaml")
    text = (tmp_path / "config.yaml").read_text()
    for old, new in (("method: kinematic", "method: ic"), ("toy_cnn", "resnet7")):
        (tmp_path / "config.yaml").write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=r"config\.yaml: .*, expected one of"):
            load_run(tmp_path)


def test_flag_of_two_dashes(capsys):
    parser = Parser("A tool.")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("rest", nargs="*")
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--count=--"])
    assert caught.value.code == 2
    assert "argument --count: found '--', expected a value" in capsys.readouterr().err
    assert parser.parse_args(["--", "--count=--"]).rest == ["--count=--"]


@pytest.mark.parametrize(
    ("part", "entry", "value"),
    [
        *(("normalisation", "std", value) for value in ([], [0.5], [0.2, 0.2, 0.0], [-1.0] * 3)),
        *(("crop", "margin", value) for value in (-0.1, float("inf"))),
    ],
)
def test_signature_of_impossible_images(part, entry, value):
    tree = json.loads((SIGNATURES / "resnet50_v1b-kinematic.json").read_text())
    assert Signature.from_dict(tree).margin >= 0
    tree[part][entry] = value
    with pytest.raises(ExportError, match=f"{entry}.* is .*, expected"):
        Signature.from_dict(tree)
