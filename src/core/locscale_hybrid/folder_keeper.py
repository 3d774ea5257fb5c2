"""A temporary folder that goes however the process that uses it ends, killed too.

A second process makes the folder and removes it, so that there is no moment at which the folder is
there and nobody sees to it.  It is started as ``python folder_keeper.py PLACE PREFIX``, holds
nothing of the package, writes the folder's path to its standard output, and waits for the end of
its standard input, which the user of the folder holds open.  It removes the folder that it made
and no other: by device and number, that is a folder and no link.
"""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

_SECONDS = 20.0      # in which processes that still write into the folder have ended
_INTERVAL = 0.2


class FolderKeeper:
    """The user's end.

    Parameters
    ----------
    prefix : str
        Of the folder's name.
    place : str or Path, optional
        Where it is made, for this user alone; None: the system's place.
    python : str or Path
        The interpreter.

    Attributes
    ----------
    folder : Path

    Raises
    ------
    OSError
        If there can be no folder.

    Notes
    -----
    Where no process can be started this process makes the folder, and it is as safe as any other.
    """

    def __init__(self, prefix: str, place: str | Path | None = None,
                 python: str | Path = sys.executable) -> None:
        home = tempfile.gettempdir() if place is None else str(place)
        self._process: subprocess.Popen[bytes] | None = None
        made = b""
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [str(python), "-I", "-S", __file__, home, prefix], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0), cwd=os.sep)
            if self._process.stdout is not None:
                with self._process.stdout as stream:
                    made = stream.read()
        if not made:
            self._let_go()
        self.folder = Path(os.fsdecode(made) or tempfile.mkdtemp(prefix=prefix, dir=home))

    def remove(self) -> None:
        """Remove the folder as far as it goes at once."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Have the folder removed, and wait until that is done."""
        self.remove()
        self._let_go()

    def _let_go(self) -> None:
        """Wait for the end of the process that keeps the folder."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        """Use it in a ``with`` statement."""
        return self

    def __exit__(self, *details: object) -> None:
        """Close it."""
        self.close()


def keep(place: str, prefix: str) -> None:
    """Make a folder, tell its path, wait for the end of standard input, remove the folder."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    except OSError:
        return
    with _held(folder):     # so that its number goes to no other folder meanwhile
        meant = identity(folder)
        with contextlib.suppress(OSError):
            os.write(1, os.fsencode(folder))
            os.close(1)
            while os.read(0, 4096):
                pass
        end = time.monotonic() + _SECONDS
        while meant is not None and identity(folder) == meant and time.monotonic() < end:
            shutil.rmtree(folder, ignore_errors=True)
            if identity(folder) == meant:       # something still writes into it
                time.sleep(_INTERVAL)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder open, where folders can be opened."""
    flag = getattr(os, "O_DIRECTORY", None)
    if flag is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | flag)
    try:
        yield
    finally:
        os.close(descriptor)


def identity(folder: Path) -> tuple[int, int] | None:
    """Device and number of a folder of this user; None for anything else."""
    try:
        found = os.lstat(folder)
    except OSError:
        return None
    is_mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) and is_mine else None


if __name__ == "__main__":
    keep(sys.argv[1], sys.argv[2])
