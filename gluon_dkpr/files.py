"""Writing files so that a reader, or a power cut, never meets half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path, mode: str = "w"):
    """Open a temporary file beside ``path`` and rename it to ``path`` when the block ends well.

    If the block raises, the temporary file is removed and what stood at ``path`` stays.
    ``mode`` is ``"w"`` for text in UTF-8 or ``"wb"`` for bytes.
    """
    with atomic_path(path) as temporary:
        encoding = None if "b" in mode else "utf-8"
        with open(temporary, mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def atomic_path(path):
    """Yield the name of a temporary file beside ``path``, for writers that want a file name.

    The temporary name keeps the suffix of ``path``, because image writers choose the format by it.
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        # After the rename there is nothing left under the temporary name.
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _umask() -> int:
    # The only portable way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
