"""docs/cpp/predict.cc compiles, prints what Python predicts, and says in one line what is wrong."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import compiler
import numpy as np
import pytest
from PIL import Image

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine.export import Calibration, export_model, load_export
from gluon_dkpr.engine.pictures import is_white
from gluon_dkpr.engine.predictor import NetworkPredictor
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.nn import METHODS
from gluon_dkpr.skeleton import human36m, planar

ROOT = Path(__file__).parents[2]
SIZES = {"toy": (128, 128), "body": (64, 48)}
# In units of the network's length.
SAME = 1e-5


def random_net(name, method):
    """Return a network whose poses differ from picture to picture."""
    mx.random.seed(0)
    if name == "toy":
        net = get_model("toy_cnn", planar(10), method)
        images = mx.nd.random.uniform(shape=(2, 1, *SIZES[name]))
    else:
        net = get_model("resnet18_v1b", human36m(), method)
        images = mx.nd.random.uniform(shape=(2, 3, *SIZES[name]))
    net.initialize(mx.init.Xavier())
    with mx.autograd.record():
        net(images).wait_to_read()  # moves the running statistics away from 0 and 1
    net.output.weight.set_data(mx.nd.random.normal(0, 0.02, net.output.weight.shape))
    return net


def write_pictures(folder, size, count=2):
    """Write pictures of noise as PPM; return their paths and pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    paths = [folder / f"{i}.ppm" for i in range(count)]
    for path, picture in zip(paths, pixels):
        Image.fromarray(picture).save(path)
    return paths, pixels


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    reason = compiler.missing()
    if reason:
        pytest.skip(reason)
    path = tmp_path_factory.mktemp("cpp") / "predict"
    command = ["sh", str(ROOT / "docs" / "cpp" / "build.sh"), str(path)]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    return path


def call(program, *arguments):
    """Run it without any variable that says where libraries are."""
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, timeout=120, env={}
    )


def parse(text):
    """Return what is printed of each picture: {output: {name: (numbers, unit)}}."""
    pictures = {}
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            picture = pictures.setdefault(line, {})
        elif indent == 2:
            rows = picture.setdefault(line.split(",")[0].strip(), {})
        else:
            name, *numbers, unit = line.split()
            rows[name] = [float(number) for number in numbers], unit
    return pictures


def numbers(rows):
    return np.array([values for values, _ in rows.values()])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SIZES)
def test_it_prints_what_python_predicts(name, method, program, tmp_path):
    net = random_net(name, method)
    export_model(net, tmp_path, name, (*SIZES[name], 1 if name == "toy" else 3), preprocess=True)
    paths, pixels = write_pictures(tmp_path, SIZES[name])
    done = call(program, tmp_path / name, *paths)
    assert (done.returncode, done.stderr) == (0, "")
    images = is_white(pixels).astype(np.uint8) * 255 if name == "toy" else pixels
    expected = NetworkPredictor(net).predict(images)
    assert np.abs(expected.joints[0] - expected.joints[1]).max() > 1e-3 * net.length
    found = parse(done.stdout)
    skeleton, bound = net.skeleton, SAME * net.length
    for i, path in enumerate(paths):
        joints = found[str(path)]["joints"]
        assert tuple(joints) == skeleton.joint_names
        assert {unit for _, unit in joints.values()} == {skeleton.length_unit}
        np.testing.assert_allclose(numbers(joints), expected.joints[i], rtol=0, atol=bound)
        if method == "direct":
            assert "motion" not in found[str(path)]
            continue
        motion = found[str(path)]["motion"]
        assert tuple(motion) == skeleton.parameter_names
        angles = [unit == "radian" for _, unit in motion.values()]
        np.testing.assert_array_equal(angles, skeleton.is_angle())
        # By the joints that it makes: where a bone points along its axis, an angle means little.
        made = [forward_kinematics(skeleton, m) for m in (numbers(motion).T, expected.motion[[i]])]
        np.testing.assert_allclose(*made, rtol=0, atol=bound)


def test_eight_bits(program, tmp_path):
    make_toy_record(tmp_path / "toy10", 10, train=32, test=8)
    how = Calibration(str(tmp_path / "toy10"), 32, max_loss_percent=1e9)
    net = random_net("toy", "kinematic")
    export_model(net, tmp_path, "toy", (128, 128, 1), "int8", preprocess=True, calibration=how)
    paths, pixels = write_pictures(tmp_path, SIZES["toy"])
    found = parse(call(program, tmp_path / "toy", *paths).stdout)
    expected = load_export(tmp_path / "toy").predict(pixels).joints
    for i, path in enumerate(paths):
        # A value between two integers may become either.
        np.testing.assert_allclose(numbers(found[str(path)]["joints"]), expected[i], atol=0.5)


