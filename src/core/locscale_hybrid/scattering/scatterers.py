"""Density of atoms: electron scattering factors, structure factors, integrals over atoms.

Every form factor is written as carbon's times a short sum of Gaussians in s, so that what is
drawn on the grid is a few smooth Gaussians per atom and carbon's sharp peak enters as an
exact factor in Fourier space.  The Gaussians are drawn wide enough for the grid (the shift in B
may be negative: atoms blurred with the map need less than their own B) and the shift is taken
out again from each Fourier coefficient.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

import gemmi
import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..fourier.pruned_transforms import Part
from ..fourier.resolution_range import SAMPLING, Band, sampling_shape
from ..fourier.space import FourierSpace
from ..maps.grid import ComplexArray, DoubleArray, FloatArray, Grid, IntArray, Shape
from .gaussians import Sources, extent, gather, gather_gradient, spread

PSEUDO = "pseudo"  # what a pseudo-atom is made of: the mean scatterer of protein
_CARRIER = "C"
_PSEUDO_AMPLITUDE, _PSEUDO_WIDTH = 0.941, -1.3  # of carbon's factor, Å^2: the mean scatterer
_TERM_WIDTHS = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)  # Å^2, Gaussians on top of carbon
_PAIR_WIDTHS = (
    -4.0,
    -2.0,
    -1.0,
    -0.5,
    0.0,
    0.5,
    1.0,
    1.5,
    2.0,
    3.0,
    4.0,
    6.0,
    8.0,
    10.0,
    12.0,
    14.0,
    16.0,
    18.0,
    20.0,
    24.0,
    28.0,
    32.0,
    38.0,
    45.0,
    55.0,
    70.0,
    90.0,
    128.0,
)
_SHARP_WIDTHS = (-8.0, -5.0, -3.0, -1.5)  # Å^2, for elements more compact than carbon
_TERM_ERROR = 3e-4  # of the form factor, where a sum of fewer terms is good enough
_CANCELLATION = 25.0  # sum of the terms' moduli over their sum, at most
_ALIAS = 1e-4  # amplitude folded back onto the finest coefficient that is used
_FULL_REACH, _BAND_REACH = 4.7, 3.9  # standard deviations at which a Gaussian ends
_SLAB_VOXELS = 1 << 24


@lru_cache(maxsize=128)
def scattering_gaussians(species: str) -> tuple[DoubleArray, DoubleArray]:
    """Amplitudes and widths (Å^2) of the Gaussians of an electron scattering factor.

    Parameters
    ----------
    species : str
        Element symbol, or `PSEUDO`.

    Raises
    ------
    InputError
        If the element has no tabulated factor.

    References
    ----------
    .. [1] International Tables for Crystallography C, table 4.3.2.2, neutral atoms, as in gemmi.
    """
    if species == PSEUDO:
        # .63 C + .17 N + .20 O, to .5 % up to 2 Å, with one Gaussian less to draw
        amplitudes, widths = scattering_gaussians(_CARRIER)
        return _PSEUDO_AMPLITUDE * amplitudes, widths + _PSEUDO_WIDTH
    table = gemmi.Element(species).c4322
    if table is None or gemmi.Element(species).atomic_number == 0:
        raise InputError(
            f'"{species}" has no electron scattering factor; '
            "give an element from H to Cf, or leave these atoms out"
        )
    values: DoubleArray = np.array(table.get_coefs(), dtype=np.float64)
    return values[:5], values[5:10]


def form_factor(species: str, s_squared: ArrayLike) -> DoubleArray:
    """Electron scattering factor at rest (B = 0) as a function of s^2 in 1/Å^2."""
    s2 = np.asarray(s_squared, dtype=np.float64)
    amplitudes, widths = scattering_gaussians(species)
    return np.asarray(sum(a * np.exp(-w / 4 * s2) for a, w in zip(amplitudes, widths, strict=True)))


@lru_cache(maxsize=512)
def _terms(species: str, s_max: float) -> tuple[DoubleArray, DoubleArray]:
    """Gaussians in s that carry carbon's form factor into that of `species` up to s_max."""
    if species == PSEUDO:
        return np.array([_PSEUDO_AMPLITUDE]), np.array([_PSEUDO_WIDTH])
    s2 = np.linspace(0.0, s_max, 80) ** 2
    ratio = form_factor(species, s2) / form_factor(_CARRIER, s2)
    best = np.inf
    for widths in _choices():
        design = np.exp(-np.outer(s2, widths) / 4) / ratio[:, None]
        trial = np.linalg.lstsq(design, np.ones(len(s2)), rcond=None)[0]
        error = float(np.abs(design @ trial - 1).max())
        # terms that cancel each other would show where a Gaussian ends
        error = max(error, _TERM_ERROR * float(np.abs(trial).sum()) / (_CANCELLATION * ratio[0]))
        if error < best:
            best, amplitudes, chosen = error, trial, widths
        if best <= _TERM_ERROR:
            break
    return np.asarray(amplitudes, dtype=np.float64), np.array(chosen)


