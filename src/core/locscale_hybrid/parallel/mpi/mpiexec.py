"""MPI ranks that this program starts itself, and that end with it; it loads no MPI.

It starts ``mpiexec -n N python -m locscale_hybrid.parallel.worker …``.  Rank 0 reads a line for
each plan and says in lines how far it is, by way of mpiexec, which hands on standard input and
output of rank 0 in every MPI.
"""

import contextlib
import json
import logging
import queue
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import StageError
from ...findings import Finding
from ...remedies import do, give
from ..dealing import Message
from ..launchers import Mpiexec
from ..patience import PATIENCE, Awake, Watch
from ..pool import Child, ProcessExecutor, worker_words
from ..processes import end_users, litter_of, remove_litter
from ..tasks import GRACE, Closing, Failure, Report, Task, death, ranks_named, task_name
from ..temporary_folder import LITTER, FolderKeeper

log = logging.getLogger(__name__)

READY_SECONDS = 60.0
_FOR_RANK_0 = 5.0  # s, longer than rank 0 waits for others
_WAIT = 0.1  # s
_PREFIX = "locscale-ranks-"
_ADVICE = ("This typically refers to", "Please see the FAQ page")  # MPICH's, about any end
# ranks use all cores: of Open MPI 4, of 5, of Intel MPI
_UNBOUND = {
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
    "I_MPI_PIN": "off",
}


class StartError(StageError):
    """The ranks did not come up; `for_slots` where there are too many of them."""

    def __init__(self, message: str, *, for_slots: bool = False) -> None:
        super().__init__(message)
        self.for_slots = for_slots


