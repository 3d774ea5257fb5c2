"""Frequency bands of a map: hat functions that add to one, and the box that is worked on.

With t = |s| D (D the window edge in Å), band k is ``max(0, 1 - |t - k|)``; the last one is open
to the corner of Fourier space, so that the bands of a map add up to the map.  Coefficients are
kept sorted by the integer part of t: what a band needs is then one contiguous piece, also of an
array that lies in a file.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..fourier.pruned_transforms import partial_backward, partial_forward
from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, FloatArray, Grid, Shape
from ..maps.subvolume import Box, edge_factor

_RELIABLE = 0.3  # global C^2 from which a band counts for the fall-off
_LARGEST_B = 400.0  # Å^2, of the fall-off
_FEWEST_BANDS = 2  # that a line goes through
_QUADRATURE_POINTS = 300  # of an integral over a band's spectrum


@dataclass(frozen=True)
class BandFilter:
    """The bands of one grid.

    Parameters
    ----------
    grid : Grid
    window : float
        D, Å: bands are 1/D apart.
    order : array of int, shape (n_coefficients,)
        Flat indices of the coefficients of `scipy.fft.rfftn`, sorted by the integer part of t.
    position : array of float32, shape (n_coefficients,)
        t of the sorted coefficients.
    starts : array of int, shape (n_bands + 1,)
        Where each integer part begins in the sorted order.
    """

    grid: Grid
    window: float
    order: NDArray[np.signedinteger[Any]]
    position: FloatArray
    starts: NDArray[np.int64]

    @classmethod
    def of_grid(cls, grid: Grid, window: float) -> "BandFilter":
        """Make the bands of `window` Å on a grid."""
        n_bands = number_of_bands(grid, window)
        t = np.sqrt(FourierSpace(grid).s_squared)
        t *= np.float32(window)
        below = np.minimum(t, n_bands - 1).astype(np.int16).ravel()
        order = np.argsort(below, kind="stable")
        starts = np.searchsorted(below, np.arange(n_bands + 1), sorter=order)
        position = t.ravel()[order]
        if order.size < np.iinfo(np.int32).max:  # half the memory
            return cls(grid, window, order.astype(np.int32), position, starts.astype(np.int64))
        return cls(grid, window, order, position, starts.astype(np.int64))

    @property
    def n_bands(self) -> int:
        """Number of bands."""
        return len(self.starts) - 1

    @property
    def half_shape(self) -> Shape:
        """Shape of the coefficients."""
        nz, ny, nx = self.grid.shape
        return nz, ny, nx // 2 + 1

    def resolution(self, band: int) -> float:
        """Spacing in Å at the middle of a band; infinite for band 0."""
        return self.window / band if band else float("inf")

    def gather(self, values: FloatArray) -> ComplexArray:
        """Coefficients of a map in sorted order."""
        coefficients = scipy.fft.rfftn(np.asarray(values, dtype=np.float32))
        return np.asarray(coefficients.ravel()[self.order], dtype=np.complex64)

    def piece(self, band: int) -> slice:
        """Select the coefficients of a band in sorted order."""
        return slice(int(self.starts[max(band - 1, 0)]), int(self.starts[band + 1]))

    def hat(self, band: int) -> FloatArray:
        """Weights of the coefficients of ``piece(band)``."""
        offset = self.position[self.piece(band)] - np.float32(band)
        if band == self.n_bands - 1:
            np.minimum(offset, 0, out=offset)
        np.abs(offset, out=offset)
        return np.asarray(np.maximum(1 - offset, 0), dtype=np.float32)

    def component(self, coefficients: ComplexArray, band: int) -> FloatArray:
        """Transform a band of a map into real space, from its sorted coefficients."""
        piece = self.piece(band)
        return self.backward(coefficients[piece] * self.hat(band), piece)

    def root_component(self, coefficients: ComplexArray, band: int) -> FloatArray:
        """Filter a map by the root of a band's hat: `finish` makes the band of it."""
        piece = self.piece(band)
        return self.backward(coefficients[piece] * np.sqrt(self.hat(band)), piece)

    def finish(self, values: FloatArray, band: int) -> FloatArray:
        """Make the band of a root component, also after a weight: nothing remains outside it."""
        piece = self.piece(band)
        part = partial_forward(values, self._reach(piece)).ravel()[self.order[piece]]
        return self.backward(part * np.sqrt(self.hat(band)), piece)

    def low_component(
        self, coefficients: ComplexArray, n_low: int, curve: FloatArray
    ) -> FloatArray:
        """Sum bands 0..n_low-1 times a curve, in real space.

        Parameters
        ----------
        coefficients : array
            Sorted coefficients.
        n_low : int
        curve : array
            Factor of every coefficient of ``low_piece(n_low)``, or one factor.
        """
        piece = self.low_piece(n_low)
        weight = curve
        if n_low < self.n_bands:
            weight = np.clip(np.float32(n_low) - self.position[piece], 0, 1) * curve
        return self.backward(coefficients[piece] * weight, piece)

    def low_piece(self, n_low: int) -> slice:
        """Select the coefficients of bands 0..n_low-1 in sorted order."""
        return slice(0, int(self.starts[n_low]))

    def backward(self, part: ComplexArray, piece: slice) -> FloatArray:
        """Real-space array of the sorted coefficients of a piece, the others being 0."""
        spectrum = np.zeros(self.half_shape, dtype=np.complex64)
        spectrum.ravel()[self.order[piece]] = part
        return partial_backward(spectrum, self.grid.shape, self._reach(piece))

    def _reach(self, piece: slice) -> Shape:
        """Highest frequency index along z, y, x of a piece, or one more."""
        nz, ny, nx = self.grid.shape
        end = int(np.searchsorted(self.starts, piece.stop))
        if end >= self.n_bands:  # the last band is open to the corner
            return nz // 2, ny // 2, nx // 2
        x, y, z = (int(end / self.window * edge) + 1 for edge in self.grid.cell)
        return min(z, nz // 2), min(y, ny // 2), min(x, nx // 2)

    def modes_per_volume(self, band: int) -> float:
        """Count independent values of a band per Å^3 of a region much wider than a window.

        White noise averaged over m of them has local power with a variance of 2 power^2 / m.
        """
        t, power = self._spectrum(band)
        fourth = np.divide(power**2, 4 * np.pi * t**2, where=t > 0, out=np.zeros_like(t))
        return float(power.sum() ** 2 / fourth.sum() * (t[1] - t[0]) / self.window**3)

    def modes_within(self, band: int, sigma: float) -> float:
        """Count independent values of a band that a Gaussian of `sigma` Å averages.

        From the correlation of the band's noise at a distance, as the Gaussian is no wider than
        that reaches.
        """
        t, power = self._spectrum(band)
        distance = np.linspace(0, 9 * sigma, _QUADRATURE_POINTS)
        waves = np.sinc(2 / self.window * np.outer(distance, t))  # sin(2 pi s r) / (2 pi s r)
        correlation = waves @ (power / power.sum())
        pairs = 4 * np.pi * distance**2 * np.exp(-(distance**2) / (4 * sigma**2))
        mean = (pairs * correlation**2).sum() * distance[1] / (4 * np.pi * sigma**2) ** 1.5
        return float(1 / mean)

    def _spectrum(self, band: int) -> tuple[DoubleArray, DoubleArray]:
        """Evenly spaced t of a band, and the power of white noise in it per step."""
        last = band == self.n_bands - 1
        highest = max(0.5 / max(self.grid.voxel_size) * self.window, band)
        t = np.linspace(max(band - 1, 0), highest if last else band + 1, _QUADRATURE_POINTS)
        offset = np.maximum(band - t, 0) if last else np.abs(t - band)
        return t, 4 * np.pi * t**2 * np.clip(1 - offset, 0, 1) ** 2


def number_of_bands(grid: Grid, window: float) -> int:
    """Count the bands of `window` Å on a grid."""
    return int(np.ceil(window / (2 * min(grid.voxel_size)) - 1e-6)) + 1


def work_box(region: BoolArray, margin: int, multiple: int = 4) -> Box:
    """Box around a region with a margin, its edges good for FFTs.

    Parameters
    ----------
    region : array of bool, shape (nz, ny, nx)
        Not empty.
    margin : int
        Voxels on each side.
    multiple : int
        The edges are multiples of this.

    Returns
    -------
    three slices
        A whole axis where the box would be as long as the axis.
    """
    axes = (0, 1, 2)
    edges = []
    for axis in axes:
        others = tuple(a for a in axes if a != axis)
        filled = np.flatnonzero(region.any(axis=others))
        low, high, whole = int(filled[0]) - margin, int(filled[-1]) + 1 + margin, region.shape[axis]
        length = high - low
        while length % multiple or scipy.fft.next_fast_len(length, real=True) != length:
            length += 1
        if length >= whole:
            edges.append(slice(0, whole))
            continue
        begin = min(max(low - (length - (high - low)) // 2, 0), whole - length)
        edges.append(slice(begin, begin + length))
    return edges[0], edges[1], edges[2]


def grid_of_box(grid: Grid, box: Box) -> Grid:
    """Make the grid of a piece of a map."""
    nz, ny, nx = (int(part.stop - part.start) for part in box)
    a, b, c = grid.voxel_size
    x, y, z = grid.origin
    begin = [int(part.start) for part in box]
    origin = (x + begin[2] * a, y + begin[1] * b, z + begin[0] * c)
    return Grid((nz, ny, nx), grid.voxel_size, origin)


def fade_out(maps: FloatArray, box: Box, shape: Shape, width: int) -> None:
    """Take maps (n, nz, ny, nx) of a box to 0 at those of its faces that lie inside the map."""
    for axis, (part, whole) in enumerate(zip(box, shape, strict=True)):
        factor = edge_factor(part.stop - part.start, width, (part.start > 0, part.stop < whole))
        maps *= factor.reshape([-1 if i == axis else 1 for i in range(3)])


def relative_slope(bands: BandFilter, coefficients: dict[str, ComplexArray], n_low: int) -> float:
    """Slope over t^2 of ln(reference amplitude / observed amplitude), noise apart.

    Parameters
    ----------
    bands : BandFilter
    coefficients : dict of str to array
        Sorted, of "average", "reference" and, with halves, "difference".
    n_low : int
        Bands that are coarser than 12 Å: they do not count.

    Returns
    -------
    float
        0 where too few bands hold signal; D^2 / 4 times it is a difference in B.
    """
    observed, reference = (_power(bands, coefficients[name]) for name in ("average", "reference"))
    signal = observed.copy()
    if "difference" in coefficients:
        signal -= _power(bands, coefficients["difference"])
    band = np.arange(bands.n_bands)
    used = (band >= n_low) & (band < bands.n_bands - 1) & (reference > 0)
    used &= (observed > 0) & (signal > _RELIABLE * observed)
    if np.count_nonzero(used) < _FEWEST_BANDS:
        return 0.0
    ratio = 0.5 * np.log(reference[used] / signal[used])
    slope = float(np.polyfit((band[used] + 0.5) ** 2, ratio, 1)[0])
    limit = _LARGEST_B / 4 / bands.window**2
    return float(np.clip(slope, -limit, limit))


def flatten(bands: BandFilter, coefficients: dict[str, ComplexArray], slope: float) -> None:
    """Give the observed maps the reference's fall-off, in place.

    Within a band of a map with a steep spectrum the coarse side outweighs the fine side, and a
    gain from the band's power comes out too low: by 8 % at 2.5 Å for B = 90 Å^2 and a window of
    25 Å.  Of a flattened map it does not.
    """
    if slope == 0:
        return
    reach = np.minimum(bands.position, bands.n_bands)
    curve = np.exp(np.float32(slope) * reach * reach)
    for name in ("average", "difference"):
        if name in coefficients:
            coefficients[name] *= curve


def _power(bands: BandFilter, coefficients: ComplexArray) -> DoubleArray:
    """Sum of |F|^2 over the coefficients of each integer part of t."""
    squares = np.square(coefficients.real)
    squares += np.square(coefficients.imag)
    starts = bands.starts
    return np.array([squares[low:high].sum(dtype=np.float64) for low, high in pairwise(starts)])
