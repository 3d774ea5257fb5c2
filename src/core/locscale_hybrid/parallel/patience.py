"""How long another process may be silent before the run is given up.

Silence is counted in the time that the watching process was awake.  A run that was suspended as a
whole, by Ctrl-Z, by a queue or by the lid of a laptop, then goes on where it was.

A worker is silent when a task takes far longer than any other did, or when the worker shows no
sign of life.  It shows one every second, from a thread of its own, as the time stamp of a file in
the folder of the plan: that works on every host that sees the folder, and with a full disk.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..findings import Finding

BEAT_SECONDS = 1.0  # between two signs of life, and between two looks at them
_LONGEST_BEAT = 10.0  # s, for so many workers that a file server would feel them
_WORKERS_A_SECOND = 100
NOTICE_SECONDS = 30.0  # without one, after which the user hears of it
_LEAST_BEATS = 5  # that are missed before a worker counts as silent
_STEP = 1.0  # s; whoever watches looks several times a second


class Awake:
    """Seconds for which this process was awake: between two calls at most `step` counts.

    Parameters
    ----------
    step : float
        s, longer than the time between two calls of a process that is awake.
    """

    def __init__(self, step: float = _STEP) -> None:
        self._step, self._seconds, self._last = step, 0.0, time.monotonic()
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """The seconds so far."""
        with self._lock:
            now = time.monotonic()
            self._seconds += min(now - self._last, self._step)
            self._last = now
            return self._seconds


@dataclass
class Clock:
    """Notices a worker that has been at one task for far longer than any task took.

    Parameters
    ----------
    patience : float
        s; no task counts as overdue before.
    factor : float
        A task is overdue after `factor` times the longest task so far.
    now : callable
        The time in s.
    """

    patience: float = 300.0
    factor: float = 10.0
    longest: float = 0.0
    busy: dict[int, tuple[int, float]] = field(default_factory=dict)
    now: Callable[[], float] = field(default_factory=Awake)

    def started(self, worker: int, task: int) -> None:
        """`worker` begins `task`, the first of those it has."""
        self.busy[worker] = (task, self.now())

    def finished(self, worker: int) -> float:
        """`worker` has done, or given up, what it began; how long that took, s."""
        if worker not in self.busy:
            return 0.0
        _, begin = self.busy.pop(worker)
        took = self.now() - begin
        self.longest = max(self.longest, took)
        return took

    def overdue(self) -> tuple[int, int, float] | None:
        """Worker, task and seconds of the first worker that is overdue."""
        now, limit = self.now(), max(self.patience, self.factor * self.longest)
        late = [
            (worker, task, now - begin)
            for worker, (task, begin) in list(self.busy.items())
            if now - begin > limit
        ]
        return min(late) if late else None


def life_file(folder: Path, worker: int) -> Path:
    """The file whose time stamp shows that a worker lives."""
    return folder / f".alive-{worker}"


def beat_seconds(workers: int) -> float:
    """Seconds between two signs of life of one of so many workers."""
    return min(max(BEAT_SECONDS, workers / _WORKERS_A_SECOND), _LONGEST_BEAT)


class Heart:
    """Shows that this process lives, by a thread that ends with it.

    Parameters
    ----------
    workers : int
        That do the same.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._path: Path | None = None
        self._thread: threading.Thread | None = None

    def beat_in(self, path: Path | None) -> None:
        """Renew the time stamp of this file from now on; None: of no file."""
        if path is not None and path != self._path:
            with contextlib.suppress(OSError):
                path.touch()
        self._path = path
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, daemon=True)
            self._thread.start()

    def _beat(self) -> None:
        """Renew it, again and again; a file that is gone is not made again."""
        while True:
            time.sleep(beat_seconds(self._workers))
            path = self._path
            if path is not None:
                with contextlib.suppress(OSError):
                    os.utime(path)


class Pulse:
    """For how long workers have shown no sign of life, as their watcher sees it.

    Parameters
    ----------
    folder : Path
        Of the plan.
    now : callable
        The time in s.
    workers : int
        How many there are.
    """

    def __init__(self, folder: Path, now: Callable[[], float], workers: int = 1) -> None:
        self._folder, self._now, self._every = folder, now, beat_seconds(workers)
        self._seen: dict[int, tuple[int, float]] = {}
        self._looked = float("-inf")

    def look(self, workers: Iterable[int]) -> None:
        """Look at the files of the workers, as often as they are renewed at most."""
        now = self._now()
        if now - self._looked < self._every:
            return
        self._looked = now
        for worker in workers:
            stamp = _stamp(life_file(self._folder, worker))
            if stamp is None:
                self._seen.pop(worker, None)
            elif worker not in self._seen or self._seen[worker][0] != stamp:
                self._seen[worker] = (stamp, now)

    def silence(self, worker: int) -> float:
        """Seconds without a sign of life; 0 for a worker that has never shown one."""
        return self._now() - self._seen[worker][1] if worker in self._seen else 0.0


def _stamp(path: Path) -> int | None:
    """Time stamp of a file; by opening it, since a network file system then asks its server."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


class Watch:
    """Notices workers of one plan that are silent, says so, and then gives the run up.

    Parameters
    ----------
    clock : Clock
    folder : Path
        Of the plan.
    limit : float
        s without a sign of life after which the run is given up.
    workers : int
        How many there are.
    called : callable
        What to call a worker in a message.
    found : callable
        Told once of each worker that shows no sign of life for NOTICE_SECONDS, or half the limit.
    remedy : str
        The end of the sentence about a worker that is silent for too long.
    """

    def __init__(
        self,
        clock: Clock,
        folder: Path,
        *,
        limit: float,
        workers: int,
        called: Callable[[int], str],
        found: Callable[[Finding], None],
        remedy: str,
    ) -> None:
        self.clock, self._called, self._found, self._remedy = clock, called, found, remedy
        self._beat = beat_seconds(workers)
        self._limit = max(limit, _LEAST_BEATS * self._beat)
        self._pulse = Pulse(folder, clock.now, workers)
        self._said: set[int] = set()

    def late(self) -> tuple[int, str] | None:
        """A worker that is silent for too long, and the sentence about it."""
        busy = dict(self.clock.busy)
        self._pulse.look(busy)
        late = self.clock.overdue()
        for worker, (task, _) in sorted(busy.items()):
            seconds = self._pulse.silence(worker)
            if seconds > self._limit:
                late = late or (worker, task, seconds)
            elif seconds > min(NOTICE_SECONDS, self._limit / 2) and worker not in self._said:
                self._said.add(worker)
                self._found(no_sign_of_life(self._called(worker), seconds, self._limit))
            elif seconds < 2 * self._beat:
                self._said.discard(worker)
        if late is None:
            return None
        worker, task, seconds = late
        return worker, (
            f"{self._called(worker)} has been silent for {seconds:.0f} s in task "
            f"{task}; the longest other task took {self.clock.longest:.1f} s; "
            f"{self._remedy}"
        )


def no_sign_of_life(name: str, seconds: float, limit: float) -> Finding:
    """The warning about a worker that does not respond."""
    return Finding(
        "worker-silent",
        "warning",
        f"{name} has not responded for {seconds:.0f} s. "
        f"The run ends if this lasts {limit:.0f} s. Check whether that process is "
        "suspended, and whether its disk responds",
        {"seconds": round(seconds)},
    )
