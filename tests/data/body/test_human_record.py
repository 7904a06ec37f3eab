"""The data set of rendered people: schema, splits, the same bytes again."""

import hashlib

import numpy as np
import pytest

from gluon_dkpr.data import RecordDataset, record_paths
from gluon_dkpr.data.body import BodyError, make_human_record, record
from gluon_dkpr.data.body.motion import TEST_CLIPS
from gluon_dkpr.data.body.subjects import SUBJECTS, TEST_SUBJECTS
from gluon_dkpr.data.human import fit_targets, human_layout, label_names
from gluon_dkpr.geometry import forward_kinematics
from gluon_dkpr.skeleton import human36m

TRAIN, TEST, SIZE = 36, 24, 48


def digests(path):
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in record_paths(path)]


@pytest.fixture(scope="module")
def path(studio, tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "people"
    made = []
    make_human_record(path, TRAIN, TEST, SIZE, progress=made.append)
    assert sum(made) == TRAIN + TEST
    return path


@pytest.fixture(scope="module")
def splits(path):
    return {split: RecordDataset(path, split) for split in ("train", "test")}


@pytest.fixture(scope="module")
def labels(splits):
    return {split: dataset.read_labels(dataset.keys) for split, dataset in splits.items()}


def test_schema_is_that_of_human36m(splits):
    info = splits["train"].info
    assert info.layout == human_layout(human36m())
    assert info.skeleton.joint_names == human36m().joint_names
    assert info.skeleton.parameters == human36m().parameters
    assert info.splits == {"train": (0, TRAIN), "test": (TRAIN, TEST)}
    assert (info.image.height, info.image.width, info.image.channels) == (SIZE, SIZE, 3)
    assert info.image.encoding == "jpeg"
    assert info.source["parameters"]["jpeg_quality"] >= 90


def test_images_can_be_read(splits):
    for dataset in splits.values():
        images, _ = dataset.read(dataset.keys)
        assert images.std(axis=(1, 2, 3)).min() > 5


def test_numbers_count_names(splits, labels):
    source = splits["train"].info.source
    for kind in ("subject", "action", "camera"):
        names = label_names(source, f"{kind}s")
        for found in labels.values():
            assert set(found[kind]) <= set(range(len(names)))
    for found in labels.values():
        assert set(found["camera"]) == {0, 1, 2, 3}
        assert set(found["subaction"]) == {1, 2}
        assert (found["frame"] >= 0).all()


def test_splits_share_no_subject_and_no_clip(splits, labels):
    source = splits["train"].info.source
    names = {
        split: [
            {names[int(number)] for number in found[kind]}
            for kind, names in (("subject", source["subjects"]), ("action", source["actions"]))
        ]
        for split, found in labels.items()
    }
    assert names["test"][0] <= set(TEST_SUBJECTS)
    assert names["test"][1] <= set(TEST_CLIPS)
    assert not names["train"][0] & set(TEST_SUBJECTS)
    assert not names["train"][1] & set(TEST_CLIPS)
    assert source["test_actions"] == sorted(TEST_CLIPS)


def test_skeleton_is_the_mean_subject(splits):
    """Scales have mean 1; tall people are larger, women of the set smaller than its men."""
    scales = splits["train"].info.source["scales"]
    assert list(scales) == list(SUBJECTS)
    assert np.mean(list(scales.values())) == pytest.approx(1, abs=1e-5)
    assert 0.85 < min(scales.values()) < 0.97 < 1.03 < max(scales.values()) < 1.15


def test_motion_in_the_label_is_the_model_fit(splits, labels):
    skeleton = splits["train"].skeleton
    for found in labels.values():
        joints = forward_kinematics(skeleton, found["motion"], found["scale"].astype(float))
        error = np.linalg.norm(joints - found["joints"], axis=-1).mean(axis=-1)
        np.testing.assert_allclose(error, found["motion_error"], atol=1e-2)
        assert 2 < error.mean() < 20
        # The same as the fit at the subject's own scale.
        own = fit_targets(skeleton, found["joints"][:1], float(found["scale"][0]))
        np.testing.assert_allclose(own.error, found["motion_error"][:1], atol=1e-2)


def test_residuals_are_in_the_source(splits, labels):
    source = splits["train"].info.source
    for split, found in labels.items():
        mean = found["motion_error"].mean()
        assert source["fit_error_mm"][split] == pytest.approx(mean, abs=1e-2)
    assert set(source["retarget_error_mm"]) == {"mean", *source["actions"]}
    assert 2 < source["retarget_error_mm"]["mean"] < 15


def test_depth_is_metric(labels):
    """Cameras are 3.6 to 5.6 m away and see adults: bones have an adult's length."""
    for found in labels.values():
        assert (found["root"][:, 2] > 2500).all()
        assert (found["root"][:, 2] < 6500).all()
        thigh = np.linalg.norm(found["joints"][:, 1] - found["joints"][:, 2], axis=-1)
        assert (np.abs(thigh / found["scale"] - 426) < 60).all()


def test_same_bytes_with_any_number_of_workers(path, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "UNIT", 16)
    # Several units for two processes; the units of the first set were of 64 images.
    make_human_record(tmp_path / "again", TRAIN, TEST, SIZE, workers=2)
    assert digests(tmp_path / "again") == digests(path)


def test_an_image_does_not_depend_on_how_many_there_are(splits, tmp_path):
    make_human_record(tmp_path / "few", 10, 3, SIZE)
    for split, count in (("train", 10), ("test", 3)):
        few = RecordDataset(tmp_path / "few", split)
        images, found = few.read(few.keys)
        expected, labels = splits[split].read(splits[split].keys[:count])
        np.testing.assert_array_equal(images, expected)
        for name, value in found.items():
            np.testing.assert_array_equal(value, labels[name])


def test_seed_changes_everything(splits, tmp_path):
    make_human_record(tmp_path / "other", 8, 0, SIZE, seed=1)
    other = RecordDataset(tmp_path / "other", "train")
    images, labels = other.read(other.keys)
    expected, found = splits["train"].read(splits["train"].keys[:8])
    assert (np.abs(images.astype(int) - expected).mean(axis=(1, 2, 3)) > 5).all()
    assert (np.abs(labels["joints"] - found["joints"]).max(axis=(1, 2)) > 20).all()
    assert other.info.source["fit_error_mm"].keys() == {"train"}


def test_a_suit_tells_the_limbs_by_their_colours(tmp_path):
    """The wrists of everybody have the colours of their side, those in clothes do not."""
    make_human_record(tmp_path / "suit", 48, 0, 64, clothes="suit")
    suits = RecordDataset(tmp_path / "suit", "train")
    assert suits.info.source["parameters"]["clothes"] == "suit"
    images, labels = suits.read(suits.keys)
    names = suits.skeleton.joint_names
    hue = {}
    for joint in ("left_knee", "right_knee", "left_elbow", "right_elbow"):
        x, y = np.round(labels["joints_px"][:, names.index(joint)]).astype(int).clip(0, 63).T
        hue[joint] = np.median(images[np.arange(48), y, x].astype(float), axis=0)
    # Blue against yellow or violet, red against green: what the parts of a suit are made in.
    assert hue["left_knee"][2] > 1.3 * hue["left_knee"][0]
    assert hue["right_knee"][0] > 1.3 * hue["right_knee"][1] or (
        hue["right_knee"][0] > 1.3 * hue["right_knee"][2]
    )
    assert hue["left_elbow"][0] > 1.3 * hue["left_elbow"][1]
    assert hue["right_elbow"][1] > 1.3 * hue["right_elbow"][0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clothes": "none"}, "clothes are 'none', expected one of"),
        ({"train": -1}, "train is -1, expected 0 or more"),
        ({"train": 0, "test": 0}, "both 0"),
        ({"size": 8}, "size is 8, expected 32 to 1024"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_wrong_numbers(tmp_path, wrong, message):
    with pytest.raises(BodyError, match=message):
        make_human_record(tmp_path / "x", **{"train": 1, "test": 1, **wrong})
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing(studio, tmp_path, monkeypatch):
    monkeypatch.setattr(record, "UNIT", 8)

    def stop(count):
        raise KeyboardInterrupt

    for workers in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            make_human_record(tmp_path / "new" / "x", 32, 0, 32, workers=workers, progress=stop)
        assert not list(tmp_path.iterdir())
