"""A temporary folder that goes however the process that uses it ends, killed too.

The one watcher of what a run leaves: a second process makes the folder, so that there is no moment
at which the folder is there and nobody sees to it, and waits for the end of its standard input,
which the user of the folder holds open.  If the folder is still there then, its user was killed:
the watcher ends the processes that were started for the folder (`processes.end_users`), and removes
the files that an MPI left elsewhere and the folder that it made and no other: by device and number,
that is a folder and no link.

It is started as ``python temporary_folder.py PACKAGES PLACE PREFIX``, loads nothing of the package
before it has to end something, and writes the folder's path and a zero byte to its standard
output.  An application that cannot wait for a process makes the folder and hands it over, as
``python temporary_folder.py PACKAGES --keep FOLDER DEVICE NUMBER``.
"""

import contextlib
import json
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

LITTER = "litter.json"  # names of files elsewhere, anywhere in the folder
_SECONDS = 20.0  # in which processes that still write into the folder have ended
_INTERVAL = 0.2
_KEEP = "--keep"
_END = b"\0"  # of a path, which may hold a new line


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

    def __init__(
        self, prefix: str, place: str | Path | None = None, python: str | Path = sys.executable
    ) -> None:
        home = tempfile.gettempdir() if place is None else str(place)
        self._process: subprocess.Popen[bytes] | None = None
        made = b""
        with contextlib.suppress(OSError):
            self._process = _started(python, home, prefix, output=subprocess.PIPE)
            if self._process.stdout is not None:
                with self._process.stdout as stream:
                    made = _answer(stream.fileno())
        if not made:
            self._let_go()
        self.folder = Path(os.fsdecode(made) or tempfile.mkdtemp(prefix=prefix, dir=home))

    @classmethod
    def of(cls, folder: Path, python: str | Path = sys.executable) -> Self:
        """Have a folder seen to that this process has made; returns at once."""
        keeper = cls.__new__(cls)
        keeper.folder, keeper._process, meant = folder, None, identity(folder)
        with contextlib.suppress(OSError):
            if meant is not None:
                keeper._process = _started(python, _KEEP, str(folder), *map(str, meant))
        return keeper

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


def _started(
    python: str | Path, *words: str, output: int = subprocess.DEVNULL
) -> "subprocess.Popen[bytes]":
    """Start the process that keeps a folder."""
    from .processes import package_folders, start  # not there where this file is a program

    packages = os.pathsep.join(package_folders(["locscale_hybrid", "psutil"]))
    command = [str(python), "-I", "-S", __file__, packages, *words]
    root = Path(os.sep)
    return start(command, os.environ, stdin=subprocess.PIPE, output=output, folder=root)


def _answer(descriptor: int) -> bytes:
    """Read what the process says, up to a zero byte; nothing if it ends before that.

    The end of its output is not waited for: whatever else was started may hold that open.
    """
    said = b""
    while not said.endswith(_END):
        part = os.read(descriptor, 4096)
        if not part:
            return b""
        said += part
    return said[:-1]


def make_and_keep(place: str, prefix: str) -> None:
    """Make a folder, tell its path, wait for the end of standard input, remove the folder."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    except OSError:
        return
    keep(folder, identity(folder), tell=True)


def keep(folder: Path, meant: tuple[int, int] | None, *, tell: bool = False) -> None:
    """Wait for the end of standard input, then clear up a folder of this device and number."""
    with contextlib.suppress(OSError), _held(folder):  # so that its number goes to no other
        with contextlib.suppress(OSError):
            if tell:
                os.write(1, os.fsencode(folder) + _END)
            os.close(1)
            while os.read(0, 4096):
                pass
        end = time.monotonic() + _SECONDS
        while meant is not None and identity(folder) == meant and time.monotonic() < end:
            with contextlib.suppress(Exception):  # what is left is removed all the same
                _end_users(folder)
            shutil.rmtree(folder, ignore_errors=True)
            if identity(folder) == meant:  # something still writes into it
                time.sleep(_INTERVAL)


def _end_users(folder: Path) -> None:
    """End what was started for a folder, and remove what an MPI left elsewhere."""
    sys.path[:0] = [path for path in sys.argv[1].split(os.pathsep) if path not in sys.path]
    from locscale_hybrid.parallel.processes import end_users, remove_litter

    names: list[str] = []
    for path in folder.rglob(LITTER):
        with contextlib.suppress(OSError, ValueError):
            names += json.loads(path.read_text(encoding="utf-8"))
    end_users(folder, grace=2.0)
    remove_litter(names)


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
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.argv[2] == _KEEP:
        keep(Path(sys.argv[3]), (int(sys.argv[4]), int(sys.argv[5])))
    else:
        make_and_keep(sys.argv[2], sys.argv[3])
