"""How well a refined model agrees with the maps, those that it was not refined on above all."""

from dataclasses import dataclass, replace

from ..findings import Finding
from ..fourier.fsc import FscCurve, fourier_shell_correlation
from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, DoubleArray, Map
from ..remedies import do, give
from ..scattering.scatterers import Scatterers
from .likelihood import RefinementData, evaluate, weighted_correlation

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
    alone : (float, float), optional
        The same two of the model without its pseudo-atoms, where it has some and the two figures
        differ as much as `overfitting` says.
    """

    average: FscCurve
    half_1: FscCurve | None
    half_2: FscCurve | None
    work: float | None
    free: float | None
    alone: tuple[float, float] | None = None


def model_fsc(data: RefinementData, scatterers: Scatterers, b_iso: DoubleArray) -> ModelFsc:
    """FSC of a model with the average and the half maps, over all shells.

    For work and free figures the pseudo-atoms and B must come from half map 1 alone.
    """
    maps, band = data.observed, data.band
    space = FourierSpace(maps.average.grid)
    model = scatterers.structure_factors(b_iso, space)

    def curve_with(volume: Map) -> FscCurve:
        """Compute the curve of one map, whose coefficients are made for it alone."""
        return fourier_shell_correlation(space, model, space.forward(volume.values))

    average = curve_with(maps.average)
    if maps.half_1 is None or maps.half_2 is None:
        return ModelFsc(average, None, None, None, None)
    half_1, half_2 = curve_with(maps.half_1), curve_with(maps.half_2)
    work, free = (
        weighted_correlation(band, band.curve(curve.correlation)) for curve in (half_1, half_2)
    )
    return ModelFsc(average, half_1, half_2, work, free)


def with_model_alone(
    fsc: ModelFsc,
    data: RefinementData,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
) -> ModelFsc:
    """Add the figures that show what fits noise, where something does."""
    if not _is_overfitted(fsc.work, fsc.free) or not 0 < is_pseudo.sum() < len(is_pseudo):
        return fsc
    model = scatterers.coefficients(b_iso, data.band, ~is_pseudo)
    work, free = (
        weighted_correlation(data.band, evaluate(half, model).correlation)
        for half in (data.with_half(1), data.with_half(2))
    )
    return replace(fsc, alone=(work, free))


def _is_overfitted(work: float | None, free: float | None) -> bool:
    """Test whether half map 2 is explained much worse than half map 1."""
    return work is not None and free is not None and free < _LEAST_FREE * work


def overfitting(fsc: ModelFsc) -> Finding | None:
    """Say that a model refined on half map 1 explains half map 2 much worse, or better."""
    if fsc.work is None or fsc.free is None:
        return None
    if fsc.free > fsc.work + _MOST_FREE:
        return Finding(
            "free-above-work",
            "warning",
            f"the hybrid model, refined on half map 1 alone, fits half map 2 better: mean FSC "
            f"{fsc.free:.3f}, and {fsc.work:.3f} with half map 1; so half map 2 is less noisy, as "
            "a full or a sharpened map is, and validates nothing",
            {"fsc_work": fsc.work, "fsc_free": fsc.free},
            (give("half_maps", "the two half maps of one reconstruction"),),
        )
    if not _is_overfitted(fsc.work, fsc.free):
        return None
    text = (
        f"the hybrid model fits half map 1, which it was refined on, with a mean FSC of "
        f"{fsc.work:.3f} and half map 2 with {fsc.free:.3f}"
    )
    values = {"fsc_work": fsc.work, "fsc_free": fsc.free}
    if fsc.alone is None:
        return Finding(
            "overfitting",
            "warning",
            f"{text}: B factors or pseudo-atoms fit noise of half map 1",
            values,
            (do("check that both half maps are of one reconstruction"),),
        )
    work, free = fsc.alone
    values |= {"fsc_work_model": work, "fsc_free_model": free}
    text += f". The model without pseudo-atoms fits them with {work:.3f} and {free:.3f}"
    if _is_overfitted(work, free):
        return Finding(
            "overfitting",
            "warning",
            f"{text}, so half map 2 agrees less with it too",
            values,
            (
                do(
                    "check that both half maps are of one reconstruction, and that half map 2 is not "
                    "noisier"
                ),
            ),
        )
    return Finding(
        "overfitting",
        "warning",
        f"{text}, so it is the pseudo-atoms that fit noise",
        values,
        (give("mask", "a mask of the particle alone"), give("model", "a more complete model")),
    )
