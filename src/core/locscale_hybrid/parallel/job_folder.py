"""Make the job folder of a run, which is removed when the run ends."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..outputs import OutputPaths
from .processes import python_executable
from .temporary_folder import FolderKeeper

_RUN_PREFIX = "run-"
_LOCK = "in_use"


@contextmanager
def job_folder(outputs: OutputPaths) -> Iterator[Path]:
    """The folder in which a run's processes meet.

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
                f"no job folder can be made in {place}: {error.strerror}; set TMPDIR "
                "to a folder with room, or name one with -op"
            ) from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _python() -> Path:
    """An interpreter; inside an application without one, a program that cannot be started."""
    try:
        return python_executable()
    except InputError:
        return Path(os.devnull)


def _folder_among_others(named: Path, held: contextlib.ExitStack) -> Path:
    """A folder with a lock that is held as long as the run lives; dead ones beside it go."""
    with contextlib.ExitStack() as briefly:
        alone = _locked(named, os.O_RDONLY, briefly)  # so that no folder is seen without its lock
        for path in named.glob(f"{_RUN_PREFIX}*") if alone else ():
            with contextlib.ExitStack() as mine:
                if _locked(path / _LOCK, os.O_RDWR | os.O_CREAT, mine):
                    shutil.rmtree(path, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_RUN_PREFIX, dir=named))
        _locked(folder / _LOCK, os.O_RDWR | os.O_CREAT, held)
    return folder


def _locked(path: Path, flags: int, held: contextlib.ExitStack) -> bool:
    """Take a lock until the stack closes; False where another has it or there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows: folders of killed runs stay
        return False
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError:
        return False
    held.callback(os.close, descriptor)
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
