"""A weight for each band that lets no resolution in that the data do not hold.

A voxel-sharp weight leaks: coarse signal times a sharp weight has fine components, which look like
resolution.  Here a band is weighted by what the coarser bands say about its place, bands that
share no coefficient with it, and the product is cut back to the band.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..maps.grid import DoubleArray, FloatArray
from .local_power import Planes, WholePlanes

Steps = NDArray[np.int16]

FINEST_UNWEIGHTED = 2.0  # times d_min: coarser bands keep weight 1

_LEVELS = 1 << 12  # steps of the score
_SLAB_VOXELS = 1 << 19  # worked on at a time
_SPARSE = 2  # every so many-th voxel stands for the others where powers are averaged
_FEWEST_SIGNAL = 1e-3  # of the noise power: where none is seen
_FEWEST_NOISE = 0.1  # of the typical sd: where the gain, and with it the noise, is 0
_NEIGHBOURS = 0.25  # correlation of the noise of two neighbouring hats
# nodes of the curve over the score: 40 quantiles, closer towards the strongest density
_QUANTILES = np.concatenate([[0.0, 0.02, 0.1, 0.25], 1 - np.geomspace(0.5, 0.001, 36), [1.0]])
# what the curve is like before the band itself has spoken: weak density, weak signal
_PRIOR_FLOOR, _PRIOR_SCORE, _PRIOR_NEGATIVE, _PRIOR_SPREAD = 0.2, 25.0, 0.4, 1.0


@dataclass(frozen=True)
class BandEvidence:
    """What a band's weight is made of.

    Parameters
    ----------
    score : array, shape (nz, ny, nx)
        Scaled map of the coarser bands over the sd of its noise; used up.
    signal, noise : Planes or WholePlanes
        Power of the band's signal and noise, averaged over the window.
    modes_per_voxel : float
        Independent values of the band in a voxel.
    """

    score: FloatArray
    signal: Planes | WholePlanes
    noise: Planes | WholePlanes
    modes_per_voxel: float


def signal_power(observed: FloatArray, noise: FloatArray) -> FloatArray:
    """Signal power of a band: what the noise leaves, never nothing."""
    return np.asarray(np.maximum(observed - noise, np.float32(_FEWEST_SIGNAL) * noise))


def adaptive_weight(evidence: BandEvidence, mean: FloatArray, difference: FloatArray) -> FloatArray:
    """Weight of a band at every voxel.

    Voxels are sorted by their score.  What half map 1 and half map 2 have in common at voxels of
    a like score, relative to the average signal power around them, is the factor r by which the
    signal there is stronger: w = S r / (S r + N).

    Parameters
    ----------
    evidence : BandEvidence
    mean, difference : arrays, shape (nz, ny, nx)
        The band of the average, and half the difference of the halves' bands.

    Returns
    -------
    array
        0 to 1.
    """
    steps, part, scores = _score_steps(evidence.score)
    curve = _signal_curve(steps, scores, _common(steps, mean, difference), evidence)
    rise = np.append(np.diff(curve), np.float32(0))
    for slab in _slabs(steps):
        signal, weight, step = curve[steps[slab]], part[slab], steps[slab]
        weight *= rise[step]
        signal += weight
        signal *= evidence.signal.part(slab)
        np.add(signal, evidence.noise.part(slab), out=weight)
        np.divide(signal, weight, out=signal, where=weight > 0)
        weight[...] = signal
    return np.asarray(part)


def _slabs(steps: Steps) -> list[slice]:
    """Pieces along z of a box that are worked on at a time: a large box has no room for copies."""
    size = max(1, _SLAB_VOXELS // int(np.prod(steps.shape[1:])))
    return [slice(begin, begin + size) for begin in range(0, len(steps), size)]


def _common(steps: Steps, mean: FloatArray, difference: FloatArray) -> DoubleArray:
    """Sum of the product of the halves' bands at each step."""
    total = np.zeros(_LEVELS)
    for slab in _slabs(steps):
        product = mean[slab] * mean[slab]
        product -= difference[slab] * difference[slab]
        total += _sums(steps[slab], product)
    return total


def _score_steps(score: FloatArray) -> tuple[Steps, FloatArray, DoubleArray]:
    """Bin the score between its 1 % and 99.95 % quantiles; return steps, the rest, all scores.

    What is over takes the place of the score: a large box has few arrays to spare.
    """
    sample = np.sort(score.ravel()[::7])
    low = float(sample[int(0.01 * (len(sample) - 1))])
    high = float(sample[int(0.9995 * (len(sample) - 1))])
    width = max(high - low, 1e-12) / (_LEVELS - 1)
    score -= np.float32(low)
    score *= np.float32(1 / width)
    np.clip(score, 0, _LEVELS - 1, out=score)
    steps = score.astype(np.int16)
    score -= steps
    return steps, score, np.asarray(low + width * np.arange(_LEVELS), dtype=np.float64)


