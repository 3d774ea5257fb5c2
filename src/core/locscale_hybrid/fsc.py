"""Fourier shell correlation, its crossings, and its correction for the mask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fourier import FourierSpace
from .maps import ComplexArray, DoubleArray, FloatArray

HALF_MAP_CRITERION = 0.143  # Rosenthal & Henderson (2003), for two half maps
MODEL_CRITERION = 0.5       # for a map against a model


@dataclass(frozen=True)
class FscCurve:
    """A correlation per shell.

    Parameters
    ----------
    frequency : array, shape (n_shells,)
        Mean |s| of each shell, 1/Å.
    correlation : array, shape (n_shells,)
    """

    frequency: DoubleArray
    correlation: DoubleArray

    def resolution(self, criterion: float = HALF_MAP_CRITERION) -> float:
        """Resolution in Å where the curve falls below `criterion` and stays there for 3 shells.

        Linear interpolation between shells.  A curve that never falls gives the resolution of
        its last shell; one that never rises gives infinity.
        """
        below = self.correlation < criterion
        below[0] = False
        padded = np.concatenate([below, np.ones(2, dtype=bool)])
        stays = padded[:-2] & padded[1:-1] & padded[2:]
        crossings = np.flatnonzero(stays)
        if not crossings.size:
            return 1.0 / float(self.frequency[-1])
        after = int(crossings[0])
        before = after - 1
        if before == 0:
            return float("inf")
        high, low = self.correlation[before], self.correlation[after]
        part = float(np.clip((high - criterion) / max(high - low, 1e-12), 0.0, 1.0))
        step = self.frequency[after] - self.frequency[before]
        return 1.0 / float(self.frequency[before] + part * step)

    def at(self, resolution: float) -> float:
        """Correlation at a resolution in Å, linear between shells."""
        return float(np.interp(1.0 / resolution, self.frequency, self.correlation))


def fourier_shell_correlation(space: FourierSpace, a: ComplexArray, b: ComplexArray) -> FscCurve:
    """Correlation of two sets of coefficients in shells.

    Parameters
    ----------
    space : FourierSpace
    a, b : arrays, shape (nz, ny, nx//2+1)

    Returns
    -------
    FscCurve
        0 in empty shells and where either map has no power.
    """
    cross = space.cross_power(a, b)
    norm = np.sqrt(space.power(a) * space.power(b))
    correlation = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    return FscCurve(space.frequency, correlation)


def masked_coefficients(space: FourierSpace, values: FloatArray, mask: FloatArray) -> ComplexArray:
    """Coefficients of a map whose mean inside a soft mask is subtracted before masking."""
    weight = float(mask.sum(dtype=np.float64))
    inside = values * mask
    mean = float(inside.sum(dtype=np.float64)) / max(weight, 1e-12)
    np.subtract(values, np.float32(mean), out=inside)
    inside *= mask
    return space.forward(inside)


def randomise_phases(space: FourierSpace, coefficients: ComplexArray, beyond: float,
                     rng: np.random.Generator) -> ComplexArray:
    """Coefficients with random phases beyond a frequency in 1/Å, amplitudes kept."""
    result = coefficients.copy()
    for plane, s_squared in zip(result, space.s_squared, strict=True):
        far = s_squared > beyond**2
        phase = rng.random(int(np.count_nonzero(far)), dtype=np.float32) * np.float32(2 * np.pi)
        plane[far] = np.abs(plane[far]) * np.exp(1j * phase)
    return result


@dataclass(frozen=True)
class MaskedFsc:
    """Half-map FSC without mask, inside a soft mask, and corrected for the mask."""

    unmasked: FscCurve
    masked: FscCurve
    corrected: FscCurve


def corrected_fsc(space: FourierSpace, half_1: FloatArray, half_2: FloatArray, mask: FloatArray,
                  rng: np.random.Generator) -> MaskedFsc:
    """Half-map FSC inside a soft mask, corrected by phase randomisation.

    Parameters
    ----------
    half_1, half_2, mask : arrays, shape (nz, ny, nx)
        The mask is soft, 0 to 1.

    Notes
    -----
    ``(FSC_t - FSC_n) / (1 - FSC_n)`` from two shells beyond the one where the masked FSC falls
    below 0.8; FSC_n is the FSC with phases randomised beyond that shell.

    References
    ----------
    .. [1] Chen et al. (2013) Ultramicroscopy 135:24-35, :doi:`10.1016/j.ultramic.2013.06.004`.
    """
    free = [space.forward(half_1), space.forward(half_2)]
    unmasked = fourier_shell_correlation(space, free[0], free[1])
    masked = fourier_shell_correlation(space, masked_coefficients(space, half_1, mask),
                                       masked_coefficients(space, half_2, mask))
    onset = _first_below(masked.correlation, 0.8)
    beyond = float(space.frequency[onset])
    scrambled = []
    while free:  # a large box has no room for both at once
        part = space.backward(randomise_phases(space, free.pop(0), beyond, rng))
        scrambled.append(masked_coefficients(space, part, mask))
    random = fourier_shell_correlation(space, scrambled[0], scrambled[1])
    corrected = masked.correlation.copy()
    tail = slice(onset + 2, None)
    noise = np.clip(random.correlation[tail], -1.0, 0.99)
    corrected[tail] = (corrected[tail] - noise) / (1 - noise)
    return MaskedFsc(unmasked, masked, FscCurve(space.frequency, corrected))


def _first_below(values: NDArray[np.float64], level: float) -> int:
    """First shell after the origin where the curve is below `level`; the last one if none."""
    low = np.flatnonzero(values[1:] < level)
    return int(low[0]) + 1 if low.size else len(values) - 1
