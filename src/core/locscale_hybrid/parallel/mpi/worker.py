"""What each rank runs that this program starts.

``python -m locscale_hybrid.parallel.mpi.worker FOLDER``

Loading MPI comes first, right after the lifeline: what fails before it hangs the other ranks in
some MPIs.  Whatever fails later is written to ``rank-N.error`` and ends all ranks.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from ...errors import LocScaleError, StageError
from ...findings import Finding
from ..launchers import launcher_of
from ..processes import process_start
from ..tasks import ORPHANED, Failure, Pause, load_task
from .comm_world import CommWorldExecutor, comm_world, serve
from .leftovers import litter_of, remove_litter, shared_segments
from .parent_watch import guard, watch
from .session import START, STATUS, read_values, write_values

FAILED = 3
_KILL_AFTER = 1.0  # s


class _Rank:
    """One rank, and how it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.comm: Any = None
        launcher = launcher_of(os.environ)
        self.number = 0 if launcher is None else launcher.rank

    def end_as_orphan(self) -> None:
        """End this rank and all others, at the latest in a second."""
        timer = threading.Timer(_KILL_AFTER, os.kill, (os.getpid(), _HARD))
        timer.daemon = True
        timer.start()
        self.abort(ORPHANED)

    def abort(self, code: int) -> None:
        """End all ranks."""
        if self.comm is None:  # others may be about to read what their launcher has left
            remove_litter(shared_segments(Path("/proc/self")))
            os._exit(code)
        remove_litter(litter_of())
        self.comm.Abort(code)

    def report(self, error: BaseException) -> None:
        """Write what went wrong where the program that started the ranks looks first."""
        failure = Failure.of(error, f"rank {self.number}")
        write_values(self.folder / f"rank-{self.number}.error", failure.as_dict())


_HARD = getattr(signal, "SIGKILL", signal.SIGTERM)


def main(arguments: list[str]) -> int:
    """Run one rank; the exit code."""
    rank = _Rank(Path(arguments[0]))
    guard(rank.folder)
    watch(rank.folder, rank.end_as_orphan)
    try:
        rank.comm = _join(rank)
        if rank.number == 0:
            _lead(rank)
        else:
            serve(rank.comm)
    except BaseException as error:  # SystemExit too: otherwise the other ranks wait for ever
        rank.report(error)
        if rank.comm is None:  # alone: MPI can end in order
            return FAILED
        rank.abort(FAILED)
    return 0


def _join(rank: _Rank) -> Any:
    """COMM_WORLD of as many ranks as were started; says that this one is there."""
    comm = comm_world(dict(os.environ))
    wanted = (read_values(rank.folder / START) or {}).get("ranks")
    if comm.Get_size() != wanted:
        raise StageError(
            f"{wanted} ranks were started and {comm.Get_size()} found each other; "
            "mpiexec and the library of mpi4py must be the same MPI"
        )
    rank.number = comm.Get_rank()
    write_values(
        rank.folder / f"rank-{rank.number}.ready",
        {"pid": os.getpid(), "begun": process_start(os.getpid()), "litter": litter_of()},
    )
    return comm


def _lead(rank: _Rank) -> None:
    """Rank 0: take the commands of the program that started the ranks, one plan after another."""
    patience = float((read_values(rank.folder / START) or {}).get("patience", 300.0))
    plan, pause = 0, Pause()
    state = _State(rank.folder / STATUS)
    executor = CommWorldExecutor(rank.comm, patience=patience, tell=state.tell)
    executor.found = state.found
    while True:
        command = read_values(rank.folder / f"command-{plan}.json")
        if command is None:
            pause()
            continue
        if command.get("finish"):
            if not executor.finish():
                rank.abort(FAILED)
            return
        pause.reset()
        state.plan = plan
        _run_plan(rank, executor, command, rank.folder / f"result-{plan}.json")
        plan += 1


def _run_plan(
    rank: _Rank, executor: CommWorldExecutor, command: dict[str, Any], result: Path
) -> None:
    """Work on a plan with all ranks and write how it went."""
    try:
        executor.map(
            load_task(command["function"]),
            Path(command["folder"]),
            command["count"],
            patience=command.get("patience"),
        )
    except LocScaleError as error:
        failure = Failure("", str(error), "".join(getattr(error, "__notes__", [])))
        write_values(result, {"ok": False, "failure": failure.as_dict()})
    except Exception as error:
        failure = Failure.of(error, f"rank 0 of {executor.workers}")
        write_values(result, {"ok": False, "failure": failure.as_dict()})
    else:
        write_values(result, {"ok": True})


class _State:
    """Tells the program that started the ranks how far they are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beat = 0
        self._found: list[dict[str, object]] = []
        self.plan = 0

    def found(self, finding: Finding) -> None:
        """Tell of it with the state from now on."""
        self._found.append(finding.as_dict())

    def tell(self, done: int, late: str | None) -> None:
        """Write the state; a value that changes shows that this rank lives."""
        self._beat += 1
        write_values(
            self._path,
            {
                "plan": self.plan,
                "beat": self._beat,
                "done": done,
                "late": late,
                "found": self._found,
            },
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