def test_a_copy_takes_the_libraries_beside_itself(program, tmp_path):
    """So the folder can go to another machine."""
    copy = tmp_path / "predict"
    shutil.copy(str(program), str(copy))
    libraries = {"libmxnet.so", "libopenblas.so.0", "libgfortran.so.3"}
    for name in libraries:
        (tmp_path / name).symlink_to(Path(mx.__file__).parent / name)
    done = subprocess.run(["ldd", str(copy)], capture_output=True, text=True, env={}, timeout=60)
    found = re.findall(rf"(\S+) => {re.escape(str(tmp_path))}/", done.stdout)
    assert set(found) == libraries, done.stdout
    assert call(copy).stderr.startswith("usage")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with an export and a picture that fits it."""
    folder = tmp_path_factory.mktemp("exported")
    export_model(random_net("toy", "kinematic"), folder, "toy", (128, 128, 1), preprocess=True)
    write_pictures(folder, (128, 128), 1)
    return folder


def test_grey_pictures_and_remarks_in_their_head(program, exported, tmp_path):
    grey = np.asarray(Image.open(str(exported / "0.ppm")))[..., 0]
    coloured = np.repeat(grey[..., None], 3, axis=2)
    (tmp_path / "grey.pgm").write_bytes(b"P5\n# made by hand\n128 128\n255\n" + grey.tobytes())
    Image.fromarray(coloured).save(str(tmp_path / "colours.ppm"))
    done = call(program, exported / "toy", tmp_path / "grey.pgm", tmp_path / "colours.ppm")
    first, second = parse(done.stdout).values()
    assert first == second


class TestMistakes:
    @pytest.fixture
    def folder(self, exported, tmp_path):
        return Path(shutil.copytree(str(exported), str(tmp_path / "copy")))

    def fails(self, program, folder, *expected, export="toy", picture="0.ppm"):
        done = call(program, folder / export, folder / picture)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.startswith("predict: error: ")
        assert done.stderr.count("\n") == 1
        for text in expected:
            assert text in done.stderr

    def test_no_arguments(self, program):
        done = call(program)
        assert (done.returncode, done.stderr) == (2, "usage: predict EXPORT PICTURE...\n")

    def test_missing_files(self, program, folder):
        self.fails(program, folder, "none-signature.json: cannot be read", export="none")
        self.fails(program, folder, "none.ppm: cannot be read", picture="none.ppm")
        (folder / "toy-0000.params").unlink()
        self.fails(program, folder, "toy-0000.params: cannot be read")

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"P6 48 64 255\n", "48 x 64 px, expected 128 x 128"),
            (b"P6 128 128 255\n" + b"0" * 100, "ends before its last pixel"),
            (b"P6 128 128 65535\n", "expected a binary PPM or PGM file of 8 bits"),
            (b"P3 128 128 255\n0 0 0", "expected a binary PPM or PGM file of 8 bits"),
            (b"\x89PNG\r\n\x1a\n", "expected a binary PPM or PGM file of 8 bits"),
            (b"", "expected a binary PPM or PGM file of 8 bits"),
        ],
    )
    def test_pictures(self, data, expected, program, folder):
        (folder / "bad.ppm").write_bytes(data)
        self.fails(program, folder, f"bad.ppm: {expected}", picture="bad.ppm")

    @pytest.mark.parametrize(
        ("edit", "expected"),
        [
            (lambda tree: tree.update(format="other/9"), 'format is "other/9", expected gluon_dk'),
            (lambda tree: tree["graph"].update(preprocess=False), "expected an export with --pre"),
            (lambda tree: tree["graph"].update(format="onnx"), "expected an export with --prepro"),
            (lambda tree: tree.pop("outputs"), "key 'outputs' not found"),
            (lambda tree: tree["inputs"][0].update(shape="?"), "cannot use at() with string"),
            (
                lambda tree: tree["outputs"][1]["units"].pop(),
                "output motion: 10 names, 9 units, 1 columns, expected at least one and a unit",
            ),
            (
                lambda tree: tree["outputs"][1].update(names=[], units=[]),
                "output motion: 0 names, 0 units, 1 columns, expected at least one",
            ),
            (
                lambda tree: tree["outputs"][0].update(names=[]),
                "output joints: 0 names, 0 units, 2 columns, expected at least one",
            ),
            (
                lambda tree: tree["outputs"][0].update(shape=[-1, 9, 0]),
                "output joints: 9 names, 9 units, 0 columns, expected at least one",
            ),
        ],
    )
    def test_signatures(self, edit, expected, program, folder):
        tree = json.loads((folder / "toy-signature.json").read_text())
        edit(tree)
        (folder / "toy-signature.json").write_text(json.dumps(tree))
        self.fails(program, folder, "toy-signature.json: ", expected)

    def test_a_signature_that_is_no_json(self, program, folder):
        (folder / "toy-signature.json").write_text("{")
        self.fails(program, folder, "toy-signature.json: ", "parse error")

    def test_parameters_of_another_size(self, program, folder):
        with (folder / "toy-0000.params").open("ab") as file:
            file.write(b"more")
        self.fails(program, folder, "toy-0000.params: ", " bytes, expected ", " by its signature")

    def test_what_mxnet_refuses(self, program, folder):
        size = (folder / "toy-0000.params").stat().st_size
        (folder / "toy-0000.params").write_bytes(bytes(size))
        self.fails(program, folder, f"{folder / 'toy'}: ", "Invalid NDArray file format")
