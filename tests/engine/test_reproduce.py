"""The reproduction of figure 5: resumable, one file a cell, pages from files only."""

import csv
import json

import pytest

from gluon_dkpr.backend import mx
from gluon_dkpr.engine import reproduce
from gluon_dkpr.engine.reproduce import Cell, ReproductionError


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    sizes = {"data": {"train": 64, "test": 16}, "train": {"epochs": 1, "batch_size": 32}}
    monkeypatch.setattr(reproduce, "QUICK", sizes)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plan_is_the_paper_s_figure():
    cells = reproduce.plan()
    assert len(cells) == len(set(cells)) == 3 * (2 + 1 + 1 + 2)
    assert {cell.level for cell in cells} == {3, 6, 8, 10}
    assert len(reproduce.plan([3], (5,))) == 3
    config = Cell(10, "direct", 1).config(quick=False)
    assert config.train.epochs <= 50 and config.train.bone_weight == 0.0
    assert Cell(10, "kinematic", 1).config(quick=False).train.bone_weight > 0.0
    assert (config.data.train, config.data.test, config.train.seed) == (16000, 1000, 1)
    paper = Cell(3, "direct", 0, paper=True).config(quick=False).train
    assert (paper.optimizer, paper.epochs) == ("sgd", 50)


def test_cells_run_once_and_become_pages(tiny):
    out = tiny / "results"
    cells = reproduce.plan([3], (0,))
    for cell in cells:
        reproduce.run_cell(cell, tiny / "runs", out / "toy", [mx.cpu()], quick=True)
    stamps = [(out / "toy" / f"{cell.name}.json").stat().st_mtime_ns for cell in cells]
    for cell in cells:
        reproduce.run_cell(cell, tiny / "runs", out / "toy", [mx.cpu()], quick=True)
    assert stamps == [(out / "toy" / f"{cell.name}.json").stat().st_mtime_ns for cell in cells]
    paths = reproduce.write_pages(out)
    assert {path.name for path in paths} == {
        *("toy.csv", "toy.md", "toy-joint-error.png", "toy-angle-error.png")
    }
    assert (out / "toy" / "toy3-kinematic-seed0-samples.png").exists()
    assert not (out / "toy" / "toy3-direct-seed0-samples.png").exists()
    with open(out / "toy.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["direct", "kinematic", "parameter"]
    one = json.loads((out / "toy" / f"{cells[0].name}.json").read_text())
    assert float(rows[1]["joint_error_px"]) == pytest.approx(one["joint_error"], abs=1e-5)
    page = (out / "toy.md").read_text()
    assert "4.9" in page and "\nMade by `python tools/reproduce_toy.py`.\n" in page
    assert set(one) >= {"versions", "date", "seed", "level", "schedule"}


def test_page_names_the_command_of_every_schedule(tiny):
    paper = Cell(3, "direct", 7, paper=True)
    reproduce.run_cell(paper, tiny / "runs", tiny / "results" / "toy", [mx.cpu()], quick=True)
    reproduce.write_pages(tiny / "results")
    page = (tiny / "results" / "toy.md").read_text()
    assert "; schedule paper by `python tools/reproduce_toy.py --paper --seeds 7`.\n" in page


def test_damaged_result_is_named(tmp_path):
    (tmp_path / "toy3-direct-seed0.json").write_text("{")
    with pytest.raises(ReproductionError, match=r"toy3-direct-seed0\.json: not valid JSON"):
        reproduce.collect(tmp_path, tmp_path / "toy.csv")
