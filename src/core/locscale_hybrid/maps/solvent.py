"""Where a map holds solvent: data outside any plausible density, found without half maps."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .grid import BoolArray, FloatArray, Grid
from .morphology import without_small_pieces

_FLAT = 1e-3  # local sd over the sd of the map where it is masked to a constant
_FLAT_EDGE = 5  # voxels of the cube in which that is looked at
_FEWEST_FLAT = 0.02  # share of the box that makes it a mask
_QUIET = 0.25  # sd in a cube of solvent over that in the loudest cubes
_LOUD = 0.99  # quantile of the sd in all cubes
_QUIET_SHARE = 0.05  # least share of the cubes that is quiet


@dataclass(frozen=True, eq=False)
class QuietPart:
    """The solvent of a map.

    Parameters
    ----------
    region : bool array, shape (nz, ny, nx)
        Centres of the cubes without density.
    noise : float
        Median sd in these cubes.
    """

    region: BoolArray
    noise: float


def present_part(values: FloatArray) -> BoolArray | None:
    """Mark where a map is not masked to a constant; None if its corners contain noise.

    Parameters
    ----------
    values : array, shape (nz, ny, nx)
    """
    limit = _FLAT * float(values.std(dtype=np.float64))
    ends = (slice(None, _FLAT_EDGE), slice(-_FLAT_EDGE, None))
    if all(values[z, y, x].std(dtype=np.float64) > limit for z in ends for y in ends for x in ends):
        return None
    flat = _local_sd(values, (_FLAT_EDGE,) * 3) < np.float32(limit)
    flat, _ = without_small_pieces(flat, _FEWEST_FLAT * flat.size)
    return ~ndimage.maximum_filter(flat, _FLAT_EDGE) if flat.any() else None


def quiet_part(
    values: FloatArray, grid: Grid, edge: float, present: BoolArray | None = None
) -> QuietPart | None:
    """Mark the part of a map that is quiet compared with its loudest part.

    Parameters
    ----------
    values : array, shape grid.shape
        Low-passed, so that density stands out.
    grid : Grid
    edge : float
        Å, of the cubes that are compared.
    present : bool array, optional
        See `present_part`; cubes that reach beyond it say nothing.

    Returns
    -------
    QuietPart or None
        None where there is too little of it.
    """
    spread = _local_sd(values, _cube(grid, edge))
    usable = np.ones(grid.shape, dtype=np.bool_)
    if present is not None:
        usable = whole_cubes(present, grid, edge)
    if not usable.any():
        return None
    region = usable & (spread < np.float32(_QUIET * np.quantile(spread[usable], _LOUD)))
    noise = float(np.median(spread[region])) if region.any() else 0.0
    if noise <= 0 or np.count_nonzero(region) < _QUIET_SHARE * np.count_nonzero(usable):
        return None
    return QuietPart(region, noise)


def whole_cubes(present: BoolArray, grid: Grid, edge: float) -> BoolArray:
    """Centres of the cubes of `edge` Å that do not reach beyond the data."""
    return np.asarray(ndimage.minimum_filter(present, _cube(grid, edge)), dtype=np.bool_)


def _cube(grid: Grid, edge: float) -> tuple[int, ...]:
    """Voxels of a cube along z, y, x: an odd number."""
    return tuple(
        min(2 * int(round((edge / step - 1) / 2)) + 1, length)
        for step, length in zip(reversed(grid.voxel_size), grid.shape, strict=True)
    )


def smoothed(values: FloatArray, grid: Grid, sigma: float) -> FloatArray:
    """Smooth the values with a Gaussian of `sigma` Å, wrapped."""
    width = [sigma / edge for edge in reversed(grid.voxel_size)]
    return np.asarray(ndimage.gaussian_filter(values, width, mode="wrap"), dtype=np.float32)


def _local_sd(values: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """Compute the sd in a box of `size` voxels around every voxel, mirrored at the borders."""
    variance = ndimage.uniform_filter(np.square(values), size)
    variance -= np.square(ndimage.uniform_filter(values, size))
    np.maximum(variance, 0, out=variance)
    return np.asarray(np.sqrt(variance, out=variance))
