"""The one process that does the work: which Python, its JSON lines, how it ends."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..session_types import Json

_SECONDS_TO_END = 5.0
_SECONDS_FOR_LINES = 5.0  # from the end of the child to the last that it said


def python_of_application() -> Path | None:
    """Path of ChimeraX's Python: inside it `sys.executable` is the application itself.

    None where this ChimeraX does not say, or names a program that is not there; the core then
    looks for itself.
    """
    try:
        from chimerax.core.python_utils import chimerax_python_executable
    except ImportError:
        return None
    path = Path(chimerax_python_executable())
    return path if os.access(path, os.X_OK) else None


def application_folder() -> Path:
    """Folder of the application; libraries in it are not for the child's library path."""
    return Path(os.path.realpath(sys.executable)).parent.parent


class Child:
    """A core that loads its libraries, and from `begin` on works on a job file.

    Its JSON lines come out of `events`; `stop` ends it and all that it started.
    """

    def __init__(self, job_file: Path, errors: Path, scratch: Path) -> None:
        from locscale_hybrid.parallel.processes import python_executable, start_core

        self._errors = errors
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()  # None: the end
        self.process = start_core(
            job_file,
            python=python_executable(python_of_application()),
            application=application_folder(),
            errors=errors,
            scratch=scratch,
            hold=True,
        )
        # A thread of its own: a grandchild may hold the pipe open after the child has ended.
        threading.Thread(target=self._read, daemon=True).start()

    def begin(self) -> None:
        """Have it read the job file: all that the file names is there."""
        from locscale_hybrid.parallel.processes import release_core

        release_core(self.process)

    def events(self, stop_requested: Callable[[], bool]) -> Iterator[Json]:
        """Yield the events until the child ends or `stop_requested()` is true.

        Lines that are no JSON object are left out: a library may print.
        """
        ended = None
        while not stop_requested():
            try:
                line = self._lines.get(timeout=0.1)
            except queue.Empty:
                # On a busy machine the child may be gone before all its lines have been read.
                if ended is None and self.process.poll() is not None:
                    ended = time.monotonic()
                if ended is not None and time.monotonic() - ended > _SECONDS_FOR_LINES:
                    return
                continue
            if line is None:
                return
            event = _event(line)
            if event is not None:
                yield event

    def end(self) -> int:
        """Return the exit code of a child whose output has ended."""
        try:
            return self.process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return self.stop()

    def stop(self) -> int:
        """End the child, which ends its ranks; return its exit code."""
        from locscale_hybrid.parallel.processes import stop_core

        return stop_core(self.process)

    def last_words(self, lines: int = 3) -> str:
        """Return the last lines that it wrote on stderr."""
        try:
            text = self._errors.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        said = [line.strip() for line in text.splitlines() if line.strip()]
        return " | ".join(said[-lines:])

    def _read(self) -> None:
        """Take lines as they come."""
        stream = self.process.stdout
        assert stream is not None  # start_core opens it
        with stream:
            for line in stream:
                self._lines.put(line)
        self._lines.put(None)


def describe_end(code: int) -> str:
    """Say how a child ended that did not say it itself."""
    if code < 0:
        hint = " (out of memory?)" if code == -9 else ""
        return f"it was killed by signal {-code}{hint}"
    return f"it ended with exit code {code} and no result"


def _event(line: bytes) -> Json | None:
    """Parse the JSON object of a line; None if it is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
