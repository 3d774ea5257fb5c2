"""What each stage of a run cost: wall time, CPU time with child processes, peak memory."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


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
            self.stages[name] = StageCost(before.wall_seconds + time.perf_counter() - wall,
                                          before.cpu_seconds + cpu_seconds() - cpu,
                                          peak_memory_gib())

    @property
    def total_cpu_seconds(self) -> float:
        """CPU time of all stages."""
        return sum(cost.cpu_seconds for cost in self.stages.values())


def cpu_seconds() -> float:
    """CPU time of this process and its ended children, in seconds."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def peak_memory_gib() -> float:
    """Peak resident memory of this process in GiB; 0 on systems without `resource`."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)
