"""The report on people: the paper's table 1 and what goes with it, for terminal, page and JSON.

All three are made from one dictionary, :func:`make_report`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from gluon_dkpr.engine.paper import ABBREVIATIONS, AVERAGES, TABLE_1
from gluon_dkpr.engine.people import Row, Truth, protocol
from gluon_dkpr.engine.run_folder import stamp
from gluon_dkpr.files import atomic_write

#: What ``source["dataset"]`` of a data set says if the paper's numbers stand beside those of its
#: test split.
HUMAN36M = "human3.6m"
WIDTH = 100
_LONGEST_HEAD = 14
_NONE = "-"
_PAPER = "paper: "
# Head of a column, what it means, and where its number stands in a row of the report.
_MEASURES = (
    ("frames", "MPJPE, mean over frames, mm", "mean_of_frames", "mpjpe_mm"),
    ("PA", "PA-MPJPE, mean of actions, mm", "mean_of_actions", "pa_mpjpe_mm"),
    ("PA frames", "PA-MPJPE, mean over frames, mm", "mean_of_frames", "pa_mpjpe_mm"),
    ("PCK@150", "PCK@150, mean over frames, %", "mean_of_frames", "pck_150mm"),
    ("AUC", "AUC, mean over frames, %", "mean_of_frames", "auc"),
    ("bone dev", "bone length deviation (standard deviation over the frames), mm", None,
     "bone_length_std_mm"),
    ("bone err", "bone length error: mean difference from the true length, mm", "mean_of_frames",
     "bone_length_error_mm"),
    ("swapped", "swapped left and right, % of the frames", "mean_of_frames", "swap_rate"),
    ("angle", "mean angle error, deg", "mean_of_frames", "angle_error_deg"),
)  # fmt: skip
_BY_ACTION = (
    *(("mpjpe_mm", "MPJPE (mm)"), ("pa_mpjpe_mm", "PA-MPJPE (mm)"), ("pck_150mm", "PCK@150 (%)")),
    *(("auc", "AUC (%)"), ("bone_length_error_mm", "bone err (mm)"), ("swap_rate", "swapped (%)")),
    ("angle_error_deg", "angle (deg)"),
)
_DEFINITIONS = """\
MPJPE: mean Euclidean distance over all joints, the root counted, after both root joints were moved
to the origin. PA-MPJPE: after every predicted pose was turned, moved and scaled onto its own true
one. PCK@150 and AUC: share of the joints within 150 mm, and the mean of that share at 0, 5, ...
150 mm; the root, which is always right, counts in both as one of the joints, so that they are a
little higher than MPI-INF-3DHP's, which leaves it out, and not comparable with them.
Average: unweighted mean of the actions, as in the paper. Swapped: exchanging the predicted left and
right joints takes back more than half of the distance between the true ones. ModelFit: the mean
skeleton at scale 1 fitted to direct joint's prediction, every frame alone, by damped least squares
on Eq. 3 (the paper used gradient descent), the root not fixed. Size known: the same poses with each
subject's own bone lengths, the mean ones times the subject's scale; of ModelFit, that skeleton
fitted; their bone length deviation is that of the lengths divided by the scale."""


def make_report(truth: Truth, rows: Sequence[Row], command: str = "") -> dict:
    """Return everything that is reported, ready for JSON.

    Args:
        truth: the data set.
        rows: measured on it.
        command: that made it; shown on the page.
    """
    dataset = truth.dataset
    source = dataset.info.source
    papers = source.get("dataset") == HUMAN36M and dataset.split == "test"
    return {
        "command": command,
        "data": {
            "path": str(dataset.path),
            "split": dataset.split,
            "images": len(dataset),
            "sha256": dataset.info.rec_sha256,
            "dataset": source.get("dataset") or source.get("generator"),
        },
        "protocol": protocol(truth),
        "rows": [_row_entry(row) for row in rows],
        "paper": _paper() if papers else None,
        **stamp(),
    }


def _row_entry(row: Row) -> dict:
    config = row.config
    return {
        "name": row.name,
        "model": row.model,
        "method": row.method,
        "model_fit": row.model_fit,
        "size_known": row.size_known,
        "preset": config and config.preset,
        "backbone": config and config.model.backbone,
        "epochs": config and config.train.epochs,
        "checkpoint_epoch": row.epoch,
        "seed": config and config.train.seed,
        **row.report,
    }


def _paper() -> dict:
    rows = {
        name: {"actions": dict(zip(ABBREVIATIONS, errors)), "mean_of_actions": AVERAGES[name]}
        for name, errors in TABLE_1.items()
    }
    return {"source": "Zhou et al., Deep Kinematic Pose Regression, 2016, table 1", "rows": rows}


def table_1(report: dict) -> Tuple[List[str], List[Tuple[str, List[Optional[float]]]]]:
    """Return the columns of table 1 and its rows: MPJPE (mm) of each action, then their mean.

    The actions are all those of the paper for Human3.6M, else those that have samples.
    """
    rows, actions = report["rows"], list(report["rows"][0]["actions"])
    if report["paper"]:
        actions = [*ABBREVIATIONS, *(name for name in actions if name not in ABBREVIATIONS)]
    table = []
    for row in rows:
        errors = [row["actions"].get(name, {}).get("mpjpe_mm") for name in actions]
        table.append((row["name"], [*errors, row["mean_of_actions"]["mpjpe_mm"]]))
    if report["paper"]:
        for name, row in report["paper"]["rows"].items():
            errors = [row["actions"].get(action) for action in actions]
            table.append((_PAPER + name, [*errors, row["mean_of_actions"]]))
    return [*actions, "Average"], table


def report_text(report: dict) -> str:
    """Return the report for a terminal of 100 columns: table 1, wrapped, and the other means."""
    columns, rows = table_1(report)
    heads = [_head(column) for column in columns]
    lines = [*_about(report), "", "MPJPE (mm)"]
    lines += _wrapped(heads, [(name, [_number(v) for v in values]) for name, values in rows])
    lines += ["", "mean over frames unless said otherwise; mm, % and deg"]
    lines += _wrapped([measure[0] for measure in _MEASURES], _measure_rows(report))
    return "\n".join(lines)


def report_markdown(report: dict) -> str:
    """Return the report as a page."""
    columns, rows = table_1(report)
    shown = [[name, *map(_number, values)] for name, values in rows]
    lines = ["# Evaluation on people", ""]
    if report["command"]:
        lines += [f"Made by `{report['command']}`.", ""]
    lines += [*(f"- {line}" for line in _about(report)), ""]
    lines += ["## MPJPE by action (mm), the paper's table 1", ""]
    lines += _markdown_table(["", *map(_abbreviation, columns)], shown)
    if report["paper"]:
        lines += ["", f"Paper: {report['paper']['source']}."]
    lines += ["", "## Other measures", ""]
    measured = _measure_rows(report)
    lines += _markdown_table(
        ["", *(name for name, _ in measured)],
        [[measure[1], *cells] for measure, *cells in zip(_MEASURES, *(v for _, v in measured))],
    )
    for row in report["rows"]:
        lines += ["", f"## {row['name']}, by action", "", *_by_action(row)]
    lines += ["", "## Models", "", *_models(report), "", "## Definitions", "", _DEFINITIONS]
    lines += ["", "## Made with", "", *_made_with(report)]
    return "\n".join(lines) + "\n"


def write_json(path, report: dict) -> None:
    """Write the report as JSON."""
    with atomic_write(path) as file:
        json.dump(report, file, indent=2, allow_nan=False)
        file.write("\n")


def write_report(folder: Path, report: dict) -> List[Path]:
    """Write report.md and report.json into a folder, made if missing; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "report.md") as file:
        file.write(report_markdown(report))
    write_json(folder / "report.json", report)
    return [folder / "report.md", folder / "report.json"]


