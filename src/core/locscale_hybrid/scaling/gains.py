"""Local gain of a band: how much the observed map must be amplified to have the reference's power.

Everything here acts on small arrays: the coarse grid of `local_power`, or one row per window.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..maps.grid import BoolArray, DoubleArray, FloatArray

LOWEST_RESOLUTION = 12.0  # Å; coarser gains are not taken from the reference: it has no solvent

_PRIOR_MODES = 20.0  # weight of the global curve in a local one
_SILENT = 1e-3  # of the typical power: nothing within a window, only tails of bands
_FEW = 1e-2  # a reference that is silent in most places is judged by its loud ones
_ABSENT = 1e-12  # of the largest power: the observed map has nothing there
_SURE = 3.0  # sd of C^2 from which a place speaks for itself
_RELIABLE = 0.3  # global C^2 from which a band may speak for its coarser neighbours


@dataclass(frozen=True)
class GainRules:
    """How far a local gain may go.

    Parameters
    ----------
    cap : float, optional
        Largest factor between a local and the global gain, either way; None: no limit.
    noise_weight : bool
        Whether C_k is part of the gain; needs a noise power.
    """

    cap: float | None = 4.0
    noise_weight: bool = True


@dataclass(frozen=True)
class BandPower:
    """Local powers of a band.

    Parameters
    ----------
    observed, reference : arrays of one shape
    noise : array of that shape, optional
        Power of the noise that is part of `observed`.
    """

    observed: FloatArray
    reference: FloatArray
    noise: FloatArray | None = None


@dataclass(frozen=True)
class Modes:
    """Number of independent values behind a power.

    Parameters
    ----------
    local : float
        Behind the power around a place.
    inside : float
        In the whole mask.
    """

    local: float
    inside: float


@dataclass(frozen=True)
class BandGain:
    """Local gain of a band; all arrays have the shape of the powers.

    Parameters
    ----------
    ratio : array
        sqrt(reference / observed): the global ratio where the reference is silent, within the cap.
    weight : array
        C_k, 0 to 1: the least-squares (Wiener) weight of the noise.
    silent : array of bool
        Where the reference has no power.
    global_ratio, global_weight : float
        The same for the whole of the inside.
    doubt : float
        0 where the band as a whole holds signal, 1 where it may be noise alone.
    """

    ratio: FloatArray
    weight: FloatArray
    silent: BoolArray
    global_ratio: float
    global_weight: float
    doubt: float = 0.0

    @property
    def gain(self) -> FloatArray:
        """Ratio times weight."""
        return self.ratio * self.weight

    def times(self, factor: float) -> "BandGain":
        """Return the gain of a map that is smaller by a factor."""
        return replace(
            self, ratio=self.ratio * np.float32(factor), global_ratio=self.global_ratio * factor
        )


def local_gain(power: BandPower, inside: FloatArray, modes: Modes, rules: GainRules) -> BandGain:
    """Gain of a band at every place.

    Parameters
    ----------
    power : BandPower
    inside : array
        Weight of each place in the global curves, 0 outside the mask.
    modes : Modes
    rules : GainRules
    """
    silent = silent_places(power.reference, inside)
    heard = inside * ~silent
    present = power.observed > _ABSENT * float(power.observed.max())
    whole = _mean(power.observed, heard)
    global_ratio = float(np.sqrt(_mean(power.reference, heard) / whole)) if whole > 0 else 0.0
    ratio = np.sqrt(
        np.divide(power.reference, power.observed, where=present, out=np.zeros_like(power.observed))
    )
    ratio[silent & present] = global_ratio
    if rules.cap is not None:
        limited = np.clip(ratio, global_ratio / rules.cap, global_ratio * rules.cap)
        ratio = np.where(present, limited, np.float32(0))
    if power.noise is None or not rules.noise_weight:
        weight, global_weight, doubt = np.ones_like(ratio), 1.0, 0.0
    else:
        common = common_share(power, inside)
        doubt = doubt_of(common, modes)
        weight, global_weight = np.sqrt(noise_weight(power, common, modes, doubt)), common**0.5
    return BandGain(ratio.astype(np.float32), weight, silent, global_ratio, global_weight, doubt)


def silent_places(reference: FloatArray, inside: FloatArray) -> BoolArray:
    """Mark where the reference has hardly any power, compared with its power inside."""
    values = reference[inside > 0]
    if not values.size:
        return np.zeros(reference.shape, dtype=np.bool_)
    typical = max(float(np.median(values)), _FEW * float(np.quantile(values, 0.99)))
    return np.asarray(reference < _SILENT * typical)


def common_share(power: BandPower, inside: FloatArray) -> float:
    """C^2 of a band in the whole mask: the share of its power that both halves have."""
    assert power.noise is not None
    total = _mean(power.observed, inside)
    return float(np.clip(1 - _mean(power.noise, inside) / total, 0, 1)) if total > 0 else 0.0


def doubt_of(common: float, modes: Modes) -> float:
    """Return whether a band may be noise alone: 1 below 2 standard deviations of C^2, 0 above 4."""
    deviation = 2 / np.sqrt(max(modes.inside, modes.local) + _PRIOR_MODES)
    return float(np.clip(2 - common / (2 * deviation), 0, 1))


def noise_weight(power: BandPower, common: float, modes: Modes, doubt: float) -> FloatArray:
    """C_k^2 of the average of two half maps around every place.

    C_k^2 = 1 - noise / observed = 2 FSC / (1 + FSC), shrunk towards the global value by the
    number of modes behind it, and 0 where it cannot be told from 0: below one standard deviation
    where the band as a whole holds signal, below three where it may hold none.

    References
    ----------
    .. [1] Rosenthal, Henderson (2003) J. Mol. Biol. 333:721, :doi:`10.1016/j.jmb.2003.07.013`.
    """
    assert power.noise is not None
    part = np.divide(
        power.noise, power.observed, where=power.observed > 0, out=np.ones_like(power.observed)
    )
    local = np.clip(1 - part, 0, 1)
    shrunk = (modes.local * local + _PRIOR_MODES * common) / (modes.local + _PRIOR_MODES)
    deviation = 2 / np.sqrt(modes.local + _PRIOR_MODES)
    shrunk[shrunk < deviation * (1 + (_SURE - 1) * doubt)] = 0
    return np.asarray(shrunk, dtype=np.float32)


def number_of_low_bands(window: float, n_bands: int) -> int:
    """Count the bands that are coarser than 12 Å and share one gain."""
    return min(max(int(np.ceil(window / LOWEST_RESOLUTION - 1e-6)), 1), n_bands - 1)


@dataclass(frozen=True)
class LowGain:
    """Gain of everything coarser than 12 Å, taken from the next finer bands.

    Parameters
    ----------
    factor : array
        Local gain relative to the global one: the median of the next bands.
    level, slope : float
        ln of the global gain is ``level + slope t^2``, the line through the next bands.
    """

    factor: FloatArray
    level: float
    slope: float

    def curve(self, position: FloatArray) -> FloatArray:
        """Global gain at t."""
        return np.asarray(np.exp(self.level + self.slope * position**2), dtype=np.float32)


def low_gain(bands: Sequence[int], gains: Sequence[BandGain]) -> LowGain:
    """Gain of the coarsest bands from those of the next bands.

    Parameters
    ----------
    bands : sequence of int
        Indices of the next bands.
    gains : sequence of BandGain
        Theirs.
    """
    usable = [
        i for i, g in enumerate(gains) if g.global_weight**2 > _RELIABLE and g.global_ratio > 0
    ] or [0]
    relative = [gains[i].ratio / np.float32(max(gains[i].global_ratio, 1e-30)) for i in usable]
    factor = np.median(np.stack(relative), axis=0).astype(np.float32)
    position = np.array([bands[i] for i in usable], dtype=np.float64)
    level = np.log(
        [max(gains[i].global_ratio, 1e-30) / max(gains[i].global_weight, 1e-3) for i in usable]
    )
    slope = 0.0
    if len(usable) > 1:
        slope = float(np.polyfit(position**2, level, 1)[0])
    return LowGain(factor, float(np.mean(level - slope * position**2)), slope)


def gain_quantiles(gain: BandGain, inside: FloatArray) -> DoubleArray:
    """5 %, 50 % and 95 % of the gain inside."""
    values = gain.gain[inside > 0]
    if not values.size:
        return np.zeros(3)
    return np.asarray(np.quantile(values, [0.05, 0.5, 0.95]), dtype=np.float64)


def _mean(values: FloatArray, weight: FloatArray) -> float:
    """Weighted mean; 0 without weight."""
    total = float(weight.sum(dtype=np.float64))
    return float((values * weight).sum(dtype=np.float64)) / total if total > 0 else 0.0
