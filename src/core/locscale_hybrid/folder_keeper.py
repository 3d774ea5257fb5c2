"""A temporary folder goes when the process that made it was killed: a second process sees to it.

It is started as ``python folder_keeper.py FOLDER TOKEN``, holds nothing of the package, and waits
for the end of its standard input, which the maker of the folder holds open.  It removes that one
folder and no other: the one it saw when it began, by device and number, that is a folder and no
link, belongs to this user, and holds the file `TOKEN_FILE` with the token that it was given.
"""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

TOKEN_FILE = ".owner"
_TOKEN_BYTES = 16
_SECONDS = 20.0      # in which processes that still write into the folder have ended
_INTERVAL = 0.2


class FolderKeeper:
    """The maker's end.

    Parameters
    ----------
    folder : Path
        Just made by this process, for this user alone.
    python : str or Path
        The interpreter.

    Notes
    -----
    Where no process can be started the folder is as safe as any other.
    """

    def __init__(self, folder: Path, python: str | Path = sys.executable) -> None:
        token = os.urandom(_TOKEN_BYTES).hex()
        self._process: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):
            (folder / TOKEN_FILE).write_text(token, encoding="ascii")
            self._process = subprocess.Popen(
                [str(python), "-I", "-S", __file__, str(folder), token], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                cwd=os.sep)

    def close(self) -> None:
        """Have what is left of the folder removed, and wait until that is done."""
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


def keep(folder: Path, token: str) -> None:
    """Wait for the end of standard input, then remove the folder if it is the one meant."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    meant = identity(folder)
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    if meant is None or not holds(folder, token):
        return
    end = time.monotonic() + _SECONDS
    while identity(folder) == meant:
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > end:
            return
        time.sleep(_INTERVAL)


def identity(folder: Path) -> tuple[int, int] | None:
    """Device and number of a folder of this user; None for anything else."""
    try:
        found = os.lstat(folder)
    except OSError:
        return None
    is_mine = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) and is_mine else None


def holds(folder: Path, token: str) -> bool:
    """Whether the folder has the token of its maker."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (folder / TOKEN_FILE).read_text(encoding="ascii") == token
    return False


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2])
