"""A pool of processes of this program, where there is no MPI."""

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

from ..errors import StageError
from ..findings import Finding
from .patience import Clock, Heart, Watch, life_file
from .tasks import GRACE, ORPHANED, Failure, Report, Task, death, load_task, task_name
from .threads import THREAD_VARIABLES, fft_share

log = logging.getLogger(__name__)


class ProcessExecutor:
    """Deals the tasks to processes as they become free; see `tasks.Executor`.

    Parameters
    ----------
    workers : int
        Number of processes; they start with the first plan and stay until `close`.
    patience : float
        s; see `patience.Clock`.
    found : callable, optional
        Told of a process that does not respond.
    """

    def __init__(
        self,
        workers: int,
        *,
        patience: float = 300.0,
        found: Callable[[Finding], None] | None = None,
    ) -> None:
        self.workers = workers
        self._found = found or (lambda finding: log.warning(finding.message))
        self._patience = patience
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._connections: list[Connection] = []
        self._coming_up: set[int] = set()

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
        name = task_name(function)
        if not self._processes:
            self._start()
        try:
            clock = Clock(max(self._patience, patience or 0.0))
            watch = Watch(
                clock,
                folder,
                limit=self._patience,
                workers=self.workers,
                called=self._called,
                found=self._found,
                remedy="see whether its disk answers, and run it again",
            )
            self._deal(name, folder, count, watch, progress)
        except BaseException:
            self._end(0.0)
            raise

    def close(self) -> None:
        """End the processes: ask, wait 3 s, kill."""
        self._end(GRACE)

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()

    def _start(self) -> None:
        """Start the processes with one BLAS thread each, deaf to Ctrl-C from the terminal."""
        context = multiprocessing.get_context("spawn")
        with _environment_of_children(), _interrupts_held():
            for number in range(self.workers):
                here, there = context.Pipe()
                process = context.Process(
                    target=_serve, args=(there, self.workers, number), daemon=True
                )
                process.start()
                there.close()
                self._processes.append(process)
                self._connections.append(here)
        self._coming_up = set(range(self.workers))

    def _deal(
        self, name: str, folder: Path, count: int, watch: Watch, progress: Report | None
    ) -> None:
        """Give each process a task, and the next one when it is done."""
        given, done, clock = 0, 0, watch.clock
        free = [worker for worker in range(self.workers) if worker not in self._coming_up]
        while done < count:
            while free and given < count:
                worker = free.pop()
                self._send(worker, (name, str(folder), given))
                clock.started(worker, given)
                given += 1
            for worker in self._answers(watch):
                free.append(worker)
                if worker in self._coming_up:
                    self._coming_up.remove(worker)
                else:
                    clock.finished(worker)
                    done += 1
            if progress is not None:
                progress(done / count)

    def _answers(self, watch: Watch) -> list[int]:
        """The workers that are up or done; StageError when one failed, died or is silent."""
        clock = watch.clock
        working = {*clock.busy, *self._coming_up}
        ready = wait(
            [
                *(self._connections[worker] for worker in working),
                *(process.sentinel for process in self._processes),
            ],
            timeout=0.1,
        )
        answered = [worker for worker in sorted(working) if self._connections[worker] in ready]
        for worker in answered:
            try:
                answer: dict[str, Any] | None = self._connections[worker].recv()
            except (EOFError, OSError):
                raise self._died(worker) from None
            if answer is not None:
                failure = Failure.from_dict(answer)
                raise replace(
                    failure, worker=self._called(worker), task=clock.busy[worker][0]
                ).error()
        dead = [
            number for number, process in enumerate(self._processes) if process.sentinel in ready
        ]
        if dead and not answered:
            raise self._died(dead[0])
        late = watch.late()
        if late is not None and late[0] not in answered:
            raise StageError(late[1])
        return answered

    def _send(self, worker: int, message: tuple[str, str, int]) -> None:
        """Send a task; StageError when the process is gone."""
        try:
            self._connections[worker].send(message)
        except OSError:
            raise self._died(worker) from None

    def _called(self, worker: int) -> str:
        """What to call a worker in a message."""
        return f"process {worker + 1} of {self.workers}"

    def _died(self, worker: int) -> StageError:
        """The sentence about a process that is gone."""
        process = self._processes[worker]
        process.join(1.0)
        return StageError(
            f"{self._called(worker)} {death(process.exitcode)}; "
            "use fewer processes with -np if memory is short"
        )

    def _end(self, grace: float) -> None:
        """Ask the processes to end, then kill what is left after `grace` s."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.send(None)
        deadline = time.monotonic() + grace
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
        for process in self._processes:
            if process.is_alive():
                process.kill()
        for process, connection in zip(self._processes, self._connections, strict=True):
            process.join()
            connection.close()
        self._processes, self._connections, self._coming_up = [], [], set()


def _serve(connection: Connection, workers: int, number: int) -> None:
    """What a process of the pool does: a task at a time, until told to end or orphaned."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    heart = Heart(workers)
    with fft_share(workers), contextlib.suppress(EOFError, OSError):
        connection.send(None)
        while (message := connection.recv()) is not None:
            name, folder, index = message
            heart.beat_in(life_file(Path(folder), number))
            try:
                load_task(name)(Path(folder), index)
            except BaseException as error:  # SystemExit too: whatever it is, the parent must know
                connection.send(Failure.of(error, "").as_dict())
            else:
                connection.send(None)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(ORPHANED)


@contextlib.contextmanager
def _environment_of_children() -> Iterator[None]:
    """Children started within it have one BLAS thread, and no modules of the current folder.

    They are started with ``-c``, for which Python looks there first: a signal.py of the user would
    be run in place of Python's own.
    """
    settings = dict.fromkeys((*THREAD_VARIABLES, "PYTHONSAFEPATH"), "1")
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Children started within it do not see Ctrl-C while they come up."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its own start would let the signal through
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
