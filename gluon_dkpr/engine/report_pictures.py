"""The pictures of the report on people: figure 7 and table 2 of the paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np

from gluon_dkpr.engine.load import find_run
from gluon_dkpr.engine.people import Row, Truth
from gluon_dkpr.engine.run_folder import RunFolderError, read_metrics
from gluon_dkpr.metrics import mpjpe
from gluon_dkpr.types import Array
from gluon_dkpr.viz import PictureError, plot_curves, qualitative_sheet

#: Cases of table 2: what they are called, and the percentage of images with a smaller error.
CASES = (
    *(("typical", 40.0), ("typical", 50.0), ("typical", 60.0)),
    *(("bad", 95.0), ("bad", 99.0), ("worst", 100.0)),
)


def write_pictures(folder: Path, truth: Truth, rows: Sequence[Row]) -> List[Path]:
    """Write qualitative.png and, if a model is a run folder with metrics, curve.png.

    Args:
        folder: exists.
        truth: the data set.
        rows: measured on it; those of known size look like the others and are left out.

    Returns:
        What was written.
    """
    rows = [row for row in rows if not row.size_known]
    path = folder / "qualitative.png"
    write_qualitative(path, truth, rows)
    return [path, *write_curves(folder / "curve.png", truth, rows)]


def write_qualitative(path: Path, truth: Truth, rows: Sequence[Row]) -> None:
    """Write images, truth and the prediction of every row for typical and worst cases.

    A case is chosen by the mean of the rows' joint errors, so that no row is favoured.
    """
    errors = {row.name: mpjpe(truth.joints, row.joints, per="sample") for row in rows}
    cases = choose_cases(np.mean(list(errors.values()), axis=0))
    positions = [position for _, position in cases]
    images, _ = truth.dataset.read(truth.dataset.keys[positions])
    captions = []
    for label, position in cases:
        about = truth.describe(position)
        where = "{action}, {subject}\ncamera {camera}, frame {frame}".format(**about)
        captions.append((label, where))
    qualitative_sheet(
        truth.dataset.skeleton,
        images,
        captions,
        truth.joints[positions],
        {row.name: row.joints[positions] for row in rows},
        {name: some[positions] for name, some in errors.items()},
        path,
    )


def choose_cases(errors: Array) -> List[Tuple[str, int]]:
    """Return label and position of the images at the percentiles of ``CASES``, (N,) errors."""
    order = np.argsort(errors, kind="stable")
    cases = {}
    for name, percent in CASES:
        position = int(order[round(percent / 100 * (len(order) - 1))])
        # Of a few images the same one may be several cases: it is called by the last.
        cases[position] = f"{name}\nerror percentile {percent:.0f}"
    return [(label, position) for position, label in cases.items()]


def write_curves(path: Path, truth: Truth, rows: Sequence[Row]) -> List[Path]:
    """Write the learning curves of the rows' runs; return the picture if there is any curve.

    The test curve of a run is that of its own test set. A run whose metrics cannot be read has
    none; a line says so.
    """
    curves = {}
    for row in rows:
        run = find_run(row.model)
        if run is not None and not row.model_fit:
            try:
                metrics = read_metrics(run[0], sys.maxsize)
            except RunFolderError as error:
                print(f"no curve of {row.name}: {error}")
                continue
            if metrics:
                curves[row.name] = metrics
    if not curves:
        return []
    try:
        plot_curves(curves, path, truth.dataset.skeleton.length_unit)
    except PictureError as error:
        print(f"no curve.png: {error}")
        return []
    return [path]
