"""Files that are read are files; files that are written are complete or not there."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TypeVar

from ..errors import InputError

_Read = TypeVar("_Read")
_CHUNK = 1 << 22  # bytes read at a time for a hash
LONGEST_STEM = 120  # bytes of a name that we choose: encrypted folders take 143 with its ending
_OTHER_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_regular(path: Path) -> None:
    """Refuse a pipe, a socket or a device in place of a file: opening one may wait for ever.

    A missing file and a folder pass: whoever opens them has the better sentence.

    Raises
    ------
    InputError
        If the path, or what it links to, is neither a file nor a folder.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return
    if kind in _OTHER_KINDS:
        raise InputError(
            f"{path} is {_OTHER_KINDS[kind]}, not a file; save its content to a file "
            "and give that file"
        )


def short_name(name: str, most: int) -> str:
    """Cut a name to at most so many bytes, between two letters."""
    return name.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` once all is written.

    Parameters
    ----------
    path : Path
    durable : bool
        Wait until the disk has it, so that a crash of the machine cannot leave it half written.

    Raises
    ------
    InputError
        If the folder is missing or the file cannot be written; nothing is left behind.
    """
    folder = path.absolute().parent
    if not os.path.isdir(folder):  # unlike Path.is_dir, also for a name too long
        raise InputError(f"the folder {folder} does not exist; make it, or write elsewhere")
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder; give a file name for the output")
    # not made of the path's own name, to which a file system that takes it may take no addition
    temporary = path.with_name(f".locscale-{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        remedy = (
            "give a shorter name"
            if error.errno == errno.ENAMETOOLONG
            else "make room or write to another folder"
        )
        raise InputError(f"{path} cannot be written: {error.strerror or error}; {remedy}") from None
    finally:
        with suppress(OSError):  # a disk that became read-only says so for a missing file too
            temporary.unlink()


@contextmanager
def all_or_none(paths: Iterable[Path]) -> Iterator[None]:
    """Take the files away again that were not there before, where writing them all is ended."""
    new = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            with suppress(OSError):  # what ended the writing says more
                path.unlink()
        raise


def read_hashed(path: Path, read: Callable[[Path], _Read]) -> tuple[_Read, str]:
    """Read a small file and hash what was read.

    Parameters
    ----------
    path : Path
    read : callable
        Says itself what is wrong with a file that is missing or is none.

    Raises
    ------
    InputError
        If the file changes meanwhile.
    """
    before = sha256(path) if path.is_file() else None
    result = read(path)
    if not path.is_file() or sha256(path) != before:
        raise InputError(f"{path} changed while it was read; run again when it is complete")
    return result, before


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; of a folder, that of the names and sizes of its files.

    Raises
    ------
    InputError
        If the path is a pipe, a socket or a device.
    OSError
        If it cannot be read.
    """
    require_regular(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = [f"{file.relative_to(path).as_posix()} {file.stat().st_size}\n" for file in files]
        return hashlib.sha256("".join(names).encode()).hexdigest()
    with path.open("rb") as stream:
        return sha256_of(stream)


def sha256_of(stream: IO[bytes]) -> str:
    """SHA-256 of the rest of an open file, hexadecimal."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
