"""Ranks end when the program that started them is gone, however it went.

A launcher's ranks have process groups of their own, so ending the launcher's group does not reach
them, and a dead parent leaves them running under every MPI.  Each rank therefore watches a FIFO
whose writing end the parent holds: it closes with the parent.  Where there are no FIFOs the
parent renews a file instead, and the ranks watch that it changes.

A thread of the rank watches, so that the rank can end in order.  No thread runs while a library
holds the interpreter, as MPI does when it starts or ends and a peer is gone; a process beside the
rank, which watches the same FIFO, then kills it.
"""

import contextlib
import itertools
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ..patience import Awake
from ..processes import process_start
from .leftovers import litter_of, remove_litter

FIFO = "alive.fifo"
BEAT = "alive.beat"
BEAT_SECONDS = 2.0
LOST_SECONDS = 30.0
GUARD_SECONDS = 1.5  # s that a rank has to end in order


class Lifeline:
    """The parent's end.

    Parameters
    ----------
    folder : Path
        Folder of the run, seen by every rank.
    fifo : bool
        Use a FIFO; False: the file that is renewed.
    """

    def __init__(self, folder: Path, *, fifo: bool = hasattr(os, "mkfifo")) -> None:
        self._folder = folder
        self._descriptor: int | None = None
        self._stop = threading.Event()
        if not (fifo and self._open_fifo()):
            self._beat()
            threading.Thread(target=self._keep_beating, daemon=True).start()

    def close(self) -> None:
        """Let go: every rank that is still there ends itself."""
        self._stop.set()
        (self._folder / BEAT).unlink(missing_ok=True)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()

    def _open_fifo(self) -> bool:
        """Make the FIFO and hold its writing end; False where the file system has none."""
        path = self._folder / FIFO
        try:
            os.mkfifo(path, 0o600)
        except OSError:
            return False
        both = os.open(path, os.O_RDWR)  # opening for writing alone would wait for a reader
        self._descriptor = os.open(path, os.O_WRONLY)
        os.close(both)
        return True

    def _beat(self) -> None:
        """Write a new value into the file that the ranks watch."""
        pid = os.getpid()
        text = f"{time.monotonic()} {socket.gethostname()} {pid} {process_start(pid)}"
        (self._folder / BEAT).write_text(text)

    def _keep_beating(self) -> None:
        """Renew the file until told to stop."""
        while not self._stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                self._beat()


def watch(folder: Path, on_lost: Callable[[], None], *, lost_after: float = LOST_SECONDS) -> None:
    """Call `on_lost`, in a thread, once the parent of this rank is gone.

    Parameters
    ----------
    folder : Path
        The folder given to `Lifeline`.
    on_lost : callable
        Ends this process.
    lost_after : float
        s without a change of the file, where there is no FIFO.
    """
    fifo = folder / FIFO
    if fifo.exists():
        descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)

        def wait() -> None:
            """Block until the writing end closes."""
            while os.read(descriptor, 1):
                pass
            on_lost()
    else:

        def wait() -> None:
            """Look until the file stops changing."""
            _wait_for_silence(folder / BEAT, lost_after)
            on_lost()

    threading.Thread(target=wait, daemon=True).start()


def guard(folder: Path) -> None:
    """Put a process beside this rank that kills it when it outlives its parent.

    To be called before MPI is loaded and before there are threads.  Does nothing where there is
    no FIFO.

    Parameters
    ----------
    folder : Path
        The folder given to `Lifeline`.
    """
    if not (folder / FIFO).exists() or not hasattr(os, "fork"):
        return
    rank = os.getpid()
    alive, held = os.pipe()  # `held` closes when this rank ends, however it ends
    if os.fork() != 0:
        os.close(alive)
        return
    try:
        os.close(held)
        fifo = os.open(folder / FIFO, os.O_RDONLY | os.O_NONBLOCK)
        _let_go_of_all_but(fifo, alive)
        _stand_guard(rank, fifo, alive)
    finally:
        os._exit(0)


def _let_go_of_all_but(*kept: int) -> None:
    """Close what the launcher waits to be closed, and be deaf to its terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    edges = [2, *sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for before, after in itertools.pairwise(edges):
        os.closerange(before + 1, after)


def _stand_guard(rank: int, fifo: int, alive: int) -> None:
    """Wait for the end of the rank or of its parent; kill a rank that outlives its parent."""
    if not _is_closed(fifo) and alive in select.select([fifo, alive], [], [])[0]:
        return
    if select.select([alive], [], [], GUARD_SECONDS)[0]:
        return
    litter = litter_of(rank)
    os.kill(rank, signal.SIGKILL)
    remove_litter(litter)


def _is_closed(fifo: int) -> bool:
    """Whether nobody holds the writing end; select does not tell when nobody ever did."""
    try:
        return not os.read(fifo, 1)
    except BlockingIOError:
        return False


def _wait_for_silence(path: Path, seconds: float) -> None:
    """Return once the file is gone, or has not changed for so long while this process was awake.

    A parent on this host that is suspended is not lost.
    """
    awake = Awake(step=2.0)
    last, since = "", awake()
    while awake() - since < seconds:
        try:
            now = path.read_text()
        except FileNotFoundError:
            return
        except OSError:  # a network file system may hiccup
            now = last
        if now != last or _is_there(now):
            last, since = now, awake()
        time.sleep(min(1.0, seconds / 4))


def _is_there(beat: str) -> bool:
    """Whether the process that wrote the file is one of this host that has not ended."""
    words = beat.split()
    if len(words) != 4 or words[1] != socket.gethostname() or not words[2].isdecimal():
        return False
    return process_start(int(words[2])) == words[3]
