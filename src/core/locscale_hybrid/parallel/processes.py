"""Start child processes in a clean environment, and end what is left of them.

Nothing here imports a package to find out where it lies, and nothing uses a shell.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .launchers import IS_WINDOWS, launcher_of
from .tasks import GRACE
from .threads import THREAD_VARIABLES

if TYPE_CHECKING:
    from psutil import Process

PACKAGES = (
    "locscale_hybrid",
    "numpy",
    "scipy",
    "mrcfile",
    "gemmi",
    "cattrs",
    "attrs",
    "psutil",
    "filelock",
    "threadpoolctl",
    "mpi4py",
)
_CREATE_NEW_PROCESS_GROUP, _CREATE_NO_WINDOW = 0x200, 0x8000000  # of Windows
_PROGRAM = "locscale_hybrid"
_SHARED, _TOPOLOGY = "/dev/shm", "/tmp/hydra_hwloc_xmlfile_"
_LAUNCHER = (
    "PMI",
    "PMIX_",
    "OMPI_",
    "PRTE_",
    "ORTE_",
    "HYDI_",
    "HYDRA_",
    "MPI_LOCAL",
    "I_MPI_HYDRA",
    "SLURM_",
)
_KEPT = ("OMPI_ALLOW_RUN_AS_ROOT",)
_SETTINGS = ("OMPI_MCA_", "PRTE_MCA_", "PMIX_MCA_")  # the user's, unless a launcher set them
_APPLICATION = ("QT_", "CHIMERAX", "QML", "QTWEBENGINE")
_PYTHON = ("PYTHONHOME", "PYTHONPATH", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__", "PYTHONSTARTUP")
_LIBRARY_PATHS = (
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "DYLD_INSERT_LIBRARIES",
    "DYLD_FRAMEWORK_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
)


def child_environment(
    environment: Mapping[str, str],
    *,
    packages: Sequence[str] = PACKAGES,
    application: Path | None = None,
    threads: int = 1,
) -> dict[str, str]:
    """Copy the environment so that a child of this program can start in it.

    Parameters
    ----------
    environment : mapping
        Usually ``os.environ``.
    packages : sequence of str
        Packages that the child imports; its PYTHONPATH holds exactly their folders.
    application : Path, optional
        Folder of the application around this Python; library paths inside it are dropped.
    threads : int
        BLAS threads of the child.

    Returns
    -------
    dict
        Without the variables of MPI launchers, Python's and the application's own; HOME, PATH,
        TMPDIR and the user's settings stay.
    """
    dropped = (*_LAUNCHER, *_APPLICATION, *_PYTHON)
    spared = _KEPT if launcher_of(environment) is not None else (*_KEPT, *_SETTINGS)
    kept = {
        name: value
        for name, value in environment.items()
        if name.startswith(spared) or not name.upper().startswith(dropped)
    }
    if application is not None:
        for name in _LIBRARY_PATHS:
            if name in kept:
                entries = _outside(kept.pop(name), application)
                if entries:
                    kept[name] = entries
    kept.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    kept["PYTHONPATH"] = os.pathsep.join(package_folders(packages))
    kept["PYTHONUNBUFFERED"] = "1"
    return kept


def _outside(entries: str, folder: Path) -> str:
    """Keep the entries of a path variable that are outside `folder`."""
    inside = folder.resolve()
    return os.pathsep.join(
        entry
        for entry in entries.split(os.pathsep)
        if entry and not Path(entry).resolve().is_relative_to(inside)
    )


def package_folders(packages: Iterable[str]) -> list[str]:
    """List the folders of the packages, in the order in which this Python searches them.

    Packages that are not there are left out; none is imported.
    """
    folders = set()
    for package in packages:
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(package.partition(".")[0])
            places = [] if spec is None else list(spec.submodule_search_locations or [])
            if spec is not None and not places and spec.origin:
                folders.add(os.path.dirname(os.path.abspath(spec.origin)))
            folders.update(os.path.dirname(os.path.abspath(place)) for place in places)
    order = {
        os.path.abspath(entry): number for number, entry in reversed(list(enumerate(sys.path)))
    }
    return sorted(folders, key=lambda folder: (order.get(folder, len(order)), folder))


def python_executable(preferred: Path | None = None) -> Path:
    """Find the Python interpreter for a child.

    Parameters
    ----------
    preferred : Path, optional
        What the application says its Python is; taken as it is.

    Raises
    ------
    InputError
        If there is none: inside an application ``sys.executable`` is the application itself.
    """
    if preferred is not None:
        if not os.access(preferred, os.X_OK):
            raise InputError(f"{preferred} is not a program: it was given as the Python to use")
        return Path(os.path.abspath(preferred))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = getattr(sys, "_base_executable", None)
    candidates = [
        sys.executable,
        base,
        *(os.path.join(sys.prefix, "bin", name) for name in (version, "python3")),
        os.path.join(sys.prefix, "python.exe"),
        shutil.which(version),
    ]
    for candidate in candidates:
        if candidate and _is_python(Path(candidate)):
            return Path(os.path.abspath(candidate))
    raise InputError(
        f"no Python interpreter was found: {sys.executable} is an application; "
        f"install {version} or give its path"
    )


def _is_python(path: Path) -> bool:
    """Test whether a program's name is that of a Python interpreter."""
    name = re.fullmatch(r"python[0-9.]*t?(\.exe)?", path.name.lower())
    return name is not None and os.access(path, os.X_OK)