def _choices() -> Iterator[tuple[float, ...]]:
    """Widths of terms to try, fewest first."""
    yield from ((width,) for width in _TERM_WIDTHS)
    yield from combinations(_PAIR_WIDTHS, 2)
    for count in (3, 4):
        yield from combinations(_TERM_WIDTHS, count)
    for count in (3, 4, 5):
        yield from combinations(_SHARP_WIDTHS + _TERM_WIDTHS, count)


@dataclass(frozen=True)
class _Drawing:
    """How atoms are drawn on a grid: the shift in B, and the sources."""

    shift: float
    sources: list[tuple[IntArray, Sources]]

    def extent(self, grid: Grid) -> Part:
        """Find the part of a grid that the atoms are drawn in."""
        parts = [
            extent(sources, grid.shape, grid.voxel_size)
            for _, sources in self.sources
            if len(sources)
        ]
        z, y, x = (
            (
                slice(min(s.start for s in axis), max(s.stop for s in axis))
                for axis in zip(*parts, strict=True)
            )
            if parts
            else (slice(0, 1),) * 3
        )
        return z, y, x

    def within(self, part: Part) -> "_Drawing":
        """Shift the atoms to an array that begins with the first voxel of a part."""
        z, y, x = (axis.start for axis in part)
        return replace(
            self,
            sources=[
                (members, replace(sources, first=(x, y, z))) for members, sources in self.sources
            ],
        )


