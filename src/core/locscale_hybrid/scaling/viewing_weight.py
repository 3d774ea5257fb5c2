"""What the display map is multiplied by, and its final amplitude curve.

A weight that follows the density voxel by voxel looks clean and invents: coarse signal times a
sharp weight has fine components that look like resolution.  Every policy says what it may invent.
"""

import logging
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..fourier.space import FourierSpace, real_product, squared_modulus
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, FloatArray, Grid, Map
from ..parallel.threads import beside
from .local_power import LocalAverage

_log = logging.getLogger(__name__)
FINEST = 0.85  # times d_min: nothing finer is in the display map
_SMOOTH_SIGMA = 1.0  # Å, policy smooth
_SMOOTH_SCORE = 4.0  # z^2 at which a weight is 1/2
_ADAPTIVE_SIGMAS = (0.36, 0.42, 0.48, 0.54, 0.6)  # d_min, policy adaptive: sharper invents more
_MOST_INVENTED = 0.04  # correlation at d_min that coarse density times its weight may have
_NO_DATA = 1.2  # times d_min, where density counts as coarse
_AT_LIMIT = 0.05  # of 1/d_min either way: the shells that are looked at
_ADAPTIVE_SCORE = 16.0
_SOFT_SIGMA = 0.25  # d_min, policy soft
_SOFT_SCORE = 4.0
_REGION_WEIGHT = 0.1  # weight from which a voxel counts for the amplitude curve
_REGION_SIGMA = 2.0  # Å, edge of that region
_WORTH_A_THREAD = 1 << 20  # voxels, whose smoothing takes longer than it takes to share it
_LOW_RANGE = (1 / 15, 1 / 8)  # 1/Å: coarser amplitudes take the median factor of this range
STATEMENTS = {
    "adaptive": (
        "adaptive weight: each band by what the coarser bands and both half maps say, "
        "then the density over its noise, smoothed by 0.36 to 0.6 d, as far as keeps what "
        "that invents small; without data at the resolution limit it shows an FSC of up "
        "to 0.1 there"
    ),
    "smooth": (
        "smooth weight: density smoothed by 1 Å over its noise; without data at the "
        "resolution limit it shows an FSC of up to 0.1 there at 3 Å, 0.2 at 4 Å"
    ),
    "soft": (
        "soft weight: voxel-sharp, for looking only; without data at the resolution limit "
        "it shows an FSC of 0.3 to 0.5 there: it invents resolution"
    ),
    "fdr": (
        "fdr weight: the soft-edged confidence mask; a mask's edge and shape add correlation "
        "at the resolution limit"
    ),
    "file": ("weight from a file: what it invents depends on how sharp it is"),
    "none": "no weight: nothing is suppressed, nothing is invented",
}
_POLICIES = ", ".join(sorted(set(STATEMENTS) - {"file"}))


@dataclass(frozen=True, eq=False)
class WeightInput:
    """What a weight may be made of; all arrays have the shape of the box.

    Parameters
    ----------
    grid : Grid
    resolution : float
        d_min, Å.
    average, difference : arrays
        Unscaled average of the halves, and half their difference; None with one map.
    linear, linear_difference : arrays
        The same, scaled.
    mask : array
        Soft, 0 to 1.
    file : array, optional
        The user's weight.
    reference : array, optional
        What policy adaptive compares invented density with; None: the least smoothing is used.
    """

    grid: Grid
    resolution: float
    average: FloatArray
    difference: FloatArray | None
    linear: FloatArray
    linear_difference: FloatArray | None
    mask: FloatArray
    file: FloatArray | None = None
    reference: FloatArray | None = None


def chosen_policy(asked: str, kind: str, weight_map: Map | None) -> str:
    """Choose the weight policy that the input allows.

    Raises
    ------
    InputError
        If the policy is "file" and there is no file.
    """
    if asked == "file" and weight_map is None:
        raise InputError(
            "the weight is to be read from a file, but no file was given: "
            "name a map of weights from 0 to 1"
        )
    if asked in ("none", "fdr", "file"):
        return asked
    if kind == "single":
        return "file" if weight_map is not None else "none"
    return "smooth" if kind == "pseudo-halves" and asked == "adaptive" else asked


def looking_weight(policy: str, given: WeightInput, local: LocalAverage) -> FloatArray:
    """Weight of the display map.

    Parameters
    ----------
    policy : {"adaptive", "smooth", "soft", "fdr", "file", "none"}
    given : WeightInput
    local : LocalAverage
        Averages the noise for policy soft.

    Returns
    -------
    array, shape (nz, ny, nx)
        0 to 1.
    """
    if policy == "none":
        return np.ones(given.grid.shape, dtype=np.float32)
    if policy == "fdr":
        return given.mask
    if policy == "file":
        assert given.file is not None
        return np.clip(given.file, 0, 1)
    if policy == "soft":
        assert given.linear_difference is not None
        smooth = gaussian(given.linear, given.grid, _SOFT_SIGMA * given.resolution)
        noise = local.spread(local.power(given.linear_difference))
        smooth /= np.sqrt(np.maximum(noise, np.float32(1e-30)))
        return saturating(smooth, _SOFT_SCORE)
    if policy == "smooth":
        return _by_score(given, given.average, _SMOOTH_SIGMA, _SMOOTH_SCORE)
    return _by_score(given, given.average, adaptive_sigma(given), _ADAPTIVE_SCORE)


