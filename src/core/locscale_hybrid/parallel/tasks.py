"""What an executor runs: tasks of a plan, named so that another process can find them."""

import importlib
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from ..errors import LocScaleError, StageError, shortage
from ..remedies import Remedy, do, report_fault

ORPHANED = 75  # exit code of a process whose parent died
GRACE = 3.0  # s between asking processes to end and killing them
Task = Callable[[Path, int], None]
Report = Callable[[float], None]


class Executor(Protocol):
    """Runs the tasks of a plan; a stage cannot know how.

    Attributes
    ----------
    workers : int
        How many tasks run at the same time.
    name : str
        What to call it in the record: ``"serial"``, ``"4 processes"``, ``"4 MPI ranks"``.
    """

    @property
    def workers(self) -> int:
        """How many tasks run at the same time."""

    @property
    def name(self) -> str:
        """What to call it in the record."""

    def map(
        self,
        function: Task,
        folder: Path,
        count: int,
        *,
        progress: Report | None = None,
        patience: float | None = None,
    ) -> None:
        """Run ``function(folder, index)`` for every index below `count`, in any order.

        Parameters
        ----------
        function : callable
            A function at the top level of a module; it reads its part of the plan in `folder`
            and writes its result into its own slot of a file there.
        folder : Path
            Absolute; every process and host must see it.
        count : int
            Number of tasks.
        progress : callable, optional
            Called in the caller's thread with the fraction done; may raise to stop the run.
        patience : float, optional
            s that a task of this plan may take, where that is more than the executor's own.

        Raises
        ------
        StageError
            If a task fails or its process dies; the message names the process.
        """

    def close(self) -> None:
        """End the processes that it started; it cannot be used afterwards."""

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""

    def __exit__(self, *details: object) -> None:
        """Close it."""


class Closing:
    """Something that a ``with`` statement closes at its end."""

    def close(self) -> None:
        """End what it has started."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()


def task_name(function: Task) -> str:
    """Return the name by which another process finds the function.

    Raises
    ------
    StageError
        If the function does not stand at the top level of an importable module.
    """
    module, name = function.__module__, getattr(function, "__qualname__", "<unnamed>")
    if module == "__main__" or "<" in name or "." in name:
        raise StageError(
            f"{module}:{name} cannot run in another process: "
            "it must stand at the top level of a module"
        )
    return f"{module}:{name}"


def load_task(name: str) -> Task:
    """Import the function that `task_name` named."""
    module, _, function = name.partition(":")
    loaded: Task = getattr(importlib.import_module(module), function)
    return loaded


@dataclass(frozen=True)
class Failure:
    """What went wrong in one process, in a form that travels as JSON."""

    worker: str
    fact: str
    traceback: str = ""
    task: int | None = None
    remedies: tuple[Remedy, ...] = ()

    @classmethod
    def of(cls, error: BaseException, worker: str, task: int | None = None) -> "Failure":
        """Make the failure that an exception means."""
        fact, remedies = _explained(error)
        return cls(worker, fact, "".join(traceback.format_exception(error)), task, remedies)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Failure":
        """Read the failure that `as_dict` wrote."""
        return cls(**{**values, "remedies": tuple(map(Remedy.from_dict, values["remedies"]))})

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "remedies": [remedy.as_dict() for remedy in self.remedies]}

    def error(self) -> StageError:
        """Word the failure, with the worker if there is one; the traceback is in its notes."""
        where = "" if self.task is None else f" in task {self.task}"
        who = f"{self.worker} failed{where}: " if self.worker else ""
        error = StageError(who + self.fact, *self.remedies)
        if self.traceback:
            error.add_note(self.traceback)
        return error


def _explained(error: BaseException) -> tuple[str, tuple[Remedy, ...]]:
    """Say what an exception means and what to do, also if no stage has put it into words."""
    if isinstance(error, LocScaleError):
        return error.fact, error.remedies
    # numpy's own has a private name
    kind = "MemoryError" if isinstance(error, MemoryError) else type(error).__name__
    fact = f"{kind}: {error}" if str(error) else kind
    lack = shortage(error)
    if lack is not None:
        return f"{fact}; {lack.fact}", lack.remedies
    if isinstance(error, OSError):
        return fact, (
            do("make sure that its host has room and can read the files of the run, and rerun"),
        )
    return f"{fact} (a fault of the program)", (report_fault(),)


class Pause:
    """A sleep that grows from 1 ms to 20 ms within .1 s: long waits cost no processor time."""

    def __init__(self, longest: float = 0.02) -> None:
        self._longest = longest
        self.reset()

    def reset(self) -> None:
        """Start again with the shortest sleep."""
        self._next = 0.001

    def __call__(self) -> None:
        """Sleep once."""
        time.sleep(self._next)
        self._next = min(1.2 * self._next, self._longest)


def ranks_named(ranks: int) -> str:
    """Return what so many MPI ranks are called in the record."""
    return f"{ranks} MPI ranks" if ranks > 1 else "1 MPI rank"


def death(code: int | None) -> str:
    """Say what the exit code of a dead process means, as the end of a sentence."""
    if code is None:
        return "ended"
    if code in (-9, 9, 137):
        return "was killed (signal 9: out of memory?)"
    if code in (-11, 11, 139):
        return "crashed (segmentation fault)"
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with code {code}"
