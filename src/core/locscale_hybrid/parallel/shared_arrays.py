"""Arrays in the job folder that the processes of a run share, with room for them made sure.

A file that is mapped into memory before the disk has room for it kills the process that writes
into it; here a full disk is one sentence.
"""

import errno
import json
import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import StageError
from ..files.codec import decode, encode
from ..maps.grid import FloatArray
from ..remedies import do, give

_T = TypeVar("_T")


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
        array: FloatArray = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float32, shape=shape
        )
        if hasattr(os, "posix_fallocate"):
            with path.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, max(path.stat().st_size, 1))
    except OSError as error:
        raise _no_room(path, 4 * int(np.prod(shape)), error) from None
    return array


def save_value(folder: Path, name: str, value: object) -> None:
    """Write a value that `codec.encode` takes: its arrays as files of their own.

    Raises
    ------
    StageError
        If there is no room for it.
    """
    tree, arrays = encode(value)
    for part, values in arrays.items():
        save_array(folder / f"{name}_{part}.npy", values)
    path = folder / f"{name}.json"
    text = json.dumps({"value": tree, "arrays": sorted(arrays)})
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _no_room(path, len(text), error) from None


def load_value(kind: type[_T], folder: Path, name: str) -> _T:
    """Load the value that `save_value` wrote; its arrays stay in their files, read-only."""
    stored = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    arrays: dict[str, NDArray[Any]] = {
        part: np.load(folder / f"{name}_{part}.npy", mmap_mode="r") for part in stored["arrays"]
    }
    result: _T = decode(kind, stored["value"], arrays)
    return result


def _no_room(path: Path, size: int, error: OSError) -> StageError:
    """Word the error for a file that could not be written."""
    reason = os.strerror(error.errno) if error.errno else os.strerror(errno.ENOSPC)
    return StageError(
        f"a file of {size / 1e6:.3g} MB cannot be written to {path.parent} ({reason})",
        do("make room"),
        give("temporary_folder", "a folder with room"),
        give("processing_folder", "a folder with room"),
    )
