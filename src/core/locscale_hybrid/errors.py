"""Errors a person can meet, and what the program ends with.

The core raises these; `cli` turns them into one line and an exit code, the ChimeraX command
into a `UserError`.  An error states a fact with its numbers, and carries what to do as data.
"""

import errno

from .remedies import PYTHON, Remedy, Words, do, give

_NO_ROOM = ("failed to map segment", "Cannot allocate memory")  # what loaders of libraries say

_LONGEST = 1000  # letters of a message


class LocScaleError(Exception):
    """Base of every error that this package raises on purpose.

    Parameters
    ----------
    fact : str
        What is wrong, with values and units; it names nothing of a front end.
    *remedies : Remedy
        What to do, the likeliest first.
    """

    exit_code = 3
    code = "failed"

    def __init__(self, fact: str, *remedies: Remedy) -> None:
        super().__init__(fact, *remedies)
        self.fact, self.remedies = fact, remedies

    def __str__(self) -> str:
        """Word the error for the Python interface."""
        return self.worded(PYTHON)

    def worded(self, words: Words) -> str:
        """Word the error for a front end, on one line; what was typed or read may hold anything."""
        message = words.sentence(self.fact, self.remedies)
        text = "".join(letter if letter.isprintable() else " " for letter in message)
        if len(text) <= _LONGEST:
            return text
        return f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


class InputError(LocScaleError):
    """The input or an argument cannot be used; nothing has been written."""

    exit_code = 2
    code = "input"


class StageError(LocScaleError):
    """A stage failed on input that had passed the checks."""


class ShortageError(StageError):
    """Memory or threads are short; a system's own error means so."""

    code = "memory"


class Cancelled(LocScaleError):
    """The run was stopped."""

    exit_code = 130
    code = "cancelled"


def shortage(error: BaseException) -> ShortageError | None:
    """Return what an exception that means a lack of memory or of threads says, else None."""
    fewer = give("processes", "fewer processes")
    memory = ShortageError("there is not enough memory", fewer, do("crop the maps"))
    if isinstance(error, OSError):
        return memory if error.errno == errno.ENOMEM else None
    if isinstance(error, MemoryError) or (
        isinstance(error, ImportError) and any(words in str(error) for words in _NO_ROOM)
    ):
        return memory
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return ShortageError(
            "no further thread can be started",
            fewer,
            do("raise the limits of memory and processes"),
        )
    return None
