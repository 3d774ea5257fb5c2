"""Sums of isotropic Gaussians on a periodic grid: spread them out, or integrate a field over them.

A Gaussian of width `b` (Å^2) is the density whose Fourier transform is exp(-b s^2 / 4).  It is a
product over the three axes, so that the sum of all Gaussians of a neighbourhood, on a small box
about them, is one matrix product: of their parts along z with their parts in the plane.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

import numpy as np

from ..maps.grid import DoubleArray, FloatArray, IntArray, Shape, Vector

_SOURCES = 160  # in a neighbourhood, at most
_PLANES = 1 << 18  # voxels in the planes of its Gaussians, at most: they stay in the cache
_BOX = 1 << 17  # voxels in the box about it, at most
_MARGIN_STEP = 2.0  # Å, to which the room about a neighbourhood is rounded up
_STEEPEST = 20.0  # exponent where a Gaussian stops falling: products of three stay normal numbers

_Box = tuple[IntArray, ...]  # voxels along z, y, x


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
    first : (x, y, z)
        Voxel of the box that is [0, 0, 0] of the array that is drawn in or read.
    """

    positions: DoubleArray
    amplitudes: DoubleArray
    widths: DoubleArray
    reach: float
    first: tuple[int, int, int] = (0, 0, 0)

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.positions)


def spread(sources: Sources, values: FloatArray, voxel_size: Vector) -> None:
    """Add the density of the sources to a periodic grid.

    Parameters
    ----------
    sources : Sources
    values : array, shape (nz, ny, nx)
        Changed in place.
    voxel_size : (x, y, z)
        Å.
    """
    for batch in _batches(sources, voxel_size):
        plane = batch.y[:, :, None] * batch.x[:, None, :]
        summed = batch.z.T @ plane.reshape(len(plane), -1)
        _add(values, batch.box, summed.reshape(-1, *plane.shape[1:]))


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
    result = np.empty(len(sources))
    for batch in _batches(sources, voxel_size):
        over_z = _over_z(batch.z, _cut(field, batch.box))
        result[batch.index] = batch.over_terms(_over_plane(over_z, batch.y, batch.x))
    return result


def gather_gradient(sources: Sources, field: FloatArray, voxel_size: Vector) -> DoubleArray:
    """Differentiate `gather` by the positions, shape (n, 3), (x, y, z), per Å."""
    result = np.empty((len(sources), 3))
    for batch in _batches(sources, voxel_size):
        box = _cut(field, batch.box)
        over_z = _over_z(batch.z, box)
        by_axis = (
            _over_plane(over_z, batch.y, batch.x * batch.slope(0)),
            _over_plane(over_z, batch.y * batch.slope(1), batch.x),
            _over_plane(_over_z(batch.z * batch.slope(2), box), batch.y, batch.x),
        )
        for axis, values in enumerate(by_axis):
            result[batch.index, axis] = batch.over_terms(values)
    return result


def extent(sources: Sources, shape: Shape, voxel_size: Vector) -> tuple[slice, slice, slice]:
    """Find the part (z, y, x) of a periodic grid that contains all of the sources.

    The whole of an axis where one reaches over its end.
    """
    if not len(sources):
        return slice(0, 1), slice(0, 1), slice(0, 1)
    low, high = _limits(sources.positions, _reaches(sources), voxel_size)
    x, y, z = (
        slice(int(a), int(b)) if a >= 0 and b <= n else slice(0, n)
        for a, b, n in zip(low, high, shape[::-1], strict=True)
    )
    return z, y, x


class _Batch:
    """Some neighbouring sources and the box that holds them; a row for each of their Gaussians."""

    def __init__(
        self, sources: Sources, index: IntArray, reaches: DoubleArray, voxel_size: Vector
    ) -> None:
        self.index = index
        positions, widths = sources.positions[index], sources.widths[index]
        low, high = _limits(positions, reaches[index], voxel_size)
        x, y, z = (
            np.arange(a, b) - first for a, b, first in zip(low, high, sources.first, strict=True)
        )
        self.box: _Box = (z, y, x)
        self.terms = widths.shape[1]
        self._decay = (4 * np.pi**2 / widths).astype(np.float32).reshape(-1, 1)
        centres = (positions - low * np.asarray(voxel_size)).astype(np.float32)
        centres = np.repeat(centres, self.terms, axis=0)
        self._shift = [
            np.arange(len(axis), dtype=np.float32) * np.float32(size) - centre[:, None]
            for axis, size, centre in zip((x, y, z), voxel_size, centres.T, strict=True)
        ]
        self.x, self.y, self.z = (self._along(shift) for shift in self._shift)
        peak = sources.amplitudes[index] * (4 * np.pi / widths) ** 1.5
        self.z *= peak.astype(np.float32).reshape(-1, 1)

    def _along(self, shift: FloatArray) -> FloatArray:
        """Gaussians along one axis, shape (rows, voxels)."""
        exponent = shift * shift
        exponent *= -self._decay
        np.maximum(exponent, -_STEEPEST, out=exponent)
        return np.asarray(np.exp(exponent, out=exponent))

    def slope(self, axis: int) -> FloatArray:
        """Logarithmic derivative by the centre along an axis (x, y, z), shape (rows, voxels)."""
        return np.asarray(2 * self._shift[axis] * self._decay)

    def over_terms(self, values: FloatArray) -> FloatArray:
        """Sum of a value of each row over the Gaussians of each source."""
        return np.asarray(values.reshape(-1, self.terms).sum(axis=1))


