"""Local Wilson plots: how B and scale of a model differ from the data around each atom.

In each of ten bands the local cross power of the half maps is divided by the local power of the
model; the slope of the logarithm on s^2 is a difference in B, its intercept one in occupancy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from ..fourier.resolution_range import SAMPLING, Band, sampling_shape
from ..fourier.space import FourierSpace, resize
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, IntArray, Shape
from ..scattering.scatterers import Scatterers
from .b_steps import B_BOUNDS
from .likelihood import RefinementData

_COARSEST = 9.0  # Å
_N_BANDS = 10
_SIGMA = 8.0  # Å, of the Gaussian that averages power
_MARGIN = 0.1  # 1/Å
_LATTICE = 2.5  # Å, coarsest spacing of the averaged power
_SHRINKAGE = 20.0  # Å^2, standard error at which half a correction is believed
_CORE_RADIUS = 10.0  # Å
_CORE_SHARE = 0.08  # pseudo-atoms per model atom, at most, around well-modelled atoms
_CORE_LEAST = 30
_PASSES = 2
OCCUPANCY_RANGE = (0.5, 1.8)


@dataclass(frozen=True)
class LocalWilson:
    """Local difference of data and model at some points.

    Parameters
    ----------
    b_shift : array, shape (n,)
        Å^2, to be added to the B of the model.
    error : array, shape (n,)
        Å^2, its standard error.
    log_power : array, shape (n,)
        ln of the power of the data over that of the model at s = 0.
    """

    b_shift: DoubleArray
    error: DoubleArray
    log_power: DoubleArray


class WilsonBands:
    """Local power of the half maps at some points, in ten bands from 9 Å to d_min.

    Parameters
    ----------
    data : RefinementData
        With half maps.
    points : array, shape (n, 3)
        Å, (x, y, z), in the frame of the map.
    """

    def __init__(self, data: RefinementData, points: DoubleArray) -> None:
        self._band = data.band
        self._points = points
        self.edges = np.linspace(1 / _COARSEST, 1 / data.d_min, _N_BANDS + 1)
        first, second = data.with_half(1).observed, data.with_half(2).observed
        noise = self.power((first - second) / 2)
        cross = self.power((first + second) / 2) - noise
        self._cross, self._noise = cross, 2 * noise

    def power(self, packed: ComplexArray) -> DoubleArray:
        """Local power of some coefficients at the points, shape (10, n)."""
        return np.stack(
            [
                self._band_power(packed, low, high)
                for low, high in zip(self.edges, self.edges[1:], strict=False)
            ]
        )

    def compare(self, model: ComplexArray) -> LocalWilson:
        """Compare the data with a model, both packed coefficients of the band."""
        power = np.maximum(self.power(model), 1e-30)
        cross, noise = self._cross, self._noise
        signal = np.maximum(cross, 0)
        share = signal / np.maximum(signal + noise, 1e-30)
        weight = self._modes()[:, None] * np.maximum(share, 0.02) ** 2 * (cross > 0.05 * noise)
        weight = weight + 1e-6
        low, high = self.edges[:-1], self.edges[1:]
        x = ((low**2 + low * high + high**2) / 3)[:, None]
        y = np.log(np.maximum(np.maximum(cross, 0.02 * noise), 1e-30) / power)
        total = weight.sum(axis=0)
        x_mean, y_mean = (weight * x).sum(axis=0) / total, (weight * y).sum(axis=0) / total
        spread = (weight * (x - x_mean) ** 2).sum(axis=0)
        slope = (weight * (x - x_mean) * (y - y_mean)).sum(axis=0) / spread
        # power falls as exp(-B s^2 / 2)
        return LocalWilson(-2 * slope, 2 / np.sqrt(spread), y_mean - slope * x_mean)

    def _band_power(self, packed: ComplexArray, low: float, high: float) -> DoubleArray:
        """Local power in one band at the points, in the scale of the packed coefficients."""
        band = self._band
        s = np.sqrt(band.s_squared)
        part = np.where((s >= low) & (s < high), packed, 0).astype(np.complex64)
        # what folds back of the square then stays beyond the Gaussian's reach
        shape = sampling_shape(band.grid.cell, SAMPLING / (2 * high + _MARGIN))
        fine = FourierSpace(band.grid.resampled(shape))
        values = fine.backward(resize(band.unpack(part), band.space.shape, shape))
        coarse = FourierSpace(band.grid.resampled(_lattice(band, shape)))
        averaged = resize(fine.forward(values * values), shape, coarse.shape)
        smooth = coarse.backward(averaged * coarse.low_pass_gaussian(_SIGMA))
        at = coarse.grid.index_of(self._points).T
        return np.asarray(map_coordinates(smooth, at, order=3, mode="grid-wrap", output=np.float64))

    def _modes(self) -> DoubleArray:
        """Independent coefficients in the reach of the Gaussian, per band."""
        band = self._band
        count, _ = np.histogram(np.sqrt(band.s_squared), self.edges, weights=band.multiplicity)
        reach = (2 * np.sqrt(np.pi) * _SIGMA) ** 3 / np.prod(band.grid.cell)
        return np.asarray(np.maximum(count * reach, 1.0))


def _lattice(band: Band, shape: Shape) -> Shape:
    """Shape of the coarse grid that holds averaged power, no finer than `shape`."""
    nz, ny, nx = sampling_shape(band.grid.cell, SAMPLING * _LATTICE)
    return min(nz, shape[0]), min(ny, shape[1]), min(nx, shape[2])


def correct_pseudo_atoms(
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
    *,
    mates: IntArray | None = None,
    bands: Callable[[], WilsonBands] | None = None,
) -> tuple[DoubleArray, DoubleArray]:
    """Correct B and occupancy of pseudo-atoms by the local power of the data.

    Every difference is taken relative to its median over well-modelled atoms, and shrunk where
    the data say little.

    Parameters
    ----------
    data : RefinementData
        With half maps.
    scatterers : Scatterers
        Left as they are.
    b_iso : array, shape (n,)
        Å^2.
    is_pseudo : bool array, shape (n,)
    mates : array of int, shape (k, n), optional
        Symmetry copies; B and occupancy are averaged over them.
    bands : callable, optional
        Gives the `WilsonBands` of all positions, where they are made elsewhere.

    Returns
    -------
    b_iso, occupancies : arrays, shape (n,)
        Those of the model's own atoms unchanged.
    """
    pseudo = np.flatnonzero(is_pseudo)
    b, factor = b_iso.copy(), np.ones(len(b_iso))
    if not len(pseudo):
        return b, scatterers.occupancies.copy()
    moved = Scatterers(scatterers.grid, scatterers.positions, scatterers.species)
    reference = _well_modelled(scatterers.positions, is_pseudo)
    local_power = WilsonBands(data, scatterers.positions) if bands is None else bands()
    for _ in range(_PASSES):
        moved.set_occupancies(scatterers.occupancies * factor)
        local = local_power.compare(moved.coefficients(b, data.band))
        believed = 1 / (1 + (local.error[pseudo] / _SHRINKAGE) ** 2)
        shift = local.b_shift[pseudo] - np.median(local.b_shift[reference])
        level = local.log_power[pseudo] - np.median(local.log_power[reference])
        b[pseudo] = np.clip(b[pseudo] + shift * believed, *B_BOUNDS)
        change = np.exp(level / 2 * believed)
        factor[pseudo] = np.clip(factor[pseudo] * change, *OCCUPANCY_RANGE)
        if mates is not None:
            b, factor = b[mates].mean(axis=0), factor[mates].mean(axis=0)
    return b, scatterers.occupancies * factor


def _well_modelled(positions: DoubleArray, is_pseudo: BoolArray) -> IntArray:
    """Model atoms with hardly a pseudo-atom within 10 Å; all of them if these are too few."""
    model, pseudo = np.flatnonzero(~is_pseudo), np.flatnonzero(is_pseudo)
    if not len(model):
        return pseudo
    own = cKDTree(positions[model])
    around = own.query_ball_point(positions[model], _CORE_RADIUS, return_length=True)
    strange = cKDTree(positions[pseudo]).query_ball_point(
        positions[model], _CORE_RADIUS, return_length=True
    )
    core = model[strange < _CORE_SHARE * around]
    return core if len(core) > _CORE_LEAST else model
