"""Refinement by servalcat, an optional program: B in place of our own refiner, or coordinates.

It runs as a child process on files of its own: the maps as they were read, their first voxel at
the origin, and the atoms moved along.  Where B are refined, coordinates stay and nothing else is
restrained; coordinates are refined with the restraints of the user's monomer library.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, StageError
from ..inputs.half_maps import ObservedMaps
from ..maps.grid import DoubleArray, Map
from ..maps.mrc import write_map
from ..model.structure import atom_positions, empty_structure, moved_structure
from ..parallel.processes import PACKAGES, child_environment, python_executable, start, stop
from ..parameters import HybridInputs, HybridParameters
from ..symmetry.operators import Symmetry

ADP_WEIGHT = "5"  # of the restraints on B; the default of 1 leaves B rmsd of 12-31 Å^2 at 3-4 Å
N_CYCLES = 10
INSTALL = "pip install servalcat"

_COORDINATES = "--refine_coordinates"
_PSEUDO_ELEMENT = "C"
_POLL_SECONDS = 0.1
_ATOMS_PER_CHAIN = 9000
_PREFIX = "servalcat"

_ATOM_TYPES = "ener_lib.cif"
_LINKS = ("list/mon_lib_list.cif", "links_and_mods.cif")  # either, by age of the library
_MANY = 8  # names that a message lists

Report = Callable[[float], None]
_AtomName = tuple[str, str, str, str]  # chain, residue number, atom, conformation


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
        require_servalcat()
    if inputs.monomer_library is not None:
        require_servalcat(_COORDINATES)
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
            f"servalcat cannot use the folder {folder}, because its name is not in UTF-8; rename it"
        ) from None


def require_servalcat(option: str = "--refiner servalcat") -> None:
    """Refuse to go on without servalcat.

    Parameters
    ----------
    option : str
        What asks for it.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    if importlib.util.find_spec("servalcat") is None:
        raise InputError(
            f"servalcat is not installed in this Python: {INSTALL}, or leave out {option}"
        )


def require_library(library: Path) -> None:
    """Refuse a folder that is no monomer library.

    Raises
    ------
    InputError
        If it is missing, or lacks the files that every such library has.
    """
    if not library.is_dir():
        raise InputError(
            f"there is no folder {library}; give the monomer library of CCP4 "
            "(lib/data/monomers, $CLIBD_MON) with --refine_coordinates"
        )
    lacking = [] if (library / _ATOM_TYPES).is_file() else [_ATOM_TYPES]
    if not any((library / name).is_file() for name in _LINKS):
        lacking.append(_LINKS[0])
    if lacking:
        raise InputError(
            f"{library} is no monomer library: it has no {' and no '.join(lacking)}; "
            "give the folder lib/data/monomers of CCP4 with --refine_coordinates"
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
            f"{', '.join(unknown[:_MANY])}{more} of the model; add their files to it, "
            "take them out of the model, or leave out --refine_coordinates"
        )


