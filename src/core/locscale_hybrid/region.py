"""A region of the map that atoms are placed in and kept in."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .findings import Finding
from .maps import BoolArray, DoubleArray, Grid


@dataclass(frozen=True, eq=False)
class Region:
    """The part of the map that the model leaves out.

    Parameters
    ----------
    grid : Grid
        The box around the region, in the frame of the map; finer than the map where that is
        coarse.
    inside : bool array, shape grid.shape
    threshold : float
        Density above which a voxel counts, after the low-pass of 2 Å.
    number_density : float
        Atoms per Å^3.
    coverage : float
        Share of the density above the threshold that the model explains, 0 to 1.
    findings : tuple of Finding
    """

    grid: Grid
    inside: BoolArray
    threshold: float
    number_density: float
    coverage: float
    findings: tuple[Finding, ...] = ()

    @cached_property
    def volume(self) -> float:
        """Å^3."""
        return int(np.count_nonzero(self.inside)) * self.grid.voxel_volume

    @property
    def n_atoms(self) -> int:
        """Number of pseudo-atoms that the region takes."""
        return int(round(self.volume * self.number_density))

    def voxels(self) -> DoubleArray:
        """Positions of the voxels inside, Å, (x, y, z), shape (n, 3)."""
        return self.grid.position_of(np.argwhere(self.inside))

    def holds(self, positions: DoubleArray) -> BoolArray:
        """Which positions (n, 3) in Å lie in a voxel of the region, shape (n,)."""
        voxels = np.rint(self.grid.index_of(positions)).astype(np.intp)
        within = ((voxels >= 0) & (voxels < self.grid.shape)).all(axis=1)
        result = np.zeros(len(voxels), dtype=np.bool_)
        result[within] = self.inside[tuple(voxels[within].T)]
        return result

    def confined(self, positions: DoubleArray) -> DoubleArray:
        """The positions (n, 3), those outside moved to the nearest voxel of the region."""
        outside = np.flatnonzero(~self.holds(positions))
        result = np.array(positions, dtype=np.float64)
        if not outside.size or not len(self._rim):
            return result
        _, nearest = self._rim_tree.query(result[outside])
        half = 0.499 * np.array(self.grid.voxel_size)
        centre = self._rim[nearest]
        result[outside] = np.clip(result[outside], centre - half, centre + half)
        return result

    @cached_property
    def _rim(self) -> DoubleArray:
        """Positions of the voxels that touch the outside."""
        core = ndimage.binary_erosion(self.inside)
        return self.grid.position_of(np.argwhere(self.inside & ~core))

    @cached_property
    def _rim_tree(self) -> cKDTree:
        """A search tree of the rim."""
        return cKDTree(self._rim)
