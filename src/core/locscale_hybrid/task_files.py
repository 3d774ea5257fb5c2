"""Arrays in the job folder that the processes of a run share, with room for them made sure.

A file that is mapped into memory before the disk has room for it kills the process that writes
into it; here a full disk is one sentence.
"""

import errno
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import StageError
from .maps import FloatArray


def save_array(path: Path, values: NDArray[np.generic]) -> None:
    """Write an array for others to read.

    Raises
    ------
    StageError
        If there is no room for it.
    """
    try:
        np.save(path, values)
    except OSError as error:  # numpy's own has no number when a write falls short
        raise _no_room(path, values.nbytes, error) from None


def shared_array(path: Path, shape: tuple[int, ...]) -> FloatArray:
    """Make an array of zeros in a file, mapped into memory, for others to write into.

    Raises
    ------
    StageError
        If there is no room for it.
    """
    try:
        array: FloatArray = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32,
                                                      shape=shape)
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, max(path.stat().st_size, 1))
    except OSError as error:
        raise _no_room(path, 4 * int(np.prod(shape)), error) from None
    return array


def _no_room(path: Path, size: int, error: OSError) -> StageError:
    """The sentence about a file that could not be written."""
    reason = os.strerror(error.errno) if error.errno else os.strerror(errno.ENOSPC)
    return StageError(f"the job folder {path.parent} takes no file of {size / 1e6:.3g} MB "
                      f"({reason}): make room, set TMPDIR to a folder with room, or name one "
                      "with -op")
