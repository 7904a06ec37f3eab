"""What the README says holds: its code runs and the files that it names exist."""

import csv
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from gluon_dkpr.engine.run_folder import PAPER_JOINT_ERROR_PX

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_code_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert blocks
    for block in blocks:
        command = [sys.executable, "-c", block]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert len(links) > 3
    for link in links:
        assert (ROOT / link).exists(), link


@pytest.mark.parametrize("tool", sorted(set(re.findall(r"`(tools/\w+\.py)", TEXT))))
def test_named_tools_explain_themselves(tool):
    command = [sys.executable, str(ROOT / tool), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_results_table_is_that_of_the_result_files():
    """Means over the seeds of our schedule."""
    with open(ROOT / "docs" / "results" / "toy.csv", encoding="utf-8", newline="") as file:
        runs = [run for run in csv.DictReader(file) if run["schedule"] == "ours"]

    def mean(level, method, column):
        chosen = [run for run in runs if (run["level"], run["method"]) == (level, method)]
        return statistics.fmean(float(run[column]) for run in chosen)

    rows = re.findall(r"^\| (direct|kinematic) (joint|parameter) \| (.*) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 3
    for first, second, cells in rows:
        method = "parameter" if second == "parameter" else first
        deviation = mean("10", method, "bone_length_std_percent")
        assert cells.split(" | ") == [
            f"{mean('3', method, 'joint_error_px'):.2f} px",
            f"{PAPER_JOINT_ERROR_PX[method]} px",
            f"{mean('10', method, 'joint_error_px'):.2f} px",
            f"{mean('10', method, 'angle_error_deg'):.1f}°",
            "0" if deviation < 1e-3 else f"{deviation:.1f} %",
        ]
