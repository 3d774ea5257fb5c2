"""Errors a person can meet, and what the program ends with.

The core raises these; `cli` turns them into one line and an exit code, the ChimeraX command
into a `UserError`.  A message states fact, numbers and remedy.
"""

import errno

MEMORY = "there is not enough memory: use fewer processes with -np, or crop the maps"
THREADS = (
    "no further thread can be started: use fewer processes with -np, or raise the limits of "
    "memory and processes"
)
_NO_ROOM = ("failed to map segment", "Cannot allocate memory")  # what loaders of libraries say

_LONGEST = 1000  # letters of a message


class LocScaleError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 3
    code = "failed"

    def __str__(self) -> str:
        """Return the message on one line; what was typed or read may contain anything."""
        text = "".join(letter if letter.isprintable() else " " for letter in super().__str__())
        if len(text) <= _LONGEST:
            return text
        return f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


class InputError(LocScaleError):
    """The input or an argument cannot be used; nothing has been written."""

    exit_code = 2
    code = "input"


class StageError(LocScaleError):
    """A stage failed on input that had passed the checks."""


class Cancelled(LocScaleError):
    """The run was told to stop."""

    exit_code = 130
    code = "cancelled"


def shortage(error: BaseException) -> str | None:
    """Word an exception that means a lack of memory or of threads; None for others."""
    if isinstance(error, OSError):
        return MEMORY if error.errno == errno.ENOMEM else None
    if isinstance(error, MemoryError) or (
        isinstance(error, ImportError) and any(words in str(error) for words in _NO_ROOM)
    ):
        return MEMORY
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return THREADS
    return None
