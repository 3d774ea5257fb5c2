"""Whether the short name `locscale` belongs to this program here."""

import importlib.metadata
import shutil
import sys
from pathlib import Path

from .findings import Finding

_OURS = b"locscale_hybrid"


def other_locscale() -> Finding | None:
    """A note when another program owns the name `locscale`, in this environment or on PATH."""
    use = "use the name locscale-hybrid for this program"
    try:
        version = importlib.metadata.version("locscale")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if version is not None:
        return Finding("other-locscale", "note", f"LocScale {version} is installed in this "
                       f"environment ({sys.prefix}) and owns the name locscale too: {use}",
                       {"version": version})
    found = shutil.which("locscale")
    if found is not None and not _is_ours(Path(found)):
        return Finding("other-locscale", "note", f"the locscale on PATH, {found}, is another "
                       f"program: {use}", {"path": found})
    return None


def _is_ours(path: Path) -> bool:
    """Whether a script starts this program."""
    try:
        with path.open("rb") as stream:
            start = stream.read(1 << 20)
    except OSError:
        return True
    return _OURS in start
