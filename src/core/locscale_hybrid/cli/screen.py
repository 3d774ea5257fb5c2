"""What a run shows while it goes: a bar, plain lines, or one JSON object a line."""

import contextlib
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

from ..errors import LocScaleError
from ..findings import Finding
from ..progress import Listener
from .words import COMMAND_LINE

_BAR_EVERY = 0.2  # s
_STEP = 0.1  # share of the run between two plain lines
_NARROWEST = 20  # columns; what a terminal says of itself may be anything


class Screen(Listener, Protocol):
    """A listener that also shows what is said before, after and in place of the work."""

    def message(self, text: str) -> None:
        """Print one line of plain text."""

    def event(self, kind: str, /, **values: object) -> None:
        """Something for programs that read along."""

    def result(
        self, paths: dict[str, Path], summary: Sequence[tuple[str, str]], seconds: float
    ) -> None:
        """Show that the run is done."""

    def error(self, error: LocScaleError) -> None:
        """Show why the run failed; called once, last."""

    def close(self) -> None:
        """Leave the terminal in order."""


class Lines:
    """Plain lines, for a file or a pipe.

    Parameters
    ----------
    output, errors : text streams
    """

    def __init__(self, output: TextIO, errors: TextIO) -> None:
        self._output, self._errors = output, errors
        self._stage, self._next = "", _STEP

    def stage(self, name: str, index: int, of: int) -> None:
        """Print a line for every stage."""
        self._stage = f"{index}/{of} {name}"
        self.message(self._stage)

    def fraction(self, done: float) -> None:
        """Print a line for every tenth of the run."""
        if done + 1e-9 >= self._next:
            self._next = _STEP * (int(done / _STEP + 1e-9) + 1)
            self.message(f"{100 * done:3.0f} %")

    def finding(self, finding: Finding) -> None:
        """Print a line that begins with the level."""
        self.message(f"{finding.level}: {finding.worded(COMMAND_LINE)}")

    def message(self, text: str) -> None:
        """Print a line."""
        self._write(self._output, text + "\n")

    def event(self, kind: str, /, **values: object) -> None:
        """Do nothing: a person reads."""

    def result(
        self, paths: dict[str, Path], summary: Sequence[tuple[str, str]], seconds: float
    ) -> None:
        """Print the numbers that a person reads first, and where everything is."""
        self.message(f"done in {duration(seconds)}")
        rows = [*summary, *((name, str(path)) for name, path in paths.items())]
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self.message(self._row(f"  {name:{width}}  ", value))
        if "map" in paths:
            self.message(f'in ChimeraX: open "{paths.get("script", paths["map"])}"')

    def error(self, error: LocScaleError) -> None:
        """Print one line on stderr."""
        self._write(self._errors, f"locscale: {error.worded(COMMAND_LINE)}\n")

    def close(self) -> None:
        """Do nothing."""

    def _row(self, name: str, value: str) -> str:
        """Print a line of the table at the end."""
        return name + value

    def _write(self, stream: TextIO, text: str) -> None:
        """Write at once; a reader that has gone away does not end the run."""
        try:
            stream.write(text)
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                _discard(stream.fileno())


