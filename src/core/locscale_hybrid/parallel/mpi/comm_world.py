"""Tasks dealt to the ranks of COMM_WORLD; the only module that imports mpi4py.

Rank 0 deals in its main thread, which alone talks to MPI, and works on tasks itself in another.
Whoever waits for a message looks for one and sleeps: a blocking receive would take a whole core.
"""

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import InputError, StageError
from ...findings import Finding
from ...remedies import do, install, leave_out
from ..dealing import Message, deal, serve
from ..launchers import launcher_of
from ..patience import PATIENCE, Watch, stamp_in
from ..processes import litter_of, remove_litter
from ..tasks import GRACE, Closing, Pause, Report, Task, ranks_named
from ..threads import find_blas

log = logging.getLogger(__name__)

_LENGTH, _TEXT = 1, 2  # tags of the two parts of a message
_WAIT = 0.1  # s
_QUICK = 0.005  # s between two looks of rank 0 while others may wait for it
_LONGER = 30.0  # s that the other ranks wait longer for rank 0 than it does for them
_READY = 60.0  # s in which ranks that have not been heard of come up
_FAILED = 3  # exit code where a rank ends all


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
            f"to share one run, mpi4py and an MPI library are needed ({reason})",
            install("locscale-hybrid[mpi]"),
            leave_out("launcher"),
        ) from None
    size = MPI.COMM_WORLD.Get_size()
    if size == 1 and launcher is not None and launcher.size > 1:
        library = MPI.Get_library_version().strip("\x00 \n").splitlines()[0]
        raise InputError(
            f"{launcher.name} started {launcher.size} processes but mpi4py, with "
            f"{library}, sees one: both must be the same MPI",
            do("use the mpirun of that library"),
            do("rebuild mpi4py with the MPI of this launcher"),
        )
    if size == 1 and launcher is None:
        raise InputError(
            "no mpirun or srun started this process, or mpi4py does not know it, so "
            "there are no processes to share the run",
            leave_out("launcher", when="to use all cores of this host"),
            do("start the program with mpirun or srun"),
        )
    return MPI.COMM_WORLD


def join_ranks(wanted: int) -> tuple[Any, list[int]]:
    """COMM_WORLD of as many ranks as were started, and the process number of each.

    Raises
    ------
    StageError
        If there are others.
    """
    comm = comm_world(dict(os.environ))
    if comm.Get_size() != wanted:
        raise StageError(
            f"{wanted} ranks were started and {comm.Get_size()} found each other; "
            "mpiexec and the library of mpi4py must be the same MPI"
        )
    return comm, comm.allgather(os.getpid())


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
            f"rank 0 and rank {other} have different options, so they cannot share one run",
            do("give all ranks the same options"),
            leave_out("launcher", when="to start a separate run in each"),
        )


class CommWorldExecutor(Closing):
    """Deals the tasks to the ranks of COMM_WORLD, this one (rank 0) included.

    The other ranks run `serve_ranks`.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    patience : float
        s; see `patience.Watch`.

    Attributes
    ----------
    found : callable
        Told of a rank that does not respond.
    """

    def __init__(self, comm: Any, *, patience: float = PATIENCE) -> None:
        self.workers: int = comm.Get_size()
        self.patience = patience
        self.found: Callable[[Finding], None] = lambda finding: log.warning(finding.message)
        self.free: set[int] = set()
        self._comm = comm
        self._members = set(range(1, self.workers))  # that will say that they are free
        self._at_work: set[int] = set()
        self._own = _OwnThread(self.workers)

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
        if 0 not in self._members:
            self._members.add(0)
            find_blas()  # before there is another thread
            self._own.thread.start()
        if self._at_work:
            self._hear(0.0)
        if self._at_work:
            raise StageError(
                f"{len(self._at_work)} of {self.workers} ranks are still at work on an "
                "earlier plan; run it again"
            )
        deal(self, function, folder, count, progress=progress, patience=patience)

    def called(self, worker: int) -> str:
        """Return what to call a rank in a message."""
        return f"rank {worker} of {self.workers}"

    def send(self, worker: int, message: Message) -> None:
        """Give a rank a message."""
        if "task" in message:
            self._at_work.add(worker)
        if worker == 0:
            self._own.tasks.put(message)
        else:
            _send(self._comm, message, worker)

    def answers(self) -> list[tuple[int, Message]]:
        """Wait a moment for what ranks say."""
        deadline, pause = time.monotonic() + _WAIT, Pause(_QUICK)
        while True:
            found = [
                (rank, _receive(self._comm, rank))
                for rank in range(1, self.workers)
                if rank not in self.free and self._comm.Iprobe(source=rank, tag=_LENGTH)
            ]
            if not self._own.answers.empty():
                found.append((0, self._own.answers.get()))
            if found or time.monotonic() > deadline:
                self._at_work.difference_update(rank for rank, _ in found)
                return found
            pause()

    def close(self) -> None:
        """Send the other ranks home; they end when rank 0 ends."""
        self.finish()

    def finish(self, grace: float = GRACE) -> bool:
        """Send the other ranks home; False when one of them is still at work after `grace` s."""
        self._hear(grace if self._at_work else _READY)
        if not self.free >= self._members:
            return False
        for rank in sorted(self._members):
            self.send(rank, {"finish": True})
        if 0 in self._members:
            self._own.thread.join()
        self._members = set()
        return True

    def abort(self, code: int) -> None:
        """End all ranks at once, this one too, with an exit code."""
        remove_litter(litter_of([os.getpid(), os.getppid()]))  # an abort leaves them there
        self._comm.Abort(code)

    def _hear(self, seconds: float) -> None:
        """Wait until all ranks are free, also those at work on a plan that was broken off."""
        deadline = time.monotonic() + seconds
        while not self.free >= self._members:
            answers = self.answers()
            self.free.update(rank for rank, _ in answers)
            if not answers and time.monotonic() > deadline:
                return