def _about(report: dict) -> List[str]:
    """Return lines on data and protocol."""
    data, how = report["data"], report["protocol"]
    step, actions = how["frame_step"], len(report["rows"][0]["actions"])
    frames = {None: "frames at no fixed step", 1: "every frame"}.get(step, f"one frame in {step}")
    return [
        f"data: {data['path']}, split '{data['split']}', {data['images']} images",
        f"data set: {data['dataset'] or 'not named'}, SHA-256 {data['sha256']}",
        f"subjects {', '.join(how['subjects'])}; {frames}; cameras {', '.join(how['cameras'])}",
        f"{how['joints']} joints relative to the {how['relative_to']}, {how['frame']} frame, "
        f"{how['unit']}; predictions at scale {how['scale']}",
        f"averages over the {actions} actions that have images",
    ]


def _measure_rows(report: dict) -> List[Tuple[str, List[str]]]:
    rows = []
    for row in report["rows"]:
        values = [(row[part] if part else row)[key] for _, _, part, key in _MEASURES]
        rows.append((row["name"], [_number(value) for value in values]))
    return rows


def _by_action(row: dict) -> List[str]:
    parts = {**row["actions"], "mean of actions": row["mean_of_actions"]}
    parts["mean over frames"] = row["mean_of_frames"]
    keys = [key for key, _ in _BY_ACTION]
    table = [
        [name, str(part["n"]), *(_number(part[key]) for key in keys)]
        for name, part in parts.items()
    ]
    limbs = ", ".join(f"{name} {_number(v)} %" for name, v in row["swap_rate_by_limb"].items())
    heads = ["action", "images", *(head for _, head in _BY_ACTION)]
    return [*_markdown_table(heads, table), "", f"Swapped by limb: {limbs}."]


