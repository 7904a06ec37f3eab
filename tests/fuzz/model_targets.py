"""Targets that are networks: signatures, exports, checkpoints, files of weights."""

import hashlib
import json
import struct

import numpy as np

from gluon_dkpr.backend import mx
from gluon_dkpr.config import ConfigError
from gluon_dkpr.engine.checkpoint import (
    CheckpointError,
    find_last,
    load_arrays,
    load_epoch,
    save_best,
    save_last,
)
from gluon_dkpr.engine.export import ExportError, export_model, load_export
from gluon_dkpr.engine.network import load_run
from gluon_dkpr.engine.run_data import RunData, RunDataError, load_run_data, save_run_data
from gluon_dkpr.engine.signature import FileStamp, Signature, load_signature
from gluon_dkpr.engine.signature_parts import NetworkImages
from gluon_dkpr.model_zoo import PoseNet
from gluon_dkpr.model_zoo.weights import WeightsError, open_weights
from gluon_dkpr.skeleton import SkeletonError, human36m, planar
from tests.engine.hand_set import SHAPE, TOOLS, random_net, save_run
from tests.fuzz.runner import Case, Target

FIXTURES = TOOLS.parent / "tests" / "model_zoo" / "fixtures"
LAST = "checkpoint/last-0001-000000"


def signatures(folder):
    stamps = {key: FileStamp(9, "0" * 64) for key in ("symbol", "parameters")}
    common = {"files": stamps, "versions": {"mxnet": "1.9.1"}}
    toy = Signature("toy", "kinematic", planar(3), (128, 128, 1), **common)
    options = {"mean": (0.4,) * 3, "std": (0.2,) * 3, "margin": 0.1, "preprocess": True}
    people = Signature("people", "direct", human36m(), (224, 224, 3), **common, **options)
    return [Case("a-signature.json", json.dumps(one.to_dict()).encode()) for one in (toy, people)]


def check_signature(signature):
    assert Signature.from_dict(json.loads(json.dumps(signature.to_dict()))) == signature
    assert np.isfinite([*signature.mean, *signature.std, signature.margin]).all()
    assert min(signature.std) > 0 and signature.margin >= 0


def exports(folder):
    export_model(random_net(), folder, "a", SHAPE)
    names = ("a-signature.json", "a-symbol.json", "a-0000.params")
    return [Case(name, (folder / name).read_bytes()) for name in names]


def check_export(model):
    assert model.image_shape == SHAPE


def stamp_state(path, content):
    """Write a file of the last checkpoint, and its hash into the state."""
    path.write_bytes(content)
    state = path.with_name("state.json")
    tree = json.loads(state.read_text())
    tree["files"][path.name] = hashlib.sha256(content).hexdigest()
    state.write_text(json.dumps(tree))


def stamp_best(path, content):
    """Write ``best.params``, and its hash beside it."""
    path.write_bytes(content)
    state = path.with_name("best.json")
    tree = json.loads(state.read_text())
    state.write_text(json.dumps({**tree, "sha256": hashlib.sha256(content).hexdigest()}))


def runs(folder):
    """Return the files of a run; hashes keep damage away from MXNet but where they are right."""
    net = random_net()
    save_run(folder, net, kinds=())
    save_run_data(folder, RunData(NetworkImages(SHAPE), "0" * 64))
    state = {"epoch": 1, "step": 0, "updates": 3}
    save_best(folder / "checkpoint", net, state)
    arrays = {"none": mx.nd.zeros((1,)), "optimizer:0:0": mx.nd.ones((2, 3))}
    save_last(folder / "checkpoint", net, state, arrays)
    names = {
        "config.yaml": None,
        "skeleton.yaml": None,
        "data.json": None,
        "checkpoint/best.json": None,
        f"{LAST}/state.json": None,
        "checkpoint/best.params": stamp_best,
        f"{LAST}/network.params": stamp_state,
        f"{LAST}/optimizer.params": stamp_state,
    }
    return [
        Case(name, (folder / name).read_bytes(), *([write] if write else []))
        for name, write in names.items()
    ]


def use_run(path):
    """Read what a run can be continued from, and its networks as far as the file is of them."""
    folder = next(parent for parent in path.parents if (parent / "checkpoint").is_dir())
    if path.name in ("state.json", "optimizer.params"):
        saved = find_last(folder / "checkpoint", lambda _: None)
        return load_arrays(saved), load_epoch(folder / "checkpoint", "last")
    if path.name == "data.json":
        return load_run_data(folder), None
    kind = "last" if LAST in str(path) else "best"
    return load_run(folder, kind), load_epoch(folder / "checkpoint", kind)


def check_run(found):
    what, epoch = found
    assert epoch is None or (type(epoch) is int and epoch >= 0)
    if isinstance(what, PoseNet):
        assert what.skeleton.num_joints
    elif isinstance(what, RunData):
        assert len(what.images.shape) == 3
        assert 0 <= what.images.margin < float("inf")
    else:
        assert all(isinstance(value, mx.nd.NDArray) for value in what.values())


def weights(folder):
    files = {f"{kind}.pth": FIXTURES / f"torch-{kind}.pth" for kind in ("zip", "legacy")}
    cases = [Case(name, path.read_bytes()) for name, path in files.items()]
    mx.nd.save(str(folder / "a.params"), {"a": mx.nd.ones((2, 3)), "b": mx.nd.zeros((1,))})
    own = (folder / "a.params").read_bytes()
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    tensors = struct.pack("<Q", len(header)) + header + bytes(4)
    return [*cases, Case("a.params", own), Case("a.safetensors", tensors)]


def read_weights(path):
    with open_weights(path) as tensors:
        # A tensor of whole numbers is refused when it is read.
        return [(t.shape, t.read()) for name, t in tensors.items() if name != "int64"]


def check_weights(found):
    for shape, numbers in found:
        assert numbers.shape == shape
        assert numbers.dtype == np.float32


TARGETS = [
    Target("signature", signatures, load_signature, (ExportError,), check_signature),
    Target("export", exports, lambda path: load_export(path.parent, fuse=False), (ExportError,),
           check_export, cost=4, least=0.0),
    Target("run", runs, use_run, (CheckpointError, ConfigError, RunDataError, SkeletonError),
           check_run, cost=6, tokens=(b"best.params", b"network.params", b"../")),
    Target("weights", weights, read_weights, (WeightsError,), check_weights,
           tokens=(b"ctorch\nload\n", b"cos\nsystem\n", b"PK\x03\x04", b"F64", b"BF16", b"R")),
]  # fmt: skip