def refine_b(
    observed: ObservedMaps,
    positions: DoubleArray,
    species: NDArray[np.str_],
    b_iso: DoubleArray,
    occupancies: DoubleArray,
    *,
    d_min: float,
    folder: Path,
    n_cycles: int = N_CYCLES,
    progress: Report = lambda done: None,
) -> DoubleArray:
    """B of atoms against the half maps, or the one map, by servalcat.

    Parameters
    ----------
    observed : ObservedMaps
        Pseudo-halves are not shown to it: they are one map.
    positions : array, shape (n, 3)
        Å, in the frame of the map.
    species : array of str, shape (n,)
        Pseudo-atoms count as carbon.
    b_iso, occupancies : arrays, shape (n,)
    d_min : float
        Å.
    folder : Path
        For its files.
    n_cycles : int
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
    origin = observed.average.grid.origin
    maps = _write_maps(_shown(observed), folder)
    model = folder / f"{_PREFIX}_start.cif"
    _write_atoms(model, positions - origin, species, b_iso, occupancies, observed.average)
    option = "--halfmaps" if len(maps) == 2 else "--map"
    words: list[str | Path] = [
        python_executable(),
        "-P",
        "-m",
        "servalcat",
        "refine_spa_norefmac",
        option,
        *maps,
        "--model",
        model,
        "-d",
        f"{d_min:.4f}",
        "--unrestrained",
        "--fix_xyz",
        "--adp",
        "iso",
        "--adpr_weight",
        ADP_WEIGHT,
        "--hydrogen",
        "no",
        "--ncycle",
        str(n_cycles),
        "-o",
        folder / _PREFIX,
    ]
    _run(words, folder, progress)
    return _read_b(folder / f"{_PREFIX}.mmcif", len(positions))


def refine_coordinates(
    maps: Sequence[Map],
    structure: gemmi.Structure,
    library: Path,
    *,
    d_min: float,
    b_start: float,
    folder: Path,
    symmetry: Symmetry | None = None,
    n_cycles: int = N_CYCLES,
    progress: Report = lambda done: None,
) -> DoubleArray:
    """Coordinates of a model against two half maps or one map, restrained, by servalcat.

    Parameters
    ----------
    maps : sequence of Map
        Two half maps, or one map alone.
    structure : gemmi.Structure
        In the frame of the maps; left as it is.  Hydrogens move along; where it has none, they
        are made for the refinement alone.
    library : Path
        Monomer library with the restraints.
    d_min : float
        Å.
    b_start : float
        Å^2, of all atoms at first; B are refined too, but not handed back.
    folder : Path
        For its files.
    symmetry : Symmetry, optional
        Of the maps, where the structure is one asymmetric unit; its images are then seen.
    n_cycles : int
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
    require_servalcat(_COORDINATES)
    require_library(library)
    require_restraints(structure, library)
    origin = np.array(maps[0].grid.origin)
    shifted = _prepared(structure, maps[0], symmetry)
    model = folder / f"{_PREFIX}_model.cif"
    shifted.make_mmcif_document().write_file(str(model))
    hydrogens = ["yes", "--hout"] if structure[0].has_hydrogen() else ["all"]
    words: list[str | Path] = [
        python_executable(),
        "-P",
        "-m",
        "servalcat",
        "refine_spa_norefmac",
        "--halfmaps" if len(maps) == 2 else "--map",
        *_write_maps(maps, folder),
        "--model",
        model,
        "-d",
        f"{d_min:.4f}",
        "--monlib",
        library,
        "--hydrogen",
        *hydrogens,
        "--adp",
        "iso",
        "--adpr_weight",
        ADP_WEIGHT,
        "--bfactor",
        f"{b_start:.2f}",
        "--no_check_ncs_map",
        "--ncycle",
        str(n_cycles),
        "-o",
        folder / _PREFIX,
    ]
    _run(words, folder, progress)
    return np.asarray(_read_positions(folder / f"{_PREFIX}.mmcif", shifted) + origin)


def _prepared(
    structure: gemmi.Structure, volume: Map, symmetry: Symmetry | None
) -> gemmi.Structure:
    """Copy the model into the box of the map, its first voxel at the origin, with operators."""
    origin = np.array(volume.grid.origin)
    shifted = moved_structure(structure, atom_positions(structure) - origin)
    shifted.cell = gemmi.UnitCell(*volume.grid.cell, 90, 90, 90)
    shifted.spacegroup_hm = "P 1"
    shifted.ncs.clear()
    if symmetry is None:
        return shifted
    centre = np.array(symmetry.centre) - origin
    for number, matrix in enumerate(symmetry.group.matrices, 1):
        operator = gemmi.Transform()
        operator.mat.fromlist(matrix.tolist())
        operator.vec.fromlist((centre - matrix @ centre).tolist())
        shifted.ncs.append(gemmi.NcsOp(operator, str(number), number == 1))
    return shifted


