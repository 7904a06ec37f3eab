"""The paper's toy section (4.1, figure 5): levels x methods x seeds, one result file a cell."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Sequence

from gluon_dkpr.backend import mx
from gluon_dkpr.config import Config
from gluon_dkpr.engine.run_folder import PAPER_JOINT_ERROR_PX, holds_run
from gluon_dkpr.engine.train import train
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write
from gluon_dkpr.nn import METHODS
from gluon_dkpr.presets import get_preset, with_paper_schedule
from gluon_dkpr.skeleton.planar import LEVELS
from gluon_dkpr.viz import plot_complexity

# The paper trains 50 epochs; ours stop improving earlier.
EPOCHS = 25
QUICK = {"data": {"train": 2000, "test": 200}, "train": {"epochs": 3}}
PICTURES = ("samples.png", "curve.png")
COLUMNS = (
    *("level", "method", "schedule", "seed", "epochs", "joint_error_px", "angle_error_deg"),
    *("bone_length_std_px", "bone_length_std_percent", "train_joint_error_px", "seconds", "date"),
)


class ReproductionError(DkprError):
    """A result file cannot be read."""


@dataclass(frozen=True)
class Cell:
    """One training run of the table.

    Attributes:
        level: number of motion parameters.
        method: of the three.
        seed: of weights and order.
        paper: the paper's hyper-parameters instead of ours.
    """

    level: int
    method: str
    seed: int
    paper: bool = False

    @property
    def name(self) -> str:
        """Name of its result file and run folder."""
        return f"toy{self.level}-{self.method}-seed{self.seed}" + ("-paper" if self.paper else "")

    @property
    def shown(self) -> bool:
        """Whether its pictures are kept beside the result: one run of the proposal a level."""
        return (self.method, self.seed, self.paper) == ("kinematic", 0, False)

    def config(self, quick: bool) -> Config:
        """Return what it trains."""
        config = get_preset(f"toy{self.level}", self.method)
        config = config.replace(train={"epochs": EPOCHS, "seed": self.seed})
        if self.paper:
            config = with_paper_schedule(config)
        return config.replace(**QUICK) if quick else config


def plan(
    levels: Iterable[int] = LEVELS,
    seeds: Optional[Sequence[int]] = None,
    methods: Optional[Sequence[str]] = None,
    paper: bool = False,
) -> List[Cell]:
    """Return the cells of figure 5: two seeds at the easiest and the hardest level.

    Args:
        levels: numbers of parameters.
        seeds: for every level, instead.
        methods: by default all.
        paper: with the paper's hyper-parameters.
    """
    cells = []
    for level in levels:
        chosen = seeds or ((0, 1) if level in (LEVELS[0], LEVELS[-1]) else (0,))
        cells += [
            Cell(level, method, seed, paper) for seed in chosen for method in methods or METHODS
        ]
    return cells


def run_cell(cell: Cell, runs: Path, results: Path, ctx: List, quick: bool = False) -> dict:
    """Return a cell's result; train it, or go on with it, unless its file exists.

    Args:
        cell: what to run.
        runs: folder of the run folders.
        results: folder of the result files.
        ctx: devices.
        quick: a shortened pass, for trying out.
    """
    path = results / f"{cell.name}.json"
    if not path.exists():
        folder = runs / cell.name
        config = cell.config(quick)
        print(f"\n{cell.name}: {config.train.epochs} epochs")
        train(config, folder, ctx, resume=holds_run(folder))
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        result.update(level=cell.level, schedule="paper" if cell.paper else "ours")
        results.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            json.dump(result, file, indent=2)
            file.write("\n")
        if cell.shown:
            for picture in PICTURES:
                shutil.copyfile(folder / picture, results / f"{cell.name}-{picture}")
    return read_result(path)


def read_result(path: Path) -> dict:
    """Return the result of a cell.

    Raises:
        ReproductionError: if the file is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ReproductionError(f"{path}: not valid JSON: {error}") from None


def collect(results: Path, table: Path) -> List[dict]:
    """Write one CSV row for every result file; return the rows, ordered by level and method."""
    rows = []
    for path in sorted(results.glob("toy*.json")):
        result = read_result(path)
        values = {**result, **{f"{k}_px": result[k] for k in _IN_PX}}
        values["bone_length_std_percent"] = result["bone_length_std_percent"]
        rows.append({name: _rounded(values[name]) for name in COLUMNS})
    rows.sort(key=lambda row: (row["schedule"], row["level"], row["method"], row["seed"]))
    table.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(table) as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return rows


_IN_PX = ("joint_error", "bone_length_std", "train_joint_error")


def _rounded(value):
    return round(value, 5) if isinstance(value, float) else value


def mean_by_cell(rows: List[dict], column: str, schedule: str = "ours") -> Dict[tuple, float]:
    """Return the mean over seeds of a column, by (level, method)."""
    groups: Dict[tuple, list] = {}
    for row in rows:
        if row["schedule"] == schedule:
            groups.setdefault((row["level"], row["method"]), []).append(row[column])
    return {key: statistics.fmean(values) for key, values in groups.items()}


def markdown(rows: List[dict], command: str) -> str:
    """Return the page of the toy results: a row a run, beside the paper's numbers."""
    lines = ["# Toy problem (paper, section 4.1 and figure 5)", ""]
    papers = [row for row in rows if row["schedule"] == "paper"]
    if papers:
        seeds = " ".join(str(seed) for seed in sorted({row["seed"] for row in papers}))
        more = f"{command} --paper --seeds {seeds}"
        lines += [f"Made by `{command}`; schedule paper by `{more}`.", ""]
    else:
        lines += [f"Made by `{command}`.", ""]
    lines += [
        "The network of [40], 16,000 training and 1,000 test images; errors on the test images.",
        "A row is one training run. Machine and versions of each stand in `toy/*.json`. With our",
        "schedule the loss is of distances of joints, for kinematic joint of bones, too:",
        "[what that and its head bring](toy-head.md).",
        "",
        "| parameters | method | schedule | seed | epochs | joint error (px) | paper (px) | "
        "angle error (°) | bone length deviation (px) | (%) | date |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        paper = PAPER_JOINT_ERROR_PX[row["method"]] if row["level"] == 3 else "–"
        lines.append(
            f"| {row['level']} | {row['method']} | {row['schedule']} | {row['seed']} | "
            f"{row['epochs']} | {row['joint_error_px']:.2f} | {paper} | "
            f"{row['angle_error_deg']:.2f} | {row['bone_length_std_px']:.4f} | "
            f"{row['bone_length_std_percent']:.2f} | {row['date'][:10]} |"
        )
    return "\n".join(lines) + "\n"


def default_context() -> List:
    """Return the first device."""
    return [mx.gpu(0) if mx.context.num_gpus() else mx.cpu()]


def write_pages(out: Path) -> List[Path]:
    """Write toy.csv, toy.md and the two plots of figure 5 from the result files in ``out/toy``."""
    rows = collect(out / "toy", out / "toy.csv")
    with atomic_write(out / "toy.md") as file:
        file.write(markdown(rows, "python tools/reproduce_toy.py"))
    paths = [out / "toy.csv", out / "toy.md"]
    for column, label in (
        ("joint_error_px", "mean joint error (px)"),
        ("angle_error_deg", "mean angle error (°)"),
    ):
        values = mean_by_cell(rows, column)
        if values:
            paths.append(out / f"toy-{column.split('_')[0]}-error.png")
            plot_complexity(values, paths[-1], label)
    return paths
