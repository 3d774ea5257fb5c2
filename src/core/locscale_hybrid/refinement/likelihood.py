"""How well a model explains half maps: the target, its weights, its gradients.

Shells run over complete signed frequencies.  With F the data, Fc the model and D the scale of a
shell, the target is

    T = sum |F - D Fc|^2 / (2 var) + (n / 2) ln var

over the shells between 12 Å and d_min; D and var are at their optimum (var not below the noise),
so that the derivatives of T are those at fixed D and var.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..fourier.resolution_range import Band
from ..fourier.space import real_product, squared_modulus
from ..inputs.half_maps import ObservedMaps
from ..maps.grid import ComplexArray, DoubleArray, Grid, IntArray
from ..scattering.scatterers import Scatterers, form_factor

COARSEST = 12.0  # Å; coarser shells are solvent
_B_TABLE = 60  # entries of the table of Fisher information over B
SHORTENED = (0.1, 0.5)  # how much is left of a step that raised the target, least and most
_LENGTHS = np.linspace(0.0, 1.0, 65)


@dataclass(frozen=True)
class Target:
    """Data of a refinement: the coefficients of the band and their noise.

    Parameters
    ----------
    band : Band
    observed : array, shape (m,)
    noise : array, shape (band.n_shells,)
        Least variance of a coefficient; 0 where it is not known.
    """

    band: Band
    observed: ComplexArray
    noise: DoubleArray

    @cached_property
    def power(self) -> DoubleArray:
        """Sum of |F|^2 in each shell of the band."""
        return self.band.shell_sum(squared_modulus(self.observed))


@dataclass(frozen=True, eq=False)
class RefinementData:
    """What a model is refined against.

    Parameters
    ----------
    observed : ObservedMaps
        The maps themselves.
    grid : Grid
        The working grid: the maps' own where it suits d_min.
    average : Target
    half_1, half_2 : Target or None
    d_min : float
        Å.
    """

    observed: ObservedMaps
    grid: Grid
    average: Target
    half_1: Target | None
    half_2: Target | None
    d_min: float

    @property
    def band(self) -> Band:
        """The coefficients that count, of all targets alike."""
        return self.average.band

    def with_half(self, number: Literal[1, 2]) -> Target:
        """Take one half map as target."""
        half = self.half_1 if number == 1 else self.half_2
        if half is None:
            raise ValueError("the data have no half maps")
        return half


@dataclass(frozen=True)
class Fit:
    """A model against a target.

    Parameters
    ----------
    scale : array, shape (n_shells,)
        D of each shell of the band.
    weight : array, shape (n_shells,)
        1 / (2 var).
    residual : array, shape (m,)
        F - D Fc.
    correlation : array, shape (n_shells,)
        FSC of model and data.
    value : float
        The target T without prior.
    """

    scale: DoubleArray
    weight: DoubleArray
    residual: ComplexArray
    correlation: DoubleArray
    value: float


def noise_of_halves(band: Band, half_1: ComplexArray, half_2: ComplexArray) -> DoubleArray:
    """Noise variance of a coefficient of one half map in each shell, smoothed over 3 shells."""
    power = band.shell_sum(squared_modulus(half_1 - half_2))
    variance = power / np.maximum(band.count, 1) / 2
    return np.asarray(uniform_filter1d(variance, 3, mode="nearest"))


def evaluate(target: Target, model: ComplexArray) -> Fit:
    """Scale a model to a target, shell by shell, and weigh what is left.

    Parameters
    ----------
    target : Target
    model : array, shape (m,)
        `Scatterers.coefficients` of the target's band.
    """
    band = target.band
    cross = band.shell_sum(real_product(target.observed, model))
    power = band.shell_sum(squared_modulus(model))
    scale = np.maximum(cross, 0) / np.maximum(power, 1e-30)
    residual = target.observed - band.spread(scale) * model
    left = band.shell_sum(squared_modulus(residual))
    variance = _variance(target, left)
    value = float(target_value(target, left))
    correlation = cross / np.sqrt(np.maximum(power * target.power, 1e-60))
    return Fit(scale, 1 / (2 * variance), residual, correlation, value)


def target_value(target: Target, left: DoubleArray) -> DoubleArray:
    """Compute the target T from the residual of each shell, sum |F - D Fc|^2, (..., n_shells)."""
    variance = _variance(target, left)
    count = np.maximum(target.band.count, 1)
    return np.asarray((left / (2 * variance) + count / 2 * np.log(variance)).sum(axis=-1))


def _variance(target: Target, left: DoubleArray) -> DoubleArray:
    """Variance of a coefficient in each shell: what is left, but not less than the noise."""
    count = np.maximum(target.band.count, 1)
    floor = 1e-12 * target.power.max() / count.max() + 1e-300
    return np.asarray(np.maximum(np.maximum(left / count, target.noise), floor))


def weighted_correlation(band: Band, correlation: DoubleArray) -> float:
    """Mean FSC from 12 Å to d_min, every coefficient counting once."""
    return float((band.count * correlation).sum() / band.count.sum())


def b_gradient(target: Target, fit: Fit, scatterers: Scatterers, b_iso: DoubleArray) -> DoubleArray:
    """Gradient dT / dB of every atom.

    Parameters
    ----------
    target : Target
    fit : Fit
        Of `scatterers` with `b_iso`.
    scatterers : Scatterers
    b_iso : array, shape (n,)

    Returns
    -------
    array, shape (n,)
        1/Å^2.
    """
    band = target.band
    field = band.spread(fit.weight * fit.scale / 4) * band.s_squared * fit.residual
    integral = scatterers.contract(field, b_iso, band)
    return 2 * band.grid.size * integral * scatterers.occupancies


def coordinate_gradient(
    target: Target, fit: Fit, scatterers: Scatterers, b_iso: DoubleArray, which: IntArray
) -> tuple[DoubleArray, DoubleArray]:
    """Gradient dT / dx of some atoms, and the scalar Fisher information of their coordinates.

    Parameters
    ----------
    target : Target
    fit : Fit
        Of `scatterers` with `b_iso`.
    scatterers : Scatterers
    b_iso : array, shape (n,)
    which : array of int, shape (k,)
        The atoms that move.

    Returns
    -------
    gradient : array, shape (k, 3)
        1/Å, (x, y, z).
    fisher : array, shape (k,)
        1/Å^2; the step is -gradient / fisher.
    """
    band = target.band
    field = band.spread(fit.weight * fit.scale) * fit.residual
    slope = scatterers.contract_gradient(field, b_iso, band, which)
    gradient = -2 * band.grid.size * slope * scatterers.occupancies[which, None]
    # each of the three directions sees a third of (2 pi s)^2
    moment = (2 * np.pi * band.frequency) ** 2 / 3
    return gradient, _information(target, fit, scatterers, b_iso, moment)[which]


def b_information(
    target: Target, fit: Fit, scatterers: Scatterers, b_iso: DoubleArray
) -> DoubleArray:
    """Fisher information of the B of each atom, 1/Å^4, shape (n,)."""
    moment = (target.band.frequency**2 / 4) ** 2
    return _information(target, fit, scatterers, b_iso, moment)


def _information(
    target: Target, fit: Fit, scatterers: Scatterers, b_iso: DoubleArray, moment: DoubleArray
) -> DoubleArray:
    """2 sum w D^2 |fc|^2 moment of each atom, from a table over B for each species."""
    band = target.band
    s2 = band.frequency**2
    # fc in the scale of the coefficients: per voxel of the sampling grid
    shells = 2 * band.count * fit.weight * fit.scale**2 * moment / band.grid.voxel_volume**2
    table_b = np.linspace(
        float(b_iso.min(initial=400)), float(b_iso.max(initial=0)) + 1e-3, _B_TABLE
    )
    damping = np.exp(-np.outer(table_b, s2) / 2)
    result = np.empty(len(scatterers))
    for kind in scatterers.kinds:
        members = scatterers.members(kind)
        table = damping @ (shells * form_factor(kind, s2) ** 2)
        logarithm = np.interp(b_iso[members], table_b, np.log(np.maximum(table, 1e-300)))
        result[members] = np.exp(logarithm)
    return result * scatterers.occupancies**2


def best_length(
    target: Target,
    before: ComplexArray,
    after: ComplexArray,
    *,
    prior_slope: float = 0.0,
    prior_curvature: float = 0.0,
) -> float:
    """Share of a step, 0 to 1, at which the target is least.

    Parameters
    ----------
    target : Target
    before, after : arrays, shape (m,)
        Coefficients of the model at the beginning and at the end of the step.
    prior_slope, prior_curvature : float
        Of the prior along the step: p a + c a^2 / 2 at the share a.
    """
    prior = prior_slope * _LENGTHS + prior_curvature / 2 * _LENGTHS**2
    values = _between(target, before, after) + prior
    i = int(np.argmin(values))
    if not 0 < i < len(values) - 1:
        return float(_LENGTHS[i])
    left, middle, right = values[i - 1 : i + 2]
    offset = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-300)
    return float(_LENGTHS[i] + np.clip(offset, -0.5, 0.5) * _LENGTHS[1])


def _between(target: Target, before: ComplexArray, after: ComplexArray) -> DoubleArray:
    """Compute the target at each of the lengths."""
    band, a = target.band, _LENGTHS[:, None]
    change = after - before
    cross = band.shell_sum(real_product(target.observed, before)) + a * band.shell_sum(
        real_product(target.observed, change)
    )
    power = (
        band.shell_sum(squared_modulus(before))
        + 2 * a * band.shell_sum(real_product(before, change))
        + a**2 * band.shell_sum(squared_modulus(change))
    )
    kept = np.maximum(cross, 0)
    left = np.maximum(target.power - kept**2 / np.maximum(power, 1e-30), 0)
    return target_value(target, left)