class Scatterers:
    """Atoms in a periodic box.

    Parameters
    ----------
    grid : Grid
        Box and origin of the map.
    positions : array, shape (n, 3)
        Å, (x, y, z), in the frame of the map; wrapped into the box.
    species : array of str, shape (n,)
        Element symbols, or `PSEUDO`.
    occupancies : array, shape (n,), optional
        1 where not given.
    """

    def __init__(
        self,
        grid: Grid,
        positions: ArrayLike,
        species: ArrayLike,
        occupancies: ArrayLike | None = None,
    ) -> None:
        self.grid = grid
        self.positions: DoubleArray = np.array(positions, dtype=np.float64).reshape(-1, 3)
        self.species: NDArray[np.str_] = np.asarray(species, dtype=np.str_)
        given = np.ones(len(self.positions)) if occupancies is None else occupancies
        self.occupancies: DoubleArray = np.array(given, dtype=np.float64)
        if not len(self.positions) == len(self.species) == len(self.occupancies):
            raise ValueError("positions, species and occupancies differ in number")
        names, self._kind = np.unique(self.species, return_inverse=True)
        self.kinds: tuple[str, ...] = tuple(str(name) for name in names)

    def __len__(self) -> int:
        """Return the number of atoms."""
        return len(self.positions)

    def members(self, kind: str) -> IntArray:
        """Return indices of the atoms of a species."""
        return np.flatnonzero(self._kind == self.kinds.index(kind))

    def set_positions(self, which: NDArray[np.generic], positions: ArrayLike) -> None:
        """Move the atoms `which` (indices or mask)."""
        self.positions[which] = positions

    def set_occupancies(self, occupancies: ArrayLike) -> None:
        """Give every atom a new occupancy."""
        self.occupancies[:] = occupancies

    def structure_factors(self, b_iso: ArrayLike, space: FourierSpace) -> ComplexArray:
        """Coefficients of the density on the grid of `space`.

        Parameters
        ----------
        b_iso : array, shape (n,)
            Å^2.
        space : FourierSpace
            Of a grid over the same box.

        Returns
        -------
        array, shape (nz, ny, nx//2+1)
            Right up to the Nyquist sphere, zero beyond it.
        """
        nyquist = 2 * max(space.voxel_size)
        shape = sampling_shape(space.grid.cell, nyquist)
        drawing = self._draw(np.asarray(b_iso, dtype=np.float64), nyquist, reach=_FULL_REACH)
        drawn = self._density(drawing, self.grid.resampled(shape), shape)
        result = _along_z(_along_rows(drawn, space.shape), space.shape[0])
        result *= np.float32(space.grid.size / np.prod(shape))
        slab = max(1, _SLAB_VOXELS // (result.shape[1] * result.shape[2]))
        for begin in range(0, len(result), slab):
            part = slice(begin, begin + slab)
            s2 = space.s_squared[part]
            result[part] *= np.where(s2 <= 1 / nyquist**2, _factor(s2, drawing.shift), 0)
        return result

    def coefficients(
        self, b_iso: DoubleArray, band: Band, which: NDArray[np.generic] | None = None
    ) -> ComplexArray:
        """Compute the coefficients of a band, packed, in the scale of the band's sampling grid.

        Parameters
        ----------
        b_iso : array, shape (n,)
            Å^2.
        band : Band
        which : array, optional
            Only these atoms (indices or mask).
        """
        drawing = self._draw(b_iso, band.d_min, which)
        part = drawing.extent(band.grid)
        values = self._density(drawing.within(part), band.grid, _shape_of(part))
        return band.transform.forward(values, part) * _band_factor(band, drawing.shift)

    def contract(self, packed: ComplexArray, b_iso: DoubleArray, band: Band) -> DoubleArray:
        """Sum over the band's sampling grid of a field times each atom's density.

        Parameters
        ----------
        packed : array, shape (m,)
            Coefficients of the field.
        b_iso : array, shape (n,)
        band : Band

        Returns
        -------
        array, shape (n,)
            For atoms of occupancy 1.
        """
        drawing, field = _field_around(self._draw(b_iso, band.d_min), packed, band)
        result = np.empty(len(self))
        for members, sources in drawing.sources:
            result[members] = gather(sources, field, band.grid.voxel_size)
        return result

    def contract_gradient(
        self, packed: ComplexArray, b_iso: DoubleArray, band: Band, which: IntArray
    ) -> DoubleArray:
        """Differentiate `contract` by the positions of `which`, shape (k, 3)."""
        drawing, field = _field_around(self._draw(b_iso, band.d_min, which), packed, band)
        result = np.empty((len(self), 3))
        for members, sources in drawing.sources:
            result[members] = gather_gradient(sources, field, band.grid.voxel_size)
        return result[which]

    def _draw(
        self,
        b_iso: DoubleArray,
        d_min: float,
        which: NDArray[np.generic] | None = None,
        *,
        reach: float = _BAND_REACH,
    ) -> _Drawing:
        """Make sources of the atoms, grouped by number of Gaussians, and the common shift in B."""
        shift = _needed_width(d_min) - float(b_iso.min(initial=400.0))
        chosen = np.ones(len(self), dtype=bool)
        if which is not None:
            chosen[:] = False
            chosen[which] = True
        terms = [_terms(kind, round(1 / d_min, 6)) for kind in self.kinds]
        lengths = np.array([len(widths) for _, widths in terms], dtype=np.intp)
        groups = []
        for length in np.unique(lengths):
            members = np.flatnonzero((lengths[self._kind] == length) & chosen)
            row = np.cumsum(lengths == length)[self._kind[members]] - 1
            table = [t for t in terms if len(t[1]) == length]
            amplitudes = np.array([a for a, _ in table])[row]
            widths = np.array([w for _, w in table])[row] + (b_iso[members] + shift)[:, None]
            positions = self.positions[members] - self.grid.origin
            groups.append((members, Sources(positions, amplitudes, widths, reach)))
        return _Drawing(shift, groups)

    def _density(self, drawing: _Drawing, grid: Grid, shape: Shape) -> FloatArray:
        """Draw the density, occupancies included, in a box of so many voxels of a grid."""
        values = np.zeros(shape, dtype=np.float32)
        for members, sources in drawing.sources:
            weighted = sources.amplitudes * self.occupancies[members, None]
            spread(replace(sources, amplitudes=weighted), values, grid.voxel_size)
        return values


def _field_around(
    drawing: _Drawing, packed: ComplexArray, band: Band
) -> tuple[_Drawing, FloatArray]:
    """Remove the shift in B from a field around the atoms; return atoms relative to that part."""
    part = drawing.extent(band.grid)
    field = band.transform.backward(packed * _band_factor(band, drawing.shift), part)
    return drawing.within(part), field


def _shape_of(part: Part) -> Shape:
    """Numbers of voxels of a part."""
    z, y, x = (axis.stop - axis.start for axis in part)
    return z, y, x


def _needed_width(d_min: float) -> float:
    """Width in Å^2 at which folding over the sampling grid stays below _ALIAS up to d_min."""
    return float(4 * np.log(1 / _ALIAS) * d_min**2 / (SAMPLING * (SAMPLING - 2)))


def _factor(s_squared: FloatArray, shift: float) -> FloatArray:
    """Carbon's form factor without the shift in B, float32."""
    amplitudes, widths = scattering_gaussians(_CARRIER)
    result = np.zeros_like(s_squared)
    for amplitude, width in zip(amplitudes, widths, strict=True):
        result += np.float32(amplitude) * np.exp(np.float32((shift - width) / 4) * s_squared)
    return result


def _band_factor(band: Band, shift: float) -> FloatArray:
    """`_factor` at the coefficients of a band, carbon's own part computed once."""
    sharpened = np.exp(np.float32(shift / 4) * band.s_squared)
    sharpened *= band.once(_CARRIER, lambda s_squared: _factor(s_squared, 0.0))
    return np.asarray(sharpened)


def _along_rows(values: FloatArray, shape: Shape) -> ComplexArray:
    """Transform along x and y, low frequencies that fit `shape` only; shape (n, ny, nx//2+1)."""
    _, ny, nx = shape
    result = np.empty((len(values), ny, nx // 2 + 1), dtype=np.complex64)
    slab = max(1, _SLAB_VOXELS // (values.shape[1] * values.shape[2]))
    for begin in range(0, len(values), slab):
        part = slice(begin, begin + slab)
        along_x = scipy.fft.rfft(values[part], axis=2)[:, :, : nx // 2 + 1]
        result[part] = _kept(scipy.fft.fft(along_x, axis=1), ny, 1)
    return result


def _along_z(rows: ComplexArray, nz: int) -> ComplexArray:
    """Transform along z, the nz lowest frequencies only."""
    _, ny, columns = rows.shape
    result = np.empty((nz, ny, columns), dtype=np.complex64)
    slab = max(1, _SLAB_VOXELS // (len(rows) * columns))
    for begin in range(0, ny, slab):
        part = slice(begin, begin + slab)
        result[:, part] = _kept(scipy.fft.fft(rows[:, part], axis=0), nz, 0)
    return result


def _kept(values: ComplexArray, size: int, axis: int) -> ComplexArray:
    """Keep the `size` lowest frequencies of a complex axis, in FFT order."""
    positive = (size + 1) // 2
    chosen = np.concatenate(
        [np.arange(positive), np.arange(values.shape[axis] - (size - positive), values.shape[axis])]
    )
    return np.asarray(np.take(values, chosen, axis=axis))