def adaptive_sigma(given: WeightInput) -> float:
    """Least smoothing, Å, with which the weight invents hardly anything at the resolution limit.

    What a weight invents is seen by leaving out all that is finer than 1.2 d_min: what density
    and weight then show at d_min is their product alone.  As far as it looks like the reference
    there, it would be taken for resolution.
    """
    finest = 1 / given.resolution
    if given.reference is None:
        return _ADAPTIVE_SIGMAS[0] * given.resolution
    space = FourierSpace(given.grid)
    s = np.sqrt(space.s_squared)
    linear, average = (
        space.backward(space.forward(values) * (s <= finest / _NO_DATA))
        for values in (given.linear, given.average)
    )
    shells = np.flatnonzero(np.abs(s / np.float32(finest) - 1) < _AT_LIMIT)
    weight = np.broadcast_to(space.multiplicity, s.shape).ravel()[shells]
    del s

    def at_limit(values: FloatArray) -> ComplexArray:
        """Coefficients at d_min of what lies in the mask."""
        return space.forward(_centred(values, given.mask)).ravel()[shells]

    wanted, before = at_limit(given.reference), (0.0, 0.0)
    for share in _ADAPTIVE_SIGMAS:
        sharp = _by_score(given, average, share * given.resolution, _ADAPTIVE_SCORE)
        sharp *= linear
        invented = _correlation(at_limit(sharp), wanted, weight)
        if invented <= _MOST_INVENTED:
            if share > _ADAPTIVE_SIGMAS[0]:  # between this and the last: no jumps
                part = (before[1] - _MOST_INVENTED) / (before[1] - invented)
                share = before[0] + part * (share - before[0])
            break
        before = share, invented
    _log.info("looking weight smoothed by %.3f d, invented at the limit: %.3f", share, invented)
    return share * given.resolution


def _by_score(given: WeightInput, density: FloatArray, sigma: float, half: float) -> FloatArray:
    """Weight by smoothed density over the noise that is left in it."""
    difference = given.difference
    assert difference is not None
    noise_sd = beside(
        lambda: float(gaussian(difference, given.grid, sigma).std(dtype=np.float64)),
        together=given.grid.size > _WORTH_A_THREAD,
    )
    smooth = gaussian(density, given.grid, sigma)
    smooth /= np.float32(max(noise_sd(), 1e-30))
    return saturating(smooth, half)


def _correlation(a: ComplexArray, b: ComplexArray, weight: FloatArray) -> float:
    """Correlation of two sets of coefficients; 0 where one is nothing."""
    power = [float((weight * squared_modulus(x)).sum(dtype=np.float64)) for x in (a, b)]
    cross = float((weight * real_product(a, b)).sum(dtype=np.float64))
    return cross / float(np.sqrt(power[0] * power[1])) if min(power) > 0 else 0.0


def saturating(score: FloatArray, half: float) -> FloatArray:
    """z^2 / (z^2 + half) of a score; 0 where it is negative."""
    squared = np.maximum(score, 0)
    squared *= squared
    return np.asarray(squared / (squared + np.float32(half)), dtype=np.float32)


def gaussian(values: FloatArray, grid: Grid, sigma: float) -> FloatArray:
    """Values smoothed by a Gaussian of `sigma` Å; the box repeats itself."""
    widths = [sigma / voxel for voxel in grid.voxel_size[::-1]]
    return np.asarray(ndimage.gaussian_filter(values, widths, mode="wrap", truncate=4))


def restore_amplitudes(
    values: FloatArray, weight: FloatArray, reference: FloatArray, grid: Grid, resolution: float
) -> FloatArray:
    """Give the weighted map its reference's power inside, by one factor per shell.

    Parameters
    ----------
    values : array, shape (nz, ny, nx)
        Linear map times weight.
    weight : array
    reference : array
    grid : Grid
    resolution : float
        d_min, Å: the curve falls from 1 there to 0 at 0.85 d_min.
    """
    space = FourierSpace(grid)
    region = gaussian((weight > _REGION_WEIGHT).astype(np.float32), grid, _REGION_SIGMA)
    factor = np.ones(space.n_shells)
    if region.any():
        wanted, present = (_power_within(space, map_, region) for map_ in (reference, values))
        factor = np.sqrt(np.divide(wanted, present, out=np.zeros_like(wanted), where=present > 0))
        middle = (space.frequency > _LOW_RANGE[0]) & (space.frequency < _LOW_RANGE[1])
        if middle.any():
            factor[space.frequency <= _LOW_RANGE[0]] = np.median(factor[middle])
    finest = 1 / (FINEST * resolution)
    taper = np.clip((finest - space.frequency) / (finest - 1 / resolution), 0, 1)
    coefficients = space.forward(values)
    coefficients *= space.spread(factor * taper)
    return space.backward(coefficients)


def _power_within(space: FourierSpace, values: FloatArray, region: FloatArray) -> DoubleArray:
    """Power in shells of a map inside a soft region, its mean there subtracted."""
    return space.power(space.forward(_centred(values, region)))


def _centred(values: FloatArray, region: FloatArray) -> FloatArray:
    """Cut a map to a soft region and subtract its mean there."""
    total = float(region.sum(dtype=np.float64))
    mean = float((values * region).sum(dtype=np.float64)) / total
    return np.asarray((values - np.float32(mean)) * region)


def shut_share(weight: FloatArray, region: BoolArray) -> float:
    """Share of the voxels of a region whose weight is below 1 %."""
    values = weight[region]
    return float((values < 0.01).mean()) if values.size else 0.0
