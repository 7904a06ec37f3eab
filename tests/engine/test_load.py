"""Exports found and read back, whole or not."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from hand_set import SHAPE, SUFFIXES, random_images, random_net, save_run

from gluon_dkpr.backend import mx
from gluon_dkpr.data import ImageFormat, RecordError, pose_layout, write_record
from gluon_dkpr.engine.checkpoint import save_last
from gluon_dkpr.engine.export import ExportError, export_model, load_export
from gluon_dkpr.engine.export_run import export_run
from gluon_dkpr.engine.load import load_predictor
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.engine.run_data import RunData, save_run_data
from gluon_dkpr.engine.signature import FileStamp, load_signature
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.errors import DkprError
from gluon_dkpr.skeleton import planar


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with two exports."""
    folder = tmp_path_factory.mktemp("exported")
    for method in ("kinematic", "direct"):
        export_model(random_net(method), folder, method, SHAPE)
    return folder


@pytest.fixture
def broken(exported, tmp_path):
    """A folder with the kinematic export alone, to be damaged."""
    for suffix in SUFFIXES:
        shutil.copy(exported / f"kinematic{suffix}", tmp_path)
    return tmp_path


class TestFinding:
    @pytest.mark.parametrize("suffix", ["", *SUFFIXES])
    def test_by_prefix_and_by_each_file(self, suffix, exported):
        model = load_predictor(exported / f"direct{suffix}")
        assert model.method == "direct"

    def test_by_a_folder_with_one_export(self, broken):
        assert load_predictor(broken).method == "kinematic"

    def test_a_folder_with_several_names_them(self, exported):
        with pytest.raises(ExportError, match=r"direct-signature\.json.*expected one export"):
            load_predictor(exported)

    def test_renamed_together_it_still_opens(self, broken):
        for suffix in SUFFIXES:
            (broken / f"kinematic{suffix}").rename(broken / f"other{suffix}")
        assert load_export(broken / "other").method == "kinematic"

    def test_a_run_folder_and_its_checkpoints(self, tmp_path):
        run = save_run(tmp_path / "run", random_net(seed=1), kinds=["best"])
        last = random_net(seed=2)
        save_last(run / "checkpoint", last, {"epoch": 2, "step": 3})
        newest = run / "checkpoint" / "last-0002-000003"
        images = random_images(2)
        poses = {}
        for name, path, kind in (
            ("best", run, "best"),
            ("last", run, "last"),
            ("best.params", run / "checkpoint" / "best.params", "last"),
            ("folder", newest, "best"),
            ("file", newest / "network.params", "best"),
        ):
            model = load_predictor(path, kind)
            assert (model.method, model.image_shape) == ("kinematic", SHAPE)
            poses[name] = model.predict(images).joints
        np.testing.assert_array_equal(poses["best.params"], poses["best"])
        np.testing.assert_array_equal(poses["folder"], poses["last"])
        np.testing.assert_array_equal(poses["file"], poses["last"])
        np.testing.assert_array_equal(poses["last"], NetworkPredictor(last).predict(images).joints)
        assert np.abs(poses["last"] - poses["best"]).max() > 1

    def test_a_run_on_grey_pictures_of_ones_own(self, tmp_path):
        image, layout = ImageFormat(96, 96, 1, "png"), pose_layout(planar(3))
        labels = layout.pack({"joints": np.zeros((3, 2)), "motion": np.zeros(3)})
        samples = [(image.encode(np.full(image.shape, 60, np.uint8)), labels)]
        write_record(tmp_path / "own", planar(3), layout, image, {"train": samples}, source={})
        run = save_run(tmp_path / "run", random_net(), tmp_path / "own")
        model = load_predictor(run)
        assert (model.image_shape, model.grey) == ((96, 96, 1), True)

    def test_a_run_without_its_data_set(self, tmp_path, monkeypatch):
        """The folder itself says what the images are, wherever it is used."""
        run = save_run(tmp_path / "run", random_net(), "d/gone")
        save_run_data(run, RunData(NetworkImages(SHAPE, 0.25, True), ""))
        monkeypatch.chdir(tmp_path)
        model = load_predictor("run")
        assert (model.image_shape, model.margin, model.grey) == (SHAPE, 0.25, True)
        signature = export_run("run").signature
        assert (signature.image_shape, signature.margin, signature.grey) == (SHAPE, 0.25, True)

    def test_a_run_from_before_it_said_so_without_its_data_set(self, tmp_path):
        run = save_run(tmp_path / "run", random_net(), "d/gone")
        with pytest.raises(RecordError) as error:
            load_predictor(run)
        assert "works without it" not in str(error.value), "there is no export"
        export_model(random_net(), run / "export", "toy", SHAPE)
        with pytest.raises(RecordError) as error:
            load_predictor(run)
        message = str(error.value)
        assert message.startswith("d/gone.json: cannot be opened: ")
        assert "tells what the network's images are" in message
        assert message.endswith(f"; {run / 'export'} works without it")
        assert load_predictor(run / "export").image_shape == SHAPE

    @pytest.mark.parametrize("name", ["nothing", "empty", "text.txt", "alone.params"])
    def test_anything_else(self, name, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "text.txt").write_text("no model")
        (tmp_path / "alone.params").write_text("no model")
        with pytest.raises(ExportError, match="expected what") as error:
            load_predictor(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)


