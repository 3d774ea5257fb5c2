"""Sums of isotropic Gaussians on a periodic grid: spread them out, or integrate a field over them.

A Gaussian of width `b` (Å^2) is the density whose Fourier transform is exp(-b s^2 / 4).  Every
Gaussian is a product over the three axes, so a block of it is one small matrix product.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .maps import DoubleArray, FloatArray, IntArray, Shape, Vector

_BLOCK_VOXELS = 1 << 17  # per batch of blocks: index and values stay in the cache
_CELL = 8.0  # Å, edge of the cells that order the sources in space


@dataclass(frozen=True)
class Sources:
    """Points in a box, each with a sum of Gaussians about it.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å, (x, y, z), relative to the centre of voxel [0, 0, 0]; wrapped into the box.
    amplitudes : array, shape (n, k)
        Integral of each Gaussian.
    widths : array, shape (n, k)
        Å^2, all positive.
    reach : float
        Standard deviations at which a Gaussian ends.
    """

    positions: DoubleArray
    amplitudes: DoubleArray
    widths: DoubleArray
    reach: float

    def __len__(self) -> int:
        """Number of points."""
        return len(self.positions)


def spread(sources: Sources, values: FloatArray, voxel_size: Vector) -> None:
    """Add the density of the sources to a periodic grid.

    Parameters
    ----------
    sources : Sources
    values : array, shape (nz, ny, nx)
        Contiguous; changed in place.
    voxel_size : (x, y, z)
        Å.
    """
    flat = values.reshape(-1)
    if not np.shares_memory(flat, values):
        raise ValueError("spread needs a contiguous grid")
    for batch in _batches(sources, values.shape, voxel_size):
        block = np.matmul(batch.z, batch.plane().transpose(0, 2, 1))
        np.add.at(flat, batch.voxels().ravel(), block.ravel())


def gather(sources: Sources, field: FloatArray, voxel_size: Vector) -> DoubleArray:
    """Sum over voxels of a field times each source.

    Parameters
    ----------
    sources : Sources
    field : array, shape (nz, ny, nx)
        Periodic.
    voxel_size : (x, y, z)
        Å.

    Returns
    -------
    array, shape (n,)
    """
    flat = np.ascontiguousarray(field).reshape(-1)
    result = np.empty(len(sources))
    for batch in _batches(sources, field.shape, voxel_size):
        over_plane = np.matmul(flat[batch.voxels()], batch.plane())
        result[batch.index] = np.einsum("nmk,nmk->n", over_plane, batch.z)
    return result


def gather_gradient(sources: Sources, field: FloatArray, voxel_size: Vector) -> DoubleArray:
    """Derivative of `gather` with respect to the positions, shape (n, 3), (x, y, z), per Å."""
    flat = np.ascontiguousarray(field).reshape(-1)
    result = np.empty((len(sources), 3))
    for batch in _batches(sources, field.shape, voxel_size):
        block = flat[batch.voxels()]
        along_z = np.matmul(block, batch.plane())
        result[batch.index, 2] = np.einsum("nmk,nmk->n", along_z, batch.slope(2) * batch.z)
        for axis in (0, 1):
            over_plane = np.matmul(block, batch.plane(axis))
            result[batch.index, axis] = np.einsum("nmk,nmk->n", over_plane, batch.z)
    return result


def extent(sources: Sources, shape: Shape, voxel_size: Vector) -> tuple[slice, slice, slice]:
    """The part (z, y, x) of a periodic grid that holds all blocks of the sources.

    The whole of an axis where a block reaches over its end.
    """
    if not len(sources):
        return slice(0, 1), slice(0, 1), slice(0, 1)
    half = int(_edges(sources, voxel_size).max()) / 2
    steps = sources.positions / voxel_size
    low = np.floor(steps.min(axis=0) - half).astype(int) - 1
    high = np.ceil(steps.max(axis=0) + half).astype(int) + 2
    x, y, z = (slice(int(a), int(b)) if a >= 0 and b <= n else slice(0, n)
               for a, b, n in zip(low, high, shape[::-1], strict=True))
    return z, y, x


class _Batch:
    """Blocks of equal edge around some of the sources."""

    def __init__(self, sources: Sources, index: IntArray, edge: int, shape: Shape,
                 voxel_size: Vector) -> None:
        self.index, self.shape = index, shape
        steps = sources.positions[index] / voxel_size
        self.start = np.rint(steps - (edge - 1) / 2).astype(np.intp)
        self.offset = np.arange(edge)
        shift = (self.start - steps)[:, :, None] + self.offset
        self.shift = (shift * np.asarray(voxel_size)[:, None]).astype(np.float32)  # n, 3, edge
        widths = sources.widths[index]
        self.decay = (4 * np.pi**2 / widths).astype(np.float32)[:, None, :]
        peak = sources.amplitudes[index] * (4 * np.pi / widths) ** 1.5
        self.x, self.y = self._axis(0), self._axis(1)
        self.z = self._axis(2) * peak.astype(np.float32)[:, None, :]

    def _axis(self, axis: int) -> FloatArray:
        """Gaussians along one axis, shape (n, edge, k)."""
        squared = self.shift[:, axis, :, None] ** 2
        return np.asarray(np.exp(-squared * self.decay))

    def slope(self, axis: int) -> FloatArray:
        """Logarithmic derivative by the centre along one axis, shape (n, edge, k)."""
        return np.asarray(2 * self.shift[:, axis, :, None] * self.decay)

    def plane(self, derivative: int | None = None) -> FloatArray:
        """Product over y and x, shape (n, edge^2, k); differentiated along x (0) or y (1)."""
        x = self.x * self.slope(0) if derivative == 0 else self.x
        y = self.y * self.slope(1) if derivative == 1 else self.y
        n, edge, k = x.shape
        return (y[:, :, None, :] * x[:, None, :, :]).reshape(n, edge * edge, k)

    def voxels(self) -> IntArray:
        """Flat indices of the voxels of each block, shape (n, edge, edge^2)."""
        nz, ny, nx = self.shape
        x, y, z = ((self.start[:, axis, None] + self.offset) % size
                   for axis, size in enumerate((nx, ny, nz)))
        plane = (y[:, :, None] * nx + x[:, None, :]).reshape(len(x), 1, -1)
        return np.asarray(z[:, :, None] * (ny * nx) + plane)


def _batches(sources: Sources, shape: Shape, voxel_size: Vector) -> Iterator[_Batch]:
    """The sources in batches of equal block edge, in a fixed order."""
    if not len(sources):
        return
    edges = _edges(sources, voxel_size)
    # one after the other in space: the voxels of a batch then stay in the cache
    x, y, z = np.floor(sources.positions.T / _CELL).astype(np.intp)
    order = np.lexsort((x, y, z))
    for edge in np.unique(edges):
        same = order[edges[order] == edge]
        size = max(1, _BLOCK_VOXELS // int(edge) ** 3)
        for begin in range(0, len(same), size):
            yield _Batch(sources, same[begin: begin + size], int(edge), shape, voxel_size)


def _edges(sources: Sources, voxel_size: Vector) -> IntArray:
    """Edge in voxels of the block around each source."""
    sigma = np.sqrt(sources.widths.max(axis=1) / (8 * np.pi**2))
    edges: IntArray = np.floor(2 * sources.reach * sigma / min(voxel_size)).astype(np.intp) + 1
    return edges
