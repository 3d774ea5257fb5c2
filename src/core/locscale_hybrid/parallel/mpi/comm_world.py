"""Tasks dealt to the ranks of COMM_WORLD; the only module that imports mpi4py."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from ...errors import InputError, StageError
from ...findings import Finding
from ..launchers import launcher_of
from ..patience import Clock, Heart, life_file
from ..tasks import GRACE, Failure, Pause, Report, Task, ranks_named, task_name
from ..threads import fft_share
from .dispatch import AHEAD, Dealer, send_command, serve, watch_over
from .leftovers import litter_of, remove_litter

log = logging.getLogger(__name__)

__all__ = ["CommWorldExecutor", "comm_world", "require_same_words", "serve"]


def comm_world(environment: dict[str, str]) -> Any:
    """COMM_WORLD of the launcher that started this process.

    Raises
    ------
    InputError
        If there is no MPI, no launcher, or the launcher and mpi4py's library do not match.
    """
    launcher = launcher_of(environment)
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is not installed"
        raise InputError(
            f"-mpi needs mpi4py and an MPI library ({reason}): pip install "
            "'locscale-hybrid[mpi]', or leave -mpi out"
        ) from None
    size = MPI.COMM_WORLD.Get_size()
    if size == 1 and launcher is not None and launcher.size > 1:
        library = MPI.Get_library_version().strip("\x00 \n").splitlines()[0]
        raise InputError(
            f"{launcher.name} started {launcher.size} processes but mpi4py, with "
            f"{library}, sees one: both must be the same MPI; use the mpirun of "
            "that library, or pip install mpi4py for this one"
        )
    if size == 1 and launcher is None:
        raise InputError(
            "-mpi was given but no mpirun or srun started this process, or mpi4py "
            "does not know it: start `mpirun -np 4 locscale … -mpi`, or leave -mpi "
            "out, which uses all cores of this host"
        )
    return MPI.COMM_WORLD


def require_same_words(comm: Any, words: Sequence[str]) -> None:
    """Refuse ranks that were asked for different runs: only that of rank 0 would be done.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All its ranks call this.
    words : sequence of str
        Those of this rank.

    Raises
    ------
    InputError
        In every rank.
    """
    given: list[list[str]] = comm.allgather(list(words))
    other = next((rank for rank, theirs in enumerate(given) if theirs != given[0]), None)
    if other is not None:
        raise InputError(
            f"rank 0 and rank {other} have different options, and -mpi shares one "
            "run among all ranks. Give all ranks the same options, or leave -mpi out "
            "and give -np 1 for a run of its own in each"
        )


class CommWorldExecutor:
    """Deals the tasks to the ranks of COMM_WORLD, this one (rank 0) included.

    The other ranks run `serve`.  A thread deals while rank 0 works on tasks itself.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    patience : float
        s; see `patience.Clock`.
    tell : callable, optional
        ``tell(done, late)``, called by the dealing thread several times a second with the number
        of tasks done and, once a rank is silent for too long, a sentence about it.

    Attributes
    ----------
    when_stuck : callable, optional
        ``when_stuck(message)``, called by the dealing thread when it is this rank that is silent;
        nobody else can then end the run.
    found : callable
        Told by the dealing thread of a rank that does not respond.
    """

    def __init__(
        self,
        comm: Any,
        *,
        patience: float = 300.0,
        tell: Callable[[int, str | None], None] | None = None,
    ) -> None:
        self.workers: int = comm.Get_size()
        self._comm = comm
        self._patience = patience
        self._tell = tell
        self.when_stuck: Callable[[str], None] | None = None
        self.found: Callable[[Finding], None] = lambda finding: log.warning(finding.message)
        self._heart = Heart(self.workers)
        self._busy: dict[int, int] = {}  # asks of a rank not yet answered with "no more"
        self._plan = 0
        self._open = True

    @property
    def name(self) -> str:
        """What to call it in the record."""
        return ranks_named(self.workers)

    def map(
        self,
        function: Task,
        folder: Path,
        count: int,
        *,
        progress: Report | None = None,
        patience: float | None = None,
    ) -> None:
        """Run the tasks on all ranks; see `Executor.map`."""
        if self._busy:
            raise StageError(
                f"{len(self._busy)} of {self.workers} ranks are still at work on an "
                "earlier plan; run it again"
            )
        self._plan += 1
        command = {
            "function": task_name(function),
            "folder": str(folder),
            "plan": self._plan,
            "patience": self._patience,
        }
        self._heart.beat_in(life_file(folder, 0))
        for rank in range(1, self.workers):
            send_command(self._comm, command, rank)
            self._busy[rank] = AHEAD
        clock = Clock(max(self._patience, patience or 0.0))
        watch = watch_over(self._comm, clock, folder, limit=self._patience, found=self.found)
        dealer = Dealer(
            self._comm,
            count,
            self._busy,
            watch,
            plan=self._plan,
            tell=self._tell,
            when_stuck=self.when_stuck,
        )
        with dealer, fft_share(self.workers):
            try:
                self._work(dealer, function, folder, progress)
            except BaseException:
                dealer.refuse()
                raise
            finally:
                self._heart.beat_in(None)
        dealer.raise_failure()

    def _work(self, dealer: Dealer, function: Task, folder: Path, progress: Report | None) -> None:
        """Work on tasks until there are none, then wait for the other ranks."""
        while (index := dealer.take(0)) is not None:
            try:
                function(folder, index)
            except (Exception, SystemExit) as error:
                raise Failure.of(error, f"rank 0 of {self.workers}", index).error() from error
            dealer.give_back(0)
            if progress is not None:
                progress(dealer.fraction)
        pause = Pause()
        while not dealer.is_over():
            pause()
            if progress is not None:
                progress(dealer.fraction)

    def close(self) -> None:
        """Send the other ranks home; they end when rank 0 ends."""
        self.finish()

    def finish(self, grace: float = GRACE) -> bool:
        """Send the other ranks home; False when one of them is still at work after `grace` s."""
        if not self._open:
            return not self._busy
        self._open = False
        rest = Dealer(
            self._comm, 0, self._busy, watch_over(self._comm, Clock(), Path()), plan=self._plan
        )
        rest.refuse()
        deadline, pause = time.monotonic() + grace, Pause()
        while self._busy and time.monotonic() < deadline:
            if not rest.step():
                pause()
        for rank in range(1, self.workers):
            if rank not in self._busy:
                send_command(self._comm, {"finish": True}, rank)
        return not self._busy

    def abort(self, code: int) -> None:
        """End all ranks at once, this one too, with an exit code."""
        remove_litter(litter_of())  # an abort leaves them there
        self._comm.Abort(code)

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()
