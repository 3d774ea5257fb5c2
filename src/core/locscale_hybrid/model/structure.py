"""Atomic models: what a PDB or mmCIF file says, as arrays beside the structure it came from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..findings import Finding
from ..maps.grid import BoolArray, DoubleArray, IntArray
from .atom_site import merge_chains
from .content import check_occupancies, correct_elements, drop_dummies, repeated_atoms
from .elements import has_form_factor
from .parts import structure_in
from .text import model_text

# How pseudo-atoms are written, and recognised when a file of an earlier run comes back.  The wwPDB
# gives out component names of three or five characters, never of four: no ligand has this one.
PSEUDO_RESIDUE_NAME = "PSAT"
PSEUDO_SUBCHAIN = "PSAT"  # label_asym_id
PSEUDO_ENTITY = "pseudo-atoms"
PSEUDO_CATEGORY = "_locscale_pseudo_atoms."  # mmCIF category with the provenance

_ANCHORS = frozenset([("CA", "C"), ("P", "P"), ("C4'", "C")])
_FARTHEST = 1e5  # Å, beyond which a coordinate is a mistake
_TYPICAL_B = 50.0  # Å^2


@dataclass(frozen=True, eq=False)
class AtomicModel:
    """The scattering atoms of a model, in the frame of the map.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å, (x, y, z).
    elements : array of str, shape (n,)
        No hydrogen, no deuterium, no unknown element.
    b_iso : array, shape (n,)
        Å^2; the isotropic equivalent where the file gives an anisotropic tensor.
    occupancies : array, shape (n,)
        Alternative conformations stand side by side with theirs; none is zero.
    chain_index : array of int, shape (n,)
        Place of the atom's chain in `structure[0]`.
    is_anchor : array of bool, shape (n,)
        CA, P and C4' atoms, by which copies are recognised; all atoms of a chain without any.
    is_pseudo : array of bool, shape (n,)
        Pseudo-atoms of an earlier run, where they were kept.
    structure : gemmi.Structure
        The first model of the file as it is, with hydrogens and metadata.
    atom_index : array of int, shape (n,)
        Place of each scatterer in the order of ``structure[0].all()``.
    name : str
        What to call the model in a message.
    findings : tuple of Finding
        What was odd about the file.
    """

    positions: DoubleArray
    elements: NDArray[np.str_]
    b_iso: DoubleArray
    occupancies: DoubleArray
    chain_index: IntArray
    is_anchor: BoolArray
    is_pseudo: BoolArray
    structure: gemmi.Structure
    atom_index: IntArray
    name: str = "model"
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        """Return the number of scattering atoms."""
        return len(self.positions)


def read_model(path: str | Path, *, keep_pseudo_atoms: bool = False) -> AtomicModel:
    """Read the first model of a PDB or mmCIF file.

    Parameters
    ----------
    path : path
        Format and compression are told by content, not by name.
    keep_pseudo_atoms : bool
        Whether pseudo-atoms that an earlier run wrote stay; else they are left out, in the
        structure too.

    Returns
    -------
    AtomicModel

    Raises
    ------
    InputError
        If the file is missing, neither PDB nor mmCIF, damaged, or without a scattering atom.
    """
    file = Path(path).absolute()
    structure, findings = structure_in(model_text(file), file)
    model = model_of(structure, file.name, keep_pseudo_atoms=keep_pseudo_atoms)
    return replace(model, findings=(*findings, *model.findings))


def model_of(
    structure: gemmi.Structure, name: str, *, keep_pseudo_atoms: bool = False
) -> AtomicModel:
    """Take the scattering atoms of a structure; see `read_model`.

    The structure is taken over: models after the first, and pseudo-atoms that are not kept, are
    deleted from it.
    """
    findings: list[Finding] = []
    _keep_first_model(structure, name, findings)
    merge_chains(structure)
    structure.setup_entities()
    if not keep_pseudo_atoms:
        _drop_pseudo_atoms(structure, name, findings)
    findings += [*drop_dummies(structure, name), *correct_elements(structure, name)]
    table = _tabulate(structure[0]) if len(structure) else _no_atoms()
    kept = _scattering(table, name, findings)
    given = table.occupancies[kept & ~table.is_pseudo]  # those of pseudo-atoms are our own
    findings += check_occupancies(structure, given, name)
    kept = _counted_once(table, kept, structure, name, findings)
    table = _with_all_b(table, kept, name, findings)
    chains = table.chain[kept]
    return AtomicModel(
        positions=table.positions[kept],
        elements=table.elements[kept],
        b_iso=table.b_iso[kept],
        occupancies=table.occupancies[kept],
        chain_index=chains,
        is_anchor=_anchors(table.is_anchor[kept], chains),
        is_pseudo=table.is_pseudo[kept],
        structure=structure,
        atom_index=np.flatnonzero(kept),
        name=name,
        findings=tuple(findings),
    )


def empty_structure(name: str) -> gemmi.Structure:
    """Make a structure with one model and nothing in it."""
    structure = gemmi.Structure()
    structure.name = name
    try:
        structure.add_model(gemmi.Model(1))
    except TypeError:  # gemmi before 0.7 names models by strings
        structure.add_model(gemmi.Model("1"))  # type: ignore[arg-type]
    return structure


def atom_positions(structure: gemmi.Structure) -> DoubleArray:
    """Positions of all atoms of the first model in their order, shape (n, 3), Å."""
    return np.array([site.atom.pos.tolist() for site in structure[0].all()]).reshape(-1, 3)


def moved_structure(structure: gemmi.Structure, positions: DoubleArray) -> gemmi.Structure:
    """Copy a structure with other positions, shape (n, 3), of all atoms of its first model."""
    copy = structure.clone()
    for site, position in zip(copy[0].all(), positions, strict=True):
        site.atom.pos = gemmi.Position(*position)
    return copy


def moved_model(model: AtomicModel, positions: DoubleArray) -> AtomicModel:
    """Copy a model with other positions of all atoms, those that do not scatter too.

    Parameters
    ----------
    model : AtomicModel
    positions : array, shape (m, 3)
        Å, in the order of ``model.structure[0].all()``.
    """
    return replace(
        model,
        positions=positions[model.atom_index],
        structure=moved_structure(model.structure, positions),
    )


def is_pseudo_residue(residue: gemmi.Residue) -> bool:
    """Test whether a residue is a pseudo-atom of an earlier run.

    The PDB format cuts the name to three letters; a residue of that name with a single atom can
    be nothing else.
    """
    name = residue.name
    return name == PSEUDO_RESIDUE_NAME or (name == PSEUDO_RESIDUE_NAME[:3] and len(residue) == 1)


def _keep_first_model(structure: gemmi.Structure, name: str, findings: list[Finding]) -> None:
    """Delete all models but the first, and say so."""
    count = len(structure)
    if count < 2:
        return
    for index in range(count - 1, 0, -1):
        del structure[index]
    findings.append(
        Finding(
            "several-models",
            "warning",
            f"{name} holds {count} models, as NMR ensembles and assemblies do; the first is used: give "
            "a file with the model meant",
            {"models": count},
        )
    )


def _drop_pseudo_atoms(structure: gemmi.Structure, name: str, findings: list[Finding]) -> None:
    """Delete the pseudo-atoms of an earlier run, and say so."""
    dropped = 0
    for model in structure:
        for chain in model:
            places = [i for i, residue in enumerate(chain) if is_pseudo_residue(residue)]
            dropped += sum(len(chain[i]) for i in places)
            for i in reversed(places):
                del chain[i]
    if not dropped:
        return
    structure.remove_empty_chains()
    findings.append(
        Finding(
            "earlier-pseudo-atoms",
            "note",
            f"{name} holds {dropped} pseudo-atoms of an earlier run; they are left out and placed anew",
            {"pseudo_atoms": dropped},
        )
    )


class _Table(NamedTuple):
    """One row per atom of a model, in file order."""

    positions: DoubleArray
    elements: NDArray[np.str_]
    atomic_numbers: IntArray
    b_iso: DoubleArray
    occupancies: DoubleArray
    chain: IntArray
    is_anchor: BoolArray
    is_pseudo: BoolArray
    altlocs: IntArray


def _tabulate(model: gemmi.Model) -> _Table:
    """Read the atoms once: gemmi has no arrays of them before 0.7."""
    residues = [
        (place, len(residue), is_pseudo_residue(residue))
        for place, chain in enumerate(model)
        for residue in chain
    ]
    chains, lengths, pseudo = np.array(residues, dtype=np.intp).reshape(-1, 3).T
    rows = [
        (
            *site.atom.pos.tolist(),
            site.atom.element.atomic_number,
            site.atom.b_eq() if site.atom.aniso.nonzero() else site.atom.b_iso,
            site.atom.occ,
            (site.atom.name, site.atom.element.name) in _ANCHORS,
            ord(site.atom.altloc),
        )
        for site in model.all()
    ]
    if not rows:
        return _no_atoms()
    columns = np.array(rows, dtype=np.float64)
    numbers = columns[:, 3].astype(np.intp)
    names = np.array([gemmi.Element(z).name for z in range(int(numbers.max()) + 1)])
    return _Table(
        columns[:, :3],
        names[numbers],
        numbers,
        columns[:, 4],
        columns[:, 5],
        np.repeat(chains, lengths),
        columns[:, 6] > 0,
        np.repeat(pseudo > 0, lengths),
        columns[:, 7].astype(np.intp),
    )


def _no_atoms() -> _Table:
    """Make the table of a model without atoms."""
    none, index, no = np.empty(0), np.empty(0, dtype=np.intp), np.empty(0, dtype=np.bool_)
    return _Table(
        np.empty((0, 3)), np.empty(0, dtype=np.str_), index, none, none, index, no, no, index
    )


def _scattering(table: _Table, name: str, findings: list[Finding]) -> BoolArray:
    """Mark which atoms scatter; the others are counted."""
    total = len(table.elements)
    if not total:
        raise InputError(f"{name} has no atoms; give a model with atoms, or leave it out")
    if not np.isfinite(table.positions).all():
        count = int((~np.isfinite(table.positions).all(axis=1)).sum())
        raise InputError(f"{name} has {count} atoms whose coordinates are not numbers; repair it")
    farthest = float(np.abs(table.positions).max())
    if farthest > _FARTHEST:
        count = int((np.abs(table.positions) > _FARTHEST).any(axis=1).sum())
        raise InputError(
            f"{name} has {count} atoms with coordinates up to {farthest:.3g} Å, which "
            "no map contains. Repair or delete them."
        )
    numbers = np.isfinite(table.occupancies)
    if not numbers.all():
        raise InputError(
            f"{name} has {int((~numbers).sum())} atoms whose occupancy is not a number; repair it"
        )
    known = np.array([has_form_factor(z) for z in range(120)])[table.atomic_numbers]
    hydrogen = table.atomic_numbers == 1
    unknown = ~known & ~hydrogen
    silent = (table.occupancies <= 0) & ~hydrogen & ~unknown
    if silent.any() and np.array_equal(silent, known & ~hydrogen):
        raise InputError(
            f"{name} has an occupancy of 0 on all {int(silent.sum())} atoms that "
            "scatter, as VMD may write it. Set occupancies to 1."
        )
    if unknown.any():
        count = int(unknown.sum())
        findings.append(
            Finding(
                "unknown-elements",
                "warning",
                f"{name}: {count} of {total} atoms have an element without known scattering "
                f"({', '.join(sorted(set(table.elements[unknown])))}) and are left out; name their "
                "element",
                {"atoms": count},
            )
        )
    if silent.any():
        count = int(silent.sum())
        findings.append(
            Finding(
                "zero-occupancy",
                "warning",
                f"{name}: {count} of {total} atoms have an occupancy of zero and are left out; raise "
                "it where there is density for them",
                {"atoms": count},
            )
        )
    kept = known & ~hydrogen & ~silent
    if not kept.any():
        raise InputError(
            f"{name} has no atom that scatters: of {total} atoms {hydrogen.sum()} are "
            f"hydrogens, {unknown.sum()} of unknown element, {silent.sum()} of zero "
            "occupancy; give a model with atoms"
        )
    return np.asarray(kept, dtype=np.bool_)


def _counted_once(
    table: _Table, kept: BoolArray, structure: gemmi.Structure, name: str, findings: list[Finding]
) -> BoolArray:
    """Drop scatterers that repeat an earlier one in the same place."""
    chosen = np.flatnonzero(kept & ~table.is_pseudo)
    repeated, told = repeated_atoms(
        table.positions[chosen],
        table.occupancies[chosen],
        table.altlocs[chosen],
        table.chain[chosen],
        table.is_anchor[chosen],
        [chain.name for chain in structure[0]],
        name,
    )
    findings += told
    result = kept.copy()
    result[chosen[repeated]] = False
    return result


def _with_all_b(table: _Table, kept: BoolArray, name: str, findings: list[Finding]) -> _Table:
    """Fill in the median B if the file gives none that is a number."""
    missing = kept & ~np.isfinite(table.b_iso)
    if not missing.any():
        return table
    count, rest = int(missing.sum()), table.b_iso[kept & ~missing]
    b_iso = float(np.median(rest)) if rest.size else _TYPICAL_B
    findings.append(
        Finding(
            "b-missing",
            "note",
            f"{name} has {count} {'atom' if count == 1 else 'atoms'} whose B factor is not a number. "
            f"{b_iso:.3g} Å² is used until B factors are refined.",
            {"atoms": count, "b_iso": b_iso},
        )
    )
    return table._replace(b_iso=np.where(missing, b_iso, table.b_iso))


def _anchors(named: BoolArray, chains: IntArray) -> BoolArray:
    """Return the named atoms, and all atoms of chains that have none."""
    per_chain = np.bincount(chains, named)
    return np.asarray(named | (per_chain[chains] == 0), dtype=np.bool_)