def assert_refused(folder, *expected):
    with pytest.raises(DkprError) as error:
        load_export(folder / "kinematic")
    message = str(error.value)
    assert "\n" not in message
    for text in expected:
        assert text in message


class TestDamage:
    @pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_truncated(self, suffix, part, broken):
        path = broken / f"kinematic{suffix}"
        data = path.read_bytes()
        path.write_bytes(data[: int(part * len(data))])
        assert_refused(broken, path.name)

    @pytest.mark.parametrize("suffix", SUFFIXES[:2])
    def test_one_bit(self, suffix, broken):
        path = broken / f"kinematic{suffix}"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        assert_refused(broken, path.name, "SHA-256", "expected")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_missing(self, suffix, broken):
        (broken / f"kinematic{suffix}").unlink()
        assert_refused(broken, f"kinematic{suffix}: cannot be read: No such file")

    @pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"[]", b"[" * 100_000, b"{}"])
    def test_foreign_signature(self, data, broken):
        (broken / "kinematic-signature.json").write_bytes(data)
        assert_refused(broken, "kinematic-signature.json")

    def test_a_signature_larger_than_any(self, broken):
        (broken / "kinematic-signature.json").write_bytes(b" " * (5 << 20))
        assert_refused(broken, "kinematic-signature.json: larger than")

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"format": "gluon_dkpr/signature/1"}, "of an earlier version; export it again"),
            ({"format": "gluon_dkpr/signature/3"}, "expected 'gluon_dkpr/signature/2'"),
            ({"method": "magic"}, "method is 'magic'"),
            ({"graph": {"format": "pickle", "preprocess": False}}, "format is 'pickle'"),
            ({"graph": {"format": "mxnet"}}, "'preprocess' is None, expected bool"),
            ({"graph": {"format": "mxnet", "preprocess": True}}, "'inputs' is"),
            ({"method": "direct"}, "'outputs' is"),
            ({"skeleton": {"format": "gluon_dkpr/skeleton/1"}}, "skeleton: no 'name'"),
            ({"inputs": [{"name": "data"}]}, "'inputs' is"),
            ({"crop": {"size": [-5, 128]}}, "crop size is [-5, 128]"),
            ({"crop": {"size": [128, 128], "margin": 0.5}}, "'crop' is"),
            ({"normalisation": {"mean": [0.0, 0.0], "std": [1.0]}}, "mean of 2 channels"),
            ({"normalisation": {"mean": ["0"], "std": [1.0]}}, "'mean' is ['0']"),
            ({"files": {"symbol": {"size": 3}}}, "'sha256' is None, expected str"),
            ({"files": {"symbol": {"size": -1, "sha256": ""}}}, "size of 'symbol' is -1"),
            ({"outputs": []}, "'outputs' is []"),
            ({"bones": []}, "'bones' is []"),
            ({"quantization": {}}, "'quantization' is {}, expected NoneType"),
        ],
    )
    def test_a_signature_that_contradicts_itself(self, change, expected, broken):
        path = broken / "kinematic-signature.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
        assert_refused(broken, path.name, expected)

    @pytest.mark.parametrize(
        ("suffix", "data", "expected"),
        [
            ("-symbol.json", b"no graph", "not those of MXNet"),
            ("-symbol.json", b"[" * 100_000, "not those of MXNet"),
            ("-0000.params", b"no parameters", "not those of MXNet"),
            ("-0000.params", b"", "not those of MXNet"),
        ],
    )
    def test_foreign_files_with_the_right_hash(self, suffix, data, expected, broken):
        (broken / f"kinematic{suffix}").write_bytes(data)
        stamp_again(broken)
        assert_refused(broken, expected)

    @pytest.mark.parametrize("suffix", SUFFIXES[:2])
    def test_files_of_another_network_with_the_right_hash(self, suffix, broken, exported):
        shutil.copy(exported / f"direct{suffix}", broken / f"kinematic{suffix}")
        stamp_again(broken)
        assert_refused(broken, "graph and parameters differ in")

    def test_parameters_of_another_shape_with_the_right_hash(self, broken):
        export_model(random_net(level=6), broken / "six", "six", SHAPE)
        shutil.copy(broken / "six" / "six-0000.params", broken / "kinematic-0000.params")
        stamp_again(broken)
        assert_refused(broken, "has shape", "expected")

    @pytest.mark.parametrize(
        "images",
        [
            np.zeros((1, 1, 128, 128), np.float32),
            mx.nd.zeros((1, 1, 128, 128), dtype="float64"),
            mx.nd.zeros((1, 128, 128, 1)),
            mx.nd.zeros((1, 3, 128, 128)),
            None,
        ],
    )
    def test_images_of_another_kind(self, images, exported):
        with pytest.raises(ExportError, match=r"expected an NDArray of float32 \(B, 1, 128, 128\)"):
            load_export(exported / "direct")(images)


def stamp_again(folder):
    """Write the stamps of the files as they are now into the signature."""
    path = folder / "kinematic-signature.json"
    signature = load_signature(path)
    stamps = (FileStamp.of((folder / f"kinematic{s}").read_bytes()) for s in SUFFIXES[:2])
    signature = dataclasses.replace(signature, files=dict(zip(("symbol", "parameters"), stamps)))
    path.write_text(json.dumps(signature.to_dict()))
