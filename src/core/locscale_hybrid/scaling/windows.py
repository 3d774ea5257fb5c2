"""LocScale's definition of local scaling: radial profiles in a cube around each voxel.

The cube of n voxels, n odd, is centred on the voxel; shells are rint(|k|) over all coefficients;
the profile is the mean amplitude of a shell; the gain, the ratio of two profiles, is linear in |k|
between shells and constant beyond the last one.  The scaled voxel is the centre of the cube after
the gain.  As that is linear in the map, ``out(x) = sum_s gain_s(x) c_s(x)``, where c_s is the map
convolved with a kernel that is confined to the cube.

References
----------
.. [1] Jakobi, Wilmanns, Sachse (2017) eLife 6:e27131, :doi:`10.7554/eLife.27131`.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import InputError
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, FloatArray, Grid, IntArray, Shape
from ..parameters import HybridParameters

_Number = TypeVar("_Number", bound=np.generic)

BATCH = 64  # windows per matrix product: BLAS rounds differently for other sizes
_IN_HAND = 8  # windows transformed along x at once: their spectra stay in the cache


@dataclass(frozen=True, eq=False)
class WindowTables:
    """What all windows of a size share.

    Parameters
    ----------
    edge : int
        Voxels, odd.
    averaging : array, shape (n_coefficients, n_shells)
        Takes amplitudes of the spectrum, half of it along y, to mean amplitudes of complete shells.
    taper : array, shape (edge,), optional
        Factor of the density along every axis of a window, 1 at its centre.
    """

    edge: int
    averaging: FloatArray
    taper: FloatArray | None

    @property
    def n_shells(self) -> int:
        """Number of shells, 0 to edge // 2."""
        return self.edge // 2 + 1