def start(
    arguments: Sequence[str | Path],
    environment: Mapping[str, str],
    *,
    stdin: int = subprocess.DEVNULL,
    output: Path | int = subprocess.DEVNULL,
    errors: Path | int | None = subprocess.DEVNULL,
    folder: Path | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a program in a session of its own.

    Parameters
    ----------
    arguments : sequence
        The program and its arguments; no shell sees them.
    environment : mapping
        All of the child's environment.
    stdin : int
        As `subprocess.Popen` takes it.
    output, errors : Path or int, optional
        Files for its two streams, or as `subprocess.Popen` takes it.
    folder : Path, optional
        Where it runs, for programs that leave files there; None: here.
    """
    with contextlib.ExitStack() as files:
        streams = [
            files.enter_context(stream.open("wb")) if isinstance(stream, Path) else stream
            for stream in (output, errors)
        ]
        return subprocess.Popen(
            [str(word) for word in arguments],
            env=dict(environment),
            stdin=stdin,
            stdout=streams[0],
            stderr=streams[1],
            cwd=folder,
            **own_group(),
        )


def stop(process: "subprocess.Popen[bytes]", grace: float = GRACE) -> int:
    """End a program: SIGTERM, `grace` s, SIGKILL; its exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def own_group() -> dict[str, Any]:
    """Arguments of Popen for a group of its own, so that Ctrl-C in a terminal misses the child.

    On Windows without a console window, which an application would open for each child.
    """
    if not IS_WINDOWS:
        return {"start_new_session": True}
    return {"creationflags": _CREATE_NEW_PROCESS_GROUP | _CREATE_NO_WINDOW}


def start_core(
    job: Path,
    *,
    python: Path,
    application: Path | None = None,
    errors: Path | None = None,
    scratch: Path | None = None,
    hold: bool = False,
) -> "subprocess.Popen[bytes]":
    """Start a run of this program on a job file, for an application around it.

    The child reports as JSON lines on its ``stdout`` and ends itself when its ``stdin``, held
    open by this process, closes.

    Parameters
    ----------
    job : Path
        Written by `job_file.write_job`; with `hold` not before `release_core`.
    python : Path
        See `python_executable`.
    application : Path, optional
        See `child_environment`.
    errors : Path, optional
        File for what the child writes on stderr; None: discarded.
    scratch : Path, optional
        Folder for the temporary files of the run, so that the application can delete them when
        the child was killed; None: the system's.
    hold : bool
        Load libraries, then wait for `release_core` before anything is read.
    """
    environment = child_environment(os.environ, application=application)
    if scratch is not None:
        environment.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch)))
    command = [
        str(python),
        "-P",
        "-m",
        "locscale_hybrid",
        "--job",
        str(job),
        "--progress",
        "json",
        "--end_with_stdin",
        *(["--hold"] if hold else []),
    ]
    pipe = subprocess.PIPE
    return start(command, environment, stdin=pipe, output=pipe, errors=errors or subprocess.DEVNULL)


def release_core(process: "subprocess.Popen[bytes]") -> None:
    """Let a core that was started with `hold` begin; one that has ended says so by its exit code.

    By a word on its ``stdin``, whose end ends it: there is nothing else that a parent which dies,
    or a disk which fills, could leave half done.
    """
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        process.stdin.write(b"go\n")
        process.stdin.flush()


def stop_core(process: "subprocess.Popen[bytes]", grace: float = 5.0) -> int:
    """End a run that `start_core` started; its exit code.

    What it has started ends with it, or is ended by the process that keeps its temporary folder.
    """
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if IS_WINDOWS:  # where a signal would not let it end what it started
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
        grace = 0.0
    return stop(process, grace)


def end_users(folder: Path, grace: float = GRACE) -> None:
    """End the processes of this program that have a folder, or something in it, as an argument.

    They need not be children of this process, nor even have been known to it: so are found the
    ranks that a launcher leaves behind, and what a process that was killed had started.  They are
    asked first, where the system can.
    """
    import psutil  # takes a moment, and a run that ends well needs it not

    if not (found := _users(folder)):
        return
    litter = litter_of(process.pid for process in found)
    if not IS_WINDOWS:
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        psutil.wait_procs(found, grace)
    deadline = time.monotonic() + grace
    while (found := _users(folder)) and time.monotonic() < deadline:
        for process in found:  # by number and start: no other is ever killed
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, 0.1)
    remove_litter(litter)


def _users(folder: Path) -> list["Process"]:
    """Other processes of this program with a folder, or something in it, as an argument."""
    import psutil

    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        is_ours = process.pid != os.getpid() and any(word.startswith(_PROGRAM) for word in words)
        if is_ours and any(Path(word).is_relative_to(folder) for word in words):
            found.append(process)
    return found


def litter_of(pids: Iterable[int]) -> list[str]:
    """Files outside their folders that an MPI leaves behind when these processes end badly.

    Ranks have files in shared memory.  MPICH's launcher starts a process on each host that holds
    the topology of the host in a file, in /tmp whatever TMPDIR says: the parent of a rank.  Both are
    known by who has them open; a name alone may belong to another job.
    """
    import psutil

    found: set[str] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            if hasattr(process, "memory_maps"):
                found.update(part.path for part in process.memory_maps())
            found.update(file.path for file in psutil.Process(process.ppid()).open_files())
    return sorted(filter(_is_litter, found))


def remove_litter(files: Iterable[str]) -> None:
    """Remove what processes that have ended, or end now, left behind."""
    for name in filter(_is_litter, files):
        Path(name).unlink(missing_ok=True)


def _is_litter(name: str) -> bool:
    """Test whether a file is one that an MPI makes, and still there."""
    is_mpi = os.path.dirname(name) == _SHARED or name.startswith(_TOPOLOGY)
    return is_mpi and os.path.exists(name)
