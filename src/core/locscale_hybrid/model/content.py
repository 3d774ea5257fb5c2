"""What a model file holds beside the atoms of the particle, or more than once.

Dummy atoms, elements that cannot be, occupancies beyond 1, chains that coincide.
"""

from collections.abc import Sequence

import gemmi
import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from ..findings import Finding
from ..maps.grid import BoolArray, DoubleArray, IntArray
from .elements import POLYMER_ELEMENTS, element_from_names, is_polymer_residue

_DUMMY = "DUM"  # of OPM and PPM, a lattice of atoms on the faces of the membrane
# Names that ligands may have too: dummies where no atoms of the residue are bonded.
_PERHAPS_DUMMY = frozenset(["MEM", "EMB", "VRT", "XXX", "PSD", "DMY", "DUMMY"])
_BOND = 2.2  # Å, longest between atoms of a ligand
_FULL = 1.05  # sum of occupancies that is still 1
_ONE = 1.005  # occupancy that is still 1
_COINCIDE = 0.2  # Å: nearer than any two atoms, of a poor model too
_CELL = 0.05  # Å, within which places are the same without a search
_OVERLAP = 2.0  # Å: no two CA, P or C4' are so close
_OVERLAPPING = 0.3  # share of the residues of a chain
_FEWEST = 5  # residues of a chain that overlaps
_NEIGHBOURS = 8
_SHOWN = 5  # chains that a message names


def drop_dummies(structure: gemmi.Structure, name: str) -> list[Finding]:
    """Delete residues of dummy atoms from the first model, and say so."""
    dropped: dict[str, int] = {}
    for model in structure:
        for chain in model:
            places = [i for i, residue in enumerate(chain) if _is_dummy(residue)]
            for i in reversed(places):
                kind = chain[i].name
                dropped[kind] = dropped.get(kind, 0) + len(chain[i])
                del chain[i]
    if not dropped:
        return []
    structure.remove_empty_chains()
    count = sum(dropped.values())
    return [
        Finding(
            "dummy-atoms",
            "note",
            f"{name} has {count} dummy {'atom' if count == 1 else 'atoms'} "
            f"({', '.join(sorted(dropped))}), which mark a membrane or an axis. They are "
            "left out.",
            {"atoms": count},
        )
    ]


def correct_elements(structure: gemmi.Structure, name: str) -> list[Finding]:
    """Make carbon of the calcium that a wrong column makes of alpha carbons, and say so."""
    count = 0
    for site in structure[0].all() if len(structure) else ():
        atom = site.atom
        if atom.element.name in POLYMER_ELEMENTS or not is_polymer_residue(site.residue.name):
            continue
        element = element_from_names(atom.name, site.residue.name)
        if element is not None and (atom.element.atomic_number or atom.name[:1] != "X"):
            atom.element = gemmi.Element(element)
            count += 1
    if not count:
        return []
    return [
        Finding(
            "elements-corrected",
            "note",
            f"{name} gives {count} {'atom' if count == 1 else 'atoms'} of amino acids or "
            "nucleotides an element that these do not contain. The element of their name "
            "is used.",
            {"atoms": count},
        )
    ]


def check_occupancies(
    structure: gemmi.Structure, occupancies: DoubleArray, name: str
) -> list[Finding]:
    """Refuse occupancies beyond 1; say where those of alternate conformations add up to more.

    Parameters
    ----------
    structure : gemmi.Structure
    occupancies : array, shape (n,)
        Of the scatterers.
    name : str
        Of the model.

    Raises
    ------
    InputError
        If the occupancy of an atom is greater than 1.
    """
    beyond = int(np.count_nonzero(occupancies > _ONE))
    if beyond:
        are = "1 atom has an occupancy" if beyond == 1 else f"{beyond} atoms have occupancies"
        highest = float(np.max(occupancies))
        raise InputError(
            f"{name}: {are} greater than 1 (up to {highest:.2f}). Set them to 1 or "
            "less; percentages must be divided by 100."
        )
    sums: dict[tuple[str, str, str], float] = {}
    for site in structure[0].all():
        if site.atom.has_altloc() and not site.atom.is_hydrogen():
            key = (site.chain.name, str(site.residue.seqid), site.atom.name)
            sums[key] = sums.get(key, 0.0) + max(site.atom.occ, 0.0)
    over = [total for total in sums.values() if total > _FULL]
    if not over:
        return []
    return [
        Finding(
            "occupancy-sum",
            "warning",
            f"{name}: the occupancies of the alternate conformations of {len(over)} "
            f"{'atom' if len(over) == 1 else 'atoms'} add up to more than 1 (up to "
            f"{max(over):.2f}). Set them so that they add up to 1.",
            {"atoms": len(over), "highest_sum": max(over)},
        )
    ]


