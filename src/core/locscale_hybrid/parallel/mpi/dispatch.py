"""Dealing the tasks of a plan to MPI ranks: rank 0's part, and what the other ranks do.

A rank asks for tasks, does them, and says so; rank 0 answers from a thread, for it works itself.
A rank has asked for the next task when it begins one, so it need not wait for a busy rank 0.

Messages of one kind arrive in the order they were sent; so do those of other kinds, but one may
come between two looks.  Rank 0 therefore looks for the kinds in the reverse order of sending: when
it sees a question, it has seen all that was sent before.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from ...errors import StageError
from ...findings import Finding
from ..patience import Awake, Clock, Heart, Pulse, Watch, life_file
from ..tasks import Failure, Pause, Task, load_task
from ..threads import fft_share

AHEAD = 2  # tasks that a rank may have: the next one is there when it has done the first
COMMAND, INDEX, HALT = 1, 2, 6  # tags of messages from rank 0
FAIL, DONE, ASK = 4, 5, 3  # to rank 0, in the order of sending
NO_MORE = -1
FAILED = 3  # exit code where a rank ends all
_LONGER = 30.0  # s that the other ranks wait longer for rank 0 than it does for them
_TELL_EVERY = 0.25  # s


class Dealer:
    """Hands out the tasks of one plan; its thread alone talks to MPI meanwhile.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
    count : int
        Number of tasks.
    busy : dict
        For every rank at work on a plan, how many of its asks (AHEAD at first) have not been
        answered with "no more"; it is kept up, and outlives a plan that is broken off.
    watch : Watch
        With the clock of the tasks.
    plan : int
        Number of the plan, of which a rank may be told to do no more.
    tell, when_stuck : callable, optional
        See `comm_world.CommWorldExecutor`.
    """

    def __init__(
        self,
        comm: Any,
        count: int,
        busy: dict[int, int],
        watch: Watch,
        *,
        plan: int = 0,
        tell: Callable[[int, str | None], None] | None = None,
        when_stuck: Callable[[str], None] | None = None,
    ) -> None:
        self._comm, self._count, self._busy = comm, count, busy
        self._watch, self._clock = watch, watch.clock
        self._plan, self._tell, self._when_stuck = plan, tell, when_stuck
        self._halted: set[int] = set()
        self._given = self._done = 0
        self._held: dict[int, list[int]] = {}  # tasks that a rank has, the first at work
        self._took: dict[int, float] = {}  # s, the last task of a rank
        self._failure: StageError | None = None  # for good
        self._late: StageError | None = None  # until the silent rank speaks
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
            held = self._held.setdefault(rank, [])
            held.append(index)
            if len(held) == 1:
                self._clock.started(rank, index)
            return index

    def give_back(self, rank: int) -> None:
        """A rank has done the first task that it had, if it had any."""
        with self._lock:
            held = self._held.get(rank)
            if held:
                self._took[rank] = self._clock.finished(rank)
                self._done += 1
                del held[0]
                if held:
                    self._clock.started(rank, held[0])

    def _may_have(self, rank: int) -> bool:
        """Whether a rank that asks is answered now, or only when it has done what it has.

        It gets a task ahead while the others have more to do than it would have then.
        """
        left = 0 if self._failure is not None else self._count - self._given
        if not left or not self._held.get(rank):
            return True
        took = self._took.get(rank)
        if took is None:
            return False
        others: float = left * min(self._took.values()) / self._comm.Get_size()
        return AHEAD * took <= others

    def refuse(self) -> None:
        """Give no more tasks."""
        with self._lock:
            self._failure = self._failure or StageError("the run was stopped")

    def is_over(self) -> bool:
        """Whether every rank has nothing more to do, or one will never have."""
        return not self._busy or self._late is not None

    def raise_failure(self) -> None:
        """Raise what went wrong in another rank, if anything did."""
        if self._done < self._count:
            raise (
                self._failure
                or self._late
                or StageError(
                    f"{self._count - self._done} of {self._count} tasks were not done: a rank was "
                    "silent for too long; see whether its host and disk answer, and run it again"
                )
            )

    def step(self) -> bool:
        """Answer the ranks that have sent something; whether there were any."""
        answered = False
        for rank in sorted(self._busy):
            asked = self._comm.Iprobe(source=rank, tag=ASK)
            done = self._comm.Iprobe(source=rank, tag=DONE)
            if self._comm.Iprobe(source=rank, tag=FAIL):
                values = _receive(self._comm, rank, FAIL)
                self._clock.finished(rank)
                self._held.pop(rank, None)
                self._failure = self._failure or Failure.from_dict(values).error()
            if self._failure is not None:
                self._halt(rank)
            if done:
                self._comm.Recv(bytearray(0), source=rank, tag=DONE)
                self.give_back(rank)
                answered = True
            if asked and self._may_have(rank):
                self._comm.Recv(bytearray(0), source=rank, tag=ASK)
                self._answer(rank)
                answered = True
        return answered

    def _halt(self, rank: int) -> None:
        """Tell a rank once that it shall not begin what it has."""
        if rank not in self._halted:
            self._halted.add(rank)
            self._comm.Send(bytes_of(self._plan), rank, HALT)

    def _answer(self, rank: int) -> None:
        """Send a rank the next task, or that there are no more."""
        index = self.take(rank)
        self._comm.Send(bytes_of(NO_MORE if index is None else index), rank, INDEX)
        if index is None:
            self._busy[rank] -= 1
            if not self._busy[rank]:
                del self._busy[rank]

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
        late, self._late = self._watch.late(), None
        if late is not None:
            rank, sentence = late
            self._late = StageError(sentence)
            if rank == 0 and self._when_stuck is not None:
                self._when_stuck(sentence)
        if self._tell is not None:
            self._tell(self._done, None if self._late is None else str(self._late))


def watch_over(
    comm: Any,
    clock: Clock,
    folder: Path,
    *,
    limit: float = 300.0,
    found: Callable[[Finding], None] = lambda finding: None,
) -> Watch:
    """The watch that rank 0 keeps over the ranks of a plan; see `patience.Watch`."""
    return Watch(
        clock,
        folder,
        limit=limit,
        workers=comm.Get_size(),
        found=found,
        called=lambda rank: f"rank {rank} of {comm.Get_size()}",
        remedy="see whether its host and disk answer, and run it again",
    )


def serve(comm: Any) -> None:
    """What every rank but 0 does: work on the plans of rank 0 until it says that it is finished."""
    heart = Heart(comm.Get_size())
    while True:
        command = _receive(comm, 0, COMMAND)
        if command.get("finish"):
            return
        with fft_share(comm.Get_size()):
            heart.beat_in(life_file(Path(command["folder"]), comm.Get_rank()))
            _serve_plan(comm, command)
            heart.beat_in(None)


def _serve_plan(comm: Any, command: dict[str, Any]) -> None:
    """Do tasks until there are no more; after a failure, take them and do nothing."""
    folder = Path(command["folder"])
    rank_0 = _RankZero(comm, folder, command.get("patience", 300.0) + _LONGER)
    function: Task | None = None
    try:
        if not folder.is_dir():
            raise StageError(
                f"it does not see {folder}: give a folder that all hosts share with -op"
            )
        function = load_task(command["function"])
    except BaseException as error:
        report_failure(comm, error)
    for index in _dealt(comm, command.get("plan", 0), rank_0):
        try:
            if function is not None:
                function(folder, index)
        except BaseException as error:  # SystemExit too: rank 0 must know
            report_failure(comm, error, index)
            function = None


class _RankZero:
    """Notices, in another rank, that rank 0 shows no sign of life any more, and ends all ranks."""

    def __init__(self, comm: Any, folder: Path, limit: float) -> None:
        self._comm, self._limit = comm, limit
        self._pulse = Pulse(folder, Awake(), comm.Get_size())

    def look(self) -> None:
        """Look, to be called while nothing comes from it."""
        self._pulse.look((0,))
        seconds = self._pulse.silence(0)
        if seconds > self._limit:
            os.write(
                2,
                f"locscale: rank 0 of {self._comm.Get_size()} has been silent for "
                f"{seconds:.0f} s; see whether it is suspended, and whether its host and "
                "disk answer, and run it again\n".encode(),
            )
            self._comm.Abort(FAILED)


def report_failure(comm: Any, error: BaseException, index: int | None = None) -> None:
    """Tell rank 0 what went wrong here."""
    name = f"rank {comm.Get_rank()} of {comm.Get_size()}"
    _send(comm, Failure.of(error, name, index).as_dict(), 0, FAIL)


def _dealt(comm: Any, plan: int, rank_0: _RankZero) -> Iterator[int]:
    """The tasks that rank 0 deals to this rank; the next one is asked for while one is done."""
    halted = False
    for _ in range(AHEAD):
        comm.Send(b"", dest=0, tag=ASK)
    asked = AHEAD
    while asked:
        _wait_for(comm, 0, INDEX, rank_0.look)
        index = _receive_number(comm, 0, INDEX)
        if index == NO_MORE:
            asked -= 1
            continue
        halted = halted or _is_halted(comm, plan)
        if not halted:
            yield index
            comm.Send(b"", dest=0, tag=DONE)
        comm.Send(b"", dest=0, tag=ASK)
    _is_halted(comm, plan)  # a message that nobody takes spoils the end of MPI


def _is_halted(comm: Any, plan: int) -> bool:
    """Whether rank 0 wants no more of this plan done; of an earlier one it may have said so."""
    halted = False
    while comm.Iprobe(source=0, tag=HALT):
        halted = _receive_number(comm, 0, HALT) == plan or halted
    return halted


def _receive_number(comm: Any, rank: int, tag: int) -> int:
    """Receive what `bytes_of` made."""
    buffer = bytearray(8)
    comm.Recv(buffer, source=rank, tag=tag)
    return int.from_bytes(buffer, "little", signed=True)


def send_command(comm: Any, values: dict[str, Any], rank: int) -> None:
    """Tell a rank that waits in `serve` of a plan, or that it is finished."""
    _send(comm, values, rank, COMMAND)


def bytes_of(index: int) -> bytes:
    """An index as a message."""
    return index.to_bytes(8, "little", signed=True)


def _wait_for(
    comm: Any, source: int, tag: int, meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Sleep until a message is there; a blocking receive would take a whole core."""
    pause = Pause()
    while not comm.Iprobe(source=source, tag=tag):
        pause()
        meanwhile()


def _send(comm: Any, values: dict[str, Any], rank: int, tag: int) -> None:
    """Send a few JSON values: first their length, then the text."""
    text = json.dumps(values).encode()
    comm.Send(bytes_of(len(text)), dest=rank, tag=tag)
    comm.Send(text, dest=rank, tag=tag)


def _receive(comm: Any, rank: int, tag: int) -> dict[str, Any]:
    """Receive what `_send` sent."""
    _wait_for(comm, rank, tag)
    text = bytearray(_receive_number(comm, rank, tag))
    comm.Recv(text, source=rank, tag=tag)
    values: dict[str, Any] = json.loads(text)
    return values
