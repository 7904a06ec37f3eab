#!/usr/bin/env python
"""Make docs/overview.png, the first picture of README and site, out of those of the tutorials.

Each row is one of a sheet that a training run has drawn: `python docs/make_overview.py` after
`python docs/pages.py --write docs/tutorials/toy.md docs/tutorials/own-skeleton.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Sequence

from PIL import Image

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.files import atomic_path

HERE = Path(__file__).resolve().parent
# Sheet, and the box of its rows that is taken: left, top, right, bottom as parts of its size.
ROWS = (
    ("toy-samples.png", (0.0, 0.0, 1.0, 0.357)),
    ("lamp-samples.png", (0.0, 0.043, 1.0, 0.357)),
)
WIDTH_PX = 900
GAP_PX = 14


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Write the picture."""
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default=str(HERE / "overview.png"), metavar="FILE")
    out = Path(parser.parse_args(arguments).out)
    rows = []
    for name, box in ROWS:
        with Image.open(HERE / "tutorials" / "pictures" / name) as sheet:
            sheet = sheet.convert("RGB")
            edges = [round(part * size) for part, size in zip(box, sheet.size * 2)]
            row = sheet.crop(edges)
            rows.append(row.resize((WIDTH_PX, round(row.height * WIDTH_PX / row.width))))
    height = sum(row.height for row in rows) + GAP_PX * (len(rows) - 1)
    picture, top = Image.new("RGB", (WIDTH_PX, height), "white"), 0
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height + GAP_PX
    with atomic_path(out) as path:
        picture.quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    run(main)
