"""Whether two half maps have noise of their own, as halves that nobody processed do.

Correlation of the halves says nothing of it: a full map given as a half, or halves that were both
filtered, correlate better than they should, or as before.
"""

from dataclasses import dataclass

import numpy as np

from ..findings import Finding
from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, ComplexArray, DoubleArray

FINE = 6.0  # Å, what is finer is looked at in the solvent
_TAIL = 3  # shells before Nyquist
_TAIL_FSC = 0.3  # above it there, the resolution is no answer of the halves
_SHARED = 0.3  # correlation of solvent; halves have 0, a half and the full map 0.71
_BLANK = 0.01  # of the sd of the box: what rounding leaves in the corners of a masked map
_UNLIKE = 1.6  # by which the ratio of the halves' powers may change with resolution
_COARSE = 10.0  # Å, powers are compared from here on: coarser shells of small boxes are few
_MIDDLE = (12.0, 5.0)  # Å, where noise is as strong as it gets
_FADED = 3e-3  # of that: no reconstruction has so little anywhere
_SLOPE_TO = 0.05  # of that, down to where the width of a filter is read
_EMPTY = 1e-6  # of the strongest shell: rounding


@dataclass(frozen=True, eq=False)
class HalfNoise:
    """What tells the noise of two halves.

    Parameters
    ----------
    frequency : array, shape (n_shells,)
        1/Å.
    first, second : array, shape (n_shells,)
        Mean power of the halves.
    noise : array, shape (n_shells,)
        That of half their difference.
    tail : float
        FSC in the last shells before Nyquist.
    shared : float or None
        Correlation of the halves in the solvent, finer than 6 Å; None where the FSC does not ask
        for it or the solvent is blank.
    """

    frequency: DoubleArray
    first: DoubleArray
    second: DoubleArray
    noise: DoubleArray
    tail: float
    shared: float | None


def noise_of_halves(
    space: FourierSpace,
    halves: tuple[ComplexArray, ComplexArray],
    powers: tuple[DoubleArray, DoubleArray],
    fsc: DoubleArray,
    solvent: BoolArray,
) -> HalfNoise:
    """Measure the noise of two halves.

    Parameters
    ----------
    space : FourierSpace
    halves : two arrays
        Coefficients.
    powers : two arrays, shape (n_shells,)
        Their sums of |F|^2, from `FourierSpace.power`.
    fsc : array, shape (n_shells,)
        Their correlation.
    solvent : bool array, shape (nz, ny, nx)
    """
    first, second = (power / np.maximum(space.count, 1) for power in powers)
    noise = np.maximum((first + second) / 4 - fsc * np.sqrt(first * second) / 2, 0)
    tail = float(fsc[-_TAIL:].mean())
    return HalfNoise(
        space.frequency,
        first,
        second,
        noise,
        tail,
        _shared(space, *halves, solvent) if tail > _TAIL_FSC else None,
    )


def _shared(
    space: FourierSpace, first: ComplexArray, second: ComplexArray, solvent: BoolArray
) -> float | None:
    """Correlation of fine detail in the solvent."""
    finest = max(1 / FINE, 0.5 * float(space.frequency[-1]))
    fine = []
    for half in (first, second):
        values = space.backward(half)
        if float(values[solvent].std()) < _BLANK * float(values.std()):
            return None
        values = space.backward(half * (space.s_squared > finest**2))
        fine.append(values[solvent].astype(np.float64))
    return float(np.corrcoef(fine[0], fine[1])[0, 1])


def noise_findings(names: tuple[str, str], found: HalfNoise) -> list[Finding]:
    """Report what the user must know about it.

    Parameters
    ----------
    names : (str, str)
        Of the half maps.
    found : HalfNoise
    """
    if found.shared is not None and found.shared > _SHARED:
        return [_dependent(names, found.shared, found.tail)]
    return [*_at_nyquist(names, found), *_unlike(names, found), *_faded(names, found)]


def _dependent(names: tuple[str, str], shared: float, tail: float) -> Finding:
    """Noise in common."""
    return Finding(
        "halves-dependent",
        "warning",
        f"{names[0]} and {names[1]} share their noise: their fine detail in the solvent correlates "
        f"by {shared:.2f}, that of two half maps by 0. The resolution and the validation mean "
        "nothing. One of them may be the full map: give the two half maps",
        {"correlation": shared, "fsc_at_nyquist": tail},
    )


def _at_nyquist(names: tuple[str, str], found: HalfNoise) -> list[Finding]:
    """Report an FSC that does not fall."""
    if found.tail <= _TAIL_FSC:
        return []
    finest = 1 / float(found.frequency[-1])
    return [
        Finding(
            "fsc-at-nyquist",
            "note",
            f"the FSC of {names[0]} and {names[1]} is still {found.tail:.2f} at {finest:.2f} Å, the "
            "finest that their voxels show, so the data may go further; give half maps with smaller "
            "voxels if you have them",
            {"fsc": found.tail, "nyquist_angstrom": finest},
        )
    ]


def _unlike(names: tuple[str, str], found: HalfNoise) -> list[Finding]:
    """Halves of which one was filtered or sharpened."""
    weaker = np.minimum(found.first, found.second)
    used = (found.frequency > 1 / _COARSE) & (weaker > _EMPTY * weaker.max())
    if np.count_nonzero(used) < 2 * _TAIL:
        return []
    ratio = np.log(found.first[used] / found.second[used])
    low, high = np.percentile(ratio, (5, 95))
    factor = float(np.exp(high - low))
    if factor < _UNLIKE:
        return []
    return [
        Finding(
            "halves-unlike",
            "warning",
            f"{names[0]} and {names[1]} were not treated alike: the ratio of their powers changes by "
            f"a factor of {factor:.3g} between {_COARSE:g} Å and Nyquist, and that of two half maps "
            "does not; give both as the reconstruction wrote them",
            {"factor": factor},
        )
    ]


def _faded(names: tuple[str, str], found: HalfNoise) -> list[Finding]:
    """Halves that were both filtered, softly."""
    frequency = np.convolve(found.frequency, np.full(_TAIL, 1 / _TAIL), "valid")
    noise = np.convolve(found.noise, np.full(_TAIL, 1 / _TAIL), "valid")
    middle = (frequency > 1 / _MIDDLE[0]) & (frequency < 1 / _MIDDLE[1])
    fine = frequency >= 1 / _MIDDLE[1]
    if not middle.any() or not fine.any():
        return []
    begin, end = float(noise[middle].max()), float(noise[fine].min())
    if not 0 < end < _FADED * begin:
        return []
    falling = (frequency > 1 / _MIDDLE[0]) & (noise > _SLOPE_TO * begin)
    if np.count_nonzero(falling) < 2:
        return []
    slope = float(np.polyfit(frequency[falling] ** 2, np.log(noise[falling]), 1)[0])
    sigma = float(np.sqrt(max(-slope, 0))) / (2 * np.pi)
    where = 1 / float(frequency[fine][np.argmin(noise[fine])])
    return [
        Finding(
            "filtered-input",
            "warning",
            f"{names[0]} and {names[1]} look low-pass filtered: their noise falls by a factor of "
            f"{begin / end:.0f} between {_MIDDLE[0]:g} and {where:.1f} Å, as after a Gaussian of "
            f"{sigma:.1f} Å; give unfiltered half maps",
            {"sigma_angstrom": sigma, "fall": begin / end},
        )
    ]
