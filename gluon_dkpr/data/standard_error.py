"""What C libraries say on standard error, kept from the terminal and read."""

from __future__ import annotations

import os
import tempfile

# Of messages that came at once; a damaged video can bring a megabyte with one frame.
_MOST_BYTES = 1 << 16


class StandardError:
    """Sends standard error, also that of C libraries, to a file while its blocks run.

    It can be entered again after it was left. :meth:`close` it in the end.
    """

    def __init__(self):
        handle, name = tempfile.mkstemp()
        os.unlink(name)
        self._file = handle
        self._read = 0

    def __enter__(self) -> StandardError:
        self._saved = os.dup(2)
        os.dup2(self._file, 2)
        return self

    def __exit__(self, *_) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)

    def close(self) -> None:
        """Forget what was written."""
        os.close(self._file)

    def skip(self) -> None:
        """Take what has been written so far as read."""
        self._read = os.fstat(self._file).st_size

    def new_lines(self) -> list:
        """Return the lines written since the last call."""
        size = os.fstat(self._file).st_size
        if size == self._read:
            return []
        content = os.pread(self._file, min(size - self._read, _MOST_BYTES), self._read)
        self._read = size
        return content.decode("utf-8", "replace").strip().split("\n")

    def text(self) -> str:
        """Return all that was written, the first 4 kB of it."""
        return os.pread(self._file, 4096, 0).decode("utf-8", "replace")


def quoted(text: str) -> str:
    """Return the first line of a message in quotes, after a blank; nothing of nothing."""
    line = text.strip().split("\n")[0]
    # Without the address of the decoder's memory.
    line = line.rpartition("] ")[2]
    return f" '{line:.80}'" if line else ""
