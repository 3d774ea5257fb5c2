"""Shapes on a grid: distances, dilation and opening in Å, pieces, holes.

Distances are exact up to a reach and unknown beyond it: that takes two float32 arrays, where a
full distance transform takes a dozen.  Boxes are not wrapped.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from .grid import BoolArray, DoubleArray, FloatArray, Grid, IntArray, Vector

Box = tuple[slice, slice, slice]

_SLAB_VOXELS = 1 << 18  # per step of a distance pass: a megabyte of float32, stays in the cache
_BLOCK_POINTS = 1 << 21  # voxels tested at once around positions


def bounding_box(inside: BoolArray, margin: tuple[int, int, int] = (0, 0, 0)) -> Box:
    """Slices (z, y, x) of the smallest box with every True voxel, and a margin in voxels.

    An array without a True voxel gives the whole box.
    """
    if not inside.any():
        nz, ny, nx = inside.shape
        return slice(0, nz), slice(0, ny), slice(0, nx)
    lines = (inside.any(axis=(1, 2)), inside.any(axis=(0, 2)), inside.any(axis=(0, 1)))
    box = []
    for line, extra in zip(lines, margin, strict=True):
        where = np.flatnonzero(line)
        box.append(slice(max(int(where[0]) - extra, 0), min(int(where[-1]) + extra + 1, line.size)))
    return box[0], box[1], box[2]


def margin_for(grid: Grid, distance: float) -> tuple[int, int, int]:
    """Voxels (z, y, x) that a distance in Å needs."""
    x, y, z = (int(np.ceil(distance / edge)) + 1 for edge in grid.voxel_size)
    return z, y, x


def part_of(grid: Grid, box: Box) -> Grid:
    """Make the grid of a box of voxels, in the frame of the whole."""
    start = np.array([part.start for part in box])
    x, y, z = grid.position_of(start)
    nz, ny, nx = (part.stop - part.start for part in box)
    return replace(grid, shape=(nz, ny, nx), origin=(float(x), float(y), float(z)))


def distance_within(inside: BoolArray, voxel_size: Vector, reach: float) -> FloatArray:
    """Distance from every voxel to the nearest True voxel.

    Parameters
    ----------
    inside : array, shape (nz, ny, nx)
    voxel_size : (x, y, z)
        Å.
    reach : float
        Å; distances up to here are exact, whatever is farther gets infinity.

    Returns
    -------
    array, shape (nz, ny, nx)
        Å, float32; 0 at True voxels.
    """
    squared = np.where(inside, np.float32(0), np.float32(np.inf))
    for axis, edge in enumerate(reversed(voxel_size)):
        squared = _nearest_along(squared, axis, edge, reach)
    np.sqrt(squared, out=squared)
    squared[squared > reach * (1 + 1e-6)] = np.inf
    return squared


def _nearest_along(squared: FloatArray, axis: int, edge: float, reach: float) -> FloatArray:
    """Lower every value to the least of its neighbours' plus their squared distance."""
    result = squared.copy()
    across = 1 if axis == 0 else 0
    slab = max(1, _SLAB_VOXELS * squared.shape[across] // max(squared.size, 1))
    steps = min(int(reach / edge + 1e-6), squared.shape[axis] - 1)
    for begin in range(0, squared.shape[across], slab):
        source = np.moveaxis(squared, across, 0)[begin : begin + slab]
        target = np.moveaxis(result, across, 0)[begin : begin + slab]
        along = 1 if axis == 0 else axis
        for step in range(1, steps + 1):
            cost = np.float32((step * edge) ** 2)
            low = _shifted(along, slice(None, -step))
            high = _shifted(along, slice(step, None))
            np.minimum(target[high], source[low] + cost, out=target[high])
            np.minimum(target[low], source[high] + cost, out=target[low])
    return result


def _shifted(axis: int, part: slice) -> Box:
    """Make an index of three axes that takes `part` of one."""
    index = [slice(None)] * 3
    index[axis] = part
    return index[0], index[1], index[2]


def opened(inside: BoolArray, voxel_size: Vector, radius: float) -> BoolArray:
    """Keep what balls of `radius` Å cover that fit inside: necks and specks are removed."""
    core = distance_within(~inside, voxel_size, radius) > radius
    return np.asarray(distance_within(core, voxel_size, radius) <= radius)


def without_small_pieces(
    inside: BoolArray, smallest: float, share_of_largest: float = 0.0
) -> tuple[BoolArray, IntArray]:
    """Drop connected pieces of too few voxels.

    Parameters
    ----------
    inside : array, shape (nz, ny, nx)
    smallest : float
        Voxels; smaller pieces go.
    share_of_largest : float
        Pieces below this share of the largest go too.

    Returns
    -------
    kept : array, shape (nz, ny, nx)
    sizes : array
        Voxels of every piece there was, largest first.
    """
    labels, n_pieces = ndimage.label(inside)
    sizes = np.bincount(labels.ravel(), minlength=n_pieces + 1)
    sizes[0] = 0
    keep = sizes >= max(smallest, share_of_largest * sizes.max(), 1)
    return keep[labels], np.sort(sizes[1:])[::-1]


def without_holes(inside: BoolArray) -> BoolArray:
    """Fill whatever cannot be reached from the faces of the box."""
    labels, n_pieces = ndimage.label(~inside)
    outer = np.zeros(n_pieces + 1, dtype=bool)
    for axis in range(3):
        for end in (0, -1):
            outer[np.take(labels, end, axis=axis)] = True
    outer[0] = False
    return ~outer[labels]


def voxels_near(grid: Grid, positions: DoubleArray, radius: float) -> BoolArray:
    """Voxels whose centre lies within `radius` Å of a position.

    Parameters
    ----------
    grid : Grid
    positions : array, shape (n, 3)
        Å, (x, y, z), in the frame of the grid.
    radius : float
        Å.

    Returns
    -------
    array, shape grid.shape
    """
    near = np.zeros(grid.shape, dtype=bool)
    edges = np.array(grid.voxel_size)[::-1]
    reach = [np.arange(-n, n + 1) for n in np.ceil(radius / edges + 0.5).astype(int)]
    offsets = np.stack(np.meshgrid(*reach, indexing="ij"), axis=-1).reshape(-1, 3)
    # a corner of the block may be out of reach from anywhere in the voxel
    gap = np.maximum(np.abs(offsets) - 0.5, 0) * edges
    offsets = offsets[(gap**2).sum(axis=1) <= radius**2]
    step = max(1, _BLOCK_POINTS // len(offsets))
    for begin in range(0, len(positions), step):
        index = grid.index_of(positions[begin : begin + step])
        voxels = np.rint(index).astype(np.intp)[:, None, :] + offsets
        squared = (((voxels - index[:, None, :]) * edges) ** 2).sum(axis=2)
        valid = (squared <= radius**2) & ((voxels >= 0) & (voxels < grid.shape)).all(axis=2)
        near[tuple(voxels[valid].T)] = True
    return near
