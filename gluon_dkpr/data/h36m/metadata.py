"""Subactions out of ``metadata.xml``, which comes with the code of Human3.6M.

Its element ``mapping`` is a table: a first row of two empty cells and the subjects' names, then for
each action and subaction a row of their numbers and, under each subject, the name its files have.
The names follow no rule that would tell the subaction in every case.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List
from xml.parsers import expat

from gluon_dkpr.data.h36m.names import H36mError, Take, parse_take
from gluon_dkpr.files import read_bounded

# Some hundred times the official file.
MAX_BYTES = 16 << 20
_NUMBER = re.compile(r"[0-9]{1,9}")

#: For each subject, the subaction of each take.
Subactions = Dict[str, Dict[Take, int]]


def read_subactions(path) -> Subactions:
    """Read which subaction, 1 or 2, each file name of each subject stands for.

    Args:
        path: of metadata.xml.

    Raises:
        H36mError: if it cannot be read, is no XML, declares entities or has no such table.
    """
    path = Path(path)
    table = _Table(path)
    table.parse(read_bounded(path, MAX_BYTES, H36mError))
    subactions = _subactions(table.rows)
    if not subactions:
        raise H36mError(
            f"{path}: no table of file names in it; expected <mapping> with a row of subjects and "
            "rows of action, subaction and names"
        )
    return subactions


def _subactions(rows: List[List[str]]) -> Subactions:
    rows = [[cell.strip() for cell in row] for row in rows]
    subjects = rows[0][2:] if rows else []
    found: Subactions = {}
    for row in rows[1:]:
        if len(row) < 3 or not all(map(_NUMBER.fullmatch, row[:2])):
            continue
        for subject, name in zip(subjects, row[2:]):
            take = parse_take(name)
            if take is not None:
                found.setdefault(subject, {})[take] = int(row[1])
    return found


class _Table:
    """The cells of ``mapping``. Entities, which may grow without end, are refused."""

    def __init__(self, path: Path):
        self.path, self.rows, self.open = path, [], []

    def parse(self, content: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(content, True)
        except (expat.ExpatError, ValueError) as error:
            if isinstance(error, H36mError):
                raise
            raise H36mError(f"{self.path}: no XML: {error}") from None

    def _start(self, name: str, _) -> None:
        self.open.append(name)
        inside = self.open[:-1]
        if inside[-1:] == ["mapping"]:
            self.rows.append([])
        elif inside[-2:-1] == ["mapping"]:
            self.rows[-1].append("")

    def _end(self, _) -> None:
        self.open.pop()

    def _text(self, text: str) -> None:
        if self.open[-3:-2] == ["mapping"]:
            self.rows[-1][-1] += text

    def _refuse(self, name: str, *_) -> None:
        raise H36mError(f"{self.path}: declares the entity '{name:.40}', expected none")
