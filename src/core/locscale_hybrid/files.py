"""Writing a file so that it is either complete or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the place of `path` once all is written.

    Raises
    ------
    InputError
        If the folder is missing or the file cannot be written; nothing is left behind.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"the folder {folder} does not exist; make it, or write elsewhere")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file name for the output")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}; make room or "
                         "write to another folder") from None
    finally:
        temporary.unlink(missing_ok=True)