class Bar(Lines):
    """A progress bar for a terminal; findings and messages are lines above it."""

    def __init__(self, output: TextIO, errors: TextIO) -> None:
        super().__init__(output, errors)
        self._begin = time.monotonic()
        self._drawn, self._shown, self._done = -1.0, False, 0.0

    def stage(self, name: str, index: int, of: int) -> None:
        """Show the stage in the bar."""
        self._stage = f"{index}/{of} {name}"
        self._draw()

    def fraction(self, done: float) -> None:
        """Move the bar, not more than a few times a second."""
        self._done = done
        if time.monotonic() - self._drawn > _BAR_EVERY:
            self._draw()

    def message(self, text: str) -> None:
        """Print a line above the bar."""
        self._clear()
        super().message(text)

    def error(self, error: LocScaleError) -> None:
        """Remove the bar and print one line on stderr."""
        self._clear()
        super().error(error)

    def close(self) -> None:
        """Take the bar away."""
        self._clear()

    def _row(self, name: str, value: str) -> str:
        """Print a line of the table, its words wrapped under each other; paths stay whole."""
        width = max(_columns(), len(name) + _NARROWEST)
        return textwrap.fill(
            name + value,
            width,
            subsequent_indent=" " * len(name),
            break_long_words=False,
            break_on_hyphens=False,
        )

    def _draw(self) -> None:
        """Draw the bar over itself."""
        self._drawn, self._shown = time.monotonic(), True
        width = _columns()
        clock = int(time.monotonic() - self._begin)
        tail = f" {100 * self._done:3.0f} %  {clock // 60}:{clock % 60:02}  {self._stage}"
        cells = max(width - 2 - max(len(tail), 32), 5)
        filled = round(cells * self._done)
        text = f"[{'#' * filled}{'.' * (cells - filled)}]{tail}"[:width]
        self._write(self._output, f"\r{text:{width}}")

    def _clear(self) -> None:
        """Overwrite the bar with blanks."""
        if self._shown:
            self._shown = False
            self._write(self._output, "\r" + " " * _columns() + "\r")


class JsonLines:
    """One JSON object a line on a stream; each line is one write.

    Parameters
    ----------
    descriptor : int
        Of the stream that a program reads.
    errors : text stream
        Where a person finds the sentence about a failure.
    """

    def __init__(self, descriptor: int, errors: TextIO) -> None:
        self._descriptor, self._errors = descriptor, errors
        self._last = -1.0

    def stage(self, name: str, index: int, of: int) -> None:
        """Report that a stage begins."""
        self.event("stage", name=name, index=index, of=of)

    def fraction(self, done: float) -> None:
        """Report every thousandth of the run."""
        if done - self._last >= 0.001 or (done >= 1.0 > self._last):
            self._last = done
            self.event("progress", fraction=round(done, 4))

    def finding(self, finding: Finding) -> None:
        """Report a finding with its numbers."""
        values = finding.as_dict()
        self.event("finding", **{**values, "message": finding.worded(COMMAND_LINE)})

    def message(self, text: str) -> None:
        """Plain text, which readers may show or leave out."""
        self.event("message", message=text)

    def event(self, kind: str, /, **values: object) -> None:
        """Write one object."""
        line = json.dumps({"event": kind, **values}, default=str) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            _discard(self._descriptor)

    def result(
        self, paths: dict[str, Path], summary: Sequence[tuple[str, str]], seconds: float
    ) -> None:
        """Paths by name, and the numbers that a person reads first."""
        files: dict[str, Any] = {name: str(path) for name, path in paths.items()}
        self.event(
            "result", **files, summary=[list(row) for row in summary], seconds=round(seconds, 1)
        )

    def error(self, error: LocScaleError) -> None:
        """Report the fact and the remedies, and print a line on stderr."""
        message = error.worded(COMMAND_LINE)
        remedies = [remedy.as_dict() for remedy in error.remedies]
        self.event("error", code=error.code, message=message, fact=error.fact, remedies=remedies)
        try:
            self._errors.write(f"locscale: {message}\n")
            self._errors.flush()
        except (OSError, ValueError):
            return

    def close(self) -> None:
        """Do nothing."""


def screen_for(kind: str | None, output: TextIO, errors: TextIO) -> Screen:
    """Make the screen for ``--progress kind``; None: a bar on a terminal, else lines."""
    if kind == "json":
        return JsonLines(output.fileno(), errors)
    if kind == "bar" or (kind is None and output.isatty() and os.environ.get("TERM") != "dumb"):
        return Bar(output, errors)
    return Lines(output, errors)


def open_streams() -> None:
    """Give this process the streams that it was started without, as by cron or ``>&-``.

    Python has None in their place, and the next file that is opened would get their number: what
    is then written to "standard output", by a child for one, would go into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
            os.set_inheritable(descriptor, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _columns() -> int:
    """Columns of the terminal that are used; one at least, whatever COLUMNS says."""
    return max(min(shutil.get_terminal_size().columns, 80) - 1, 1)


def duration(seconds: float) -> str:
    """Format a time in the unit that a person would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _discard(descriptor: int) -> None:
    """Let everything written to a stream that nobody reads any more go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
