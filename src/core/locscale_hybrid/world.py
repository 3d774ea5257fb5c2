"""Tasks dealt to the ranks of COMM_WORLD; the only module that imports mpi4py."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from .errors import InputError, StageError
from .launch import launcher_of
from .litter import litter_of, remove_litter
from .tasks import (
    GRACE,
    Clock,
    Failure,
    Pause,
    Report,
    Task,
    fft_share,
    load_task,
    ranks_named,
    task_name,
)

_COMMAND, _INDEX, _ASK, _FAIL = 1, 2, 3, 4  # message tags; the last two go to rank 0
_NO_MORE = -1
_TELL_EVERY = 0.25  # s


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
        raise InputError(f"-mpi needs mpi4py and an MPI library ({reason}): pip install "
                         "'locscale-hybrid[mpi]', or leave -mpi out") from None
    size = MPI.COMM_WORLD.Get_size()
    if size == 1 and launcher is not None and launcher.size > 1:
        library = MPI.Get_library_version().strip("\x00 \n").splitlines()[0]
        raise InputError(f"{launcher.name} started {launcher.size} processes but mpi4py, with "
                         f"{library}, sees one: both must be the same MPI; use the mpirun of "
                         "that library, or pip install mpi4py for this one")
    if size == 1 and launcher is None:
        raise InputError("-mpi was given but no mpirun or srun started this process, or mpi4py "
                         "does not know it: start `mpirun -np 4 locscale … -mpi`, or leave -mpi "
                         "out, which uses all cores of this host")
    return MPI.COMM_WORLD


class CommWorldExecutor:
    """Deals the tasks to the ranks of COMM_WORLD, this one (rank 0) included.

    The other ranks run `serve`.  A thread deals while rank 0 works on tasks itself.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    patience : float
        s; see `tasks.Clock`.
    tell : callable, optional
        ``tell(done, late)``, called by the dealing thread several times a second with the number
        of tasks done and, once a rank is silent for too long, a sentence about it.

    Attributes
    ----------
    when_stuck : callable, optional
        ``when_stuck(message)``, called by the dealing thread when it is this rank that is silent;
        nobody else can then end the run.
    """

    def __init__(self, comm: Any, *, patience: float = 300.0,
                 tell: Callable[[int, str | None], None] | None = None) -> None:
        self.workers: int = comm.Get_size()
        self._comm = comm
        self._patience = patience
        self._tell = tell
        self.when_stuck: Callable[[str], None] | None = None
        self._busy: set[int] = set()   # ranks that have not been told that a plan is done
        self._open = True

    @property
    def name(self) -> str:
        """What to call it in the record."""
        return ranks_named(self.workers)

    def map(self, function: Task, folder: Path, count: int, *,
            progress: Report | None = None, patience: float | None = None) -> None:
        """Run the tasks on all ranks; see `Executor.map`."""
        command = {"function": task_name(function), "folder": str(folder)}
        for rank in range(1, self.workers):
            _send(self._comm, command, rank, _COMMAND)
            self._busy.add(rank)
        clock = Clock(max(self._patience, patience or 0.0))
        dealer = _Dealer(self._comm, count, self._busy, clock, self._tell, self.when_stuck)
        with dealer, fft_share(self.workers):
            try:
                self._work(dealer, function, folder, progress)
            except BaseException:
                dealer.refuse()
                raise
        dealer.raise_failure()

    def _work(self, dealer: "_Dealer", function: Task, folder: Path,
              progress: Report | None) -> None:
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
        rest = _Dealer(self._comm, 0, self._busy, Clock())
        deadline, pause = time.monotonic() + grace, Pause()
        while self._busy and time.monotonic() < deadline:
            if not rest.step():
                pause()
        for rank in range(1, self.workers):
            if rank not in self._busy:
                _send(self._comm, {"finish": True}, rank, _COMMAND)
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


class _Dealer:
    """Hands out the tasks of one plan; the thread alone talks to MPI meanwhile."""

    def __init__(self, comm: Any, count: int, busy: set[int], clock: Clock,
                 tell: Callable[[int, str | None], None] | None = None,
                 when_stuck: Callable[[str], None] | None = None) -> None:
        self._comm, self._count, self._busy, self._clock = comm, count, busy, clock
        self._tell, self._when_stuck = tell, when_stuck
        self._given = self._done = 0
        self._failure: StageError | None = None   # for good
        self._late: StageError | None = None      # until the silent rank speaks
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Start to deal."""
        self._thread.start()
        return self

    def __exit__(self, *details: object) -> None:
        """Stop dealing; ranks that still work learn it from `CommWorldExecutor.finish`."""
        self._stop.set()
        self._thread.join()

    @property
    def fraction(self) -> float:
        """Share of the tasks done."""
        return self._done / max(self._count, 1)

    def take(self, rank: int) -> int | None:
        """The next task for a rank, None when there is none or one has failed."""
        with self._lock:
            if self._failure is not None or self._given >= self._count:
                return None
            index = self._given
            self._given += 1
            self._clock.started(rank, index)
            return index

    def give_back(self, rank: int) -> None:
        """A rank has done what it had, if it had anything."""
        with self._lock:
            if rank in self._clock.busy:
                self._clock.finished(rank)
                self._done += 1

    def refuse(self) -> None:
        """Give no more tasks."""
        with self._lock:
            self._failure = self._failure or StageError("the run was stopped")

    def is_over(self) -> bool:
        """Whether every rank has nothing more to do, or one will never have."""
        return not self._busy or self._late is not None

    def raise_failure(self) -> None:
        """Raise what went wrong in another rank, if anything did."""
        failure = self._failure or self._late
        if failure is not None and self._done < self._count:
            raise failure

    def step(self) -> bool:
        """Answer the ranks that have sent something; whether there were any."""
        answered = False
        for rank in sorted(self._busy):
            if self._comm.Iprobe(source=rank, tag=_FAIL):
                values = _receive(self._comm, rank, _FAIL)
                self._clock.finished(rank)
                self._failure = self._failure or Failure.from_dict(values).error()
            if self._comm.Iprobe(source=rank, tag=_ASK):
                self._comm.Recv(bytearray(0), source=rank, tag=_ASK)
                self.give_back(rank)
                index = self.take(rank)
                self._comm.Send(_bytes_of(_NO_MORE if index is None else index), rank, _INDEX)
                if index is None:
                    self._busy.discard(rank)
                answered = True
        return answered

    def _run(self) -> None:
        """Deal until told to stop, looking now and then for a rank that is silent."""
        pause, told = Pause(), 0.0
        try:
            while not self._stop.is_set():
                if self.step():
                    pause.reset()
                else:
                    pause()
                if time.monotonic() - told > _TELL_EVERY:
                    told = time.monotonic()
                    self._look()
        except Exception as error:
            self._failure = self._late = StageError(f"rank 0 lost the other ranks: {error}")

    def _look(self) -> None:
        """Notice a silent rank, and tell how far the plan is."""
        late, self._late = self._clock.overdue(), None
        if late is not None:
            rank, task, seconds = late
            self._late = StageError(
                f"rank {rank} of {self._comm.Get_size()} has been silent for {seconds:.0f} s in "
                f"task {task}; the longest other task took {self._clock.longest:.1f} s; see "
                "whether its host and disk answer, and run it again")
            if rank == 0 and self._when_stuck is not None:
                self._when_stuck(str(self._late))
        if self._tell is not None:
            self._tell(self._done, None if self._late is None else str(self._late))


