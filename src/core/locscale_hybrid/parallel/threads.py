"""Use the cores of this process: steps in threads, and the threads of linear algebra.

Transforms, filters and products let other threads run, so two of them use two cores.  What a
function returns does not depend on where it runs.
"""

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_T = TypeVar("_T")
_MOST_VOXELS = 1 << 26  # of a box; larger ones have no room for two steps at a time
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


def may_go_beside(workers: int, voxels: int) -> bool:
    """Test whether two steps may run at the same time: cores were given, and both fit."""
    return workers > 1 and voxels <= _MOST_VOXELS


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let every BLAS of this process work on one thread within it, and leave other libraries alone.

    numpy and scipy bring one each, and either may be OpenBLAS, MKL, BLIS or FlexiBLAS: threadpoolctl
    finds what is loaded, on every system.
    """
    with find_blas().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def find_blas() -> Any:
    """Look once for the BLAS of this process: a look while another thread loads one may hang.

    The linker is held while Python is called for each library, and a thread that imports holds
    Python while it waits for the linker.
    """
    import scipy.linalg  # noqa: F401  loads scipy's own BLAS, which is not numpy's
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def cores() -> int:
    """Count the cores that this process may use."""
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
