"""What the README says holds: its code runs and the files that it names exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    table = (ROOT / "docs" / "results" / "toy.md").read_text(encoding="utf-8")
    pattern = r"^\| (direct|kinematic) (joint|parameter) \| [\d.]+ \| ([\d.]+) \|$"
    rows = re.findall(pattern, TEXT, re.MULTILINE)
    assert len(rows) == 3
    for first, second, error in rows:
        method = "parameter" if second == "parameter" else first
        assert f"| 3 | {method} | ours | 0 | 25 | {error} |" in table
