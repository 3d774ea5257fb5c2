"""Work that a thread does beside the caller's: the arrays are shared, nothing is written.

Transforms, filters and products let other threads run, so two of them use two cores.  What a
function returns does not depend on where it runs.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from .tasks import cores

_T = TypeVar("_T")

_MOST_VOXELS = 1 << 26  # of a box; larger ones have no room for two steps at a time


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
