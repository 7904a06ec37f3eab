"""What is said at the end of a run."""

import pytest

from gluon_dkpr.config import save_config
from gluon_dkpr.engine.run_folder import summary
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
