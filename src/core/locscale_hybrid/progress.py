"""Report the progress of a run to whoever called it, and measure its stages."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from .errors import Cancelled
from .findings import Finding

STAGES = ("checks", "mask", "hybrid model", "pseudo-atoms", "adp", "reference", "scaling", "output")
# Share of the run's time that each stage of STAGES takes on a typical half-map run.
_WEIGHTS = (0.06, 0.04, 0.02, 0.48, 0.16, 0.03, 0.18, 0.03)


class Listener(Protocol):
    """What shows progress: a terminal, JSON lines, ChimeraX."""

    def stage(self, name: str, index: int, of: int) -> None:
        """Report that a stage begins; `index` counts from 1."""

    def fraction(self, done: float) -> None:
        """Report that the whole run is done to `done`, 0 to 1; never falls."""

    def finding(self, finding: Finding) -> None:
        """Something the user must see."""


class Silent:
    """A listener that shows nothing."""

    def stage(self, name: str, index: int, of: int) -> None:
        """Show nothing."""

    def fraction(self, done: float) -> None:
        """Show nothing."""

    def finding(self, finding: Finding) -> None:
        """Show nothing."""


class Progress:
    """Turns stages and fractions of stages into one fraction that never falls.

    Parameters
    ----------
    listener : Listener, optional
        Where it is shown.
    stop_requested : callable, optional
        Asked at every report; when it returns True the run ends with `Cancelled`.
    """

    def __init__(
        self, listener: Listener | None = None, stop_requested: Callable[[], bool] | None = None
    ) -> None:
        self._listener: Listener = listener or Silent()
        self._stop_requested = stop_requested
        self._stage = 0
        self._done = 0.0
        self._findings: list[Finding] = []

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that was found so far, by whomever: starter, stages, executor."""
        return tuple(self._findings)

    def start(self, name: str) -> None:
        """Begin the stage `name`, one of STAGES."""
        self._stage = STAGES.index(name)
        self._check()
        self._listener.stage(name, self._stage + 1, len(STAGES))
        self.update(0.0)

    def update(self, fraction: float) -> None:
        """Report that the current stage is done to `fraction`, 0 to 1."""
        self._check()
        before = sum(_WEIGHTS[: self._stage])
        done = before + _WEIGHTS[self._stage] * min(max(fraction, 0.0), 1.0)
        self._done = max(self._done, min(done, 1.0))
        self._listener.fraction(self._done)

    def part(self, begin: float, end: float) -> Callable[[float], None]:
        """Make a function that maps 0..1 of a step onto begin..end of the current stage."""
        return lambda fraction: self.update(begin + (end - begin) * fraction)

    def found(self, finding: Finding) -> None:
        """Keep a finding and pass it on."""
        self._findings.append(finding)
        self._listener.finding(finding)

    def note(self, findings: Iterable[Finding]) -> None:
        """Keep findings and pass them on, but no code that an earlier step has reported."""
        said = {finding.code for finding in self._findings}
        for finding in findings:
            if finding.code not in said:
                self.found(finding)

    def repeated(self) -> "Progress":
        """Make the progress of work that is done a second time: it ends the run, and shows none."""
        return _Repeated(self)

    def _check(self) -> None:
        """End the run when it was told to stop."""
        if self._stop_requested is not None and self._stop_requested():
            raise Cancelled("the run was stopped; nothing has been written")


class _Repeated(Progress):
    """Progress of work that is done a second time, while the first is at its end."""

    def __init__(self, first: Progress) -> None:
        super().__init__()
        self._first = first

    def start(self, name: str) -> None:
        """Show no stage."""
        self._first.update(1.0)

    def update(self, fraction: float) -> None:
        """Ask whether to stop."""
        self._first.update(1.0)

    def found(self, finding: Finding) -> None:
        """Keep nothing: the first time has said it."""


@dataclass(frozen=True)
class StageCost:
    """Cost of one stage.

    Parameters
    ----------
    wall_seconds : float
    cpu_seconds : float
        Of this process and of the children that ended within the stage.
    peak_gib : float
        Largest resident memory of this process so far, GiB; 0 where the system does not tell.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_gib: float


@dataclass
class Timings:
    """Costs of the stages in the order they ran; a stage that runs twice is added up."""

    stages: dict[str, StageCost] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the block as part of the stage `name`."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        try:
            yield
        finally:
            before = self.stages.get(name, StageCost(0.0, 0.0, 0.0))
            self.stages[name] = StageCost(
                before.wall_seconds + time.perf_counter() - wall,
                before.cpu_seconds + cpu_seconds() - cpu,
                peak_memory_gib(),
            )

    @property
    def total_cpu_seconds(self) -> float:
        """CPU time of all stages."""
        return sum(cost.cpu_seconds for cost in self.stages.values())


def cpu_seconds() -> float:
    """CPU time of this process and its ended children, in seconds."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def peak_memory_gib() -> float:
    """Peak resident memory of this process in GiB."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 2**30
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
