"""Make the job folder of a run, which is removed when the run ends."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError
from ..outputs import OutputPaths
from ..remedies import give
from .processes import python_executable
from .temporary_folder import FolderKeeper

_RUN_PREFIX = "run-"
_LOCK = "in_use"
_TRIES = 5


@contextmanager
def job_folder(outputs: OutputPaths) -> Iterator[Path]:
    """Make the folder in which a run's processes meet.

    It is for this user alone and goes with the run, or with a process that is killed.  In a named
    processing folder it lies beside what outlives the run, and those that killed runs have left
    there are removed.

    Raises
    ------
    InputError
        If it cannot be made.
    """
    named = outputs.processing_folder
    with contextlib.ExitStack() as held:
        try:
            if named is not None:
                named.mkdir(mode=0o700, exist_ok=True)
                folder = _folder_among_others(named, held)
            elif outputs.scratch is not None:  # somebody sees to that
                folder = Path(tempfile.mkdtemp(prefix="locscale-", dir=outputs.scratch))
            else:
                folder = held.enter_context(FolderKeeper("locscale-", python=_python())).folder
        except OSError as error:
            place = named or outputs.scratch or tempfile.gettempdir()
            raise InputError(
                f"no folder can be made in {place}: {error.strerror}",
                give("temporary_folder", "a folder with room"),
                give("processing_folder", "a folder with room"),
            ) from None
        try:
            yield folder
        finally:
            held.close()  # Windows removes no file that is open
            shutil.rmtree(folder, ignore_errors=True)


def _python() -> Path:
    """Return an interpreter; in an application without one, a program that cannot start."""
    try:
        return python_executable()
    except InputError:
        return Path(os.devnull)


def _folder_among_others(named: Path, held: contextlib.ExitStack) -> Path:
    """Make a folder with a lock that is held as long as the run lives; dead ones beside it go."""
    for path in named.glob(f"{_RUN_PREFIX}*"):
        with contextlib.suppress(OSError):
            path.rmdir()  # of a run that was killed before it had a lock
        with contextlib.ExitStack() as mine:
            if (path / _LOCK).exists() and _locked(path / _LOCK, mine):
                shutil.rmtree(path, ignore_errors=True)
    for _ in range(_TRIES):  # another run may have taken a new one for dead
        folder = Path(tempfile.mkdtemp(prefix=_RUN_PREFIX, dir=named))
        if _locked(folder / _LOCK, held) and (folder / _LOCK).exists():
            break
    return folder


def _locked(path: Path, held: contextlib.ExitStack) -> bool:
    """Take a lock until the stack closes; False where another has it or there are no locks."""
    lock = FileLock(path, timeout=0, mode=0o600, thread_local=False)
    try:
        held.enter_context(lock)
    except (Timeout, OSError, NotImplementedError):
        return False
    return True
