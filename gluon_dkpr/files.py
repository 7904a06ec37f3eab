"""Reading files of bounded size, and writing so that nobody ever meets half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import Callable

_PART_BYTES = 100


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


def file_sha256(path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def atomic_write(path, mode: str = "w"):
    """Open a temporary file beside ``path`` and rename it to ``path`` when the block ends well.

    If the block raises, the temporary file is removed and what stood at ``path`` stays.
    ``mode`` is ``"w"`` for text in UTF-8 or ``"wb"`` for bytes.

    Raises:
        OSError: as :func:`atomic_path`.
    """
    with atomic_path(path) as temporary:
        encoding = None if "b" in mode else "utf-8"
        with open(temporary, mode, encoding=encoding) as file:
            yield file
            sync(file)


def sync(file) -> None:
    """See to it that what was written to a file is on the disk.

    Raises:
        OSError: if it cannot be; it names the file, which that of a full disk does not by itself.
    """
    try:
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or file.name
        raise


@contextlib.contextmanager
def atomic_path(path):
    """Yield the name of a temporary file beside ``path``, for writers that want a file name.

    The temporary name keeps the suffix of ``path``, because image writers choose the format by it.

    Raises:
        OSError: if the file cannot be written; it names ``path``, also if the disk is full, which
            comes without a name, or if the temporary file is to blame.
    """
    path, temporary = Path(path), None
    try:
        temporary = _new_file(path)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        ours = temporary is None or error.filename == str(temporary)
        if error.errno and (error.filename is None or ours):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        # After the rename there is nothing left under the temporary name.
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


def _new_file(path: Path) -> Path:
    """Make an empty hidden file beside ``path``, as open as the umask lets files be.

    tempfile's are for one user only; to open them up one would have to know the umask, and reading
    it sets it to another for a moment, in which threads make files that are open to everybody.
    """
    # With what stands around them they stay within the length of a name, 255 bytes.
    stem = path.stem.encode("utf-8", "ignore")[:_PART_BYTES].decode("utf-8", "ignore")
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _PART_BYTES else ""
    while True:
        name = path.parent / f".{stem}-{secrets.token_hex(4)}{suffix}"
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        return name