def repeated_atoms(
    positions: DoubleArray,
    occupancies: DoubleArray,
    altlocs: IntArray,
    chains: IntArray,
    anchors: BoolArray,
    chain_names: Sequence[str],
    name: str,
) -> tuple[BoolArray, list[Finding]]:
    """Atoms that repeat an earlier one in the same place, and what to say of them.

    Alternate conformations, and atoms that share a place with occupancies of 1 in all, are none.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å.
    occupancies, altlocs, chains, anchors : arrays, shape (n,)
        `chains` is the place of the chain in `chain_names`; `anchors` are CA, P and C4' atoms,
        one of a residue that is an amino acid.
    chain_names : sequence of str
    name : str
        Of the model.

    Raises
    ------
    InputError
        If a chain overlaps with another without being a copy of it.
    """
    repeats = _repeats(positions, occupancies, altlocs, _COINCIDE)
    exact = int(repeats[anchors].sum())
    rest = np.flatnonzero(anchors & ~repeats)
    near = rest[_repeats(positions[rest], occupancies[rest], altlocs[rest], _OVERLAP)]
    _refuse_overlap(near, repeats, chains, anchors, chain_names, name)
    if not repeats.any():
        return repeats, []
    count = int(repeats.sum())
    total = np.bincount(chains, minlength=len(chain_names))
    mine = np.bincount(chains[repeats], minlength=len(chain_names))
    whole = [chain_names[int(i)] for i in np.flatnonzero((mine == total) & (total > 0))]
    which = f" (all of {_chains(whole)})" if whole and exact else ""
    return repeats, [
        Finding(
            "coinciding-atoms",
            "warning",
            f"{name}: {count} {'atom' if count == 1 else 'atoms'}{which} are within {_COINCIDE} Å of "
            "an earlier atom, with occupancies that add up to more than 1. They are left out, so that "
            "each place counts once.",
            {"atoms": count},
        )
    ]


def _refuse_overlap(
    near: IntArray,
    repeats: BoolArray,
    chains: IntArray,
    anchors: BoolArray,
    chain_names: Sequence[str],
    name: str,
) -> None:
    """Refuse chains that run through an earlier one, as conformers of an ensemble do."""
    n = len(chain_names)
    close = np.bincount(chains[near], minlength=n)
    together = close + np.bincount(chains[anchors & repeats], minlength=n)
    residues = np.bincount(chains[anchors], minlength=n)
    # few beside many that coincide: two copies of a chain that differ a little
    overlap = (close >= _FEWEST) & (close > 0.1 * together) & (together >= _OVERLAPPING * residues)
    if not overlap.any():
        return
    bad = np.flatnonzero(overlap)
    share = int(together[bad].sum())
    raise InputError(
        f"{name}: {_chains([chain_names[int(i)] for i in bad])} "
        f"{'overlaps' if len(bad) == 1 else 'overlap'} with other atoms of the model, as in an "
        f"ensemble: {share} of {int(residues[bad].sum())} residues are within {_OVERLAP:g} Å of "
        "another one. Keep one conformer, or set occupancies that add up to 1."
    )


def _repeats(
    positions: DoubleArray, occupancies: DoubleArray, kind: IntArray, reach: float
) -> BoolArray:
    """Mark which atoms have an earlier one of the same kind near them, if both do not fit."""
    n = len(positions)
    result = np.zeros(n, dtype=np.bool_)
    if n < 2:
        return result
    cells = np.column_stack([np.round(positions / _CELL), kind]).astype(np.int64)
    _, first, place = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)  # numpy 2.0 gave it another shape
    total = np.bincount(place, occupancies)[place]
    result[:] = (np.arange(n) != first[place]) & (total > _FULL)
    left = np.flatnonzero(~result)
    tree = cKDTree(positions[left])
    distance, index = tree.query(
        positions[left], k=min(_NEIGHBOURS, len(left)), distance_upper_bound=reach
    )
    near = np.isfinite(distance).reshape(len(left), -1)
    other = np.where(near, index.reshape(len(left), -1), 0)
    mine = np.arange(len(left))[:, None]
    near &= (other < mine) & (kind[left][other] == kind[left][:, None])
    near &= occupancies[left][other] + occupancies[left][:, None] > _FULL
    result[left[near.any(axis=1)]] = True
    return result


def _is_dummy(residue: gemmi.Residue) -> bool:
    """Test whether a residue is made of dummy atoms."""
    if residue.name == _DUMMY:
        return True
    if residue.name not in _PERHAPS_DUMMY:
        return False
    places = np.array([atom.pos.tolist() for atom in residue])
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    return bool((apart[np.triu_indices(len(places), 1)] > _BOND).all())


def _chains(names: Sequence[str]) -> str:
    """Chains by name, for a message."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{'chain' if len(names) == 1 else 'chains'} {', '.join(names[:_SHOWN])}{more}"
