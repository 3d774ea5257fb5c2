"""Use the cores of this process: steps in threads, and the threads of linear algebra.

Transforms, filters and products let other threads run, so two of them use two cores.  What a
function returns does not depend on where it runs.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

_T = TypeVar("_T")
_MOST_VOXELS = 1 << 26  # of a box; larger ones have no room for two steps at a time
# names of the functions that get and set, as OpenBLAS of numpy's and scipy's wheels, of a system,
# and MKL call them
_FUNCTIONS = (
    *(
        (f"{prefix}_get_num_threads{suffix}", f"{prefix}_set_num_threads{suffix}")
        for prefix in ("scipy_openblas", "openblas")
        for suffix in ("64_", "")
    ),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
)
_LIBRARIES = ("openblas", "mkl_rt")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def beside(function: Callable[[], _T], *, together: bool) -> Callable[[], _T]:
    """Start a function; what is returned waits for its result, and raises what it raised.

    Parameters
    ----------
    function : callable
        Changes nothing that the caller uses meanwhile, and reports no progress.
    together : bool
        Whether it runs in a thread; if not, it runs when its result is asked for.  A program
        does not end before the thread has.
    """
    if not together:
        return function

    def run() -> _T:
        """Call it with its share of the cores."""
        import scipy.fft

        with scipy.fft.set_workers(max(1, cores() // 2)):
            return function()

    # Python waits for the threads of a pool: one that ends within a transform aborts the program
    pool = ThreadPoolExecutor(1)
    result = pool.submit(run).result
    pool.shutdown(wait=False)
    return result


class Early(Generic[_T]):
    """Work that may have begun in a thread before its result is asked for."""

    def __init__(self) -> None:
        self._begun: Callable[[], _T] | None = None

    def begin(self, function: Callable[[], _T]) -> None:
        """Start it."""
        self._begun = beside(function, together=True)

    def result(self, function: Callable[[], _T]) -> _T:
        """What was begun, or the same function now."""
        return (self._begun or function)()


def may_go_beside(workers: int, voxels: int) -> bool:
    """Whether two steps of a run may go side by side: on cores given to it, with room for both."""
    return workers > 1 and voxels <= _MOST_VOXELS


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it every BLAS of this process works on one thread; other libraries are left alone."""
    before = [(setter, getter()) for getter, setter in _switches()]
    for setter, _ in before:
        setter(1)
    try:
        yield
    finally:
        for setter, number in before:
            setter(number)


def _switches() -> Iterator[tuple[Callable[[], int], Callable[[int], object]]]:
    """Functions that get and set the number of threads, of every library that has them."""
    import numpy
    import scipy.linalg  # loads scipy's own BLAS, which is not numpy's

    for path in _loaded() or _beside(Path(numpy.__file__), Path(scipy.__file__)):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for get, put in _FUNCTIONS:
            with contextlib.suppress(AttributeError):
                yield getattr(library, get), getattr(library, put)
                break


def _loaded() -> list[str]:
    """Libraries of this process that are a BLAS, where the system tells."""
    if sys.platform != "linux":
        return []
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
        paths = {line[line.index("/") :] for line in lines if "/" in line}
        return sorted(
            path for path in paths if any(name in path.rpartition("/")[2] for name in _LIBRARIES)
        )
    return []


def _beside(*packages: Path) -> list[str]:
    """Libraries that came with a wheel: in `numpy.libs`, or `numpy/.dylibs` on macOS."""
    folders = [
        folder
        for path in packages
        for folder in (path.parent.with_name(f"{path.parent.name}.libs"), path.parent / ".dylibs")
    ]
    return sorted(str(file) for folder in folders for file in folder.glob("*openblas*"))


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def fft_share(workers: int) -> Iterator[None]:
    """Within it scipy's FFT uses this process's share of the cores among `workers` processes.

    BLAS uses one thread: its sums, unlike those of the FFT, depend on the number.
    """
    import scipy.fft

    with one_blas_thread(), scipy.fft.set_workers(max(1, cores() // max(workers, 1))):
        yield
