"""MPI ranks that this program starts itself, and that end with it."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from ...findings import Finding
from ..launchers import Mpiexec
from ..pool import ProcessExecutor
from ..tasks import Report, Task, ranks_named
from .session import RankSession, StartError

log = logging.getLogger(__name__)

READY_SECONDS = 60.0


class MpiexecExecutor:
    """Deals the tasks to ranks that it starts with the first plan; see `tasks.Executor`.

    Where ranks cannot be had it uses fewer, or a pool of processes, and says so.

    Parameters
    ----------
    workers : int
        Number of ranks.
    programs : sequence of Mpiexec
        Tried in this order.
    scratch : Path, optional
        Where the folder of the ranks is made; None: the system's place.
    found : callable, optional
        Told when fewer ranks or none are used, and of a rank that does not respond.
    patience, ready : float
        s without progress, and until all ranks are up, before the run is given up.
    """

    def __init__(
        self,
        workers: int,
        programs: Sequence[Mpiexec],
        *,
        scratch: Path | None = None,
        found: Callable[[Finding], None] | None = None,
        patience: float = 300.0,
        ready: float = READY_SECONDS,
    ) -> None:
        self.workers = workers
        self._programs = list(programs)
        self._scratch = scratch
        self._found = found or (lambda finding: log.warning(finding.message))
        self._patience, self._ready = patience, ready
        self._session: RankSession | None = None
        self._pool: ProcessExecutor | None = None

    @property
    def name(self) -> str:
        """What to call it in the record."""
        return ranks_named(self.workers) if self._pool is None else self._pool.name

    def map(
        self,
        function: Task,
        folder: Path,
        count: int,
        *,
        progress: Report | None = None,
        patience: float | None = None,
    ) -> None:
        """Run the tasks on the ranks; see `tasks.Executor.map`."""
        if self._session is None and self._pool is None:
            self._start(function)
        if self._pool is not None:
            self._pool.map(function, folder, count, progress=progress, patience=patience)
        elif self._session is not None:
            self._session.map(function, folder, count, progress, patience)

    def close(self) -> None:
        """End the ranks: ask, SIGTERM, kill."""
        session, pool = self._session, self._pool
        self._session = self._pool = None
        if session is not None:
            session.close()
        if pool is not None:
            pool.close()

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()

    def _start(self, function: Task) -> None:
        """Bring up ranks with the first program that can, else a pool."""
        reasons = []
        for program in self._programs:
            try:
                self._session = self._start_with(program, function)
                return
            except StartError as error:
                reasons.append(str(error))
                log.info("%s", error)
        self._found(
            Finding(
                "mpi-not-used",
                "warning",
                f"{'; '.join(reasons)}; a pool of "
                f"{self.workers} processes is used, with the same result",
            )
        )
        self._pool = ProcessExecutor(self.workers, patience=self._patience, found=self._found)

    def _start_with(self, program: Mpiexec, function: Task) -> "RankSession":
        """Bring up as many ranks as this program has slots for."""
        wanted = ranks = self.workers
        while True:
            session = RankSession(
                program,
                ranks,
                function,
                scratch=self._scratch,
                patience=self._patience,
                ready=self._ready,
                found=self._found,
            )
            try:
                session.start()
            except StartError as error:
                if error.kind != "slots" or ranks <= 2:
                    raise
                ranks = max(2, ranks // 2)
                continue
            if ranks < wanted:
                self.workers = ranks
                self._found(
                    Finding(
                        "mpi-fewer-ranks",
                        "warning",
                        f"{program.path} has no slots for {wanted} "
                        f"ranks: {ranks} are used, with the same result; give -np {ranks}, or allow "
                        "more in your MPI's settings",
                        {"asked": wanted, "used": ranks},
                    )
                )
            return session
