"""What a run's folder holds, and what is said of it at the end."""

import pytest

from gluon_dkpr.config import save_config
from gluon_dkpr.engine.run_folder import (
    COLUMNS,
    RunFolderError,
    read_metrics,
    summary,
    write_metrics,
)
from gluon_dkpr.presets import get_preset

RESULT = {
    "preset": "toy3",
    "method": "kinematic",
    "epochs": 8,
    "unit": "px",
    "joint_error": 0.7,
    "angle_error_deg": 0.5,
    "bone_length_std": 0.0,
}


@pytest.mark.parametrize(
    ("preset", "record", "shown"),
    [("toy3", "", True), ("toy3", "data/lamp", False), ("toy10", "", False)],
)
def test_the_papers_number_stands_beside_its_own_object_only(tmp_path, preset, record, shown):
    """A user's own object, trained with the schedule of a preset, has no number in the paper."""
    save_config(get_preset(preset).replace(data={"record": record}), tmp_path / "config.yaml")
    text = summary({**RESULT, "preset": preset}, tmp_path)
    assert f"{'lamp' if record else preset}, kinematic, 8 epochs" in text
    assert "0.70 px" in text
    assert ("4.9 px" in text) == shown


class TestMetrics:
    @pytest.fixture
    def folder(self, tmp_path):
        rows = [{**dict.fromkeys(COLUMNS, 0.5), "epoch": epoch} for epoch in (1, 2, 3)]
        rows[1]["test_angle_error_deg"] = ""
        rows[2]["train_loss"] = float("nan")
        write_metrics(tmp_path, rows)
        return tmp_path

    def test_are_read_back_up_to_an_epoch(self, folder):
        assert [row["epoch"] for row in read_metrics(folder, 2)] == ["1", "2"]
        assert len(read_metrics(folder, 99)) == 3

    def test_a_byte_order_mark_does_no_harm(self, folder):
        path = folder / "metrics.csv"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert len(read_metrics(folder, 99)) == 3

    def test_no_file_has_no_rows(self, tmp_path):
        assert read_metrics(tmp_path, 99) == []

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (b",", b";", "columns are 'epoch;learning_rate;"),
            (b"seconds", b"minutes", "images_per_second,minutes', expected 'epoch,"),
            (b"1,0.5", b"1,\xff", "not a text file in UTF-8"),
            (b"2,0.5", b"two,0.5", "row 2: epoch is 'two', expected a number"),
            (b"3,0.5", b"3,0.5.2026", "row 3: learning_rate is '0.5.2026', expected a number"),
            (b"\n1,0.5,0.5,", b"\n1,", "row 1: images_per_second is None, expected a number"),
            (b"2,0.5", b"2,1,0.5", "row 2 has more than the expected 11 columns"),
            (b"epoch", b"", "columns are ',learning_rate,"),
            (b"1,0.5", b"1,\x00", ""),
        ],
    )
    def test_edited_is_an_error_with_found_and_expected(self, old, new, message, folder):
        path = folder / "metrics.csv"
        before = path.read_bytes()
        path.write_bytes(before.replace(old, new))
        assert path.read_bytes() != before
        with pytest.raises(RunFolderError) as error:
            read_metrics(folder, 99)
        assert str(error.value).startswith(f"{path}")
        assert message in str(error.value)
        assert "\n" not in str(error.value)
