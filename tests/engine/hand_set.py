"""Toy networks whose predictions are known, and runs made of them, without any training."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.config import save_config
from gluon_dkpr.data import sample_motion
from gluon_dkpr.engine.checkpoint import save_best, save_last
from gluon_dkpr.geometry import forward_kinematics, pose_statistics
from gluon_dkpr.model_zoo import get_model
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import planar, save_skeleton

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SHAPE = (128, 128, 1)
SUFFIXES = ("-symbol.json", "-0000.params", "-signature.json")


def random_net(method="kinematic", level=3, seed=0):
    """Return a network that predicts another plausible pose for every image."""
    mx.random.seed(seed)
    skeleton = planar(level)
    motion = sample_motion(skeleton, 50, seed=0)
    motion[:, :2] /= 128
    statistics = pose_statistics(skeleton.scaled(1 / 128), motion)
    net = get_model("toy_cnn", skeleton, method, statistics)
    net.initialize()
    net(mx.nd.zeros((1, 1, 128, 128)))
    net.output.weight.set_data(mx.nd.random.normal(0, 0.2, net.output.weight.shape))
    return net


def constant_net(method, output, level=3):
    """Return a network whose output is ``output`` for every image.

    Args:
        output: joints (J, 2) in px for direct joint, else motion (P,) in px and radians.
    """
    skeleton = planar(level)
    net = get_model("toy_cnn", skeleton, method)
    net.initialize()
    net(mx.nd.zeros((1, 1, 128, 128)))
    if method == "kinematic":  # which begins with joints
        output = forward_kinematics(skeleton, np.reshape(output, (1, -1)))[0]
    units = net.motion_units() if method == "parameter" else 128.0
    net.output.weight.set_data(mx.nd.zeros(net.output.weight.shape))
    net.output.bias.set_data(mx.nd.array((np.asarray(output) / units).ravel()))
    return net


def save_run(folder, net, record="", kinds=("best", "last")):
    """Write the files of a run that prediction needs."""
    level = net.skeleton.num_parameters
    config = get_preset(f"toy{level}").replace(
        data={"record": str(record)}, model={"method": net.method}
    )
    (folder / "checkpoint").mkdir(parents=True)
    save_config(config, folder / "config.yaml")
    save_skeleton(net.skeleton, folder / "skeleton.yaml")
    for kind in kinds:
        save = save_best if kind == "best" else save_last
        save(folder / "checkpoint", net, {"epoch": 1, "step": 0})
    return folder


def random_images(count, seed=0):
    """Return binary images, uint8, shape (count, 128, 128, 1)."""
    generator = np.random.default_rng(seed)
    return (generator.random((count, *SHAPE)) < 0.05).astype(np.uint8) * 255


def load_tool(name):
    """Return a command line as a module."""
    spec = importlib.util.spec_from_file_location(f"tool_{Path(name).stem}", TOOLS / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call_tool(name, *arguments, cwd=None):
    """Return exit status, standard output and standard error of a command line."""
    command = [sys.executable, str(TOOLS / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def contents(folder):
    """Return {name: bytes} of the files in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_one_line(result, *expected):
    """Check that a command line failed with one line that has these texts in it."""
    status, _, err = result
    assert status == 2, err
    assert err.count("\n") == 1, err
    for text in expected:
        assert str(text) in err