def _signal_curve(
    steps: Steps, scores: DoubleArray, common: DoubleArray, evidence: BandEvidence
) -> FloatArray:
    """Compute the factor r at every step of the score.

    At each node of the curve the halves' product is weighed against a general curve, each by
    the inverse of its variance: a band without signal gets the general curve, not its own noise.
    """
    count = np.zeros(_LEVELS, dtype=np.int64)
    for slab in _slabs(steps):
        count += np.bincount(steps[slab].ravel(), minlength=_LEVELS)
    rank = (np.cumsum(count) - 0.5 * count) / max(int(count.sum()), 1)
    place = np.interp(rank, _QUANTILES, np.arange(len(_QUANTILES)))
    voxels = _at_nodes(place, count)
    shared = _at_nodes(place, common) / np.maximum(voxels, 1e-9)
    score = _at_nodes(place, count * scores) / np.maximum(voxels, 1e-9)
    sparse = np.ascontiguousarray(steps[::_SPARSE, ::_SPARSE, ::_SPARSE])
    some = np.maximum(_at_nodes(place, np.bincount(sparse.ravel(), minlength=_LEVELS)), 1e-9)
    signal, noise = (
        _at_nodes(place, _sums(sparse, power.sparse(_SPARSE))) / some
        for power in (evidence.signal, evidence.noise)
    )
    prior = np.square(score) / (np.square(score) + _PRIOR_SCORE)
    prior = _PRIOR_FLOOR + np.where(score > 0, prior, _PRIOR_NEGATIVE * prior)
    modes = np.maximum(voxels * evidence.modes_per_voxel, 1e-9)
    signal = np.maximum(signal, 1e-30)
    variance = (np.square(signal + 2 * noise) + np.square(signal)) / modes / np.square(signal)
    # the gain brings any level back to the reference's: never may the sign of a sum decide that
    # is zero but for noise, so the general curve stays above one standard deviation of that sum
    error = np.sqrt((variance * np.square(signal * voxels)).sum())
    total = max((shared * voxels).sum(), error)
    prior *= total / max((signal * voxels * prior).sum(), 1e-30)
    prior_variance = np.maximum(np.square(_PRIOR_SPREAD * prior), 1e-30)
    factor = (shared / signal * prior_variance + prior * variance) / (prior_variance + variance)
    curve = np.interp(place, np.arange(len(_QUANTILES)), np.maximum(factor, 0))
    return np.asarray(curve, dtype=np.float32)


def _sums(steps: Steps, values: FloatArray) -> DoubleArray:
    """Sum of the values at each step."""
    return np.asarray(np.bincount(steps.ravel(), values.ravel(), _LEVELS), dtype=np.float64)


def _at_nodes(place: DoubleArray, values: NDArray[np.float64 | np.int64]) -> DoubleArray:
    """Values of the steps shared out between the two nodes next to each."""
    left = np.minimum(place.astype(np.intp), len(_QUANTILES) - 2)
    part = place - left
    size = len(_QUANTILES)
    return np.asarray(
        np.bincount(left, values * (1 - part), size) + np.bincount(left + 1, values * part, size),
        dtype=np.float64,
    )


class RunningScale:
    """The scaled map of the coarser bands, and the variance of its noise.

    Parameters
    ----------
    values : array, shape (nz, ny, nx)
        Scaled map of the first bands; taken over, not copied.
    amplitude : array, coarse shape
        Its noise sd.
    """

    def __init__(self, values: FloatArray, amplitude: FloatArray) -> None:
        self.values = values
        self._variance = amplitude * amplitude
        self._last = amplitude

    def add(self, values: FloatArray, amplitude: FloatArray) -> None:
        """Add the scaled next band, whose noise sd is `amplitude`."""
        self.values += values
        shared = np.float32(2 * _NEIGHBOURS) * amplitude * self._last
        self._variance += amplitude * amplitude + shared
        self._last = amplitude

    @property
    def deviation(self) -> FloatArray:
        """Noise sd, coarse shape; never far below its typical value."""
        deviation = np.sqrt(self._variance)
        least = np.float32(_FEWEST_NOISE * float(np.median(deviation)))
        return np.asarray(np.maximum(deviation, least))
