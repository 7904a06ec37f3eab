"""The errors that stand for a user's mistake.

Every such error derives from :class:`DkprError`. The command lines print its message as one line
and exit with status 2; everything else that escapes is a bug and keeps its traceback.
"""


class DkprError(Exception):
    """Base of all errors that say what was wrong, what was found and what was expected."""