def _models(report: dict) -> List[str]:
    keys = ("name", "model", "method", "preset", "backbone", "epochs", "checkpoint_epoch", "seed")
    return _markdown_table(
        list(keys),
        [[_NONE if row[k] is None else str(row[k]) for k in keys] for row in report["rows"]],
        numbers=False,
    )


def _made_with(report: dict) -> List[str]:
    facts = {"date": report["date"], "threads": report["threads"], **report["versions"]}
    return [f"- {name}: {value}" for name, value in facts.items() if value is not None]


def _markdown_table(heads, rows: Sequence[Sequence[str]], numbers: bool = True) -> List[str]:
    """Return a table, its columns but the first aligned to the right if they hold numbers."""
    lines = [heads, ["---"] + ["---:" if numbers else "---"] * (len(heads) - 1), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]


def _wrapped(heads: Sequence[str], rows: Sequence[Tuple[str, Sequence[str]]]) -> List[str]:
    """Return a table as lines of ``WIDTH`` characters at most, in blocks if it is wider."""
    lines = [("", heads), *rows]
    first = max(len(name) for name, _ in lines)
    widths = [2 + max(map(len, column)) for column in zip(*(cells for _, cells in lines))]
    size = len(heads)
    if first + sum(widths) > WIDTH:
        widths = [max(widths)] * len(heads)
        blocks = -(-len(heads) // max(1, (WIDTH - first) // widths[0]))
        size = -(-len(heads) // blocks)
    text = []
    for begin in range(0, len(heads), size):
        text += [""] if begin else []
        for name, cells in lines:
            shown = zip(cells[begin : begin + size], widths[begin : begin + size])
            text.append(name.ljust(first) + "".join(cell.rjust(width) for cell, width in shown))
    return text


def _abbreviation(action: str) -> str:
    return ABBREVIATIONS.get(action, action)


def _head(action: str) -> str:
    head = _abbreviation(action)
    return head if len(head) <= _LONGEST_HEAD else head[: _LONGEST_HEAD - 1] + "…"


def _number(value: Optional[float]) -> str:
    return _NONE if value is None else f"{value:.2f}"
