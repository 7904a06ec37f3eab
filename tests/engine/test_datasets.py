"""Data sets that a network can, and cannot, be trained on."""

import numpy as np
import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.data import ImageFormat, RecordError, make_toy_record, pose_layout, write_record
from gluon_dkpr.engine.train import train
from gluon_dkpr.model_zoo import ModelError
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import planar


def write(path, shape, counts=(8, 4)):
    """Write a data set of the toy object on noise of shape (H, W, C)."""
    skeleton, image = planar(3), ImageFormat(*shape, "png")
    layout, generator = pose_layout(skeleton), np.random.default_rng(0)

    def samples(count):
        for _ in range(count):
            motion = generator.uniform((30, 30, 0.3), (60, 60, 1.2))
            label = layout.pack({"joints": generator.uniform(0, 64, (3, 2)), "motion": motion})
            yield image.encode(generator.integers(0, 256, image.shape, dtype=np.uint8)), label

    splits = {name: samples(count) for name, count in zip(("train", "test"), counts)}
    write_record(path, skeleton, layout, image, splits, source={})
    return path


def config_of(record, backbone="toy_cnn", **model):
    return get_preset("toy3").replace(
        data={"record": str(record)},
        model={"backbone": backbone, **model},
        train={"epochs": 1, "batch_size": 4},
    )


def assert_refused(config, folder, kind, *expected):
    """Train, and check that it is refused in one line before anything is written."""
    with pytest.raises(kind) as error:
        train(config, folder / "run", [mx.cpu()])
    assert "\n" not in str(error.value)
    for text in expected:
        assert text in str(error.value)
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    ("backbone", "shape", "found", "expected"),
    [
        ("toy_cnn", (64, 48, 3), "(64, 48, 3)", "(H, W, 1) by backbone 'toy_cnn'"),
        ("resnet18_v1b", (64, 64, 1), "(64, 64, 1)", "(H, W, 3) by backbone 'resnet18_v1b'"),
    ],
)
def test_images_of_other_channels(backbone, shape, found, expected, tmp_path):
    path = write(tmp_path / "own", shape)
    config = config_of(path, backbone)
    assert_refused(config, tmp_path, RecordError, f"{path}.json: images have", found, expected)


@pytest.mark.parametrize(
    ("counts", "model", "found"),
    [
        ((0, 4), {}, "split 'train' has 0 samples, expected 2"),
        ((1, 4), {}, "split 'train' has 1 samples, expected 2"),
        ((0, 4), {"scaled_outputs": False}, "split 'train' has 0 samples, expected 1"),
        ((4, 0), {}, "split 'test' has 0 samples, expected 1"),
    ],
)
def test_a_split_without_samples(counts, model, found, tmp_path):
    make_toy_record(tmp_path / "toy", train=counts[0], test=counts[1])
    config = config_of(tmp_path / "toy", **model)
    assert_refused(config, tmp_path, RecordError, f"{tmp_path / 'toy.json'}: {found}")


def test_images_that_are_too_small(tmp_path, capsys):
    path = write(tmp_path / "own", (20, 24, 1))
    expected = "own.rec: images have shape (20, 24, 1)", "'toy_cnn'", "kernel size"
    assert_refused(config_of(path), tmp_path, ModelError, *expected)
    assert capsys.readouterr().out == ""


def test_an_unknown_backbone(tmp_path):
    path = write(tmp_path / "own", (64, 64, 1))
    assert_refused(config_of(path, "toy_cn"), tmp_path, ModelError, "did you mean 'toy_cnn'?")
