"""Positions inside a box, and atoms outside whose density reaches into it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..maps.grid import BoolArray, DoubleArray, Grid

FRINGE = 10.0  # Å, farthest that the density of an atom outside is looked for


@dataclass(frozen=True, eq=False)
class Fringe:
    """Atoms outside the box that are near a face of it.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å.
    species : array of str, shape (n,)
    occupancies : array, shape (n,)
    """

    positions: DoubleArray
    species: NDArray[np.str_]
    occupancies: DoubleArray

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.positions)

    def within(self, grid: Grid, reach: float) -> "Fringe":
        """Those within `reach` Å of the box."""
        chosen = in_box(grid, self.positions, margin=reach)
        return Fringe(self.positions[chosen], self.species[chosen], self.occupancies[chosen])


def in_box(grid: Grid, positions: DoubleArray, *, margin: float = 0.0) -> BoolArray:
    """Mark which positions are in the box, voxels taken as boxes about their centres.

    Parameters
    ----------
    grid : Grid
    positions : array, shape (n, 3)
        Å.
    margin : float
        Å, by which the box is larger on every side.
    """
    index = grid.index_of(positions)
    more = margin / np.array(grid.voxel_size[::-1])
    return np.asarray(
        ((index >= -0.5 - more) & (index < np.array(grid.shape) - 0.5 + more)).all(axis=1),
        dtype=np.bool_,
    )
