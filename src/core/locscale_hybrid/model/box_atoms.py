"""Atoms of a model that are in the box of a map, and those outside whose density reaches into it.

A map may be cut out of a larger one and its model not.  What is outside counts for nothing, and
nothing of it may come in again at the opposite face.
"""

from dataclasses import replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..maps.grid import BoolArray, DoubleArray, Grid
from ..scattering.fringe import FRINGE, Fringe, in_box
from .structure import AtomicModel, atom_positions


def cut_to_box(model: AtomicModel, grid: Grid) -> AtomicModel:
    """Remove the atoms outside the box, from the model's structure too.

    The model as it is where all of it is inside, or nothing: that is for the checks to refuse.
    """
    kept = in_box(grid, model.positions)
    if kept.all() or not kept.any():
        return model
    structure = model.structure.clone()
    inside = in_box(grid, atom_positions(structure))
    chains = _delete_atoms(structure[0], inside)
    return replace(
        model,
        positions=model.positions[kept],
        elements=model.elements[kept],
        b_iso=model.b_iso[kept],
        occupancies=model.occupancies[kept],
        chain_index=(np.cumsum(chains) - 1)[model.chain_index[kept]],
        is_anchor=model.is_anchor[kept],
        is_pseudo=model.is_pseudo[kept],
        structure=structure,
        atom_index=(np.cumsum(inside) - 1)[model.atom_index[kept]],
    )


def fringe_around(
    grid: Grid, positions: DoubleArray, species: NDArray[np.str_], occupancies: DoubleArray
) -> Fringe:
    """Those of some atoms that are outside the box and near a face of it."""
    every = Fringe(positions, species, occupancies).within(grid, FRINGE)
    outside = ~in_box(grid, every.positions)
    return Fringe(every.positions[outside], every.species[outside], every.occupancies[outside])


def _delete_atoms(model: gemmi.Model, kept: BoolArray) -> BoolArray:
    """Delete the atoms that are not kept, and what is empty then; returns which chains are left."""
    place = len(kept)
    left = np.zeros(len(model), dtype=np.bool_)
    for i in reversed(range(len(model))):
        chain = model[i]
        for j in reversed(range(len(chain))):
            residue = chain[j]
            begin, place = place - len(residue), place - len(residue)
            mine = kept[begin : begin + len(residue)]
            if mine.all():
                continue
            for k in np.flatnonzero(~mine)[::-1].tolist():
                del residue[k]
            if not len(residue):
                del chain[j]
        left[i] = len(chain) > 0
        if not left[i]:
            del model[i]
    return left
