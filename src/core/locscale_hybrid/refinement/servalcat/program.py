"""Refinement by servalcat, an optional program: B in place of our own refiner, or coordinates.

It runs as a child process on files of its own: the maps as they were read, their first voxel at
the origin, and the atoms moved along.  Where B are refined, coordinates stay and nothing else is
restrained; coordinates are refined with the restraints of the user's monomer library.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import gemmi
import numpy as np

from ...errors import InputError, StageError
from ...inputs.half_maps import ObservedMaps
from ...maps.grid import DoubleArray, Map
from ...parallel.processes import PACKAGES, child_environment, python_executable, start, stop
from ...parameters import HybridInputs, HybridParameters
from ...remedies import Remedy, do, give, install, leave_out, use
from ...scattering.scatterers import Scatterers
from ...symmetry.operators import Symmetry
from .files import PREFIX, prepared_model, read_b, read_positions, write_atoms, write_maps

ADP_WEIGHT = "5"  # of the restraints on B; the default of 1 leaves B rmsd of 12-31 Å^2 at 3-4 Å
N_CYCLES = 10

_POLL_SECONDS = 0.1

_ATOM_TYPES = "ener_lib.cif"
_LINKS = ("list/mon_lib_list.cif", "links_and_mods.cif")  # either, by age of the library
_MANY = 8  # names that a message lists

Report = Callable[[float], None]


def require_engine(
    inputs: HybridInputs, parameters: HybridParameters, folder: Path | None = None
) -> None:
    """Refuse what needs servalcat, or its library, where they are not.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
    folder : Path, optional
        Where its files will be.

    Raises
    ------
    InputError
        If servalcat or its library is missing, or it cannot use the name of a folder.
    """
    if parameters.refiner == "servalcat":
        require_servalcat(use("refiner", "own"))
    if inputs.monomer_library is not None:
        require_servalcat(leave_out("monomer_library"))
        require_library(inputs.monomer_library)
    if parameters.refiner == "servalcat" or inputs.monomer_library is not None:
        for used in (folder, inputs.monomer_library):
            _require_text(used)


def _require_text(folder: Path | None) -> None:
    """Refuse a folder whose name holds bytes that are no letters: gemmi takes text alone."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"servalcat cannot use the folder {folder}, because its name is not in UTF-8",
            do("rename it"),
        ) from None


