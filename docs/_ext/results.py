"""Makes the tables and figures of the results page out of the result files, when the site is built.

What is not there yet is left out: a set of files that comes later shows up by itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable, List, Sequence

from drawings import write_if_changed

from gluon_dkpr.engine.paper import ABBREVIATIONS, AVERAGES, TABLE_1
from gluon_dkpr.engine.report import table_1
from gluon_dkpr.engine.run_folder import PAPER_JOINT_ERROR_PX
from gluon_dkpr.viz import plot_complexity

METHODS = ("direct", "kinematic", "parameter")
NAMES = {"direct": "direct joint", "kinematic": "kinematic joint", "parameter": "direct parameter"}
#: Files of ``toy-head``: what the outputs are, and the loss.
TOY_OUTPUTS = {"raw": "motion", "kinematic": "joints", "direct": "joints"}
TOY_LOSSES = {"squares": "squares", "distances": "distances", "bones": "distances, bones"}
#: ModelFit to direct joint: number of parameters and seed.
TOY_FITS = ((8, 0), (10, 1))
TOY_FIGURES = (
    ("joint_error", "toy-joint", "mean joint error (px)"),
    ("angle_error_deg", "toy-angle", "mean angle error (deg)"),
    ("bone_length_std", "toy-bones", "bone length deviation (px)"),
)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> List[str]:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def number(value, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def toy(results: Path, generated: Path) -> List[str]:
    """Figure 5 of the paper: every level and method."""
    runs = [read(path) for path in sorted(results.glob("toy/*.json"))]
    if not runs:
        return []
    runs.sort(key=lambda r: (r["level"], METHODS.index(r["method"]), r["schedule"], r["seed"]))
    rows = []
    for run in runs:
        paper = PAPER_JOINT_ERROR_PX[run["method"]] if run["level"] == 3 else None
        rows.append([
            str(run["level"]), NAMES[run["method"]], run["schedule"], str(run["seed"]),
            number(paper, 1), number(run["joint_error"]), number(run["angle_error_deg"]),
            f"{run['bone_length_std']:.3f} ({run['bone_length_std_percent']:.2f} %)",
        ])  # fmt: skip
    heads = ["parameters", "method", "schedule", "seed", "paper (px)", "joint error (px)",
             "angle error (°)", "bone length deviation (px)"]  # fmt: skip
    lines = table(heads, rows)
    if len({run["level"] for run in runs}) > 1:
        lines += ["", *_toy_figures(runs, generated)]
    return lines


def _toy_figures(runs, generated: Path) -> List[str]:
    lines = []
    for key, name, label in TOY_FIGURES:
        values = {}
        for run in runs:
            if run["schedule"] == "ours":
                values.setdefault((run["level"], run["method"]), []).append(run[key])
        means = {cell: sum(found) / len(found) for cell, found in values.items()}
        # Drawn under another name first, so that a picture which has not changed stays.
        plot_complexity(means, generated / f".{name}.png", label)
        write_if_changed(generated / f"{name}.png", (generated / f".{name}.png").read_bytes())
        lines.append(f"![{label} by number of parameters](_generated/{name}.png){{width=440px}}")
    return lines


def toy_head(results: Path) -> List[str]:
    """What the head and the loss of the toy presets bring, 10 parameters."""
    rows = []
    for kind, outputs in TOY_OUTPUTS.items():
        for name, loss in TOY_LOSSES.items():
            path = results / "toy-head" / f"{kind}-{name}.json"
            if path.is_file():
                run = read(path)
                errors = number(run["joint_error"]), number(run["angle_error_deg"])
                rows.append([NAMES[run["method"]], outputs, loss, *errors])
    heads = ["method", "outputs", "loss", "joint error (px)", "angle error (°)"]
    return table(heads, rows) if rows else []


def toy_fit(results: Path) -> List[str]:
    """ModelFit to the joints of direct joint, beside both methods."""
    rows = []
    for level, seed in TOY_FITS:
        fit = results / "toy-head" / f"model-fit-{level}-parameters.json"
        other = results / "toy" / f"toy{level}-kinematic-seed{seed}.json"
        if fit.is_file() and other.is_file():
            direct = read(fit)
            methods = direct, direct["model_fit"], read(other)
            errors = [number(m[key]) for key in ("joint_error", "angle_error_deg") for m in methods]
            rows.append([str(level), str(seed), *errors])
    names = [
        f"{name} ({unit})"
        for unit in ("px", "°")
        for name in ("direct", "ModelFit to it", "kinematic")
    ]
    return table(["parameters", "seed", *names], rows) if rows else []


def people(results: Path) -> List[str]:
    """Tables 1 and 2 and figure 7 of the paper, on the data set that the report was made on."""
    path = results / "people" / "report.json"
    if not path.is_file():
        return []
    report = read(path)
    columns, rows = table_1(report)
    data = report["data"]
    lines = [
        f"Data set: {data['dataset'] or data['path']}, split *{data['split']}*, "
        f"{data['images']} images. MPJPE in mm by action:",
        "",
        *table(["", *columns], ([name, *map(number, values)] for name, values in rows)),
        "",
        "Means over the frames:",
        "",
    ]
    measures = ["PA-MPJPE (mm)", "PCK@150 (%)", "AUC (%)", "bone length deviation (mm)",
                "swapped left and right (%)", "angle error (°)"]  # fmt: skip
    keys = ("pa_mpjpe_mm", "pck_150mm", "auc", None, "swap_rate", "angle_error_deg")
    cells = []
    for row in report["rows"]:
        means = row["mean_of_frames"]
        values = [means[key] if key else row["bone_length_std_mm"] for key in keys]
        cells.append([row["name"], *map(number, values)])
    lines += table(["", *measures], cells)
    for name, caption in (("qualitative", "Images and skeletons (table 2 of the paper)"),
                          ("curve", "Errors while training (figure 7)")):  # fmt: skip
        if (path.parent / f"{name}.png").is_file():
            lines += ["", f"![{caption}](results/people/{name}.png)"]
    if (path.parent / "report.md").is_file():
        lines += ["", "[The whole report](results/people/report.md)"]
    return lines


def paper_table() -> List[str]:
    """The paper's own table 1, for comparison."""
    rows = (
        [name, *map(number, errors), number(AVERAGES[name])] for name, errors in TABLE_1.items()
    )
    return table(["", *ABBREVIATIONS.values(), "Average"], rows)


