"""Watch the workers of a plan: say which of them is silent, and give the run up in the end.

A worker is silent when a task takes far longer than any other did, or when the worker shows no
sign of life.  It shows one every second, from a thread of its own, as the time stamp of a file in
the folder of the plan: that works on every host that sees the folder, and with a full disk.

Silence is counted in the time that the watching process was awake.  A run that was suspended as a
whole, by Ctrl-Z, by a queue or by the lid of a laptop, then goes on where it was.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import StageError
from ..findings import Finding
from ..remedies import Remedy, do

PATIENCE = 300.0  # s of silence after which a run is given up
NOTICE_SECONDS = 30.0  # s of silence after which the user hears of it
_BEAT_SECONDS = 1.0  # between two signs of life, and between two looks at them
_LONGEST_BEAT = 10.0  # s, for so many workers that a file server would feel them
_WORKERS_A_SECOND = 100
_LEAST_BEATS = 5  # that are missed before a worker counts as silent
_FACTOR = 10.0  # a task is overdue after so many times the longest one
_RESPOND = do("check whether its host and its disk respond, and rerun")
_STEP = 1.0  # s; whoever watches looks several times a second


class Awake:
    """Seconds for which this process was awake: between two calls at most one counts."""

    def __init__(self) -> None:
        self._seconds, self._last = 0.0, time.monotonic()

    def __call__(self) -> float:
        """Return the seconds so far."""
        now = time.monotonic()
        self._seconds += min(now - self._last, _STEP)
        self._last = now
        return self._seconds


def life_file(folder: Path, worker: int) -> Path:
    """Return the file whose time stamp shows that a worker lives."""
    return folder / f".alive-{worker}"


def beat_seconds(workers: int) -> float:
    """Return the seconds between two signs of life of one of so many workers."""
    return min(max(_BEAT_SECONDS, workers / _WORKERS_A_SECOND), _LONGEST_BEAT)


class Heart:
    """Show that this process lives, by a thread that ends with it.

    Parameters
    ----------
    workers : int
        That do the same.
    """

    def __init__(self, workers: int) -> None:
        self._every = beat_seconds(workers)
        self._path: Path | None = None
        threading.Thread(target=self._beat, daemon=True).start()

    def beat_in(self, path: Path | None) -> None:
        """Renew the time stamp of this file from now on; None: of no file."""
        if path is not None and path != self._path:
            with contextlib.suppress(OSError):
                path.touch()
        self._path = path

    def _beat(self) -> None:
        """Renew it, again and again; a file that is gone is not made again."""
        while True:
            time.sleep(self._every)
            path = self._path
            if path is not None:
                with contextlib.suppress(OSError):
                    os.utime(path)


def stamp_in(folder: Path) -> Callable[[int], int | None]:
    """Look at the time stamps of the workers of a plan; None for a worker without one."""

    def stamp(worker: int) -> int | None:
        """Open the file, since a network file system then asks its server."""
        try:
            descriptor = os.open(life_file(folder, worker), os.O_RDONLY)
        except OSError:
            return None
        try:
            return os.fstat(descriptor).st_mtime_ns
        finally:
            os.close(descriptor)

    return stamp


@dataclass
class _Seen:
    """What was seen of a worker since it began a task."""

    task: int | None
    began: float
    beat: float  # when its sign of life last changed
    stamp: int | None = None
    said: bool = False


class Watch:
    """Notice workers that are silent, say so, and then give the run up.

    Parameters
    ----------
    stamp : callable
        A number for a worker that changes while it lives; see `stamp_in`.
    workers : int
        How many there are.
    called : callable
        What to call a worker in a message.
    found : callable
        Told once of each worker that shows no sign of life for NOTICE_SECONDS, or half the limit.
    patience : float
        s without a sign of life, or at one task, after which the run is given up.
    for_task : float, optional
        s that a task may take, where that is more.
    remedy : Remedy
        What to do about a worker that is silent for too long.
    now : callable, optional
        The time in s.
    """

    def __init__(
        self,
        stamp: Callable[[int], int | None],
        workers: int,
        *,
        called: Callable[[int], str],
        found: Callable[[Finding], None],
        patience: float = PATIENCE,
        for_task: float | None = None,
        remedy: Remedy = _RESPOND,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._stamp, self._called, self._found, self._remedy = stamp, called, found, remedy
        self._every = beat_seconds(workers)
        self._limit = max(patience, _LEAST_BEATS * self._every)
        self._for_task = max(patience, for_task or 0.0)
        self._now = now or Awake()
        self._looked = self._now()
        self._longest = 0.0
        self._busy: dict[int, _Seen] = {}

    def began(self, worker: int, task: int | None = None) -> None:
        """Note that a worker has been given a task, or is to be watched at all."""
        now = self._now()
        self._busy[worker] = _Seen(task, now, now)

    def ended(self, worker: int) -> bool:
        """Note that a worker is done; False when it had nothing to do."""
        seen = self._busy.pop(worker, None)
        if seen is not None:
            self._longest = max(self._longest, self._now() - seen.began)
        return seen is not None

    def look(self) -> None:
        """Look at the workers, as often as they show that they live at most.

        Raises
        ------
        StageError
            If one is silent for too long.
        """
        now = self._now()
        if now - self._looked < self._every:
            return
        self._looked = now
        for worker, seen in sorted(self._busy.items()):
            stamp = self._stamp(worker)
            if stamp is None or stamp != seen.stamp:
                seen.stamp, seen.beat, seen.said = stamp, now, False
            silent, at_task = now - seen.beat, now - seen.began
            overdue = max(self._for_task, _FACTOR * self._longest)
            if silent > self._limit or (seen.task is not None and at_task > overdue):
                raise StageError(self._fact(worker, seen, max(silent, at_task)), self._remedy)
            if silent > min(NOTICE_SECONDS, self._limit / 2) and not seen.said:
                seen.said = True
                self._found(self._warning(worker, silent))

    def _fact(self, worker: int, seen: _Seen, seconds: float) -> str:
        """Say which worker is silent for too long."""
        where = ""
        if seen.task is not None:
            where = f" in task {seen.task}; the longest other task took {self._longest:.1f} s"
        return f"{self._called(worker)} has been silent for {seconds:.0f} s{where}"

    def _warning(self, worker: int, seconds: float) -> Finding:
        """Say that a worker does not respond."""
        return Finding(
            "worker-silent",
            "warning",
            f"{self._called(worker)} has not responded for {seconds:.0f} s. "
            f"The run ends if this lasts {self._limit:.0f} s",
            {"seconds": round(seconds)},
            (do("check whether that process is suspended, and whether its disk responds"),),
        )