def require_servalcat(without: Remedy | None = None) -> None:
    """Refuse to go on without servalcat.

    Parameters
    ----------
    without : Remedy, optional
        How to run without it.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    if importlib.util.find_spec("servalcat") is None:
        remedies = [install("servalcat"), *([] if without is None else [without])]
        raise InputError("servalcat is not installed", *remedies)


def require_library(library: Path) -> None:
    """Refuse a folder that is no monomer library.

    Raises
    ------
    InputError
        If it is missing, or lacks the files that every such library has.
    """
    if not library.is_dir():
        raise InputError(
            f"there is no folder {library}",
            give("monomer_library", "the monomer library of CCP4, lib/data/monomers"),
        )
    lacking = [] if (library / _ATOM_TYPES).is_file() else [_ATOM_TYPES]
    if not any((library / name).is_file() for name in _LINKS):
        lacking.append(_LINKS[0])
    if lacking:
        raise InputError(
            f"{library} is not a monomer library: it has no {' and no '.join(lacking)}",
            give("monomer_library", "the monomer library of CCP4, lib/data/monomers"),
        )


def require_restraints(structure: gemmi.Structure, library: Path) -> None:
    """Refuse a model with residues of which the library knows nothing.

    Raises
    ------
    InputError
        Naming them.
    """
    names = sorted(set(structure[0].get_all_residue_names()))
    unknown = [name for name in names if not _has_restraints(name, library)]
    if unknown:
        more = f" and {len(unknown) - _MANY} more" if len(unknown) > _MANY else ""
        raise InputError(
            f"the monomer library {library} has no restraints for "
            f"{', '.join(unknown[:_MANY])}{more} of the model",
            do("add their files to it"),
            do("remove them from the model"),
            leave_out("monomer_library"),
        )


def refine_b(
    observed: ObservedMaps,
    atoms: Scatterers,
    b_iso: DoubleArray,
    *,
    d_min: float,
    folder: Path,
    progress: Report = lambda done: None,
) -> DoubleArray:
    """B of atoms against the half maps, or the one map, by servalcat.

    Parameters
    ----------
    observed : ObservedMaps
        Pseudo-halves are not shown to it: they are one map.
    atoms : Scatterers
        In the frame of the map; pseudo-atoms count as carbon.
    b_iso : array, shape (n,)
        Å^2, start.
    d_min : float
        Å.
    folder : Path
        For its files.
    progress : callable
        Called while it runs; may raise to stop it.

    Returns
    -------
    array, shape (n,)
        Å^2.

    Raises
    ------
    InputError
        If servalcat is not installed.
    StageError
        If it fails; the message quotes its last line.

    References
    ----------
    .. [1] Yamashita, Palmer, Burnley, Murshudov (2021) Acta Cryst. D77:1282-1291,
       :doi:`10.1107/S2059798321009475`.
    """
    require_servalcat()
    maps = _shown(observed)
    model = folder / f"{PREFIX}_start.cif"
    write_atoms(model, atoms, b_iso, observed.average.grid)
    own = ["--unrestrained", "--fix_xyz", "--hydrogen", "no"]
    _run(_words(maps, model, d_min, folder, own), folder, progress)
    return read_b(folder / f"{PREFIX}.mmcif", len(b_iso))


def refine_coordinates(
    maps: Sequence[Map],
    structure: gemmi.Structure,
    library: Path,
    *,
    d_min: float,
    b_start: float,
    folder: Path,
    symmetry: Symmetry | None = None,
    progress: Report = lambda done: None,
) -> DoubleArray:
    """Coordinates of a model against two half maps or one map, restrained, by servalcat.

    Parameters
    ----------
    maps : sequence of Map
        Two half maps, or one map alone.
    structure : gemmi.Structure
        In the frame of the maps; left as it is.  Hydrogens move along; if none, some are made.
    library : Path
        Monomer library with the restraints.
    d_min : float
        Å.
    b_start : float
        Å^2, of all atoms at first; B are refined too, but not returned.
    folder : Path
    symmetry : Symmetry, optional
        Of the maps, if the structure is one asymmetric unit.
    progress : callable
        Called while it runs; may raise to stop it.

    Returns
    -------
    array, shape (n, 3)
        Å, of all atoms in the order of ``structure[0].all()``.

    Raises
    ------
    InputError
        If servalcat is not installed, or the library is none or lacks residues of the model.
    StageError
        If it fails; the message quotes its last line.
    """
    require_servalcat(leave_out("monomer_library"))
    require_library(library)
    require_restraints(structure, library)
    shifted = prepared_model(structure, maps[0], symmetry)
    model = folder / f"{PREFIX}_model.cif"
    shifted.make_mmcif_document().write_file(str(model))
    own: list[str | Path] = ["--monlib", library, "--bfactor", f"{b_start:.2f}"]
    own += ["--no_check_ncs_map", "--hydrogen"]
    own += ["yes", "--hout"] if structure[0].has_hydrogen() else ["all"]
    _run(_words(maps, model, d_min, folder, own), folder, progress)
    origin = np.array(maps[0].grid.origin)
    return np.asarray(read_positions(folder / f"{PREFIX}.mmcif", shifted) + origin)


def _words(
    maps: Sequence[Map], model: Path, d_min: float, folder: Path, own: Sequence[str | Path]
) -> list[str | Path]:
    """Write the maps and return the command, with what one of the two tasks adds."""
    return [
        python_executable(),
        "-P",
        "-m",
        "servalcat",
        "refine_spa_norefmac",
        "--halfmaps" if len(maps) == 2 else "--map",
        *write_maps(maps, folder),
        "--model",
        model,
        "-d",
        f"{d_min:.4f}",
        "--adp",
        "iso",
        "--adpr_weight",
        ADP_WEIGHT,
        *own,
        "--ncycle",
        str(N_CYCLES),
        "-o",
        folder / PREFIX,
    ]


def _shown(observed: ObservedMaps) -> list[Map]:
    """Return the half maps, or the one map if there are no real ones."""
    halves = [observed.half_1, observed.half_2] if observed.kind == "halves" else []
    return [half for half in halves if half is not None] or [observed.average]


def _run(words: list[str | Path], folder: Path, progress: Report) -> None:
    """Run it to its end, stopping it when `progress` raises."""
    log, errors = folder / f"{PREFIX}.out", folder / f"{PREFIX}.err"
    environment = child_environment(os.environ, packages=(*PACKAGES, "servalcat", "pandas"))
    process = start(words, environment, output=log, errors=errors, folder=folder)
    try:
        began = time.monotonic()
        while process.poll() is None:
            time.sleep(_POLL_SECONDS)
            elapsed = time.monotonic() - began
            progress(elapsed / (elapsed + 60.0))
    finally:
        code = stop(process)
    if code != 0:
        text = errors.read_text(errors="replace") + log.read_text(errors="replace")
        last = next(
            (line.strip() for line in reversed(text.splitlines()) if "Error" in line),
            f"exit code {code}",
        )
        raise StageError(
            f"servalcat failed: {last[:300]}",
            do("run without it"),
            give("processing_folder", when="to keep its log"),
        )


def _has_restraints(name: str, library: Path) -> bool:
    """Test whether the library has a file for a residue; names forbidden on Windows are doubled."""
    folder = library / name[:1].lower()
    return (folder / f"{name}.cif").is_file() or (folder / f"{name}_{name}.cif").is_file()
