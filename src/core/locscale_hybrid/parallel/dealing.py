"""Deal the tasks of a plan to workers, and do them: the one way for processes and for MPI ranks.

A worker says that it is free and gets a task; it says so again when the task is done, or what went
wrong.  Nothing is handed out ahead, so the two never disagree about who has what, and tasks go to
whoever is free first.  Which worker does a task changes no byte: a task reads the plan, which is
cut the same way always, and writes into its own slot.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..errors import StageError
from ..findings import Finding
from ..remedies import give
from .patience import Heart, Watch, life_file, stamp_in
from .tasks import Failure, Report, Task, load_task, task_name
from .threads import fft_share

Message = dict[str, Any]  # JSON values
OVER: Message = {"over": True}  # there is no further task of this plan


class Crew(Protocol):
    """The workers that tasks are dealt to.

    Attributes
    ----------
    workers : int
    free : set of int
        Those that wait for a task.
    patience : float
        s; see `patience.Watch`.
    found : callable
        Told of a worker that does not respond.
    """

    workers: int
    free: set[int]
    patience: float
    found: Callable[[Finding], None]

    def called(self, worker: int) -> str:
        """Return what to call a worker in a message."""

    def send(self, worker: int, message: Message) -> None:
        """Give a worker a message."""

    def answers(self) -> list[tuple[int, Message]]:
        """Wait a moment for what workers say; StageError when one of them is gone."""


def deal(
    crew: Crew,
    function: Task,
    folder: Path,
    count: int,
    *,
    progress: Report | None,
    patience: float | None,
) -> None:
    """Have the workers do the tasks of a plan; see `tasks.Executor.map`.

    Raises
    ------
    StageError
        If a task fails, or a worker is gone or silent for too long.
    """
    plan = {"function": task_name(function), "folder": str(folder), "patience": crew.patience}
    watch = Watch(
        stamp_in(folder),
        crew.workers,
        called=crew.called,
        found=crew.found,
        patience=crew.patience,
        for_task=patience,
    )
    given = done = 0
    try:
        while done < count:
            for worker in sorted(crew.free)[: count - given]:
                crew.free.remove(worker)
                watch.began(worker, given)
                crew.send(worker, plan | {"task": given})
                given += 1
            answers = crew.answers()
            crew.free.update(worker for worker, _ in answers)  # all: a failure ends the loop below
            for worker, answer in answers:
                if answer:
                    raise replace(Failure.from_dict(answer), worker=crew.called(worker)).error()
                done += watch.ended(worker)  # not where it has just come up
            watch.look()
            if progress is not None:
                progress(done / count)
    finally:
        for worker in range(crew.workers):
            crew.send(worker, OVER)


class Dealer(Protocol):
    """A worker's side: whoever deals to it."""

    def receive(self) -> Message | None:
        """Wait for a message; None when there will be no more."""

    def send(self, message: Message) -> None:
        """Say what became of a task."""


def serve(dealer: Dealer, number: int, workers: int) -> None:
    """Do tasks, one at a time, until the dealer lets go."""
    heart = Heart(workers)
    with fft_share(workers):
        dealer.send({})
        while (message := dealer.receive()) is not None:
            if "task" not in message:
                heart.beat_in(None)
                continue
            heart.beat_in(life_file(Path(message["folder"]), number))
            dealer.send(_outcome(message))


def lines_of(descriptor: int) -> Iterator[bytes]:
    """Read lines until the end, as they come; a thread that waits here is no harm to an exit."""
    rest = b""
    while part := os.read(descriptor, 1 << 16):
        *lines, rest = (rest + part).split(b"\n")
        yield from lines


def _outcome(message: Message) -> Message:
    """Do a task; what went wrong, nothing where all went well."""
    folder = Path(message["folder"])
    try:
        if not folder.is_dir():
            raise StageError(
                f"it does not see the folder {folder}",
                give("processing_folder", "a folder that all hosts share"),
                give("temporary_folder", "a folder that all hosts share"),
            )
        load_task(message["function"])(folder, message["task"])
    except BaseException as error:  # SystemExit too: whatever it is, the dealer must know
        return Failure.of(error, "", message["task"]).as_dict()
    return {}
