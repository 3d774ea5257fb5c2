"""What a worker process runs: one of a pool, or a rank that mpiexec has started.

``python -P -m locscale_hybrid.parallel.worker FOLDER WORKERS NUMBER PATIENCE``

FOLDER is how `processes.end_users` finds it; NUMBER is "rank" for a rank.  Both read JSON lines
from standard input and write JSON lines to standard output, of the ranks rank 0 alone.  The end of
standard input means that whoever started them is gone, and ends them.
"""

import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ..errors import LocScaleError
from .dealing import Message, lines_of, serve
from .tasks import ORPHANED, Executor, Failure, load_task

FAILED = 3
_TELL_EVERY = 0.25  # s


class Lines:
    """JSON lines to and from the program that started this process."""

    def __init__(self) -> None:
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._output = os.dup(1)
        os.dup2(2, 1)  # what a library prints is no message

    def listen(self) -> None:
        """Begin to read, in a thread, so that an end is noticed during a task."""
        threading.Thread(target=self._read, daemon=True).start()

    def receive(self) -> Message | None:
        """Wait for a message; None when all is done."""
        message = self._messages.get()
        return None if message.get("finish") else message

    def send(self, message: Message) -> None:
        """Write one line at once, apart from what was printed before."""
        text = f"\n{json.dumps(message)}\n".encode()
        while text:
            text = text[os.write(self._output, text) :]

    def _read(self) -> None:
        """Take messages until the other side has gone."""
        for line in lines_of(0):
            self._messages.put(json.loads(line))
        os._exit(ORPHANED)


def main(arguments: list[str]) -> int:
    """Run one worker; return the exit code."""
    _, workers, number, patience = arguments
    lines = Lines()
    if number == "rank":
        return _rank(lines, int(workers), float(patience))
    lines.listen()
    serve(lines, int(number), int(workers))
    return 0


def _rank(lines: Lines, ranks: int, patience: float) -> int:
    """Run one rank.

    MPI comes first: what fails before it hangs the other ranks in some MPIs, unless it is said.
    """
    from .mpi.comm_world import CommWorldExecutor, join_ranks, serve_ranks

    comm: Any = None
    try:
        comm, members = join_ranks(ranks)
        if comm.Get_rank() > 0:
            serve_ranks(comm)
            return 0
        lines.listen()
        lines.send({"up": members})
        executor = CommWorldExecutor(comm, patience=patience)
        executor.found = lambda finding: lines.send({"found": finding.as_dict()})
        while (plan := lines.receive()) is not None:
            lines.send({"over": _run_plan(lines, executor, plan)})
        if not executor.finish():
            executor.abort(FAILED)
    except BaseException as error:  # SystemExit too: otherwise the other ranks wait for ever
        name = "an MPI rank" if comm is None else f"rank {comm.Get_rank()}"
        lines.send({"failed": Failure.of(error, name).as_dict()})
        if comm is None:  # alone: MPI can end in order
            return FAILED
        comm.Abort(FAILED)
    return 0


def _run_plan(lines: Lines, executor: Executor, plan: Message) -> Message | None:
    """Have all ranks work on a plan; what went wrong."""
    told = 0.0

    def tell(fraction: float) -> None:
        """Say how far it is, which also shows that this rank lives."""
        nonlocal told
        if time.monotonic() - told > _TELL_EVERY:
            told = time.monotonic()
            lines.send({"fraction": fraction})

    try:
        executor.map(
            load_task(plan["function"]),
            Path(plan["folder"]),
            plan["count"],
            progress=tell,
            patience=plan["patience"],
        )
    except LocScaleError as error:
        notes = "".join(getattr(error, "__notes__", []))
        return Failure("", error.fact, notes, remedies=error.remedies).as_dict()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
