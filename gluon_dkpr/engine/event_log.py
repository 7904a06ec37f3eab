"""A run as TensorBoard shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from tensorboardX import SummaryWriter


class EventLog:
    """Writes scalars of each epoch and pictures as event files. Used as a context.

    Args:
        folder: for the event files; made with the first of them.
        updates: steps of the optimiser that are done; what an interrupted run has written beyond
            them is taken back.
    """

    def __init__(self, folder: Path, updates: int):
        # The writer's own names tell the second: a run resumed within it would write over the file
        # before. Readers take files in the order of their names.
        count = len(list(folder.glob("*tfevents*"))) if folder.is_dir() else 0
        self._writer = SummaryWriter(
            str(folder),
            purge_step=updates + 1 if updates else None,
            filename_suffix=f".{count:04d}",
        )

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_) -> None:
        self._writer.close()

    def add_epoch(self, row: dict, updates: int) -> None:
        """Add the numbers of a row of metrics.csv."""
        for name, value in row.items():
            if name != "epoch" and value != "":
                group, _, rest = name.partition("_")
                tag = f"{group}/{rest}" if group in ("train", "test") else f"run/{name}"
                self._writer.add_scalar(tag, value, updates)
        self._writer.flush()

    def add_picture(self, tag: str, path: Path, updates: int) -> None:
        """Add a picture file; pictures of one tag are shown as a series."""
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._writer.add_image(tag, pixels, updates, dataformats="HWC")
        self._writer.flush()
