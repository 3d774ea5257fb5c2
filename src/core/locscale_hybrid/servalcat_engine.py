"""Refinement of B by servalcat, an optional program, in place of our own refiner.

It runs as a child process on files of its own: the maps as they were read, their first voxel at
the origin, and the atoms moved along.  Coordinates stay; nothing is restrained but B.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from .errors import InputError, StageError
from .launch import PACKAGES, child_environment, python_executable, start, stop
from .maps import DoubleArray, Map
from .mrc import write_map
from .observed import ObservedMaps
from .structure import empty_structure

ADP_WEIGHT = "5"     # of the restraints on B; the default of 1 leaves B rmsd of 12-31 Å^2 at 3-4 Å
N_CYCLES = 10
INSTALL = "pip install servalcat"

_PSEUDO_ELEMENT = "C"
_POLL_SECONDS = 0.1
_ATOMS_PER_CHAIN = 9000
_PREFIX = "servalcat"

Report = Callable[[float], None]


def require_servalcat() -> None:
    """Refuse to go on without servalcat.

    Raises
    ------
    InputError
        With the command that installs it.
    """
    if importlib.util.find_spec("servalcat") is None:
        raise InputError(f"servalcat is not installed in this Python: {INSTALL}, or leave out "
                         "--refiner servalcat")


def refine_b(observed: ObservedMaps, positions: DoubleArray, species: NDArray[np.str_],
             b_iso: DoubleArray, occupancies: DoubleArray, *, d_min: float, folder: Path,
             n_cycles: int = N_CYCLES, progress: Report = lambda done: None) -> DoubleArray:
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
    maps = _write_maps(observed, folder)
    model = folder / f"{_PREFIX}_start.cif"
    _write_atoms(model, positions - origin, species, b_iso, occupancies, observed.average)
    option = "--halfmaps" if len(maps) == 2 else "--map"
    words: list[str | Path] = [
        python_executable(), "-m", "servalcat", "refine_spa_norefmac", option, *maps,
        "--model", model, "-d", f"{d_min:.4f}", "--unrestrained", "--fix_xyz",
        "--adp", "iso", "--adpr_weight", ADP_WEIGHT, "--hydrogen", "no",
        "--ncycle", str(n_cycles), "-o", folder / _PREFIX]
    _run(words, folder, progress)
    return _read_b(folder / f"{_PREFIX}.mmcif", len(positions))


def _write_maps(observed: ObservedMaps, folder: Path) -> list[Path]:
    """The maps with their first voxel at the origin: servalcat ignores a header's ORIGIN."""
    halves = [observed.half_1, observed.half_2] if observed.kind == "halves" else []
    given = [half for half in halves if half is not None] or [observed.average]
    paths = []
    for number, volume in enumerate(given, 1):
        path = folder / f"{_PREFIX}_map{number}.mrc"
        grid = replace(volume.grid, origin=(0.0, 0.0, 0.0))
        write_map(path, Map(volume.values, grid, volume.name))
        paths.append(path)
    return paths


def _write_atoms(path: Path, positions: DoubleArray, species: NDArray[np.str_],
                 b_iso: DoubleArray, occupancies: DoubleArray, observed: Map) -> None:
    """All atoms in their order, a residue each: restraints on B go by distance alone."""
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
    process = start(words, environment, output=log, errors=errors)
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
        last = next((line.strip() for line in reversed(text.splitlines()) if "Error" in line),
                    f"exit code {code}")
        raise StageError(f"servalcat failed: {last[:300]}; run with --refiner own, or with -op to "
                         "keep its log")


def _read_b(path: Path, count: int) -> DoubleArray:
    """B of the atoms in the order in which they were given."""
    if not path.exists():
        raise StageError(f"servalcat ended without its result {path.name}; run with --refiner own")
    model = gemmi.read_structure(str(path))[0]
    b_iso = np.array([site.atom.b_iso for site in model.all()])
    if len(b_iso) != count:
        raise StageError(f"servalcat returned {len(b_iso)} of {count} atoms; "
                         "run with --refiner own")
    return b_iso
