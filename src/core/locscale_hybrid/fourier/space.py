"""Fourier coefficients of a map: frequencies, shells, resampling.

Coefficients are those of `scipy.fft.rfftn` over [z, y, x]; shells are complete because each
coefficient counts for itself and for its Friedel mate.  The number of FFT threads is whatever
`scipy.fft.set_workers` says: the pipeline sets it once.
"""

from collections.abc import Callable
from functools import cached_property

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Grid, Shape, Vector

_SLAB_COEFFICIENTS = 1 << 22  # per step of a shell sum: 32 MB of float64


class FourierSpace:
    """Frequencies and shells of a grid.

    Parameters
    ----------
    grid : Grid
        Shape and voxel size are used; the origin plays no part.

    Notes
    -----
    Shell i holds the coefficients with ``rint(|s| * L) == i``, L the shortest edge of the box
    in Å: ``round(|h|)`` for a cubic box.  Shells end at Nyquist of the coarsest axis; what lies
    beyond has the index `n_shells` and is zero in every curve.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.shape: Shape = grid.shape
        self.voxel_size: Vector = grid.voxel_size
        self.shell_width = 1.0 / min(grid.cell)  # 1/Å
        self.n_shells = int(0.5 / max(grid.voxel_size) / self.shell_width + 1e-6) + 1

    @cached_property
    def axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Signed frequencies along z, y, x in 1/Å, shaped to broadcast."""
        nz, ny, nx = self.shape
        dx, dy, dz = self.voxel_size
        sz = np.fft.fftfreq(nz, dz).astype(np.float32)[:, None, None]
        sy = np.fft.fftfreq(ny, dy).astype(np.float32)[None, :, None]
        sx = np.fft.rfftfreq(nx, dx).astype(np.float32)[None, None, :]
        return sz, sy, sx

    @cached_property
    def s_squared(self) -> FloatArray:
        """|s|^2 in 1/Å^2 for every coefficient."""
        sz, sy, sx = self.axes
        return np.asarray(sz * sz + sy * sy + sx * sx, dtype=np.float32)

    @cached_property
    def shell_index(self) -> NDArray[np.int16]:
        """Shell of every coefficient; `n_shells` beyond Nyquist."""
        result = np.empty(self.s_squared.shape, dtype=np.int16)
        for plane, s_squared in zip(result, self.s_squared, strict=True):
            index = np.rint(np.sqrt(s_squared) / np.float32(self.shell_width))
            plane[...] = np.minimum(index, self.n_shells)
        return result

    @cached_property
    def multiplicity(self) -> FloatArray:
        """1 where a coefficient is its own mate or stands with it, else 2; shape (nx//2+1,)."""
        weight = np.full(self.shape[2] // 2 + 1, 2.0, dtype=np.float32)
        weight[0] = 1.0
        if self.shape[2] % 2 == 0:
            weight[-1] = 1.0
        return weight

    @cached_property
    def count(self) -> DoubleArray:
        """Number of complete coefficients in each shell."""
        return self.shell_sum(np.ones((1, 1, 1), dtype=np.float32))

    @cached_property
    def frequency(self) -> DoubleArray:
        """Mean |s| of the coefficients of each shell, 1/Å."""
        return self.shell_sum(np.sqrt(self.s_squared)) / np.maximum(self.count, 1)

    def shell_sum(self, values: NDArray[np.floating]) -> DoubleArray:
        """Sum over each shell of complete coefficients, in float64.

        Parameters
        ----------
        values : real array, broadcastable to (nz, ny, nx//2+1)

        Returns
        -------
        array, shape (n_shells,)
        """
        full = np.broadcast_to(values, self.shell_index.shape)
        return self._sum_of(lambda part: full[part])

    def _sum_of(self, values: Callable[[slice], NDArray[np.floating]]) -> DoubleArray:
        """Sum over each shell of values that are made a few planes at a time."""
        index = self.shell_index
        total = np.zeros(self.n_shells + 1)
        slab = max(1, _SLAB_COEFFICIENTS // (index.shape[1] * index.shape[2]))
        for begin in range(0, index.shape[0], slab):
            part = slice(begin, begin + slab)
            weighted = (values(part) * self.multiplicity).ravel()
            total += np.bincount(index[part].ravel(), weighted, self.n_shells + 1)
        return total[: self.n_shells]

    def shell_mean(self, values: NDArray[np.floating]) -> DoubleArray:
        """Mean over each shell of complete coefficients; 0 where a shell is empty."""
        return self.shell_sum(values) / np.maximum(self.count, 1)

    def power(self, coefficients: ComplexArray) -> DoubleArray:
        """Sum of |F|^2 over each shell."""
        return self._sum_of(lambda part: squared_modulus(coefficients[part]))

    def cross_power(self, a: ComplexArray, b: ComplexArray) -> DoubleArray:
        """Sum of Re(a conj(b)) over each shell."""
        return self._sum_of(lambda part: real_product(a[part], b[part]))

    def spread(self, curve: NDArray[np.floating]) -> FloatArray:
        """Spread a curve over shells as a volume of float32; 0 beyond Nyquist."""
        table = np.append(np.asarray(curve, dtype=np.float32), np.float32(0))
        return table[self.shell_index]

    def forward(self, values: FloatArray) -> ComplexArray:
        """Coefficients of a real-space array, complex64."""
        return np.asarray(scipy.fft.rfftn(np.asarray(values, dtype=np.float32)))

    def backward(self, coefficients: ComplexArray) -> FloatArray:
        """Real-space array of coefficients, float32; the argument is left as it is."""
        values = scipy.fft.irfftn(coefficients, self.shape)
        return np.asarray(values, dtype=np.float32)

    def low_pass_gaussian(self, sigma: float) -> FloatArray:
        """Transfer function of a real-space Gaussian of `sigma` Å."""
        exponent = self.s_squared * np.float32(-2 * np.pi**2 * sigma**2)
        return np.asarray(np.exp(exponent, out=exponent))


def squared_modulus(coefficients: ComplexArray) -> FloatArray:
    """|F|^2 without the square root of `abs`."""
    real, imaginary = coefficients.real, coefficients.imag
    return real * real + imaginary * imaginary


def real_product(a: ComplexArray, b: ComplexArray) -> FloatArray:
    """Re(a conj(b))."""
    return a.real * b.real + a.imag * b.imag


def resize(coefficients: ComplexArray, shape: Shape, new_shape: Shape) -> ComplexArray:
    """Crop or pad the coefficients of a map to another sampling of the same box.

    Values in real space keep their scale.  Planes at the Nyquist index of the smaller box have
    no partner and are dropped.

    Parameters
    ----------
    coefficients : array, shape (nz, ny, nx//2+1)
    shape, new_shape : (nz, ny, nx)
    """
    if shape == new_shape:
        return coefficients
    nz, ny, nx = new_shape
    result = np.zeros((nz, ny, nx // 2 + 1), dtype=np.complex64)
    # indices -k..k kept, k the largest below Nyquist in both boxes
    kz, ky, kx = ((min(a, b) - 1) // 2 for a, b in zip(shape, new_shape, strict=True))
    for z in (slice(0, kz + 1), slice(-kz, None) if kz else slice(0, 0)):
        for y in (slice(0, ky + 1), slice(-ky, None) if ky else slice(0, 0)):
            result[z, y, : kx + 1] = coefficients[z, y, : kx + 1]
    result *= np.float32(np.prod(new_shape) / np.prod(shape))
    return result
