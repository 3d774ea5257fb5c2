"""The executors of one host behind one `map`, and which of them a run gets; see also `world`."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from ..findings import Finding
from ..remedies import install
from .launchers import mpiexec_candidates
from .mpi.mpiexec import MpiexecExecutor
from .pool import ProcessExecutor
from .tasks import Closing, Executor, Report, Task

__all__ = ["Executor", "MpiexecExecutor", "ProcessExecutor", "SerialExecutor", "local_executor"]


class SerialExecutor(Closing):
    """Runs the tasks one after the other in this process."""

    workers = 1
    name = "serial"

    def map(
        self,
        function: Task,
        folder: Path,
        count: int,
        *,
        progress: Report | None = None,
        patience: float | None = None,
    ) -> None:
        """Run the tasks in order; see `Executor.map`."""
        for index in range(count):
            function(folder, index)
            if progress is not None:
                progress((index + 1) / count)

    def close(self) -> None:
        """There is nothing to end."""


def local_executor(
    processes: int,
    *,
    mpiexec: Path | None = None,
    scratch: Path | None = None,
    found: Callable[[Finding], None],
) -> Executor:
    """Make the executor for so many processes on this host.

    Parameters
    ----------
    processes : int
        One: serial; more: MPI ranks that this process starts, or a pool without MPI.
    mpiexec : Path, optional
        The user's setting.
    scratch : Path, optional
        Where temporary folders are made; None: the system's place.
    found : callable
        Told when something other than what was asked for is used, and of a process that does not
        respond.

    Raises
    ------
    InputError
        If the user's mpiexec is not a program.
    """
    if processes == 1:
        return SerialExecutor()
    programs = mpiexec_candidates(mpiexec)
    has_mpi4py = importlib.util.find_spec("mpi4py") is not None
    if mpiexec is not None and not has_mpi4py:
        found(
            Finding(
                "mpi-absent",
                "note",
                f"{mpiexec} is not used, because mpi4py is not installed. A pool of {processes} "
                "processes gives the same result",
                remedies=(install("locscale-hybrid[mpi]", when="to use MPI"),),
            )
        )
    if not (programs and has_mpi4py):
        return ProcessExecutor(processes, scratch=scratch, found=found)
    return MpiexecExecutor(processes, programs, scratch=scratch, found=found)
