"""Maps that say where the reference comes from and how well ordered it is there."""

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..maps.grid import BoolArray, DoubleArray, FloatArray, Grid
from ..maps.morphology import bounding_box, margin_for, part_of

NONE, MODEL, PSEUDO = 0, 1, 2  # values of a provenance map

_SIGMA = 4.0  # Å, of the Gaussian over which B is averaged
_REACH = 5.0  # Å from an atom, beyond which nothing stands behind the reference
_BEST = 0.01  # share of the atoms that is the best-ordered region
_FAINT = 1e-3  # of an atom at its place: too far from any


def local_b_factors(
    grid: Grid, positions: DoubleArray, b_iso: DoubleArray, inside: BoolArray
) -> FloatArray:
    """Local mean of B above that of the best-ordered region.

    Parameters
    ----------
    grid : Grid
    positions : array, shape (n, 3)
        Å, of all atoms of the hybrid model.
    b_iso : array, shape (n,)
        Å^2.
    inside : bool array, shape grid.shape
        Voxels that get a value.

    Returns
    -------
    array, shape grid.shape
        Å^2, 0 or more; 0 outside.  The mean is weighted with a Gaussian of 4 Å; the best-ordered
        region is where its value is below that at 99 % of the atoms.  Differences only: the
        level of all B is known less well than they are.
    """
    values = np.zeros(grid.shape, dtype=np.float32)
    if not len(positions) or not inside.any():
        return values
    box = bounding_box(inside, margin_for(grid, 3 * _SIGMA))
    part = part_of(grid, box)
    mean, weight = _gaussian_mean(part, positions, b_iso)
    at_atoms = ndimage.map_coordinates(mean, part.index_of(positions).T, order=1, mode="nearest")
    far = inside[box] & (weight < _FAINT)
    if far.any():
        nearest = cKDTree(positions).query(part.position_of(np.argwhere(far)))[1]
        mean[far] = at_atoms[nearest]
    best = np.float32(np.quantile(at_atoms, _BEST))
    values[box] = np.where(inside[box], np.maximum(mean - best, 0), 0)
    return values


def provenance(
    grid: Grid, positions: DoubleArray, is_pseudo: BoolArray, inside: BoolArray
) -> FloatArray:
    """Mark where the reference comes from: 1 the model, 2 pseudo-atoms, 0 neither.

    Parameters
    ----------
    grid : Grid
    positions : array, shape (n, 3)
        Å.
    is_pseudo : bool array, shape (n,)
    inside : bool array, shape grid.shape
        Voxels that get a value.

    Returns
    -------
    array, shape grid.shape
        By the nearest atom, up to 5 Å away.
    """
    values = np.zeros(grid.shape, dtype=np.float32)
    if not len(positions) or not inside.any():
        return values
    places = grid.position_of(np.argwhere(inside))
    query = cKDTree(positions).query(places, distance_upper_bound=_REACH)
    distance, nearest = np.asarray(query[0]), np.asarray(query[1])
    found = np.isfinite(distance)
    kinds = np.full(len(places), NONE, dtype=np.float32)
    kinds[found] = np.where(is_pseudo[nearest[found]], PSEUDO, MODEL)
    values[inside] = kinds
    return values


def _gaussian_mean(
    grid: Grid, positions: DoubleArray, b_iso: DoubleArray
) -> tuple[FloatArray, FloatArray]:
    """Mean of B around every voxel, and the number of atoms behind it, each by its distance."""
    index = np.rint(grid.index_of(positions)).astype(np.intp)
    held = ((index >= 0) & (index < grid.shape)).all(axis=1)
    z, y, x = index[held].T
    flat = np.ravel_multi_index((z, y, x), grid.shape)
    sigma = [_SIGMA / edge for edge in grid.voxel_size[::-1]]
    height = np.sqrt(2 * np.pi) ** 3 * float(np.prod(sigma))  # makes an atom count 1 at its place

    def smoothed(of_atoms: DoubleArray) -> FloatArray:
        """Values of atoms, put on the grid and smoothed."""
        placed = np.bincount(flat, of_atoms * height, grid.size).astype(np.float32)
        return np.asarray(
            ndimage.gaussian_filter(placed.reshape(grid.shape), sigma, mode="constant")
        )

    weight = smoothed(np.ones(len(flat)))
    mean = smoothed(b_iso[held]) / np.maximum(weight, np.finfo(np.float32).tiny)
    return np.asarray(mean, dtype=np.float32), weight
