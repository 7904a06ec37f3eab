"""A run that cannot be resumed stays as it was."""

import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.data import make_toy_record
from gluon_dkpr.engine.checkpoint import CheckpointError
from gluon_dkpr.engine.run_folder import RunFolderError
from gluon_dkpr.engine.train import train
from gluon_dkpr.presets import get_preset
from gluon_dkpr.skeleton import load_skeleton, save_skeleton


def config_of(record):
    return get_preset("toy3").replace(
        data={"record": str(record)}, train={"epochs": 1, "batch_size": 16}
    )


def contents(folder):
    """Return {path: (bytes, time of the last change)} of all files under a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


class TestRefused:
    @pytest.fixture
    def run(self, tmp_path):
        """A run, and the data set that it was begun on."""
        make_toy_record(tmp_path / "own", train=32, test=8)
        train(config_of(tmp_path / "own"), tmp_path / "run", [mx.cpu()])
        return tmp_path / "run", tmp_path / "own"

    def resume(self, run, config=None, **options):
        config = config or config_of(run[1])
        return train(config, run[0], [mx.cpu()], resume=True, **options)

    def assert_refused(self, run, kind, match, *arguments, **options):
        before = contents(run[0])
        with pytest.raises(kind, match=match) as error:
            self.resume(run, *arguments, **options)
        assert "\n" not in str(error.value)
        assert contents(run[0]) == before

    def test_another_network(self, run):
        other = config_of(run[1]).replace(model={"method": "direct"}, train={"bone_weight": 0.0})
        match = "not the parameters of this network"
        self.assert_refused(run, CheckpointError, match, other, override=True)
        assert self.resume(run)["method"] == "kinematic"

    def test_another_skeleton(self, run):
        make_toy_record(run[1], 6, train=32, test=8)
        match = r"another skeleton in .*own\.json than in .*: name was 'planar3', now 'planar6'"
        self.assert_refused(run, RunFolderError, match)
        self.assert_refused(run, CheckpointError, "not the parameters of this", override=True)

    def test_another_length_of_a_bone(self, run):
        skeleton = load_skeleton(run[0] / "skeleton.yaml")
        longer = skeleton.with_bone_lengths({"left_1": 47.0})
        save_skeleton(longer, run[0] / "skeleton.yaml")
        match = "bone root to left_1 was 47 px, now 45 px"
        self.assert_refused(run, RunFolderError, match)
        self.resume(run, override=True)
        assert load_skeleton(run[0] / "skeleton.yaml") == skeleton

    def test_other_data_of_the_same_name(self, run):
        make_toy_record(run[1], train=32, test=8, seed=1)
        self.assert_refused(run, RunFolderError, r"begun with another .*own\.rec: its SHA-256 was")
        self.resume(run, override=True)
        self.resume(run)  # now they are the run's own

    def test_a_run_that_does_not_know_its_data_goes_on(self, run):
        (run[0] / "data.json").unlink()
        self.resume(run)
        assert (run[0] / "data.json").exists()
