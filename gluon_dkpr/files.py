"""Reading files of bounded size, and writing so that nobody ever meets half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Callable


def read_bounded(path, max_bytes: int, error: Callable[[str], Exception]) -> bytes:
    """Return what a file holds; never more is read than may be in it.

    Args:
        path: of the file; a pipe or device, which does not know its size, is read as well.
        max_bytes: more are refused.
        error: makes the exception that is raised, of a message that names the file.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as cause:
        raise error(f"{path}: cannot be read: {cause.strerror}") from None
    except ValueError as cause:  # a name that no file can have
        raise error(f"{str(path)!r}: cannot be read: {cause}") from None
    if len(content) > max_bytes:
        raise error(f"{path}: larger than {max_bytes} bytes")
    return content


def read_bounded_text(
    path, max_bytes: int, error: Callable[[str], Exception], encoding: str = "utf-8"
) -> str:
    """Return a text as :func:`read_bounded` does; ``utf-8-sig`` drops a byte order mark."""
    try:
        return read_bounded(path, max_bytes, error).decode(encoding)
    except UnicodeDecodeError:
        raise error(f"{path}: not a text file in UTF-8") from None


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