def _over_z(rows: FloatArray, box: FloatArray) -> FloatArray:
    """Sum a box over z with the weights of each row, shape (rows, ny, nx)."""
    _, ny, nx = box.shape
    return np.asarray((rows @ box.reshape(len(box), -1)).reshape(-1, ny, nx))


def _over_plane(planes: FloatArray, along_y: FloatArray, along_x: FloatArray) -> FloatArray:
    """Planes, shape (rows, ny, nx), summed with weights along y and x; shape (rows,)."""
    over_x = np.matmul(planes, along_x[:, :, None])[:, :, 0]
    return np.asarray(np.einsum("ny,ny->n", over_x, along_y))


def _reaches(sources: Sources) -> DoubleArray:
    """Return how far each source is drawn, Å."""
    return np.asarray(sources.reach * np.sqrt(sources.widths.max(axis=1) / (8 * np.pi**2)))


def _limits(
    positions: DoubleArray, reaches: DoubleArray, voxel_size: Vector
) -> tuple[IntArray, IntArray]:
    """First voxel (x, y, z), and the one after the last, of what some sources reach."""
    low = np.ceil((positions - reaches[:, None]).min(axis=0) / voxel_size)
    high = np.floor((positions + reaches[:, None]).max(axis=0) / voxel_size) + 1
    return low.astype(np.intp), high.astype(np.intp)


def _cut(field: FloatArray, box: _Box) -> FloatArray:
    """Cut a box out of a periodic field; `box` may reach over the ends."""
    if all(axis[0] >= 0 and axis[-1] < n for axis, n in zip(box, field.shape, strict=True)):
        z, y, x = (slice(axis[0], axis[-1] + 1) for axis in box)
        return field[z, y, x]
    return np.asarray(field[np.ix_(*(axis % n for axis, n in zip(box, field.shape, strict=True)))])


def _add(values: FloatArray, box: _Box, summed: FloatArray) -> None:
    """Add a box to a periodic grid, in place; `box` may reach over the ends, and more than once."""
    along = [_pieces(axis[0], axis[-1] + 1, n) for axis, n in zip(box, values.shape, strict=True)]
    for (z, from_z), (y, from_y), (x, from_x) in product(*along):
        values[z, y, x] += summed[from_z, from_y, from_x]


def _pieces(begin: int, end: int, size: int) -> list[tuple[slice, slice]]:
    """Split a range of a periodic axis into pieces that do not wrap: of axis and of range."""
    cuts = [begin, *range((begin // size + 1) * size, end, size), end]
    return [
        (slice(a % size, a % size + b - a), slice(a - begin, b - begin)) for a, b in pairwise(cuts)
    ]


def _batches(sources: Sources, voxel_size: Vector) -> Iterator[_Batch]:
    """Split the sources into batches of neighbours, in a fixed order."""
    if not len(sources):
        return
    reaches = _reaches(sources)
    margin = _MARGIN_STEP * float(np.ceil(2 * reaches.max() / _MARGIN_STEP))
    x, y, z = voxel_size
    places = np.asarray(sources.positions, dtype=np.float64).tobytes()
    for index in _neighbourhoods(places, margin, sources.widths.shape[1], (x, y, z)):
        yield _Batch(sources, index, reaches, voxel_size)


@lru_cache(maxsize=8)  # atoms stay where they are for many steps in B
def _neighbourhoods(
    places: bytes, margin: float, terms: int, voxel_size: Vector
) -> tuple[IntArray, ...]:
    """Group indices of points close to each other, the points given as bytes of an array."""
    return tuple(_halved(np.frombuffer(places).reshape(-1, 3), margin, terms, voxel_size))


def _halved(
    positions: DoubleArray, margin: float, terms: int, voxel_size: Vector
) -> Iterator[IntArray]:
    """Points halved along the longest edge until they are few and close together."""
    pending = [np.arange(len(positions))]
    while pending:
        index = pending.pop()
        points, n = positions[index], len(index)
        edges = points.max(axis=0) - points.min(axis=0)
        x, y, z = (edges + margin) / voxel_size
        if n == 1 or (n <= _SOURCES and n * terms * x * y <= _PLANES and x * y * z <= _BOX):
            yield index
            continue
        along = points[:, np.argmax(edges)]
        lower = along < np.partition(along, n // 2)[n // 2]
        if not lower.any():  # many at one place
            lower[: n // 2] = True
        pending += [index[~lower], index[lower]]