def serve(comm: Any) -> None:
    """What every rank but 0 does: work on the plans of rank 0 until it says that it is finished."""
    while True:
        command = _receive(comm, 0, _COMMAND)
        if command.get("finish"):
            return
        with fft_share(comm.Get_size()):
            _serve_plan(comm, command)


def _serve_plan(comm: Any, command: dict[str, Any]) -> None:
    """Ask for tasks and do them until there are no more."""
    name = f"rank {comm.Get_rank()} of {comm.Get_size()}"
    folder, index = Path(command["folder"]), None
    try:
        if not folder.is_dir():
            raise StageError(f"it does not see {folder}: give a folder that all hosts share "
                             "with -op")
        function = load_task(command["function"])
        while (index := _ask(comm)) != _NO_MORE:
            function(folder, index)
    except BaseException as error:  # SystemExit too: rank 0 must know
        _send(comm, Failure.of(error, name, index).as_dict(), 0, _FAIL)
        while _ask(comm) != _NO_MORE:
            pass


def _ask(comm: Any) -> int:
    """Ask rank 0 for the next task."""
    comm.Send(b"", dest=0, tag=_ASK)
    _wait_for(comm, 0, _INDEX)
    buffer = bytearray(8)
    comm.Recv(buffer, source=0, tag=_INDEX)
    return int.from_bytes(buffer, "little", signed=True)


def _bytes_of(index: int) -> bytes:
    """An index as a message."""
    return index.to_bytes(8, "little", signed=True)


def _wait_for(comm: Any, source: int, tag: int) -> None:
    """Sleep until a message is there; a blocking receive would take a whole core."""
    pause = Pause()
    while not comm.Iprobe(source=source, tag=tag):
        pause()


def _send(comm: Any, values: dict[str, Any], rank: int, tag: int) -> None:
    """Send a few JSON values: first their length, then the text."""
    text = json.dumps(values).encode()
    comm.Send(_bytes_of(len(text)), dest=rank, tag=tag)
    comm.Send(text, dest=rank, tag=tag)


def _receive(comm: Any, rank: int, tag: int) -> dict[str, Any]:
    """Receive what `_send` sent."""
    _wait_for(comm, rank, tag)
    length = bytearray(8)
    comm.Recv(length, source=rank, tag=tag)
    text = bytearray(int.from_bytes(length, "little", signed=True))
    comm.Recv(text, source=rank, tag=tag)
    values: dict[str, Any] = json.loads(text)
    return values
