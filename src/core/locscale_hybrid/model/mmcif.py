"""Writing a hybrid model: the user's structure, copies of its chains and pseudo-atoms as mmCIF."""

import gzip
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..files.atomic import replacing
from ..findings import Number
from ..maps.grid import DoubleArray, IntArray, Vector
from ..symmetry.operators import Symmetry
from .assembly import ChainCopy
from .structure import (
    PSEUDO_CATEGORY,
    PSEUDO_ENTITY,
    PSEUDO_RESIDUE_NAME,
    PSEUDO_SUBCHAIN,
    empty_structure,
)

_CHAIN_CATEGORY = "_locscale_chain."
_OPERATOR_CATEGORY = "_locscale_operator."
_PSEUDO_ELEMENT = "C"  # nearest to the mixture that is simulated
_SCATTERER = "0.63 C + 0.17 N + 0.20 O"

_Row = list[str | int | None]  # None is "not known" in a CIF


@dataclass(frozen=True, eq=False)
class HybridAtoms:
    """What is written: a structure and arrays over its scatterers, copies and pseudo-atoms.

    Parameters
    ----------
    structure : gemmi.Structure, optional
        The user's model; it is left as it is.
    atom_index : array of int
        Place of each scatterer in ``structure[0].all()``.
    copies : sequence of ChainCopy
    positions : array, shape (n, 3)
    b_iso, occupancies : arrays, shape (n,)
        Scatterers, copies, pseudo-atoms.
    n_atoms : int
        Of these, atoms that are no pseudo-atoms.
    n_units : int
        Images of the unit in which the pseudo-atoms stand.
    """

    structure: gemmi.Structure | None
    atom_index: IntArray
    copies: Sequence[ChainCopy]
    positions: DoubleArray
    b_iso: DoubleArray
    occupancies: DoubleArray
    n_atoms: int
    n_units: int = 1

    @property
    def n_pseudo(self) -> int:
        """Number of pseudo-atoms."""
        return len(self.positions) - self.n_atoms


class _Names:
    """Names that are not used yet."""

    def __init__(self, used: Iterable[str]) -> None:
        self._used = set(used)

    def take(self, wanted: str) -> str:
        """Take the wanted name, or with the smallest number that makes it new."""
        tries = (wanted if i == 1 else f"{wanted}x{i}" for i in count(1))
        name = next(name for name in tries if name not in self._used)
        self._used.add(name)
        return name