def _shown(observed: ObservedMaps) -> list[Map]:
    """Return the half maps, or the one map if there are no real ones."""
    halves = [observed.half_1, observed.half_2] if observed.kind == "halves" else []
    return [half for half in halves if half is not None] or [observed.average]


def _write_maps(maps: Sequence[Map], folder: Path) -> list[Path]:
    """Write the maps with their first voxel at the origin: servalcat ignores ORIGIN."""
    paths = []
    for number, volume in enumerate(maps, 1):
        path = folder / f"{_PREFIX}_map{number}.mrc"
        grid = replace(volume.grid, origin=(0.0, 0.0, 0.0))
        write_map(path, Map(volume.values, grid, volume.name))
        paths.append(path)
    return paths


def _write_atoms(
    path: Path,
    positions: DoubleArray,
    species: NDArray[np.str_],
    b_iso: DoubleArray,
    occupancies: DoubleArray,
    observed: Map,
) -> None:
    """Write all atoms in order, a residue each: restraints on B go by distance alone."""
    structure = empty_structure("hybrid")
    structure.cell = gemmi.UnitCell(*observed.grid.cell, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    model = structure[0]
    chain = None
    rows = zip(positions, species, b_iso, occupancies, strict=True)
    for number, (position, kind, b, occupancy) in enumerate(rows):
        place = number % _ATOMS_PER_CHAIN
        if place == 0:
            chain = model.add_chain(gemmi.Chain(f"X{number // _ATOMS_PER_CHAIN}"))
        assert chain is not None
        residue = gemmi.Residue()
        residue.name, residue.seqid = "UNL", gemmi.SeqId(str(place + 1))
        atom = gemmi.Atom()
        element = gemmi.Element(str(kind))
        atom.element = element if element.atomic_number else gemmi.Element(_PSEUDO_ELEMENT)
        atom.name = atom.element.name.upper()
        atom.pos = gemmi.Position(*position)
        atom.b_iso, atom.occ = float(b), float(occupancy)
        residue.add_atom(atom)
        chain.add_residue(residue)
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(path))


def _run(words: list[str | Path], folder: Path, progress: Report) -> None:
    """Run it to its end, stopping it when `progress` raises."""
    log, errors = folder / f"{_PREFIX}.out", folder / f"{_PREFIX}.err"
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
            f"servalcat failed: {last[:300]}; run without it, or with -op to keep its log"
        )


def _read_model(path: Path) -> gemmi.Model:
    """Read the model that it wrote."""
    if not path.exists():
        raise StageError(f"servalcat ended without its result {path.name}; run without it")
    return gemmi.read_structure(str(path))[0]


def _read_b(path: Path, count: int) -> DoubleArray:
    """B of the atoms in the order in which they were given."""
    b_iso = np.array([site.atom.b_iso for site in _read_model(path).all()])
    if len(b_iso) != count:
        raise StageError(
            f"servalcat returned {len(b_iso)} of {count} atoms; run with --refiner own"
        )
    return b_iso


def _read_positions(path: Path, given: gemmi.Structure) -> DoubleArray:
    """Positions by name of atom, in the order of the model that was given."""
    found = {_atom_name(site): site.atom.pos.tolist() for site in _read_model(path).all()}
    wanted = [_atom_name(site) for site in given[0].all()]
    lost = [name for name in wanted if name not in found]
    if lost:
        raise StageError(
            f"servalcat returned the model without {len(lost)} of {len(wanted)} atoms "
            f"({'/'.join(lost[0])} and others); run without --refine_coordinates"
        )
    return np.array([found[name] for name in wanted])


def _atom_name(site: gemmi.CRA) -> _AtomName:
    """Return what identifies an atom in its model."""
    return site.chain.name, str(site.residue.seqid), site.atom.name, site.atom.altloc


def _has_restraints(name: str, library: Path) -> bool:
    """Test whether the library has a file for a residue; names forbidden on Windows are doubled."""
    folder = library / name[:1].lower()
    return (folder / f"{name}.cif").is_file() or (folder / f"{name}_{name}.cif").is_file()
