"""From a run folder to an export, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

from gluon_dkpr.config import load_config
from gluon_dkpr.engine.datasets import open_datasets
from gluon_dkpr.engine.export import Calibration, ExportError, Written, export_model
from gluon_dkpr.engine.load import find_run, run_images
from gluon_dkpr.engine.network import load_run


def export_run(
    path,
    kind: str = "best",
    folder=None,
    name: Optional[str] = None,
    format: str = "mxnet",
    preprocess: bool = False,
    calibration: Optional[Calibration] = None,
) -> Written:
    """Export the network of a run.

    Args:
        path: a run folder or a checkpoint in one.
        kind: checkpoint of a run folder, ``"best"`` or ``"last"``.
        folder: to write to, by default one in the run folder that is called after the format.
        name: of the files, by default :attr:`Config.name <gluon_dkpr.config.Config.name>`.
        format, preprocess: as in :func:`~gluon_dkpr.engine.export.export_model`.
        calibration: for int8; without a record on the run's own data set, made if it is missing.

    Raises:
        DkprError: if it is no run, or cannot be exported.
        OSError: if a file cannot be written.
    """
    found = find_run(path, kind)
    if found is None:
        raise ExportError(f"{path}: no run folder or checkpoint, expected a config.yaml")
    run, kind = found
    config = load_config(run / "config.yaml")
    if calibration is not None and not calibration.record:
        calibration = calibration._replace(record=str(open_datasets(config)[0].path))
    net, images = load_run(run, kind), run_images(run)
    return export_model(
        net,
        run / default_folder(format, preprocess) if folder is None else Path(folder),
        name or config.name,
        *(images.shape, format, preprocess, images.margin, calibration, images.grey),
    )


def default_folder(format: str, preprocess: bool) -> str:
    """Return the name of the folder in a run folder; each kind has its own."""
    kind = "" if format == "mxnet" else f"-{format}"
    return f"export{kind}{'-bytes' if preprocess else ''}"


def describe(written: Written) -> List[str]:
    """Return what was written as lines for a terminal."""
    lines = [f"{path}: {path.stat().st_size / 1e3:.0f} kB" for path in written.paths.values()]
    if written.difference is not None:
        lines.append(f"largest difference from the network: {written.difference:.1e} of its length")
    else:
        how, error = (written.signature.quantization[key] for key in ("calibration", "error"))
        lines.append(
            f"joint error on {how['record']}, {error['images']} test images: "
            f"{error['float32']:.3f} {error['unit']} in float32, {error['int8']:.3f} "
            f"{error['unit']} in int8 ({error['loss_percent']:+.2f} %); calibrated on "
            f"{how['samples']} images"
        )
    return lines
