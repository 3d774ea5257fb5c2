"""Whether maps were filtered, sharpened or masked, and whether two are halves of one data set.

Functions on curves and arrays give numbers; `check_quality` turns them into findings.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..fourier.fsc import FscCurve
from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, IntArray
from ..remedies import do, give, invert
from .half_alignment import (
    AGREE_BAND,
    RELATED,
    Alignment,
    agreement,
    align_halves,
    alignment_findings,
)
from .half_maps import ObservedMaps, solvent_of
from .half_noise import HalfNoise, noise_findings, noise_of_halves
from .outer_mask import OuterMask, outer_mask

SHARPENED_BELOW = 25.0  # Å^2, Wilson B; maps as reconstructed have 60 to 200
WILSON_FROM = 10.0  # Å, coarse end of the Wilson plot
WILSON_FINEST = 4.5  # Å, no slope is read from maps of poorer resolution
FILTER_DROP = 1e3  # fall of the power within 3 shells that only a filter makes
EMPTY_TAIL = 1e-5  # power at Nyquist over that at 5 to 10 Å, below any noise floor
EDGE_DROP = 20.0  # fall within 3 shells where such an empty tail begins; else below 5
MASKED_SHARE = 0.02  # of the box at one value
_STEP = 3  # shells
_COARSE = 8.0  # Å, no edge of a filter is looked for coarser than this
_OPPOSED = -0.3


@dataclass(frozen=True, eq=False)
class Spectra:
    """Power in shells.

    Parameters
    ----------
    frequency : array, shape (n_shells,)
        1/Å.
    power : array
        Mean |F|^2 of the average.
    signal : array
        Mean Re(F1 F2*) where there are halves, else the power: what holds no noise.
    fsc : array, optional
        Correlation of the halves, where they are real ones.
    alignment : Alignment, optional
        How real halves lie to each other.
    noise : HalfNoise, optional
        What tells whether their noise is their own.
    """

    frequency: DoubleArray
    power: DoubleArray
    signal: DoubleArray
    fsc: DoubleArray | None
    alignment: Alignment | None = None
    noise: HalfNoise | None = None

    @property
    def resolution(self) -> float | None:
        """Å, where the FSC of real halves crosses 0.143; None without halves or a crossing."""
        if self.fsc is None:
            return None
        crossing = FscCurve(self.frequency, self.fsc).resolution()
        return crossing if np.isfinite(crossing) else None


def spectra_of(observed: ObservedMaps, space: FourierSpace, average: ComplexArray) -> Spectra:
    """Power of the average, and what the halves share."""
    power = space.power(average) / np.maximum(space.count, 1)
    if observed.half_1 is None or observed.half_2 is None:
        return Spectra(space.frequency, power, power, None)
    first, second = (space.forward(half.values) for half in (observed.half_1, observed.half_2))
    shared = space.cross_power(first, second)
    powers = space.power(first), space.power(second)
    norm = np.sqrt(powers[0] * powers[1])
    fsc = np.divide(shared, norm, out=np.zeros_like(shared), where=norm > 0)
    signal = shared / np.maximum(space.count, 1)
    if observed.kind != "halves":
        return Spectra(space.frequency, power, signal, None)
    return Spectra(
        space.frequency,
        power,
        signal,
        fsc,
        align_halves(space, first, second),
        noise_of_halves(
            space, (first, second), powers, fsc, solvent_of(space.shape, observed.outer)
        ),
    )


def check_quality(
    observed: ObservedMaps, spectra: Spectra, *, resolution: float | None = None
) -> list[Finding]:
    """Check the maps as they are.

    Parameters
    ----------
    observed : ObservedMaps
    spectra : Spectra
        Of the same maps.
    resolution : float, optional
        Å, where it is known; else the FSC of the halves, or the edge of a filter, is taken.

    Raises
    ------
    InputError
        If one half map is the negative of the other.
    """
    name = observed.average.name
    edge = filter_edge(spectra.frequency, spectra.power)
    findings = [*_masked(observed), *_filtered(name, edge)]
    findings += _sharpened(name, spectra, edge, resolution)
    if spectra.fsc is not None:
        findings += _halves(observed, spectra, spectra.fsc)
    said = {finding.code for finding in findings}
    return findings + [
        finding for finding in _own_noise(observed, spectra) if finding.code not in said
    ]


def steepest_fall(frequency: DoubleArray, power: DoubleArray, drop: float) -> float | None:
    """Frequency from which the power first falls by `drop` within 3 shells; None if it never does.

    Only frequencies beyond 1/8 Å are looked at: coarser, shells of a small box differ as much.
    """
    before, after = power[:-_STEP], power[_STEP:]
    steep = (before > 0) & (before > drop * after) & (frequency[:-_STEP] > 1 / _COARSE)
    places = np.flatnonzero(steep)
    return float(frequency[places[0]]) if places.size else None


def filter_edge(frequency: DoubleArray, power: DoubleArray) -> float | None:
    """Frequency beyond which a low-pass filter has taken signal and noise; None without one.

    A sharp filter is a 1000-fold fall within 3 shells; a soft one, or one blurred by a mask,
    leaves a tail that lies below any noise floor.
    """
    cliff = steepest_fall(frequency, power, FILTER_DROP)
    if cliff is not None:
        return cliff
    coarse = power[(frequency > 1 / WILSON_FROM) & (frequency < 1 / 5)]
    if coarse.size and power[-_STEP:].max() < EMPTY_TAIL * coarse.max():
        return steepest_fall(frequency, power, EDGE_DROP)
    return None


def wilson_b(frequency: DoubleArray, power: DoubleArray, resolution: float) -> float | None:
    """B in Å^2 from the slope of ln amplitude on s^2, 10 Å to `resolution`; None if too short.

    Parameters
    ----------
    frequency : array, shape (n_shells,)
        1/Å.
    power : array, shape (n_shells,)
        Free of noise where it can be.
    resolution : float
        Å.
    """
    inside = (frequency > 1 / WILSON_FROM) & (frequency < 1 / resolution) & (power > 0)
    if np.count_nonzero(inside) < 5:
        return None
    slope = np.polyfit(frequency[inside] ** 2, 0.5 * np.log(power[inside]), 1)[0]
    return float(-4.0 * slope)


def fsc_return(frequency: DoubleArray, fsc: DoubleArray) -> float | None:
    """Frequency at which the FSC is above 0.9 again for 3 shells after 3 shells below 0.5."""
    low = _runs_of_three(fsc < 0.5)
    if not low.size:
        return None
    high = _runs_of_three(fsc > 0.9)
    back = high[high > low[0]]
    return float(frequency[back[0]]) if back.size else None


def _runs_of_three(flags: BoolArray) -> IntArray:
    """Mark where three flags in a row are set, the origin left out."""
    return np.asarray(np.flatnonzero(flags[1:-2] & flags[2:-1] & flags[3:]) + 1, dtype=np.intp)


def _masked(observed: ObservedMaps) -> list[Finding]:
    """Zero-variance solvent: outside a wide mask, as programs leave it, or a tight one."""
    name, outer = _outer(observed)
    if outer is None or outer.blank < MASKED_SHARE:
        return []
    blank, solvent = 100 * outer.blank, 100 * outer.solvent_share
    values = {"box_percent": blank, "solvent_percent": solvent}
    if outer.has_solvent:
        return [
            Finding(
                "spherical-mask",
                "note",
                f"{name} is blank outside a wide mask: {blank:.0f} % of its voxels have one value. "
                "The noise is measured in the solvent inside the mask",
                values,
            )
        ]
    return [
        Finding(
            "masked-input",
            "warning",
            f"{name} looks masked: {blank:.0f} % of its voxels have one value, and there is too "
            "little solvent inside the mask to measure noise in",
            values,
            (give("half_maps", "the unmasked half maps"), give("mask", "your own mask")),
        )
    ]


def _outer(observed: ObservedMaps) -> tuple[str, OuterMask | None]:
    """Find the mask of the maps, or of one of two half maps, and the name of that map."""
    halves = [half for half in (observed.half_1, observed.half_2) if half is not None]
    if observed.kind != "halves":
        return observed.average.name, observed.outer
    if observed.outer is not None:
        return halves[0].name, observed.outer
    found = [(half.name, outer_mask(half.values, half.grid)) for half in halves]
    return max(found, key=lambda pair: 0.0 if pair[1] is None else pair[1].blank)


def _filtered(name: str, edge: float | None) -> list[Finding]:
    """Report a low-pass filter."""
    if edge is None:
        return []
    return [
        Finding(
            "filtered-input",
            "warning",
            f"{name} looks low-pass filtered: beyond about {1 / edge:.1f} Å its power falls away, "
            "signal and noise alike; give unfiltered half maps",
            {"edge_angstrom": 1 / edge},
        )
    ]


def _sharpened(
    name: str, spectra: Spectra, edge: float | None, resolution: float | None
) -> list[Finding]:
    """Report a Wilson plot that is flatter than that of any map as reconstructed."""
    ends = [
        resolution if resolution is not None else spectra.resolution,
        1 / edge if edge is not None else None,
    ]
    known = [end for end in ends if end is not None]
    return sharpened(name, spectra.frequency, spectra.signal, max(known)) if known else []


def sharpened(
    name: str, frequency: DoubleArray, signal: DoubleArray, resolution: float
) -> list[Finding]:
    """Test whether amplitudes fall less than those of any map as reconstructed.

    Parameters
    ----------
    name : str
        Of the map.
    frequency : array, shape (n_shells,)
        1/Å.
    signal : array, shape (n_shells,)
        Power, free of noise where it can be.
    resolution : float
        Å.
    """
    if resolution > WILSON_FINEST:
        return []
    b = wilson_b(frequency, signal, resolution)
    if b is None or b >= SHARPENED_BELOW:
        return []
    return [
        Finding(
            "sharpened-input",
            "warning",
            f"{name} looks sharpened: its Wilson B is {b:.0f} Å² between {WILSON_FROM:g} and "
            f"{resolution:.1f} Å, and most maps as reconstructed have 60 to 200",
            {"wilson_b": b, "resolution_angstrom": resolution},
            (give("half_maps", "unsharpened half maps"),),
        )
    ]


def _own_noise(observed: ObservedMaps, spectra: Spectra) -> list[Finding]:
    """Check whether the noise of the halves is their own, and as it was."""
    if spectra.noise is None or observed.half_1 is None or observed.half_2 is None:
        return []
    return noise_findings((observed.half_1.name, observed.half_2.name), spectra.noise)


def _halves(observed: ObservedMaps, spectra: Spectra, fsc: DoubleArray) -> list[Finding]:
    """Check whether the halves agree at low resolution, and only there."""
    assert observed.half_1 is not None and observed.half_2 is not None
    first, second = observed.half_1.name, observed.half_2.name
    frequency, findings = spectra.frequency, []
    if spectra.alignment is not None:
        findings = alignment_findings((first, second), observed.average.grid, spectra.alignment)
    band = f"between {AGREE_BAND[0]:g} and {AGREE_BAND[1]:g} Å"
    shared = agreement(frequency, fsc)
    if shared < _OPPOSED:
        raise InputError(
            f"{first} and {second} are opposed: their FSC {band} is {shared:.2f}, "
            "so one has its contrast inverted",
            invert("one_half"),
        )
    if shared < RELATED and not findings:
        findings.append(
            Finding(
                "halves-unrelated",
                "warning",
                f"{first} and {second} share little: their FSC {band} is {shared:.2f}, and that "
                "of most half maps is above 0.9",
                {"fsc": shared},
                (do("check that both are of one reconstruction and in one orientation"),),
            )
        )
    back = fsc_return(frequency, fsc)
    if back is not None:
        findings.append(
            Finding(
                "fsc-returns",
                "warning",
                f"the FSC of {first} and {second} falls and is above 0.9 again at {1 / back:.1f} Å: "
                "the halves share a mask, a filter or an interpolation",
                {"return_angstrom": 1 / back},
                (give("half_maps", "both as the reconstruction wrote them"),),
            )
        )
    return findings