class _OwnThread:
    """The tasks of rank 0, done in a thread of its own; a `dealing.Dealer` for `serve`."""

    def __init__(self, workers: int) -> None:
        self.tasks: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.thread = threading.Thread(target=serve, args=(self, 0, workers), daemon=True)

    def receive(self) -> Message | None:
        """Wait for a message; None when there will be no more."""
        message = self.tasks.get()
        return None if message.get("finish") else message

    def send(self, message: Message) -> None:
        """Say what became of a task."""
        self.answers.put(message)


def serve_ranks(comm: Any) -> None:
    """Do, in every rank but 0, what rank 0 deals; when rank 0 is lost, end all ranks."""
    try:
        serve(_RankZero(comm), comm.Get_rank(), comm.Get_size())
    except BaseException as error:  # otherwise the other ranks wait for ever
        os.write(2, f"locscale: {error or type(error).__name__}\n".encode())
        comm.Abort(_FAILED)


class _RankZero:
    """Rank 0 as another rank sees it; a `dealing.Dealer` for `serve`."""

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self._watch: Watch | None = None
        self._watched: str | None = None

    def receive(self) -> Message | None:
        """Wait for a message; StageError when rank 0 shows no sign of life any more."""
        pause = Pause()
        while not self._comm.Iprobe(source=0, tag=_LENGTH):
            pause()
            if self._watch is not None:
                self._watch.look()
        message = _receive(self._comm, 0)
        self._watch_over(message)
        return None if message.get("finish") else message

    def send(self, message: Message) -> None:
        """Say what became of a task."""
        _send(self._comm, message, 0)

    def _watch_over(self, message: Message) -> None:
        """Watch rank 0 from the first task of a plan to the end of the plan."""
        folder = message.get("folder")
        if folder is not None and folder != self._watched:
            size = self._comm.Get_size()
            self._watch = Watch(
                stamp_in(Path(folder)),
                size,
                called=lambda rank: f"rank {rank} of {size}",
                found=lambda finding: None,
                patience=message["patience"] + _LONGER,
            )
            self._watch.began(0)
        if folder is None:
            self._watch = None
        self._watched = folder


def _send(comm: Any, message: Message, rank: int) -> None:
    """Send JSON values: first their length, then the text."""
    text = json.dumps(message).encode()
    comm.Send(len(text).to_bytes(8, "little"), dest=rank, tag=_LENGTH)
    comm.Send(text, dest=rank, tag=_TEXT)


def _receive(comm: Any, rank: int) -> Message:
    """Receive what `_send` sent."""
    length = bytearray(8)
    comm.Recv(length, source=rank, tag=_LENGTH)
    text = bytearray(int.from_bytes(length, "little"))
    comm.Recv(text, source=rank, tag=_TEXT)
    message: Message = json.loads(text)
    return message
