"""What every command line shares: one line and exit status 2 for a user's mistake."""

from __future__ import annotations

import argparse
import errno
import io
import os
import shlex
import sys
from typing import Callable, NoReturn, Optional, Sequence

from gluon_dkpr.errors import DkprError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a flag's default unless it is none or its help says what it is."""

    def _get_help_string(self, action):
        if action.default is None or "(default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line and shows every default."""

    def __init__(self, description: str, **kwargs):
        super().__init__(
            description=description,
            formatter_class=_Formatter,
            allow_abbrev=False,
            **kwargs,
        )

    def _get_values(self, action, arg_strings):
        # Python up to 3.11 makes an empty list of the value of --flag=--.
        if action.option_strings and action.nargs is None and arg_strings == ["--"]:
            raise argparse.ArgumentError(action, "found '--', expected a value")
        return super()._get_values(action, arg_strings)

    def check_file(self, flag: str, path: Optional[str]) -> None:
        """Exit as :meth:`error` does if no file can be written there, before the work is done."""
        if path is not None and os.path.isdir(path):
            self.error(f"{flag} {path}: is a folder, expected a file")
        folder = os.path.dirname(path or "") or "."
        if not os.path.isdir(folder):
            self.error(f"{flag} {path}: no folder {folder}")

    def error(self, message: str) -> NoReturn:
        """Print ``message`` and where to find help, exit with status 2."""
        one_line = " ".join(message.split())
        self.exit(EXIT_USER_ERROR, f"{self.prog}: error: {one_line} (--help explains the flags)\n")


def command_line(tool: str, arguments: Optional[Sequence[str]] = None) -> str:
    """Return what a user types to run a tool again, for pages that say how they were made.

    Args:
        tool: its path from the repository's top.
        arguments: that it was called with (default: those of this process).
    """
    return shlex.join(["python", tool, *(sys.argv[1:] if arguments is None else arguments)])


def run(main: Callable[[], Optional[int]]) -> NoReturn:
    """Call ``main`` and exit: its status, 2 for a user's mistake, 130 for Ctrl-C, 143 for SIGTERM.

    A :class:`~gluon_dkpr.errors.DkprError`, and an ``OSError`` that names a file or a full disk,
    become one line on standard error. Any other exception is a bug and keeps its traceback.
    What the terminal's encoding lacks, as names of files may, is printed as Python escapes it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = main() or 0
    except DkprError as error:
        status = _report(str(error))
    except KeyboardInterrupt as request:
        print(f"{_program()}: interrupted", file=sys.stderr)
        # A run that SIGTERM has ended in good order says so.
        status = getattr(request, "status", EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output went away; Python would complain again at shutdown.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        where = f"{error.filename}: " if error.filename else ""
        status = _report(f"{where}{error.strerror}")
    sys.exit(status)


def _report(message: str) -> int:
    print(f"{_program()}: error: {' '.join(message.split())}", file=sys.stderr)
    return EXIT_USER_ERROR


def _program() -> str:
    return os.path.basename(sys.argv[0]) or "gluon_dkpr"
