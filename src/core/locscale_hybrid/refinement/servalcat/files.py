"""Files of servalcat: maps whose first voxel is at the origin, atoms moved along, and its results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np

from ...errors import StageError
from ...maps.grid import DoubleArray, Grid, Map
from ...maps.mrc import write_map
from ...model.structure import atom_positions, empty_structure, moved_structure
from ...remedies import do, leave_out, use
from ...scattering.scatterers import Scatterers
from ...symmetry.operators import Symmetry

PREFIX = "servalcat"
_PSEUDO_ELEMENT = "C"
_ATOMS_PER_CHAIN = 9000

_AtomName = tuple[str, str, str, str]  # chain, residue number, atom, conformation


def prepared_model(
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


def write_maps(maps: Sequence[Map], folder: Path) -> list[Path]:
    """Write the maps with their first voxel at the origin: servalcat ignores ORIGIN."""
    paths = []
    for number, volume in enumerate(maps, 1):
        path = folder / f"{PREFIX}_map{number}.mrc"
        grid = replace(volume.grid, origin=(0.0, 0.0, 0.0))
        write_map(path, Map(volume.values, grid, volume.name))
        paths.append(path)
    return paths


def write_atoms(path: Path, atoms: Scatterers, b_iso: DoubleArray, grid: Grid) -> None:
    """Write all atoms in order, a residue each: restraints on B go by distance alone."""
    structure = empty_structure("hybrid")
    structure.cell = gemmi.UnitCell(*grid.cell, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    model = structure[0]
    chain = None
    positions = atoms.positions - grid.origin
    rows = zip(positions, atoms.species, b_iso, atoms.occupancies, strict=True)
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


def _read_model(path: Path) -> gemmi.Model:
    """Read the model that it wrote."""
    if not path.exists():
        raise StageError(f"servalcat ended without its result {path.name}", do("run without it"))
    return gemmi.read_structure(str(path))[0]


def read_b(path: Path, count: int) -> DoubleArray:
    """Read B of the atoms in the order in which they were given."""
    b_iso = np.array([site.atom.b_iso for site in _read_model(path).all()])
    if len(b_iso) != count:
        raise StageError(f"servalcat returned {len(b_iso)} of {count} atoms", use("refiner", "own"))
    return b_iso


def read_positions(path: Path, given: gemmi.Structure) -> DoubleArray:
    """Read positions by name of atom, in the order of the model that was given."""
    found = {_atom_name(site): site.atom.pos.tolist() for site in _read_model(path).all()}
    wanted = [_atom_name(site) for site in given[0].all()]
    lost = [name for name in wanted if name not in found]
    if lost:
        raise StageError(
            f"servalcat returned the model without {len(lost)} of {len(wanted)} atoms "
            f"({'/'.join(lost[0])} and others)",
            leave_out("monomer_library"),
        )
    return np.array([found[name] for name in wanted])


def _atom_name(site: gemmi.CRA) -> _AtomName:
    """Return what identifies an atom in its model."""
    return site.chain.name, str(site.residue.seqid), site.atom.name, site.atom.altloc
