"""Prepare a refinement: its grid, the observed maps on it, the B that atoms start with."""

import logging

import numpy as np
import scipy.fft

from ..fourier.resolution_range import Band
from ..fourier.space import FourierSpace
from ..inputs.half_maps import ObservedMaps
from ..maps.grid import ComplexArray, DoubleArray, Grid, Map
from ..model.hybrid_model import HybridModel
from ..scattering.scatterers import Scatterers
from .b_steps import ROUND_TAU, b_steps, group_levels
from .likelihood import COARSEST, RefinementData, Target, noise_of_halves
from .neighbours import neighbours_of

_log = logging.getLogger(__name__)
COARSEST_SAMPLING = 2.8  # voxels per d_min; below it the slope of B comes out wrong
FINEST_SAMPLING = 4.5
_NEW_SAMPLING = 2.9
START_B = 100.0  # Å^2, before the first fit finds the level
_LEVEL_STEPS = 5
COARSE = 6.0  # Å, beyond which B of single atoms are not refined


def working_grid(grid: Grid, d_min: float) -> Grid:
    """Make the grid over the same box on which 2.8 to 4.5 voxels span d_min.

    Parameters
    ----------
    grid : Grid
        Of the map; returned as it is when its sampling is in that range.
    d_min : float
        Å.

    Returns
    -------
    Grid
        Even FFT-friendly sizes where it is a new one, voxel [0, 0, 0] in place.
    """
    coarsest, finest = max(grid.voxel_size), min(grid.voxel_size)
    if d_min / coarsest >= COARSEST_SAMPLING and d_min / finest <= FINEST_SAMPLING:
        return grid
    x, y, z = (_even_fast_length(edge * _NEW_SAMPLING / d_min) for edge in grid.cell)
    return grid.resampled((z, y, x))


def refinement_data(observed: ObservedMaps, d_min: float) -> RefinementData:
    """Make the data of a refinement from the observed maps.

    Parameters
    ----------
    observed : ObservedMaps
    d_min : float
        Å.
    """
    grid = observed.average.grid
    band = Band(grid, d_min, COARSEST)
    work = working_grid(grid, d_min)
    if observed.half_1 is None or observed.half_2 is None:
        unknown = np.zeros(band.n_shells)
        average = Target(band, _packed(band, observed.average), unknown)
        return RefinementData(observed, work, average, None, None, d_min)
    half_1, half_2 = _packed(band, observed.half_1), _packed(band, observed.half_2)
    noise = noise_of_halves(band, half_1, half_2)
    average = Target(band, (half_1 + half_2) / 2, noise / 2)
    return RefinementData(
        observed, work, average, Target(band, half_1, noise), Target(band, half_2, noise), d_min
    )


def _packed(band: Band, volume: Map) -> ComplexArray:
    """Pack the coefficients of a band of a map."""
    return band.pack(FourierSpace(volume.grid).forward(volume.values), volume.grid.shape)


def _even_fast_length(least: float) -> int:
    """Find the next even length with small prime factors."""
    half = int(np.ceil(least / 2 - 1e-6))
    return 2 * int(scipy.fft.next_fast_len(half, real=True))


def scatterers_of(hybrid: HybridModel, data: RefinementData) -> Scatterers:
    """Take the atoms of a hybrid model in the box of the data."""
    return Scatterers(data.grid, hybrid.positions, hybrid.species, hybrid.occupancies)


def fitted_b(target: Target, assembly: HybridModel) -> DoubleArray:
    """B of the model alone, refined with the prior of the rounds; empty without a model.

    Parameters
    ----------
    target : Target
        The average, or one half map.
    assembly : HybridModel
        Without pseudo-atoms; its B are not looked at.
    """
    n = len(assembly)
    if not n:
        return np.empty(0)
    scatterers = Scatterers(
        target.band.grid, assembly.positions, assembly.species, assembly.occupancies
    )
    start = np.full(n, START_B)
    if target.band.d_min > COARSE:
        return group_levels(target, scatterers, start, (np.ones(n, dtype=np.bool_),))
    fit = b_steps(
        target,
        scatterers,
        start,
        neighbours_of(assembly.positions),
        tau=ROUND_TAU,
        n_steps=_LEVEL_STEPS,
        mates=assembly.mates,
    )
    _log.info("B of the model alone: median %.0f Å²", float(np.median(fit.b_iso)))
    return fit.b_iso