@lru_cache(maxsize=2)
def window_tables(edge: int, taper: str) -> WindowTables:
    """Tables for windows of `edge` voxels with a taper, "none" or "hann"."""
    radius = _radius(edge)
    shell = np.rint(radius).astype(np.intp).ravel()
    multiplicity = np.full(radius.shape, 2.0)
    multiplicity[..., 0] = 1.0
    averaging = np.zeros((shell.size, edge // 2 + 1))
    inside = shell <= edge // 2
    averaging[np.flatnonzero(inside), shell[inside]] = multiplicity.ravel()[inside]
    averaging /= averaging.sum(axis=0)
    half_along_y = averaging.reshape(*radius.shape, -1).transpose(0, 2, 1, 3)
    return WindowTables(
        edge,
        half_along_y.reshape(averaging.shape).astype(np.float32),
        _hann(edge) if taper == "hann" else None,
    )


def window_edge(grid: Grid, parameters: HybridParameters) -> float:
    """Edge of the scaling window, Å; an odd number of voxels where it is asked for in voxels.

    Raises
    ------
    InputError
        If it is longer than half the shortest edge of the box.
    """
    step = grid.step
    window = parameters.window
    if parameters.window_voxels is not None:
        window = _odd_up(parameters.window_voxels) * step
    elif parameters.scaling == "windows":
        window = _odd_up(int(np.ceil(window / step - 1e-6))) * step
    shortest = min(grid.cell)
    if window > shortest / 2 * (1 + 1e-6):
        largest = (min(grid.shape) // 2 - 1) // 2 * 2 + 1
        raise InputError(
            f"the scaling window of {window:.4g} Å ({window / step:.0f} voxels) is longer than "
            f"half the box ({shortest / 2:.4g} Å, {min(grid.shape) / 2:g} voxels): give at most "
            f"{largest * step:.4g} Å ({largest} voxels)"
        )
    return float(window)


def _odd_up(n: int) -> int:
    """Return the smallest odd number not below n."""
    return n + 1 - n % 2


def padded(values: FloatArray, edge: int, stride: int) -> FloatArray:
    """Continue the box by itself so that every window is inside."""
    half = edge // 2
    return np.pad(values, (half, half + stride), mode="wrap")


def profiles_at(volume: FloatArray, points: IntArray, tables: WindowTables) -> FloatArray:
    """Profiles of windows in fixed batches; what neighbours along x share is transformed once.

    Parameters
    ----------
    volume : array
        A box from `padded`.
    points : array of int, shape (m, 3)
        Centres in the box before it was padded, in raster order.
    tables : WindowTables

    Returns
    -------
    array, shape (m, n_shells)
    """
    result = np.empty((len(points), tables.n_shells), dtype=np.float32)
    edge = tables.edge
    amplitudes = np.empty((BATCH, edge, edge // 2 + 1, edge), dtype=np.float32)
    for begin in range(0, len(points), BATCH):
        batch = points[begin : begin + BATCH]
        for run in _runs(batch, edge):
            _amplitudes(volume, batch[run], tables, amplitudes[run])
        flat = amplitudes[: len(batch)].reshape(len(batch), -1)
        result[begin : begin + BATCH] = flat @ tables.averaging
    return result


def _runs(points: IntArray, edge: int) -> list[slice]:
    """Parts of a batch whose windows lie in one row along x, evenly, and overlap."""
    steps = np.diff(points, axis=0)
    in_row = (steps[:, :2] == 0).all(axis=1) & (steps[:, 2] < edge)
    step = steps[in_row, 2].min(initial=edge)
    cuts = [0, *(np.flatnonzero(~in_row | (steps[:, 2] != step)) + 1).tolist(), len(points)]
    return [slice(first, last) for first, last in pairwise(cuts)]


def _amplitudes(
    volume: FloatArray, points: IntArray, tables: WindowTables, result: FloatArray
) -> None:
    """Fill in the amplitudes of windows in one row along x, shape (m, edge, edge // 2 + 1, edge).

    Planes across the row are transformed once for all windows that hold them.
    """
    edge, taper = tables.edge, tables.taper
    z, y, x = points[0]
    planes = volume[z : z + edge, y : y + edge, x : points[-1, 2] + edge]
    if taper is not None:
        planes = planes * (taper[:, None, None] * taper[:, None])
    step = points[1, 2] - x if len(points) > 1 else 1
    windows = sliding_window_view(scipy.fft.rfftn(planes, axes=(0, 1)), edge, axis=2)[:, :, ::step]
    for first in range(0, len(points), _IN_HAND):
        few = windows[:, :, first : first + _IN_HAND]
        if taper is not None:
            few = few * taper
        spectra = scipy.fft.fft(few, axis=3)
        np.abs(spectra.transpose(2, 0, 1, 3), out=result[first : first + _IN_HAND])


class ShellComponents:
    """The components c_s of a map at every voxel of a box that repeats itself.

    Parameters
    ----------
    shape : (nz, ny, nx)
        Of the box; no edge is shorter than the window's.
    edge : int
        Of the window, voxels.
    taper : {"none", "hann"}
    """

    def __init__(self, shape: Shape, edge: int, taper: str) -> None:
        self._shape = shape
        self._edge = edge
        self._taper = window_tables(edge, taper).taper

    def transfer(self, weights: DoubleArray) -> FloatArray:
        """Factor of every coefficient of the box for gains `weights` of the shells.

        Parameters
        ----------
        weights : array, shape (n_shells,)
            A unit vector gives one component.
        """
        edge = self._edge
        gain = np.interp(_radius(edge), np.arange(len(weights)), weights)
        kernel = np.fft.fftshift(np.fft.irfftn(gain, (edge,) * 3, axes=(0, 1, 2)))
        if self._taper is not None:
            kernel *= self._taper[:, None, None] * self._taper[:, None] * self._taper
        spectrum = scipy.fft.rfft(self._placed(kernel.astype(np.float32), 2), axis=2)
        for axis in (1, 0):  # one after the other: most of the box is empty
            spectrum = scipy.fft.fft(self._placed(spectrum, axis), axis=axis, overwrite_x=True)
        return np.asarray(spectrum.real, dtype=np.float32)

    def _placed(self, part: NDArray[_Number], axis: int) -> NDArray[_Number]:
        """Place the box along an axis, the middle of a part at its beginning, zeros elsewhere."""
        missing = [(0, 0)] * 3
        missing[axis] = (0, self._shape[axis] - self._edge)
        return np.roll(np.pad(part, missing), -(self._edge // 2), axis=axis)

    def of(self, coefficients: ComplexArray, transfer: FloatArray) -> FloatArray:
        """Transform a component into real space."""
        values = scipy.fft.irfftn(coefficients * transfer, self._shape, overwrite_x=True)
        return np.asarray(values, dtype=np.float32)


def lattice_points(region: BoolArray, stride: int) -> IntArray:
    """Points, in voxels, of a lattice that enclose every voxel of a region.

    Parameters
    ----------
    region : array of bool, shape (nz, ny, nx)
    stride : int
        Voxels between points; with 1 they are the voxels of the region.

    Returns
    -------
    array of int, shape (m, 3)
        In raster order; may lie up to `stride` voxels beyond the box.
    """
    voxels = np.argwhere(region)
    if stride == 1:
        return voxels
    needed = np.zeros([(n - 1) // stride + 2 for n in region.shape], dtype=np.bool_)
    cells = voxels // stride
    for corner in np.ndindex(2, 2, 2):
        needed[tuple((cells + np.array(corner)).T)] = True
    return np.argwhere(needed) * stride


class LatticeField:
    """Values given at lattice points, at every voxel of a box.

    Parameters
    ----------
    shape : (nz, ny, nx)
    points : array of int, shape (m, 3)
        From `lattice_points`.
    stride : int
        Linear between points; meaningful where all corners are given.
    """

    def __init__(self, shape: Shape, points: IntArray, stride: int) -> None:
        self._shape = shape
        self._stride = stride
        counts = shape if stride == 1 else [(n - 1) // stride + 2 for n in shape]
        self._counts = tuple(counts)
        z, y, x = (points // stride).T
        self._index = np.ravel_multi_index((z, y, x), self._counts)

    def spread(self, values: FloatArray) -> FloatArray:
        """Values (m,) on the voxels; 0 where no point is near."""
        lattice = np.zeros(self._counts, dtype=np.float32)
        lattice.ravel()[self._index] = values
        if self._stride == 1:
            return lattice
        z, y, x = (
            _linear_matrix(n, m, self._stride)
            for n, m in zip(self._shape, self._counts, strict=True)
        )
        along_y = np.matmul(y, lattice @ x.T)
        return np.asarray((z @ along_y.reshape(len(lattice), -1)).reshape(self._shape))


def _linear_matrix(length: int, count: int, stride: int) -> FloatArray:
    """Linear interpolation (length, count) from every `stride`-th voxel."""
    place = np.arange(length) / stride
    left = place.astype(np.intp)
    matrix = np.zeros((length, count), dtype=np.float32)
    rows = np.arange(length)
    matrix[rows, left] = 1 - (place - left)
    matrix[rows, left + 1] += (place - left).astype(np.float32)
    return matrix


def _radius(edge: int) -> DoubleArray:
    """|k| of the half spectrum of a window, in 1 / window edge."""
    k = np.fft.fftfreq(edge) * edge
    half = np.arange(edge // 2 + 1)
    return np.asarray(np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + half**2))


def _hann(edge: int) -> FloatArray:
    """Make a Hann window, 1 at the centre and above 0 at the ends."""
    profile = np.cos(np.pi * (np.arange(edge) - edge // 2) / (edge + 1)) ** 2
    return np.asarray(profile, dtype=np.float32)
