"""A pool of processes of this program, where there is no MPI."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

from .errors import StageError
from .tasks import (
    GRACE,
    ORPHANED,
    THREAD_VARIABLES,
    Clock,
    Failure,
    Report,
    Task,
    death,
    fft_share,
    load_task,
    task_name,
)


class ProcessExecutor:
    """Deals the tasks to processes as they become free; see `tasks.Executor`.

    Parameters
    ----------
    workers : int
        Number of processes; they start with the first plan and stay until `close`.
    patience : float
        s; see `tasks.Clock`.
    """

    def __init__(self, workers: int, *, patience: float = 300.0) -> None:
        self.workers = workers
        self._patience = patience
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._connections: list[Connection] = []
        self._coming_up: set[int] = set()

    @property
    def name(self) -> str:
        """What to call it in the record."""
        return f"{self.workers} processes"

    def map(self, function: Task, folder: Path, count: int, *,
            progress: Report | None = None, patience: float | None = None) -> None:
        """Run the tasks in the pool; see `tasks.Executor.map`."""
        name = task_name(function)
        if not self._processes:
            self._start()
        try:
            clock = Clock(max(self._patience, patience or 0.0))
            self._deal(name, folder, count, clock, progress)
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
            for _ in range(self.workers):
                here, there = context.Pipe()
                process = context.Process(target=_serve, args=(there, self.workers), daemon=True)
                process.start()
                there.close()
                self._processes.append(process)
                self._connections.append(here)
        self._coming_up = set(range(self.workers))

    def _deal(self, name: str, folder: Path, count: int, clock: Clock,
              progress: Report | None) -> None:
        """Give each process a task, and the next one when it is done."""
        given = done = 0
        free = [worker for worker in range(self.workers) if worker not in self._coming_up]
        while done < count:
            while free and given < count:
                worker = free.pop()
                self._send(worker, (name, str(folder), given))
                clock.started(worker, given)
                given += 1
            for worker in self._answers(clock):
                free.append(worker)
                if worker in self._coming_up:
                    self._coming_up.remove(worker)
                else:
                    clock.finished(worker)
                    done += 1
            if progress is not None:
                progress(done / count)

    def _answers(self, clock: Clock) -> list[int]:
        """The workers that are up or done; StageError when one failed, died or is silent."""
        working = {*clock.busy, *self._coming_up}
        ready = wait([*(self._connections[worker] for worker in working),
                      *(process.sentinel for process in self._processes)], timeout=0.1)
        answered = [worker for worker in sorted(working) if self._connections[worker] in ready]
        for worker in answered:
            try:
                answer: dict[str, Any] | None = self._connections[worker].recv()
            except (EOFError, OSError):
                raise self._died(worker) from None
            if answer is not None:
                failure = Failure.from_dict(answer)
                raise replace(failure, worker=self._called(worker),
                              task=clock.busy[worker][0]).error()
        dead = [number for number, process in enumerate(self._processes)
                if process.sentinel in ready]
        if dead and not answered:
            raise self._died(dead[0])
        late = clock.overdue()
        if late is not None:
            worker, task, seconds = late
            raise StageError(f"{self._called(worker)} has been silent for {seconds:.0f} s "
                             f"in task {task}; the longest other task took {clock.longest:.1f} s; "
                             "see whether its disk answers, and run it again")
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
        return StageError(f"{self._called(worker)} {death(process.exitcode)}; "
                          "use fewer processes with -np if memory is short")

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


def _serve(connection: Connection, workers: int) -> None:
    """What a process of the pool does: a task at a time, until told to end or orphaned."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with fft_share(workers), contextlib.suppress(EOFError, OSError):
        connection.send(None)
        while (message := connection.recv()) is not None:
            name, folder, index = message
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
