#!/usr/bin/env python
"""Fetch what runs networks in a browser: `python docs/demo/fetch.py FOLDER`.

The archive of npm that requirements/web.txt names, checked by its sum; only the files that the page
loads are kept. npm need not be installed. The registry is registry.npmjs.org unless
NPM_CONFIG_REGISTRY names another, as for npm itself.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import urllib.request
from pathlib import Path
from typing import Optional, Sequence

from gluon_dkpr.cli import Parser, run
from gluon_dkpr.errors import DkprError
from gluon_dkpr.files import atomic_write

PINS = Path(__file__).resolve().parents[2] / "requirements" / "web.txt"
# The build without a GPU's interfaces; it uses one thread where a site allows no more.
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
# Guards against an endless answer; the archive has 24 MB, its largest file that we want 11 MB.
MAX_BYTES = 100 << 20
TIMEOUT_S = 60


class FetchError(DkprError):
    """The archive cannot be had, or is not the one that was pinned."""


def read_pin(path: Path = PINS) -> Sequence[str]:
    """Return name, version and sum of the one package that the file names."""
    lines = path.read_text(encoding="utf-8").splitlines()
    (pin,) = (line.split() for line in lines if line.strip() and not line.startswith("#"))
    return pin


def download(name: str, version: str, integrity: str) -> bytes:
    """Return the archive of a package.

    Raises:
        FetchError: if it cannot be had or has another sum.
    """
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or "https://registry.npmjs.org"
    address = f"{registry.rstrip('/')}/{name}/-/{name}-{version}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            data = answer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise FetchError(f"{address}: {error}") from None
    found = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode("ascii")
    if found != integrity:
        raise FetchError(f"{address}: sum is {found}, expected {integrity} ({PINS.name})")
    return data


def unpack(archive: bytes, folder: Path) -> None:
    """Write the files that the page loads into a folder.

    Raises:
        FetchError: if the archive lacks one.
        OSError: if it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for name in FILES:
            try:
                member = tar.extractfile(f"package/dist/{name}")
            except KeyError:
                member = None
            if member is None:
                raise FetchError(f"the archive has no package/dist/{name}")
            with atomic_write(folder / name, "wb") as file:
                file.write(member.read(MAX_BYTES))


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Fetch, check, unpack."""
    parser = Parser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="to write to")
    args = parser.parse_args(arguments)
    unpack(download(*read_pin()), args.folder)


if __name__ == "__main__":
    run(main)
