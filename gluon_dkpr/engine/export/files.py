"""Where the files of an export are, and whether they are those that were written."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, NamedTuple, Optional

from gluon_dkpr.engine.signature import (
    SUFFIXES,
    ExportError,
    FileStamp,
    Signature,
    load_signature,
)
from gluon_dkpr.files import read_bounded

SIGNATURE_SUFFIX = "-signature.json"
_SUFFIXES = (SIGNATURE_SUFFIX, *sorted({s for files in SUFFIXES.values() for s in files.values()}))


class ExportFiles(NamedTuple):
    """The files of an export: those in ``folder`` that begin with ``name``."""

    folder: Path
    name: str

    @property
    def signature(self) -> Path:
        """Path of the signature."""
        return self.folder / f"{self.name}{SIGNATURE_SUFFIX}"

    def graph(self, kind: str) -> Dict[str, Path]:
        """Return the paths of the graph's files by what they hold, for a format of ``SUFFIXES``."""
        return {key: self.folder / f"{self.name}{suffix}" for key, suffix in SUFFIXES[kind].items()}


def find_export(path) -> Optional[ExportFiles]:
    """Return the files of the export that ``path`` names, ``None`` if it names none.

    Args:
        path: one of its files, their common prefix, or a folder with one export.

    Raises:
        ExportError: for a folder with several exports.
    """
    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob(f"*{SIGNATURE_SUFFIX}"))
        if len(found) > 1:
            names = ", ".join(file.name for file in found)
            raise ExportError(f"{path}: holds {names}; expected one export, or name one")
        if not found:
            return None
        path = found[0]
    name = path.name
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            name = name[: -len(suffix)]
            break
    there = any((path.parent / f"{name}{suffix}").is_file() for suffix in _SUFFIXES)
    return ExportFiles(path.parent, name) if name and there else None


def read_export(path, files: ExportFiles) -> tuple:
    """Return signature and contents of an export's files, by what they hold.

    Sizes and hashes are compared before anybody parses a byte.

    Args:
        path: what the user named, for the message if it is a file of another format.
        files: what :func:`find_export` made of it.

    Raises:
        ExportError: if a file is missing, damaged or of another export; names the file.
    """
    signature = load_signature(files.signature)
    graph = files.graph(signature.format)
    path = Path(path)
    if path.is_file() and path not in (files.signature, *graph.values()):
        raise ExportError(
            f"{path}: not of the export of this name, whose {files.signature.name} says format "
            f"'{signature.format}', expected {' and '.join(file.name for file in graph.values())}"
        )
    return signature, {key: _read_checked(file, signature, key) for key, file in graph.items()}


def _read_checked(file: Path, signature: Signature, key: str) -> bytes:
    stamp = signature.files[key]
    # No memory for more than there is, whatever the signature claims.
    size = file.stat().st_size if file.is_file() else 0
    data = read_bounded(file, min(size, stamp.size), ExportError)
    found = FileStamp.of(data)
    if found != stamp:
        raise ExportError(
            f"{file}: {found.size} bytes with SHA-256 {found.sha256[:12]}..., expected "
            f"{stamp.size} with {stamp.sha256[:12]}... by its {SIGNATURE_SUFFIX[1:]}"
        )
    return data
