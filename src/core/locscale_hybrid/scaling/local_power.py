"""Power of a band around every place: a Gaussian average on a coarse grid of block means.

Power varies over the width of the window, so a block of 4^3 voxels is enough: cubic interpolation
back to the voxels differs from the average on the full grid by 6e-4.  With blocks of one voxel it
is that average itself.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..maps.grid import FloatArray, Shape, Vector

_TRUNCATE = 4.0  # of the Gaussian, in sigma
_SMALL_VOXELS = 1 << 21  # boxes up to here have room for a coarse array on every voxel


@dataclass(frozen=True, eq=False)
class Planes:
    """A coarse array on the voxels of a large box, made a few planes at a time.

    Parameters
    ----------
    matrix : array, shape (nz, coarse nz)
        Interpolation along z.
    rows : array, shape (coarse nz, ny, nx)
        Interpolated along y and x.
    least : float
        Lowest value.
    """

    matrix: FloatArray
    rows: FloatArray
    least: float

    def part(self, planes: slice) -> FloatArray:
        """Compute some planes."""
        return self._product(self.matrix[planes], self.rows)

    def sparse(self, step: int) -> FloatArray:
        """Take every so many-th voxel along every axis."""
        return self._product(
            self.matrix[::step], np.ascontiguousarray(self.rows[:, ::step, ::step])
        )

    def _product(self, matrix: FloatArray, rows: FloatArray) -> FloatArray:
        """Interpolated along z."""
        values = (matrix @ rows.reshape(len(rows), -1)).reshape(len(matrix), *rows.shape[1:])
        return np.asarray(np.maximum(values, np.float32(self.least), out=values))


@dataclass(frozen=True, eq=False)
class WholePlanes:
    """The same for values that are there already."""

    values: FloatArray

    def part(self, planes: slice) -> FloatArray:
        """Compute some planes."""
        return self.values[planes]

    def sparse(self, step: int) -> FloatArray:
        """Take every so many-th voxel along every axis."""
        return self.values[::step, ::step, ::step]


class LocalAverage:
    """Gaussian averages of products of maps, kept on a coarse grid.

    Parameters
    ----------
    shape : (nz, ny, nx)
        The box repeats itself beyond its faces.
    voxel_size : (x, y, z)
        Å.
    sigma : float
        Of the Gaussian, Å.
    block : int
        Voxels along the edge of a block; 1 keeps the full grid.
    """

    def __init__(self, shape: Shape, voxel_size: Vector, sigma: float, block: int = 4) -> None:
        self.shape = shape
        self.block = block
        nz, ny, nx = (max(n // block, 1) for n in shape)
        self.coarse_shape: Shape = (nz, ny, nx)
        self._blocks = [_block_matrix(n, m) for n, m in zip(shape, self.coarse_shape, strict=True)]
        self._sigma = []
        for n, m, voxel in zip(shape, self.coarse_shape, voxel_size[::-1], strict=True):
            width = n / m  # voxels per block; what averaging over the block already does comes off
            variance = (sigma / voxel) ** 2 - (width**2 - 1) / 12
            self._sigma.append(np.sqrt(max(variance, 0.0)) / width)
        self._matrices = [
            _cubic_matrix(n, m) for n, m in zip(shape, self.coarse_shape, strict=True)
        ]

    def power(self, values: FloatArray) -> FloatArray:
        """Average of values^2, on the coarse grid."""
        return self.product(values, values)

    def product(self, a: FloatArray, b: FloatArray) -> FloatArray:
        """Average of a b, on the coarse grid."""
        return self._smooth(self.block_mean(a, b))

    def mean(self, values: FloatArray) -> FloatArray:
        """Average of values, on the coarse grid."""
        return self._smooth(self.block_mean(values))

    def block_mean(self, a: FloatArray, b: FloatArray | None = None) -> FloatArray:
        """Mean of `a`, or of a b, over each block."""
        if self.block == 1:
            return np.asarray(a if b is None else a * b, dtype=np.float32)
        means = _slow_axis_mean(a, b, self._blocks[0], self.coarse_shape[0])
        means = np.matmul(self._blocks[1], means)
        return np.asarray(means @ self._blocks[2].T, dtype=np.float32)

    def spread(self, coarse: FloatArray) -> FloatArray:
        """Interpolate a coarse array on the voxels, by cubic splines."""
        if self.block == 1:
            return coarse
        z, y, x = self._matrices
        along_x = np.asarray(coarse, dtype=np.float32) @ x.T
        along_y = np.matmul(y, along_x)
        flat = z @ along_y.reshape(len(coarse), -1)
        return np.asarray(flat.reshape(self.shape), dtype=np.float32)

    def spread_above(self, coarse: FloatArray, least: np.float32) -> FloatArray:
        """Put coarse values on the voxels, nowhere below a limit."""
        values = self.spread(coarse)
        if values is coarse:  # blocks of one voxel
            values = coarse.copy()
        return np.asarray(np.maximum(values, least, out=values))

    def planes(self, coarse: FloatArray, least: float) -> Planes | WholePlanes:
        """`spread`, nowhere below a limit, by planes where the box is large."""
        if self.block == 1 or int(np.prod(self.shape)) <= _SMALL_VOXELS:
            return WholePlanes(np.asarray(np.maximum(self.spread(coarse), np.float32(least))))
        z, y, x = self._matrices
        rows = np.matmul(y, np.asarray(coarse, dtype=np.float32) @ x.T)
        return Planes(z, np.asarray(rows, dtype=np.float32), least)

    def _smooth(self, coarse: FloatArray) -> FloatArray:
        """Apply the Gaussian, on the coarse grid."""
        smooth = ndimage.gaussian_filter(coarse, self._sigma, mode="wrap", truncate=_TRUNCATE)
        return np.asarray(smooth, dtype=np.float32)


def _block_matrix(length: int, count: int) -> FloatArray:
    """Means (count, length) over equal blocks; a voxel on an edge belongs to both by its parts."""
    edges = np.arange(count + 1) * length / count
    voxels = np.arange(length)
    low = np.maximum(edges[:-1, None], voxels)
    high = np.minimum(edges[1:, None], voxels + 1)
    return np.asarray(np.clip(high - low, 0, 1) * count / length, dtype=np.float32)


def _slow_axis_mean(
    a: FloatArray, b: FloatArray | None, matrix: FloatArray, count: int
) -> FloatArray:
    """Means of `a`, or of a b, over blocks along z."""
    nz, ny, nx = a.shape
    size = nz // count
    if size * count != nz:
        product = a if b is None else a * b
        return np.asarray((matrix @ product.reshape(nz, -1)).reshape(count, ny, nx))
    blocks = (count, size, ny * nx)
    if b is None:
        flat = a.reshape(blocks).sum(axis=1)
    else:
        flat = np.einsum("aqk,aqk->ak", a.reshape(blocks), b.reshape(blocks))
    flat /= np.float32(size)
    return np.asarray(flat.reshape(count, ny, nx))


def _cubic_matrix(length: int, count: int) -> FloatArray:
    """Interpolation (length, count) from block centres by Keys' cubic, periodic."""
    place = (np.arange(length) + 0.5) * count / length - 0.5
    left = np.floor(place).astype(np.intp)
    t = place - left
    weights = (
        -0.5 * t + t**2 - 0.5 * t**3,
        1 - 2.5 * t**2 + 1.5 * t**3,
        0.5 * t + 2 * t**2 - 1.5 * t**3,
        -0.5 * t**2 + 0.5 * t**3,
    )
    matrix = np.zeros((length, count), dtype=np.float64)
    rows = np.arange(length)
    for shift, weight in zip((-1, 0, 1, 2), weights, strict=True):
        np.add.at(matrix, (rows, (left + shift) % count), weight)
    return matrix.astype(np.float32)
