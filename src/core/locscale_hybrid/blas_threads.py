"""One thread for the linear algebra of numpy and scipy, because their sums depend on the number.

The command line says so by environment variables before numpy is loaded.  A program that calls the
functions of this package has loaded numpy long before; there the library itself is told.
"""

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# names of the functions that get and set, as OpenBLAS of numpy's and scipy's wheels, of a system,
# and MKL call them
_FUNCTIONS = (
    *((f"{prefix}_get_num_threads{suffix}", f"{prefix}_set_num_threads{suffix}")
      for prefix in ("scipy_openblas", "openblas") for suffix in ("64_", "")),
    ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"))
_LIBRARIES = ("openblas", "mkl_rt")


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
        paths = {line[line.index("/"):] for line in lines if "/" in line}
        return sorted(path for path in paths if any(
            name in path.rpartition("/")[2] for name in _LIBRARIES))
    return []


def _beside(*packages: Path) -> list[str]:
    """Libraries that came with a wheel: in `numpy.libs`, or `numpy/.dylibs` on macOS."""
    folders = [folder for path in packages for folder in (
        path.parent.with_name(f"{path.parent.name}.libs"), path.parent / ".dylibs")]
    return sorted(str(file) for folder in folders for file in folder.glob("*openblas*"))
