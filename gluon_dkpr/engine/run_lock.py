"""One process at a time trains in a folder, which a lock sees to that ends with the process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import List, Optional, Set

NAME = ".lock"
# Who gives a lock back takes folder and file away, each time at most once.
_ATTEMPTS = 100
# Descriptors of the locks that this process holds.
_HELD: Set[int] = set()


class FolderLock:
    """The right to write into a folder. Used as a context.

    The lock is the kernel's, on an empty file ``.lock``: it is gone with the process however that
    ends, and a file that a killed one has left locks nothing. Where the file system knows no locks
    the folder is anybody's.

    Attributes:
        folder: made if it was missing.
    """

    def __init__(self, folder: Path, handle: int, made: List[Path]):
        self.folder, self._handle, self._made = folder, handle, made
        _HELD.add(handle)

    @classmethod
    def take(cls, folder: Path) -> Optional[FolderLock]:
        """Return the lock of a folder, ``None`` if another has it.

        Raises:
            OSError: if the folder cannot be made or written to.
        """
        made: List[Path] = []
        for attempt in range(_ATTEMPTS):
            made += [one for one in (folder, *folder.parents) if not one.exists()]
            try:
                folder.mkdir(parents=True, exist_ok=True)
                handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o666)
            except (FileNotFoundError, FileExistsError):  # taken away in between
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            if not _try_lock(handle):
                os.close(handle)
                return None
            # Otherwise the file was removed after it was opened: this is the lock of nothing.
            if _is_at(handle, folder / NAME):
                return cls(folder, handle, made)
            os.close(handle)
        return None

    def release(self) -> None:
        """Give the lock back; take away the folders that were made for it and are empty."""
        if self._handle not in _HELD:
            return  # a forked child's
        with contextlib.suppress(OSError):
            if _is_at(self._handle, self.folder / NAME):
                (self.folder / NAME).unlink()
            for folder in self._made:
                folder.rmdir()
        _HELD.discard(self._handle)
        os.close(self._handle)

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_) -> None:
        self.release()


def _try_lock(handle: int) -> bool:
    """Lock an open file; return whether nobody else has."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here, as on some network file systems
        return True
    return True


def _is_at(handle: int, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(path))
    return False


def _let_go() -> None:
    """Close a forked child's copies, which would keep the locks when the parent is killed."""
    for handle in _HELD:
        os.close(handle)
    _HELD.clear()


os.register_at_fork(after_in_child=_let_go)
