"""Power of a band around every place: a Gaussian average on a coarse grid of block means.

Power varies over the width of the window, so a block of 4^3 voxels is enough: cubic interpolation
back to the voxels differs from the average on the full grid by 6e-4.  With blocks of one voxel it
is that average itself.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .maps import FloatArray, Shape, Vector

_TRUNCATE = 4.0  # of the Gaussian, in sigma


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
        self._edges = [_block_edges(n, block) for n in shape]
        nz, ny, nx = (len(edges) for edges in self._edges)
        self.coarse_shape: Shape = (nz, ny, nx)
        self._sigma = []
        for n, m, voxel in zip(shape, self.coarse_shape, voxel_size[::-1], strict=True):
            width = n / m  # voxels per block; what averaging over the block already does comes off
            variance = (sigma / voxel) ** 2 - (width**2 - 1) / 12
            self._sigma.append(np.sqrt(max(variance, 0.0)) / width)
        self._matrices = [_cubic_matrix(n, m)
                          for n, m in zip(shape, self.coarse_shape, strict=True)]

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
        sums = _sum_slow_axis(a, b, self._edges[0])
        sums = _sum_middle_axis(sums, self._edges[1], self.shape[1])
        sums = np.add.reduceat(sums, self._edges[2], axis=2)
        for axis, (edges, n) in enumerate(zip(self._edges, self.shape, strict=True)):
            counts = np.diff(np.append(edges, n)).astype(np.float32)
            sums /= counts.reshape([-1 if i == axis else 1 for i in range(3)])
        return np.asarray(sums, dtype=np.float32)

    def spread(self, coarse: FloatArray) -> FloatArray:
        """A coarse array on the voxels, by cubic interpolation."""
        if self.block == 1:
            return coarse
        z, y, x = self._matrices
        along_x = np.asarray(coarse, dtype=np.float32) @ x.T
        along_y = np.matmul(y, along_x)
        flat = z @ along_y.reshape(len(coarse), -1)
        return np.asarray(flat.reshape(self.shape), dtype=np.float32)

    def _smooth(self, coarse: FloatArray) -> FloatArray:
        """The Gaussian, on the coarse grid."""
        smooth = ndimage.gaussian_filter(coarse, self._sigma, mode="wrap", truncate=_TRUNCATE)
        return np.asarray(smooth, dtype=np.float32)


def _block_edges(length: int, block: int) -> NDArray[np.intp]:
    """First voxels of equal blocks of about `block` voxels."""
    count = max(length // block, 1)
    return np.arange(count) * length // count


def _sum_slow_axis(a: FloatArray, b: FloatArray | None, edges: NDArray[np.intp]) -> FloatArray:
    """Sum of `a`, or of a b, over blocks along z."""
    nz, ny, nx = a.shape
    size = nz // len(edges)
    if size * len(edges) == nz:
        blocks = (len(edges), size, ny * nx)
        if b is None:
            flat = a.reshape(blocks).sum(axis=1)
        else:
            flat = np.einsum("aqk,aqk->ak", a.reshape(blocks), b.reshape(blocks))
        return np.asarray(flat.reshape(len(edges), ny, nx))
    return np.asarray(np.add.reduceat(a if b is None else a * b, edges, axis=0))


def _sum_middle_axis(sums: FloatArray, edges: NDArray[np.intp], length: int) -> FloatArray:
    """Sum over blocks along y."""
    size = length // len(edges)
    if size * len(edges) == length:
        return np.asarray(sums.reshape(len(sums), len(edges), size, -1).sum(axis=2))
    return np.asarray(np.add.reduceat(sums, edges, axis=1))


def _cubic_matrix(length: int, count: int) -> FloatArray:
    """Interpolation (length, count) from block centres by Keys' cubic, periodic."""
    place = (np.arange(length) + 0.5) * count / length - 0.5
    left = np.floor(place).astype(np.intp)
    t = place - left
    weights = (-0.5 * t + t**2 - 0.5 * t**3, 1 - 2.5 * t**2 + 1.5 * t**3,
               0.5 * t + 2 * t**2 - 1.5 * t**3, -0.5 * t**2 + 0.5 * t**3)
    matrix = np.zeros((length, count), dtype=np.float64)
    rows = np.arange(length)
    for shift, weight in zip((-1, 0, 1, 2), weights, strict=True):
        np.add.at(matrix, (rows, (left + shift) % count), weight)
    return matrix.astype(np.float32)
