"""Files outside its folder that an MPI leaves behind when it ends abnormally.

Ranks have files in shared memory.  MPICH's launcher starts a process on each host that holds the
topology of the host in a file, in /tmp whatever TMPDIR says, and removes it only when it ends in
order: not after an abort.  Both are told by who has them open; a name alone may belong to another
job.
"""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

_SHARED = Path("/dev/shm")
_TOPOLOGY = "/tmp/hydra_hwloc_xmlfile_"


def litter_of(pid: int | None = None) -> dict[str, int]:
    """Files of this host with their inode that a rank may leave, or its launcher's process.

    Parameters
    ----------
    pid : int, optional
        Of the rank; None: this process.

    Returns
    -------
    dict
        Empty where there is no /proc.
    """
    rank = Path("/proc/self" if pid is None else f"/proc/{pid}")
    return shared_segments(rank) | topology_files(rank)


def shared_segments(process: Path) -> dict[str, int]:
    """Files in shared memory that a process, a folder of /proc, has mapped."""
    try:
        text = (process / "maps").read_text()
    except OSError:
        return {}
    fields = [line.split(maxsplit=5) for line in text.splitlines() if " /dev/shm/" in line]
    return {words[5]: int(words[4]) for words in fields if not words[5].endswith("(deleted)")}


def topology_files(process: Path) -> dict[str, int]:
    """Files of topology that the parent of a process, a folder of /proc, has open."""
    try:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return {}
    return _open_topology(parent)


def litter_of_launcher(pid: int) -> dict[str, int]:
    """Files of topology that the processes of a launcher on this host have open."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found |= _open_topology(child)
    return found


def _open_topology(pid: str) -> dict[str, int]:
    """Files of topology that a process has open."""
    found = {}
    with contextlib.suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                name = os.readlink(descriptor)
                if name.startswith(_TOPOLOGY):
                    found[name] = os.stat(name).st_ino
    return found


def remove_litter(files: Mapping[str, int]) -> None:
    """Remove what processes that have ended, or end now, left behind."""
    for name, inode in files.items():
        path = Path(name)
        with contextlib.suppress(OSError):
            is_litter = path.parent == _SHARED or name.startswith(_TOPOLOGY)
            if is_litter and path.lstat().st_ino == inode:
                path.unlink()