class MpiexecExecutor(Closing):
    """Deals the tasks to ranks that it starts with the first plan; see `tasks.Executor`.

    Where ranks cannot be had it uses fewer, or a pool of processes, and says so.

    Parameters
    ----------
    workers : int
        Number of ranks.
    programs : sequence of Mpiexec
        Tried in this order.
    scratch : Path, optional
        Where the folder of the ranks is made, itself kept by a `FolderKeeper`; None: the system's
        place.
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
        patience: float = PATIENCE,
        ready: float = READY_SECONDS,
    ) -> None:
        self.workers = workers
        self._programs, self._scratch = list(programs), scratch
        self._found = found or (lambda finding: log.warning(finding.message))
        self._patience, self._ready = patience, ready
        self._ranks: _Ranks | None = None
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
        if self._ranks is None and self._pool is None:
            self._start(function)
        if self._pool is not None:
            self._pool.map(function, folder, count, progress=progress, patience=patience)
        elif self._ranks is not None:
            plan = {"function": task_name(function), "folder": str(folder)}
            self._ranks.map(plan | {"count": count, "patience": patience}, progress)

    def close(self) -> None:
        """End the ranks: ask, SIGTERM, kill."""
        ranks, pool = self._ranks, self._pool
        self._ranks = self._pool = None
        if ranks is not None:
            ranks.end(GRACE)
        if pool is not None:
            pool.close()

    def _start(self, function: Task) -> None:
        """Bring up ranks with the first program that can, else a pool."""
        reasons = []
        for program in self._programs:
            try:
                self._ranks = self._start_with(program, function)
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
        self._pool = ProcessExecutor(
            self.workers, scratch=self._scratch, patience=self._patience, found=self._found
        )

    def _start_with(self, program: Mpiexec, function: Task) -> "_Ranks":
        """Bring up as many ranks as this program has slots for."""
        wanted = ranks = self.workers
        while True:
            session = _Ranks(program, ranks, self._patience, self._found)
            try:
                session.start(function, self._scratch, self._ready)
            except StartError as error:
                if not error.for_slots or ranks <= 2:
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
                        f"ranks: {ranks} are used, with the same result",
                        {"asked": wanted, "used": ranks},
                        (
                            give("processes", f"{ranks} processes"),
                            do("allow more in your MPI's settings"),
                        ),
                    )
                )
            return session


class _Ranks:
    """One running mpiexec and its ranks."""

    def __init__(
        self, program: Mpiexec, ranks: int, patience: float, found: Callable[[Finding], None]
    ) -> None:
        self._program, self._ranks = program, ranks
        self._patience, self._found = patience, found
        self._said: queue.SimpleQueue[tuple[int, Message]] = queue.SimpleQueue()
        self._heard = 0  # messages
        self._members: list[int] = []
        self._litter: list[str] = []
        self._failure: Failure | None = None

    def start(self, function: Task, scratch: Path | None, ready: float) -> None:
        """Start the ranks and wait until all are there; nothing is left when it fails.

        Raises
        ------
        StartError
            With the reason.
        """
        with contextlib.ExitStack() as held:
            if scratch is None:
                self._folder = held.enter_context(FolderKeeper(_PREFIX)).folder
            else:
                self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=scratch))
                held.callback(shutil.rmtree, self._folder, ignore_errors=True)
            words = worker_words(self._folder, self._ranks, "rank", self._patience)
            variables = dict(_UNBOUND)
            if self._program.library is not None:
                variables["MPI4PY_LIBMPI"] = str(self._program.library)
            self._child = Child(
                [str(self._program.path), "-n", str(self._ranks), *words],
                function,
                0,
                self._said,
                variables=variables,
                errors=self._folder / "stderr",
            )
            self._held = held.pop_all()
        try:
            self._wait_until_up(ready)
        except BaseException:
            self.end(0.0)
            raise

    def map(self, plan: Message, progress: Report | None) -> None:
        """Have the ranks work on a plan; any failure ends them all."""
        watch = Watch(
            lambda rank: self._heard,
            1,
            called=lambda rank: f"rank {rank} of {self._ranks}",
            found=self._found,
            patience=self._patience + _FOR_RANK_0,
            remedy=do("check whether it is suspended, and whether its disk responds, and rerun"),
        )
        grace = 0.0
        try:
            watch.began(0)
            self._child.send(plan)
            done = 0.0
            while "over" not in (message := self._hear()):
                done = message.get("fraction", done)
                watch.look()
                if progress is not None:
                    progress(done)
            if message["over"] is not None:
                grace = GRACE  # the ranks themselves are well
                raise Failure.from_dict(message["over"]).error()
        except BaseException:
            self.end(grace)
            raise
        if progress is not None:
            progress(1.0)

    def end(self, grace: float) -> None:
        """Tell the ranks that they are finished, and end what does not end."""
        with self._held:
            litter = self._litter or litter_of(_family(self._child.process.pid))
            self._child.end(grace)
            end_users(self._folder)
            remove_litter(litter)

    def _hear(self) -> Message:
        """Wait a moment for what a rank says; StageError when the ranks are gone."""
        try:
            _, message = self._said.get(timeout=_WAIT)
        except queue.Empty:
            if self._child.has_ended() and self._said.empty():
                raise self._death() from None
            return {}
        self._heard += 1
        if "found" in message:
            self._found(Finding.from_dict(message["found"]))
        if "failed" in message:
            self._failure = Failure.from_dict(message["failed"])
            raise self._death()
        return message

    def _wait_until_up(self, ready: float) -> None:
        """Wait for rank 0 to say that all are there; StartError when they do not come up."""
        program, now = f"{self._program.path} ({self._program.origin})", Awake()
        while True:
            try:
                message = self._hear()
            except StageError:
                raise self._start_error(program) from None
            if "up" in message:
                break
            if now() > ready:
                raise StartError(f"{program} did not bring up {self._ranks} ranks in {ready:.0f} s")
        self._members = message["up"]
        self._litter = litter_of(_family(self._child.process.pid))
        (self._folder / LITTER).write_text(json.dumps(self._litter))

    def _start_error(self, program: str) -> StartError:
        """Say why the ranks did not come up."""
        if self._failure is not None:
            return StartError(f"{program}: {self._failure.fact}")
        said = self._words()
        text = " ".join(said).lower()
        if "slots" in text and "not enough" in text:
            return StartError(f"{program} has no slots for {self._ranks} ranks", for_slots=True)
        if "as root" in text or "allow-run-as-root" in text:
            return StartError(
                f"{program} does not run as root unless OMPI_ALLOW_RUN_AS_ROOT=1 and "
                "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 are set: set both, or use another account"
            )
        telling = [line for line in said if not line.startswith(_ADVICE)]
        last = telling[-1] if telling else "it said nothing"
        code = self._child.process.poll()
        return StartError(f"{program} {death(code)} before the ranks were up: {last}")

    def _death(self) -> StageError:
        """Say what ended the ranks."""
        if self._failure is not None:
            return self._failure.error()
        text = " ".join(self._words())
        pids = map(int, re.findall(r"\bPID (\d+)", text))
        ranks = [self._members.index(pid) for pid in pids if pid in self._members]
        ranks += map(int, re.findall(r"Process name: \[.*,(\d+)\]", text))
        who = f"rank {ranks[0]}" if ranks else "one MPI rank"
        return StageError(
            f"{who} of {self._ranks} {death(self._child.process.poll())}",
            give("processes", "fewer processes", when="if memory is short"),
        )

    def _words(self) -> list[str]:
        """Return what the launcher and the ranks wrote, without empty lines."""
        lines = list(self._child.other_lines)
        with contextlib.suppress(OSError):
            lines += (self._folder / "stderr").read_text(errors="replace").splitlines()
        return [line.strip() for line in lines if line.strip(" -=|\t\r\n")]


def _family(pid: int) -> list[int]:
    """List a process and all that it has started on this host."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return [pid]
