"""What a pool, MPI ranks and mpi4py.futures cost: ``python benchmarks/ranks.py [BOX...] [WAY...]``.

The scaling of a box by two workers, ways in turn, A B A B: seconds until all workers have begun,
seconds of the scaling, CPU seconds of all processes from start to end.  mpi4py.futures gets one rank
more, or as many, because its rank 0 hands out tasks and does none.  Every run has a process of its
own; give the machine nothing else to do.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from locscale_hybrid.parallel.executors import MpiexecExecutor, ProcessExecutor, SerialExecutor
from locscale_hybrid.parallel.launchers import mpiexec_candidates
from locscale_hybrid.parallel.tasks import Executor
from locscale_hybrid.parallel.threads import fft_share

WORKERS = 2
WAYS = ("serial", "pool", "mpiexec", "futures, 3 ranks", "futures, 2 ranks")
ROUNDS = 2


class FuturesExecutor(SerialExecutor):
    """The tasks as futures of mpi4py, for comparison: no progress, no patience, no named rank."""

    def __init__(self, ranks: int) -> None:
        from mpi4py.futures import MPIPoolExecutor

        self.workers, self.name = ranks - 1, f"futures of {ranks} ranks"
        self._pool = MPIPoolExecutor(initializer=_share, initargs=(self.workers,))

    def map(self, function, folder, count, *, progress=None, patience=None) -> None:
        """Run the tasks, one at a time on each worker."""
        self.workers = max(self.workers, 2)  # one worker is dealt to, too, and not done here
        for done in [self._pool.submit(function, folder, index) for index in range(count)]:
            done.result()

    def close(self) -> None:
        """End the workers."""
        self._pool.shutdown()


def _share(workers: int) -> None:
    """Give a worker of mpi4py its share of the cores, for good."""
    fft_share(workers).__enter__()


def executor_of(way: str) -> Executor:
    """Make the executor of a way."""
    if way == "serial":
        return SerialExecutor()
    if way == "pool":
        return ProcessExecutor(WORKERS)
    if way == "mpiexec":
        return MpiexecExecutor(WORKERS, mpiexec_candidates())
    return FuturesExecutor(int(way.split()[1]))


def measure(way: str, box: int) -> None:
    """Scale a box and print what it cost."""
    import timing

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, executor_of(way) as executor:
        executor.map(timing.begin_to_work, Path(folder), executor.workers)
        start = time.perf_counter() - began - 0.5
        cost = timing.scale_box(box, "bands, adaptive", WORKERS, executor)
    print(json.dumps({"start": start, "wall": cost["wall_seconds"]}))


def run(way: str, box: int) -> dict[str, float]:
    """Measure in a process of its own, with the CPU time of all that it started."""
    words = [sys.executable, __file__, "--measure", way, str(box)]
    if way.startswith("futures"):
        mpiexec, ranks = str(mpiexec_candidates()[0].path), way.split()[1]
        words = [mpiexec, "-n", ranks, sys.executable, "-m", "mpi4py.futures", *words[1:]]
    before = _cpu_of_children()
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1]) | {"cpu": _cpu_of_children() - before}


def _cpu_of_children() -> float:
    """CPU seconds of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(boxes: list[int], ways: list[str]) -> None:
    """Print a table for each box."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    for box in boxes:
        print(f"{box}^3, {WORKERS} workers: start s, scaling s, CPU s in all; {ROUNDS} rounds")
        for _ in range(ROUNDS):
            for way in ways:
                cost = run(way, box)
                print(
                    f"{way:18} {cost['start']:5.2f} {cost['wall']:7.2f} {cost['cpu']:7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        boxes = [int(word) for word in sys.argv[1:] if word.isdecimal()]
        ways = [way for way in WAYS if way in sys.argv[1:]]
        main(boxes or [112, 300], ways or list(WAYS))
