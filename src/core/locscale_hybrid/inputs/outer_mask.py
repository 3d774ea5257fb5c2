"""The mask that a map came with: where it left the map whole, and the solvent inside it.

Reconstructions end softly in a sphere (RELION), a cylinder (helices) or a mask of any other shape.
Noise has its full strength only inside the soft edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..maps.grid import BoolArray, FloatArray, Grid
from ..maps.morphology import distance_within, without_small_pieces
from ..maps.solvent import quiet_part, smoothed, whole_cubes

LEAST_SOLVENT = 0.2  # share of the cubes inside; a sphere of the particle's radius leaves 0.15
BLANK = 1e-3  # difference from the corner over the sd of the map, where it is blank
_FEWEST_BLANK = 0.02  # share of the box that makes it a mask
_MOST_BLOCKS = 64  # along an axis, up to twice that: the side of a block is whole voxels
_REACH = 16  # blocks from the blank part within which the soft edge ends
_FULL_STRENGTH = 0.9  # of the noise farther inside, where the edge ends
_LOW_PASS = 8.0  # Å, at which density stands out of its solvent
_CUBE = 3  # blocks on the edge of a cube of that size
_GAUSSIAN_PER_RESOLUTION = 0.225  # sigma of a Gaussian whose amplitude is 1/e at the resolution
_CORNER = 5  # voxels


@dataclass(frozen=True, eq=False)
class OuterMask:
    """A mask of any shape with a soft edge.

    Parameters
    ----------
    blank : float
        Share of the box, 0 to 1, that has one value.
    edge : float
        Voxels from the blank part to the first where noise has its full strength.
    inside : bool array, shape (nz, ny, nx)
        Where the map is as it was: within the mask and its soft edge.
    solvent : bool array, shape (nz, ny, nx)
        Centres of the cubes of 8 Å inside that hold nothing but noise.
    solvent_share : float
        Share of the cubes inside that are, 0 to 1.
    """

    blank: float
    edge: float
    inside: BoolArray
    solvent: BoolArray
    solvent_share: float

    @property
    def has_solvent(self) -> bool:
        """Whether enough solvent is left to measure noise in."""
        return self.solvent_share >= LEAST_SOLVENT


def outer_mask(
    values: FloatArray, grid: Grid, noise: Callable[[], FloatArray] | None = None
) -> OuterMask | None:
    """Find the mask that a map came with; None if its corners contain data.

    Parameters
    ----------
    values : array, shape grid.shape
    grid : Grid
    noise : callable, optional
        Gives half the difference of two half maps, which shows the edge best; else the finest
        detail of the map is taken.

    Notes
    -----
    Distances from the blank part are measured in blocks of voxels.  The soft edge ends where the
    rms of a typical block has 90 % of what it has farther inside; a particle that fills less than
    half of the blocks at one distance does not change that.
    """
    limit = np.float32(BLANK * float(values.std(dtype=np.float64)))
    level = _blank_level(values, limit)
    if level is None:
        return None
    size = max(1, max(values.shape) // _MOST_BLOCKS)
    farthest = _blocks(values, size, np.maximum, lambda slab: np.abs(slab - level))
    flat, _ = without_small_pieces(farthest <= limit, _FEWEST_BLANK * farthest.size)
    if not flat.any() or flat.all():
        return None
    fine = ndimage.laplace(values) if noise is None else noise()
    strength = np.sqrt(_block_means(fine, size, np.square))
    distance = distance_within(flat, (1.0, 1.0, 1.0), _REACH)
    edge = _soft_edge(strength, distance)
    inside = _in_voxels(distance > edge, size, grid.shape)
    blank = float(np.count_nonzero(_in_voxels(flat, size, grid.shape))) / values.size
    return OuterMask(blank, edge * size, inside, *_solvent(values, grid, inside))


def _solvent(values: FloatArray, grid: Grid, inside: BoolArray) -> tuple[BoolArray, float]:
    """Find the quiet cubes of 8 Å at the mask, and their share of the cubes inside.

    A particle may have quiet cubes too, but not up to the mask.
    """
    size = max(1, int(round(_LOW_PASS / _CUBE / grid.step)))
    whole = _blocks(inside, size, np.minimum, lambda slab: slab)
    nz, ny, nx = whole.shape
    x, y, z = (edge * size for edge in grid.voxel_size)
    coarse = Grid((nz, ny, nx), (x, y, z))
    cut = max(_LOW_PASS, _CUBE * coarse.step)
    low = smoothed(_block_means(values, size), coarse, _GAUSSIAN_PER_RESOLUTION * cut)
    quiet = quiet_part(low, coarse, cut, whole)
    if quiet is None:
        return np.zeros(grid.shape, dtype=np.bool_), 0.0
    usable = whole_cubes(whole, coarse, cut)
    rim = usable & ~ndimage.binary_erosion(usable, border_value=1)
    reached = ndimage.binary_propagation(rim & quiet.region, mask=quiet.region)
    share = int(np.count_nonzero(reached)) / int(np.count_nonzero(usable))
    return _in_voxels(reached, size, grid.shape), share


def _blank_level(values: FloatArray, limit: np.float32) -> np.float32 | None:
    """Value of a corner of the box without noise; None where all corners hold noise."""
    ends = (slice(None, _CORNER), slice(-_CORNER, None))
    for corner in (values[z, y, x] for z in ends for y in ends for x in ends):
        if corner.std(dtype=np.float64) <= limit:
            return np.float32(np.median(corner))
    return None


def _soft_edge(strength: FloatArray, distance: FloatArray) -> float:
    """Distance in blocks from the blank part at which the strength has risen to what it stays."""
    steps = np.arange(1, _REACH + 1)
    rounded = np.rint(np.minimum(distance, _REACH + 1))
    found = [strength[rounded == step] for step in steps]
    profile = np.array([np.median(part) if part.size else np.nan for part in found])
    farther = profile[_REACH // 2 :]
    if not np.isfinite(farther).any():
        return float(_REACH)  # nothing is farther inside
    high = np.flatnonzero(profile >= _FULL_STRENGTH * np.nanmedian(farther))
    return float(steps[high[0]]) - 0.5


def _blocks(
    values: NDArray[Any],
    size: int,
    reduction: np.ufunc,
    prepared: Callable[[NDArray[Any]], NDArray[Any]],
) -> NDArray[Any]:
    """Reduce the values in blocks of `size` voxels; those at the far ends may be smaller."""
    starts = [np.arange(0, length, size) for length in values.shape]
    planes = []
    for begin in starts[0]:
        plane = reduction.reduce(prepared(values[begin : begin + size]), axis=0)
        plane = reduction.reduceat(plane, starts[1], axis=0)
        planes.append(reduction.reduceat(plane, starts[2], axis=1))
    return np.stack(planes)


def _block_means(
    values: FloatArray, size: int, prepared: Callable[[FloatArray], FloatArray] = lambda slab: slab
) -> FloatArray:
    """Mean of the values in blocks."""
    sums = _blocks(values, size, np.add, lambda slab: prepared(slab).astype(np.float64))
    z, y, x = (np.minimum(size, length - np.arange(0, length, size)) for length in values.shape)
    return np.asarray(sums / (z[:, None, None] * y[:, None] * x), dtype=np.float32)


def _in_voxels(blocks: BoolArray, size: int, shape: tuple[int, ...]) -> BoolArray:
    """Expand a choice of blocks to one of voxels."""
    for axis, length in enumerate(shape):
        blocks = np.take(np.repeat(blocks, size, axis=axis), range(length), axis=axis)
    return blocks