def benchmarks(results: Path) -> List[str]:
    """One line a benchmark: its page and the command that wrote it."""
    rows = []
    # The table of all ratios first, if it is there.
    for path in sorted(results.glob("*.json"), key=lambda p: (p.stem != "benchmark", p.name)):
        page = path.with_suffix(".md")
        if page.is_file() and path.stem != "make-train":  # that stands at the top of the page
            title = page.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
            found = read(path)
            machine = found.get("machine", {}).get("cpu", "")
            command = f"`{found['command']}`" if "command" in found else "on its page"
            date = str(found.get("date", ""))[:10]
            rows.append([f"[{title}](results/{page.name})", command, machine, date])
    return table(["measured", "command", "processor", "date"], rows) if rows else []


def main_job(results: Path) -> List[str]:
    path = results / "make-train.json"
    if not path.is_file():
        return []
    page = path.with_suffix(".md").read_text(encoding="utf-8")
    return page.split("\n", 2)[2].strip().splitlines()


def write_tables(app) -> None:
    results, generated = Path(app.srcdir, "results"), Path(app.srcdir, "_generated")
    parts = {
        "toy": toy(results, generated),
        "toy-head": toy_head(results),
        "toy-fit": toy_fit(results),
        "people": people(results),
        "paper": paper_table(),
        "benchmarks": benchmarks(results),
        "main-job": main_job(results),
    }
    for name, lines in parts.items():
        lines = lines or ["*No result file yet.*"]
        path = generated / f"results-{name}.md"
        write_if_changed(path, ("\n".join(lines) + "\n").encode("utf-8"))


def setup(app):
    app.connect("builder-inited", write_tables, priority=600)  # after the folder is made
    return {"parallel_read_safe": True, "parallel_write_safe": True}
