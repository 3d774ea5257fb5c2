"""Fourier shell correlation, its crossings, and its correction for the mask."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..maps.grid import ComplexArray, DoubleArray, FloatArray
from .space import FourierSpace, squared_modulus

HALF_MAP_CRITERION = 0.143  # Rosenthal & Henderson (2003), for two half maps
MODEL_CRITERION = 0.5  # for a map against a model


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

    def check(self) -> None:
        """Hold the two arrays to each other; ValueError where they are no curve."""
        if (
            self.frequency.ndim != 1
            or self.frequency.shape != self.correlation.shape
            or (not self.frequency.size)
        ):
            raise ValueError(
                f"a curve has {self.frequency.shape} frequencies and "
                f"{self.correlation.shape} correlations"
            )

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
        before = int(crossings[0]) - 1
        return float("inf") if before == 0 else self._crossing(before, criterion)

    def falls(self, criterion: float = HALF_MAP_CRITERION) -> bool:
        """Test whether `resolution` is a crossing, not the end of a curve that stays above."""
        return bool(self.correlation[-1] < criterion)

    def finest(self, criterion: float = HALF_MAP_CRITERION) -> float | None:
        """Resolution in Å of the finest 3 shells at or above `criterion`; None without a fall.

        What is coarser may be below it: a curve against noise that density was taken for.  None
        too where fewer than 3 shells are left beyond.
        """
        above = self.correlation >= criterion
        above[0] = True
        runs = np.flatnonzero(above[:-2] & above[1:-1] & above[2:]) + 2
        if not runs.size or int(runs[-1]) > len(above) - 4:
            return None
        return self._crossing(int(runs[-1]), criterion)

    def _crossing(self, before: int, criterion: float) -> float:
        """Resolution in Å of a fall between two shells, linear between them."""
        high, low = self.correlation[before : before + 2]
        part = float(np.clip((high - criterion) / max(high - low, 1e-12), 0.0, 1.0))
        step = self.frequency[before + 1] - self.frequency[before]
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


def randomised_fsc(
    space: FourierSpace, halves: list[ComplexArray], mask: FloatArray, beyond: float
) -> FscCurve:
    """FSC inside a mask that is expected of halves with random phases beyond a frequency.

    Parameters
    ----------
    space : FourierSpace
    halves : list of two arrays, shape (nz, ny, nx//2+1)
        Their coefficients; the list is emptied, as a large box has no room for all at once.
    mask : array, shape (nz, ny, nx)
    beyond : float
        1/Å.

    Notes
    -----
    A mean over all draws, not one draw, so it does not depend on how the box is turned.  What has
    its phase left goes through the mask as it is; what has none in common between the halves adds
    to their powers alone, by the convolution of its power with that of the mask, which is a
    product of two autocorrelations in real space.
    """
    near = space.s_squared <= beyond**2
    spread = space.backward(squared_modulus(space.forward(mask)).astype(np.complex64))
    masked, powers = [], []
    while halves:
        half = halves.pop(0)
        far = space.backward(np.where(near, 0, squared_modulus(half)).astype(np.complex64))
        far *= spread
        added = space.shell_sum(space.forward(far).real) / space.grid.size
        del far
        low = space.backward(half * near)
        del half
        masked.append(masked_coefficients(space, low, mask))
        powers.append(space.power(masked[-1]) + np.maximum(added, 0))
    cross, norm = space.cross_power(*masked), np.sqrt(powers[0] * powers[1])
    return FscCurve(
        space.frequency, np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    )


@dataclass(frozen=True)
class MaskedFsc:
    """Half-map FSC without mask, inside a soft mask, and corrected for the mask."""

    unmasked: FscCurve
    masked: FscCurve
    corrected: FscCurve


def corrected_fsc(
    space: FourierSpace, half_1: FloatArray, half_2: FloatArray, mask: FloatArray
) -> MaskedFsc:
    """Half-map FSC inside a soft mask, corrected by phase randomisation.

    Parameters
    ----------
    half_1, half_2, mask : arrays, shape (nz, ny, nx)
        The mask is soft, 0 to 1.

    Notes
    -----
    ``(FSC_t - FSC_n) / (1 - FSC_n)`` from two shells beyond the one where the masked FSC falls
    below 0.8; FSC_n is the FSC expected with phases randomised beyond that shell.

    References
    ----------
    .. [1] Chen et al. (2013) Ultramicroscopy 135:24-35, :doi:`10.1016/j.ultramic.2013.06.004`.
    """
    free = [space.forward(half_1), space.forward(half_2)]
    unmasked = fourier_shell_correlation(space, free[0], free[1])
    masked = fourier_shell_correlation(
        space, masked_coefficients(space, half_1, mask), masked_coefficients(space, half_2, mask)
    )
    masked.correlation[0] = 1.0  # without its mean a map has rounding alone there
    onset = _first_below(masked.correlation, 0.8)
    beyond = float(space.frequency[onset])
    random = randomised_fsc(space, free, mask, beyond)
    corrected = masked.correlation.copy()
    tail = slice(onset + 2, None)
    noise = np.clip(random.correlation[tail], -1.0, 0.99)
    corrected[tail] = (corrected[tail] - noise) / (1 - noise)
    return MaskedFsc(unmasked, masked, FscCurve(space.frequency, corrected))


def _first_below(values: NDArray[np.float64], level: float) -> int:
    """First shell after the origin where the curve is below `level`; the last one if none."""
    low = np.flatnonzero(values[1:] < level)
    return int(low[0]) + 1 if low.size else len(values) - 1
