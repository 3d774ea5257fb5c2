"""Conformers of an ensemble that are open side by side: a run uses one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .frames import map_label
from .mmcif import residues_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..results.manager import ModelChoice
    from ..session_types import Atoms, DoubleArray, Finding

# As in the core's model.parts.
SAME_PLACE = 3.0  # Å, median distance between equal atoms of two conformers
MOST_ATOMS = 0.5  # share of the atoms that two conformers have in common, at least


def first_conformers(choices: Iterable[ModelChoice]) -> tuple[list[ModelChoice], list[Finding]]:
    """Choices without those that are other conformers of an earlier one.

    A file of several models opens as #3.1, #3.2, …; the core would use the first of the file.
    Structures of one group are conformers if they have the same atoms, or most of them, at nearly
    the same places.

    Parameters
    ----------
    choices : list of ModelChoice

    Returns
    -------
    list of ModelChoice
        By the numbers of their structures.
    list of dict
        Findings: which one is used.
    """
    kept: list[ModelChoice] = []
    others: dict[int, tuple[ModelChoice, list[ModelChoice]]] = {}
    for choice in sorted(choices, key=lambda choice: choice.structure.id):
        first = next((one for one in kept if _are_conformers(one, choice)), None)
        if first is None:
            kept.append(choice)
        else:
            others.setdefault(id(first), (first, []))[1].append(choice)
    return kept, [_finding(first, left) for first, left in others.values()]


def _are_conformers(one: ModelChoice, other: ModelChoice) -> bool:
    """Test whether two choices are the same atoms of one group, at nearly the same places."""
    parents = [choice.structure.parent for choice in (one, other)]
    if parents[0] is not parents[1] or len(one.structure.id) < 2:
        return False
    here, there = _places(one.current_atoms), _places(other.current_atoms)
    common = [key for key in here if key in there]
    if not common or len(common) < MOST_ATOMS * min(len(here), len(there)):
        return False
    apart = np.array([here[key] for key in common]) - np.array([there[key] for key in common])
    return float(np.median(np.linalg.norm(apart, axis=1))) < SAME_PLACE


def _places(atoms: Atoms) -> dict[tuple[str, int, str, str], DoubleArray]:
    """Return the position of each atom that is not hydrogen, by chain, residue and name."""
    atoms = atoms.filter(atoms.element_numbers > 1)
    residues, place = residues_of(atoms)
    keys = list(zip(residues.chain_ids, residues.numbers.tolist(), residues.names, strict=True))
    return {
        (*keys[i], name): xyz
        for i, name, xyz in zip(place.tolist(), atoms.names, atoms.scene_coords, strict=True)
    }


def _finding(first: ModelChoice, left: list[ModelChoice]) -> Finding:
    """Say which conformer is used."""
    used, other = (map_label(choice.structure) for choice in (first, left[0]))
    number = f"#{left[0].structure.id_string}"
    return {
        "code": "several-models",
        "level": "warning",
        "values": {"models": len(left) + 1},
        "message": f"{used} and {other} are conformers of one model, as in an ensemble of "
        f"{len(left) + 1}. The first is used; to use another one, name it alone, for example "
        f"model {number}.",
    }
