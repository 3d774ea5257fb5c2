"""A pool of processes of this program, where there is no MPI; and how any worker is started."""

import contextlib
import json
import logging
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..errors import StageError
from ..findings import Finding
from ..remedies import give
from .dealing import Message, deal, lines_of
from .patience import PATIENCE
from .processes import PACKAGES, child_environment, python_executable, start, stop
from .tasks import GRACE, Closing, Report, Task, death

log = logging.getLogger(__name__)

_MODULE = "locscale_hybrid.parallel.worker"
_WAIT = 0.1  # s
_LINES_KEPT = 100


def worker_words(folder: Path, workers: int, number: int | str, patience: float) -> list[str]:
    """Return the command line of a worker; see `worker`."""
    words = [python_executable(), "-P", "-m", _MODULE, folder, workers, number, patience]
    return [str(word) for word in words]


class Child:
    """A program that exchanges JSON lines with this one, read by a thread.

    Parameters
    ----------
    words : list of str
    function : callable
        A task; the program must find its package too.
    number : int
        Goes with what it says.
    said : queue
        Where its messages go.
    variables : dict of str to str, optional
        Defaults of its environment.
    errors : Path, optional
        File for what it writes on stderr; None: where this process writes.
    """

    def __init__(
        self,
        words: list[str],
        function: Task,
        number: int,
        said: "queue.SimpleQueue[tuple[int, Message]]",
        *,
        variables: dict[str, str] | None = None,
        errors: Path | None = None,
    ) -> None:
        environment = child_environment(os.environ, packages=(*PACKAGES, function.__module__))
        pipe = subprocess.PIPE
        self.process = start(
            words, (variables or {}) | environment, stdin=pipe, output=pipe, errors=errors
        )
        self.other_lines: list[str] = []
        self._number, self._said = number, said
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, message: Message) -> None:
        """Write a message; to one that is gone it makes no difference."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def has_ended(self) -> bool:
        """Test whether it is gone; its last messages are there then."""
        if self.process.poll() is None:
            return False
        self._reader.join(1.0)
        return True

    def end(self, grace: float) -> None:
        """Ask it to end, wait, then make it end; not for what others hold open."""
        self.send({"finish": True})
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(grace)
        stop(self.process, 0.0 if grace == 0 else GRACE)
        self._reader.join(1.0)

    def _read(self) -> None:
        """Take lines as they come."""
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in lines_of(stream.fileno()):
                try:
                    message = json.loads(line)
                except ValueError:
                    message = None
                if isinstance(message, dict):
                    self._said.put((self._number, message))
                elif len(self.other_lines) < _LINES_KEPT:
                    self.other_lines.append(line.decode(errors="replace").strip())


class ProcessExecutor(Closing):
    """Deals the tasks to processes as they become free; see `tasks.Executor`.

    Parameters
    ----------
    workers : int
        Number of processes; they start with the first plan and stay until `close`.
    scratch : Path, optional
        A folder that a `FolderKeeper` keeps: it ends them when this process is killed.
    patience : float
        s; see `patience.Watch`.
    found : callable, optional
        Told of a process that does not respond.
    """

    def __init__(
        self,
        workers: int,
        *,
        scratch: Path | None = None,
        patience: float = PATIENCE,
        found: Callable[[Finding], None] | None = None,
    ) -> None:
        self.workers, self.patience = workers, patience
        self.found = found or (lambda finding: log.warning(finding.message))
        self.free: set[int] = set()
        self._scratch = scratch or Path(os.devnull)
        self._children: list[Child] = []
        self._said: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()

    @property
    def name(self) -> str:
        """What to call it in the record."""
        return f"{self.workers} processes"

    def map(
        self,
        function: Task,
        folder: Path,
        count: int,
        *,
        progress: Report | None = None,
        patience: float | None = None,
    ) -> None:
        """Run the tasks in the pool; see `tasks.Executor.map`."""
        try:
            for number in range(len(self._children), self.workers):
                words = worker_words(self._scratch, self.workers, number, self.patience)
                self._children.append(Child(words, function, number, self._said))
            deal(self, function, folder, count, progress=progress, patience=patience)
        except BaseException:
            self._end(0.0)
            raise

    def called(self, worker: int) -> str:
        """Return what to call a worker in a message."""
        return f"process {worker + 1} of {self.workers}"

    def send(self, worker: int, message: Message) -> None:
        """Give a worker a message."""
        self._children[worker].send(message)

    def answers(self) -> list[tuple[int, Message]]:
        """Wait a moment for what workers say; StageError when one of them is gone."""
        try:
            return [self._said.get(timeout=_WAIT)]
        except queue.Empty:
            gone = [number for number, child in enumerate(self._children) if child.has_ended()]
        if gone and self._said.empty():
            raise StageError(
                f"{self.called(gone[0])} {death(self._children[gone[0]].process.returncode)}",
                give("processes", "fewer processes", when="if memory is short"),
            )
        return []

    def close(self) -> None:
        """End the processes: ask, wait 3 s, kill."""
        self._end(GRACE)

    def _end(self, grace: float) -> None:
        """Ask the processes to end, then end what is left after `grace` s."""
        deadline = time.monotonic() + grace
        for child in self._children:
            child.send({"finish": True})
            if grace == 0:
                child.process.kill()
        for child in self._children:
            child.end(max(0.0, deadline - time.monotonic()))
        self._children, self.free, self._said = [], set(), queue.SimpleQueue()
