"""Whether this program can run here, and whether the short name `locscale` is its own."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

from ..errors import InputError
from ..findings import Finding
from ..remedies import do

_OURS = b"locscale_hybrid"
_LEAST_MEMORY = 400_000_000  # bytes


def other_locscale() -> Finding | None:
    """Note if another program owns the name `locscale`, in this environment or on PATH."""
    use = do("use the name locscale-hybrid for this program")
    try:
        version = importlib.metadata.version("locscale")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is not None:
        return Finding(
            "other-locscale",
            "note",
            f"LocScale {version} is installed in this "
            f"environment ({sys.prefix}) and owns the name locscale too",
            {"version": version},
            (use,),
        )
    found = shutil.which("locscale")
    if found is not None and not _is_ours(Path(found)):
        return Finding(
            "other-locscale",
            "note",
            f"the locscale on PATH, {found}, is another program",
            {"path": found},
            (use,),
        )
    return None


def require_room() -> None:
    """Refuse a limit of memory in which the libraries cannot be loaded.

    Linear algebra would end the process without a word.

    Raises
    ------
    InputError
        With the limit.
    """
    if sys.platform == "win32":  # has no such limit
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < _LEAST_MEMORY:
        raise InputError(
            f"the memory of a process is limited to {limit / 1e6:.0f} MB (ulimit -v), "
            f"and this program needs {_LEAST_MEMORY / 1e6:.0f} MB for its libraries alone",
            do("raise the limit"),
        )


def _is_ours(path: Path) -> bool:
    """Test whether a script starts this program."""
    try:
        with path.open("rb") as stream:
            start = stream.read(1 << 20)
    except OSError:
        return True
    return _OURS in start