def write_hybrid_file(
    path: Path,
    atoms: HybridAtoms,
    *,
    symmetry: Symmetry | None,
    cell: Vector | None,
    provenance: Mapping[str, Number],
) -> None:
    """Write a hybrid model as mmCIF; see `hybrid_model.write_hybrid`."""
    structure = empty_structure("hybrid") if atoms.structure is None else atoms.structure.clone()
    if cell is not None:
        structure.cell = gemmi.UnitCell(*cell, 90, 90, 90)
        structure.spacegroup_hm = "P 1"
    model = structure[0]
    sources = dict.fromkeys(chain.name for chain in model)
    chains: list[_Row] = [[name, "model", name, 1] for name in sources]
    n_sites = model.count_atom_sites()
    if atoms.copies and symmetry is not None:
        chains += _add_copies(structure, atoms, symmetry)
    added = np.arange(atoms.n_atoms - len(atoms.atom_index)) + n_sites
    _set_values(model, np.concatenate([atoms.atom_index, added]), atoms)
    if atoms.n_pseudo:
        chains += _add_pseudo_atoms(structure, atoms)
    document = structure.make_mmcif_document()
    _add_provenance(document.sole_block(), atoms, symmetry, provenance, chains)
    data = document.as_string().encode()
    with replacing(path) as stream:
        stream.write(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def _set_values(model: gemmi.Model, places: IntArray, atoms: HybridAtoms) -> None:
    """Give B and occupancy to the atoms at these places of ``model.all()``."""
    sites = [site.atom for site in model.all()]
    isotropic = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    rows = zip(
        places.tolist(),
        np.round(atoms.b_iso, 2).tolist(),
        np.round(atoms.occupancies, 4).tolist(),
        strict=False,
    )
    for place, b_iso, occupancy in rows:
        atom = sites[place]
        atom.b_iso, atom.occ, atom.aniso = b_iso, occupancy, isotropic


def _add_copies(structure: gemmi.Structure, atoms: HybridAtoms, symmetry: Symmetry) -> list[_Row]:
    """Add the copied chains, with their links; returns their rows of the chain table."""
    model = structure[0]
    sources = [chain.name for chain in model]
    lengths = [chain.count_atom_sites() for chain in model]
    first_site = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    # a file may give one chain in several pieces
    chain_names, subchain_names = _Names(sources), _Names(_subchains(model))
    renamed: dict[int, dict[str, str]] = {copy.operator: {} for copy in atoms.copies}
    subchains: dict[int, dict[str, str]] = {copy.operator: {} for copy in atoms.copies}
    rows: list[_Row] = []
    for copy in atoms.copies:
        source, new = sources[copy.chain], renamed[copy.operator]
        if source not in new:
            new[source] = chain_names.take(f"{source}{copy.operator + 1}")
            rows.append([new[source], "copy", source, copy.operator + 1])
        chain = model[copy.chain].clone()
        chain.name = new[source]
        chain.whole().transform_pos_and_adp(_transform(symmetry, copy.operator))
        _keep(chain, set((atoms.atom_index[copy.atoms] - first_site[copy.chain]).tolist()))
        _rename_subchains(chain, subchains[copy.operator], subchain_names, copy.operator)
        model.add_chain(chain)
    _extend_entities(structure, subchains.values())
    for operator, of_chain in renamed.items():
        _copy_links(structure, of_chain, operator)
    structure.assemblies.clear()  # they would act on what is complete now
    structure.ncs.clear()
    return rows


def _transform(symmetry: Symmetry, operator: int) -> gemmi.Transform:
    """Write an operator about its centre as gemmi has it."""
    matrix = symmetry.group.matrices[operator]
    shift = np.array(symmetry.centre) - matrix @ symmetry.centre
    return gemmi.Transform(gemmi.Mat33(matrix.tolist()), gemmi.Vec3(*shift.tolist()))


def _keep(chain: gemmi.Chain, kept: set[int]) -> None:
    """Delete the atoms of a chain whose place is not in `kept`, and what is empty then."""
    place = chain.count_atom_sites()
    if place == len(kept):
        return
    for i in reversed(range(len(chain))):
        residue = chain[i]
        for j in reversed(range(len(residue))):
            place -= 1
            if place not in kept:
                del residue[j]
        if not len(residue):
            del chain[i]


def _subchains(model: gemmi.Model) -> set[str]:
    """Names of all subchains."""
    return {residue.subchain for chain in model for residue in chain}


def _rename_subchains(
    chain: gemmi.Chain, new: dict[str, str], names: _Names, operator: int
) -> None:
    """Give the subchains of a copied chain names of their own, noted in `new`."""
    for residue in chain:
        if residue.subchain not in new:
            new[residue.subchain] = names.take(f"{residue.subchain}{operator + 1}")
        residue.subchain = new[residue.subchain]


def _extend_entities(structure: gemmi.Structure, renamed: Iterable[Mapping[str, str]]) -> None:
    """Count the copies of subchains among the entities of their sources."""
    new = list(renamed)
    for entity in structure.entities:
        own = list(entity.subchains)
        entity.subchains = own + [names[old] for names in new for old in own if old in names]


def _copy_links(structure: gemmi.Structure, renamed: Mapping[str, str], operator: int) -> None:
    """Repeat links and helices of the model within one image of it."""
    # made first, then added: adding moves the lists that are walked
    links = [
        _copied_link(link, renamed, operator)
        for link in structure.connections
        if link.asu != gemmi.Asu.Different
        and link.partner1.chain_name in renamed
        and link.partner2.chain_name in renamed
    ]
    helices = [
        _copied_helix(helix, renamed)
        for helix in structure.helices
        if helix.start.chain_name in renamed and helix.end.chain_name in renamed
    ]
    for link in links:
        structure.connections.append(link)
    for helix in helices:
        structure.helices.append(helix)


def _copied_link(
    link: gemmi.Connection, renamed: Mapping[str, str], operator: int
) -> gemmi.Connection:
    """Copy a link to copied chains."""
    new = gemmi.Connection()
    new.name, new.link_id = f"{link.name}_{operator + 1}", link.link_id
    new.type, new.asu, new.reported_distance = link.type, link.asu, link.reported_distance
    new.partner1 = _renamed(link.partner1, renamed)
    new.partner2 = _renamed(link.partner2, renamed)
    return new


def _copied_helix(helix: gemmi.Helix, renamed: Mapping[str, str]) -> gemmi.Helix:
    """Copy a helix to a copied chain."""
    new = gemmi.Helix()
    new.start, new.end = _renamed(helix.start, renamed), _renamed(helix.end, renamed)
    new.pdb_helix_class, new.length = helix.pdb_helix_class, helix.length
    return new


def _renamed(address: gemmi.AtomAddress, names: Mapping[str, str]) -> gemmi.AtomAddress:
    """Copy an atom's address to a copied chain."""
    return gemmi.AtomAddress(
        names[address.chain_name],
        address.res_id.seqid,
        address.res_id.name,
        address.atom_name,
        address.altloc,
    )


def _add_pseudo_atoms(structure: gemmi.Structure, atoms: HybridAtoms) -> list[_Row]:
    """Add the pseudo-atoms, a residue each so that no program bonds them; returns their row."""
    model = structure[0]
    chain = gemmi.Chain(_Names(chain.name for chain in model).take(PSEUDO_SUBCHAIN))
    subchain = _Names(_subchains(model)).take(PSEUDO_SUBCHAIN)
    positions = np.round(atoms.positions[atoms.n_atoms :], 3).tolist()
    b_iso = np.round(atoms.b_iso[atoms.n_atoms :], 2).tolist()
    occupancies = np.round(atoms.occupancies[atoms.n_atoms :], 4).tolist()
    residue, atom = gemmi.Residue(), gemmi.Atom()
    residue.name, residue.subchain = PSEUDO_RESIDUE_NAME, subchain
    residue.entity_type, residue.het_flag = gemmi.EntityType.NonPolymer, "H"
    atom.name, atom.element = _PSEUDO_ELEMENT, gemmi.Element(_PSEUDO_ELEMENT)
    residue.entity_id = PSEUDO_ENTITY
    residue.add_atom(atom)
    for i, (position, b, occupancy) in enumerate(zip(positions, b_iso, occupancies, strict=True)):
        residue.seqid.num = i + 1
        residue[0].pos = gemmi.Position(*position)
        residue[0].b_iso, residue[0].occ = b, occupancy
        chain.add_residue(residue)
    model.add_chain(chain)
    entity = gemmi.Entity(PSEUDO_ENTITY)
    entity.entity_type, entity.subchains = gemmi.EntityType.NonPolymer, [subchain]
    structure.entities.append(entity)
    return [[chain.name, "pseudo-atoms", None, None]]


def _add_provenance(
    block: gemmi.cif.Block,
    atoms: HybridAtoms,
    symmetry: Symmetry | None,
    provenance: Mapping[str, Number],
    chains: list[_Row],
) -> None:
    """Say in the file where every atom comes from."""
    items: dict[str, Number] = {
        "program": "locscale-hybrid",
        "residue_name": PSEUDO_RESIDUE_NAME,
        "scatterer": _SCATTERER,
        "model_atoms": len(atoms.atom_index),
        "copied_atoms": atoms.n_atoms - len(atoms.atom_index),
        "pseudo_atoms": atoms.n_pseudo,
        "pseudo_atoms_per_unit": atoms.n_pseudo // atoms.n_units,
        "point_group": "C1" if symmetry is None else symmetry.group.symbol,
        **provenance,
    }
    block.set_mmcif_category(PSEUDO_CATEGORY, {name: [value] for name, value in items.items()})
    columns = ("auth_asym_id", "kind", "source_auth_asym_id", "operator_id")
    _set_table(block, _CHAIN_CATEGORY, columns, chains)
    if symmetry is not None:
        _set_table(block, _OPERATOR_CATEGORY, _operator_columns(), _operator_rows(symmetry))


def _operator_columns() -> list[str]:
    """Names of the numbers of an operator, as in pdbx_struct_oper_list."""
    return [
        "id",
        *(f"matrix[{i}][{j}]" for i in (1, 2, 3) for j in (1, 2, 3)),
        *(f"vector[{i}]" for i in (1, 2, 3)),
    ]


def _operator_rows(symmetry: Symmetry) -> list[_Row]:
    """Numbers of every operator."""
    matrices: NDArray[np.float64] = symmetry.group.matrices
    shifts = np.array(symmetry.centre) - matrices @ symmetry.centre
    numbers = np.column_stack([matrices.reshape(-1, 9), shifts])
    return [[i + 1, *(f"{value:.9f}" for value in row)] for i, row in enumerate(numbers)]


def _set_table(
    block: gemmi.cif.Block, category: str, columns: Sequence[str], rows: Sequence[_Row]
) -> None:
    """Write rows as a loop."""
    if rows:
        values = zip(*rows, strict=True)
        block.set_mmcif_category(category, dict(zip(columns, map(list, values), strict=True)))
