"""How well a refined model agrees with the maps, those that it was not refined on above all."""

from dataclasses import dataclass

from .density import Scatterers
from .findings import Finding
from .fourier import FourierSpace
from .fsc import FscCurve, fourier_shell_correlation
from .likelihood import RefinementData, weighted_correlation
from .maps import DoubleArray, Map

_LEAST_FREE = 2 / 3  # of the mean work FSC
_MOST_FREE = 0.01  # over the mean work FSC: half map 2 is noisier than a model that has seen half 1


@dataclass(frozen=True)
class ModelFsc:
    """FSC of a model with the maps.

    Parameters
    ----------
    average : FscCurve
    half_1, half_2 : FscCurve or None
        None without half maps.
    work, free : float or None
        Mean of the halves' curves, 12 Å to d_min, every coefficient counting once.
    """

    average: FscCurve
    half_1: FscCurve | None
    half_2: FscCurve | None
    work: float | None
    free: float | None


def model_fsc(data: RefinementData, scatterers: Scatterers, b_iso: DoubleArray) -> ModelFsc:
    """FSC of a model with the average and the half maps, over all shells.

    For work and free figures the pseudo-atoms and B must come from half map 1 alone.
    """
    maps, band = data.observed, data.band
    space = FourierSpace(maps.average.grid)
    model = scatterers.structure_factors(b_iso, space)

    def curve_with(volume: Map) -> FscCurve:
        """The curve of one map, whose coefficients are made for it alone."""
        return fourier_shell_correlation(space, model, space.forward(volume.values))

    average = curve_with(maps.average)
    if maps.half_1 is None or maps.half_2 is None:
        return ModelFsc(average, None, None, None, None)
    half_1, half_2 = curve_with(maps.half_1), curve_with(maps.half_2)
    work, free = (weighted_correlation(band, band.curve(curve.correlation))
                  for curve in (half_1, half_2))
    return ModelFsc(average, half_1, half_2, work, free)


def overfitting(fsc: ModelFsc) -> Finding | None:
    """Say that a model refined on half map 1 explains half map 2 much worse, or better."""
    if fsc.work is None or fsc.free is None:
        return None
    if fsc.free > fsc.work + _MOST_FREE:
        return Finding(
            "free-above-work", "warning",
            f"the hybrid model, refined on half map 1 alone, fits half map 2 better: mean FSC "
            f"{fsc.free:.3f}, and {fsc.work:.3f} with half map 1; so half map 2 is less noisy, as "
            "a full or a sharpened map is, and validates nothing: give the two half maps of one "
            "reconstruction", {"fsc_work": fsc.work, "fsc_free": fsc.free})
    if fsc.free >= _LEAST_FREE * fsc.work:
        return None
    return Finding(
        "overfitting", "warning",
        f"the hybrid model fits half map 1, which it was refined on, with a mean FSC of "
        f"{fsc.work:.3f} and half map 2 with {fsc.free:.3f}; trust the pseudo-atoms less, or give "
        "a lower resolution", {"fsc_work": fsc.work, "fsc_free": fsc.free})
