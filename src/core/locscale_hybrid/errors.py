"""Errors a person can meet, and what the program ends with.

The core raises these; `cli.py` turns them into one line and an exit code, the ChimeraX command
into a `UserError`.  A message states fact, numbers and remedy.
"""


_LONGEST = 1000  # letters of a message


class LocScaleError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 3
    code = "failed"

    def __str__(self) -> str:
        """The message on one line; what was typed or read may hold anything."""
        text = "".join(letter if letter.isprintable() else " " for letter in super().__str__())
        if len(text) <= _LONGEST:
            return text
        return f"{text[:_LONGEST // 2]} … {text[-_LONGEST // 2:]}"


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
