"""The Fourier coefficients of a box between two resolutions, as one flat list.

Refinement uses a sixth of the coefficients of a typical grid; sums and products over shells run
over these alone.  The grid behind them is as coarse as the resolution allows.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Grid, IntArray, Shape, Vector
from .pruned_transforms import BandTransform
from .space import FourierSpace, resize

SAMPLING = 2.8  # grid points per finest wavelength: density of atoms is right from here on


def sampling_shape(cell: Vector, d_min: float) -> Shape:
    """Find the coarsest FFT-friendly shape of a box, edges (x, y, z) in Å, for d_min."""
    x, y, z = (
        int(scipy.fft.next_fast_len(int(np.ceil(edge * SAMPLING / d_min - 1e-6)), real=True))
        for edge in cell
    )
    return z, y, x


class Band:
    """Shells of coefficients between d_max and d_min.

    Parameters
    ----------
    grid : Grid
        Gives the box and its origin; its sampling plays no part.
    d_min, d_max : float
        Å, finest and coarsest resolution.

    Attributes
    ----------
    space : FourierSpace
        The sampling grid of the band.
    index : array, shape (m,)
        Place of each coefficient in the flat rfft array of `space`.
    shell, s_squared, multiplicity : arrays, shape (m,)
    """

    def __init__(self, grid: Grid, d_min: float, d_max: float = 12.0) -> None:
        self.d_min = d_min
        whole = FourierSpace(grid.resampled(sampling_shape(grid.cell, d_min)))
        width = whole.shell_width
        first = max(1, int(np.ceil(1 / (d_max * width) - 1e-6)))
        last = max(first, int(1 / (d_min * width) + 1e-6))
        shells = whole.shell_index
        self.index: IntArray = np.flatnonzero((shells >= first) & (shells <= last))
        self.first, self.n_shells = first, last - first + 1
        self.shell: IntArray = shells.reshape(-1)[self.index].astype(np.intp) - first
        self.s_squared: FloatArray = whole.s_squared.reshape(-1)[self.index]
        columns = whole.shape[2] // 2 + 1
        self.multiplicity: FloatArray = whole.multiplicity[self.index % columns]
        self._curves: dict[str, FloatArray] = {}
        self.space = FourierSpace(whole.grid)  # without the volumes that `whole` has made

    @property
    def grid(self) -> Grid:
        """The sampling grid."""
        return self.space.grid

    @cached_property
    def transform(self) -> BandTransform:
        """Transforms between parts of the sampling grid and these coefficients."""
        return BandTransform(self.space.shape, self.index)

    @cached_property
    def count(self) -> DoubleArray:
        """Complete coefficients in each shell of the band."""
        return self.shell_sum(np.ones(len(self.index), dtype=np.float32))

    @cached_property
    def frequency(self) -> DoubleArray:
        """Mean |s| of each shell of the band, 1/Å."""
        return self.shell_sum(np.sqrt(self.s_squared)) / np.maximum(self.count, 1)

    def shell_sum(self, values: NDArray[np.floating]) -> DoubleArray:
        """Sum over complete coefficients in each shell of the band."""
        weighted = values * self.multiplicity
        return np.bincount(self.shell, weighted, self.n_shells).astype(np.float64)

    def spread(self, curve: DoubleArray) -> FloatArray:
        """Spread a curve over the shells of the band onto each coefficient."""
        return np.asarray(curve, dtype=np.float32)[self.shell]

    def curve(self, shells: DoubleArray) -> DoubleArray:
        """Cut a curve over all shells of the box to those of the band."""
        part = shells[self.first : self.first + self.n_shells]
        return np.pad(part, (0, self.n_shells - len(part)), mode="edge")

    def pack(self, coefficients: ComplexArray, shape: Shape) -> ComplexArray:
        """Pick the coefficients of the band out of the rfft array of a map of the same box."""
        sampled = resize(coefficients, shape, self.space.shape)
        return np.asarray(sampled.reshape(-1)[self.index])

    def once(self, name: str, function: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """Compute a function of |s|^2 at each coefficient, once."""
        if name not in self._curves:
            self._curves[name] = function(self.s_squared)
        return self._curves[name]

    def unpack(self, packed: ComplexArray) -> ComplexArray:
        """Make the rfft array of the sampling grid, zero outside the band."""
        nz, ny, nx = self.space.shape
        full = np.zeros(nz * ny * (nx // 2 + 1), dtype=np.complex64)
        full[self.index] = packed
        return full.reshape(nz, ny, nx // 2 + 1)
