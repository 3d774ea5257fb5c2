"""Run the bands of a map in order and add them up.

Why in order: a sum of floating-point numbers depends on its order.  Workers may finish the bands of
a wave in any order; their results wait in slots and are added from the coarsest to the finest.

Why a ladder: the weight of band k looks at the scaled map of all coarser bands, but its neighbour
k - 1 shares frequencies with it and would vouch for the noise of band k itself.  So band k gets the
sum up to k - 2, which the ladder keeps, band by band, one step behind the sum that is the result.
"""

from dataclasses import dataclass

import numpy as np

from ..maps.grid import FloatArray
from ..parallel.tasks import Report
from .adaptive_weight import RunningScale
from .band_tasks import NOISE, BandWork, LocalBands, SharedBands, weighted_slots
from .gains import BandGain, BandPower, LowGain, common_share, doubt_of, low_gain, noise_weight

BandRunner = LocalBands | SharedBands
NEXT_BANDS = 3  # bands that the gain of the coarsest is taken from


@dataclass(frozen=True, eq=False)
class BandSum:
    """The scaled bands of a map, added up.

    Parameters
    ----------
    maps : array, shape (1 or 2, nz, ny, nx)
        The scaled average and, with halves, half the difference of the scaled halves.
    gains : dict of int to BandGain
        Of the bands from 12 Å on.
    low : LowGain
        Of the coarser ones.
    """

    maps: FloatArray
    gains: dict[int, BandGain]
    low: LowGain


def sum_bands(runner: BandRunner, report: Report) -> BandSum:
    """Scale every band and add them up, in the order of the bands.

    With ``options.scaled`` False the bands get their weights but no gain.

    Parameters
    ----------
    runner : BandRunner
    report : callable
        Told the fraction done.
    """
    work = runner.work
    bands = list(range(work.options.n_low, work.filter.n_bands))
    total = np.zeros(work.slots["maps"].shape[1:], dtype=np.float32)
    gains: dict[int, BandGain] = {}
    if work.options.adaptive and runner.wave < NEXT_BANDS:
        for band in bands[:NEXT_BANDS]:
            work.measure(band, work.slots["maps"][0])
    ladder = _Ladder(work)
    for begin in range(0, len(bands), runner.wave):
        wave = bands[begin : begin + runner.wave]
        ends = [(begin + part * len(wave)) / len(bands) for part in (0.0, 0.5, 1.0)]
        runner.scale(wave, _part(report, ends[0], ends[1]))
        if work.options.adaptive:
            ladder.climb(wave)
            runner.weigh(_part(report, ends[1], ends[2]))
        weighted = {wave[slot] for slot in weighted_slots(work)}
        for slot, band in enumerate(wave):
            gains[band] = work.weighted_gain(band) if band in weighted else work.gain(band)
            if band in weighted or (work.options.scaled and gains[band].gain.any()):
                total += work.slots["maps"][slot]
    low = coarsest_gain(work)
    if work.options.scaled:
        total += low_maps(work, low, work.options.n_low)
    else:
        total += unscaled_maps(work)
    return BandSum(total, gains, low)


def coarsest_gain(work: BandWork) -> LowGain:
    """Gain of the bands coarser than 12 Å, from the unweighted gains of the next ones."""
    first = work.options.n_low
    bands = list(range(first, min(first + NEXT_BANDS, work.filter.n_bands)))
    return low_gain(bands, [work.gain(band) for band in bands])


def low_maps(work: BandWork, low: LowGain, n_low: int) -> FloatArray:
    """Scale the coarsest bands: of the average and of half the difference."""
    curve = low.curve(work.filter.position[work.filter.low_piece(n_low)])
    names = ["average", "difference"] if work.has_noise else ["average"]
    maps = np.empty((len(names), *work.filter.grid.shape), dtype=np.float32)
    for values, name in zip(maps, names, strict=True):
        values[...] = work.filter.low_component(work.coefficients[name], n_low, curve)
    gain = low.factor
    if work.has_noise and work.options.rules.noise_weight:
        observed, noise = (work.local.power(values) for values in maps)
        power, modes = BandPower(observed, observed, noise), work.modes(*range(n_low))
        common = common_share(power, work.inside)
        squared = noise_weight(power, common, modes, doubt_of(common, modes))
        gain = gain * np.sqrt(squared)
    maps *= work.local.spread(gain)
    return maps


def unscaled_maps(work: BandWork) -> FloatArray:
    """Sum the bands that get no weight, without gain."""
    bands = range(work.options.n_low, work.filter.n_bands)
    first = next((band for band in bands if work.options.is_weighted(band)), work.filter.n_bands)
    curve = np.ones(1, dtype=np.float32)
    names = ["average", "difference"] if work.has_noise else ["average"]
    return np.stack(
        [work.filter.low_component(work.coefficients[name], first, curve) for name in names]
    )


class _Ladder:
    """Gives every weighted band the scaled map of the bands that share nothing with it."""

    def __init__(self, work: BandWork) -> None:
        self._work = work
        self._running: RunningScale | None = None
        self._waiting: list[tuple[int, FloatArray, FloatArray]] = []
        self._lends = "prefix" not in work.slots  # with one band in hand the sum itself serves

    def climb(self, wave: list[int]) -> None:
        """Fill in "prefix" and "deviation" for the weighted bands of a wave."""
        work = self._work
        if self._running is None:
            self._running = self._first(work.options.n_low)
        for slot, band in enumerate(wave):
            self._add_up_to(band - 2)
            if work.options.is_weighted(band):
                self._hand_over(slot, band)
            if band + 2 < work.filter.n_bands:
                noise = np.sqrt(work.powers[band, NOISE])
                self._waiting.append(
                    (band, work.slots["maps"][slot, 0], work.gain(band).gain * noise)
                )
        # what waits longer than the wave must outlive its slot
        self._waiting = [
            (band, values if values.base is None else values.copy(), amplitude)
            for band, values, amplitude in self._waiting
        ]

    def _first(self, n_low: int) -> RunningScale:
        """Make the scaled map of the `n_low` coarsest bands."""
        values, difference = low_maps(self._work, coarsest_gain(self._work), n_low)
        amplitude = np.sqrt(self._work.local.power(difference))
        return RunningScale(values.copy(), amplitude)  # a view would keep both maps

    def _add_up_to(self, last: int) -> None:
        """Add the waiting bands up to one."""
        assert self._running is not None
        while self._waiting and self._waiting[0][0] <= last:
            _, values, amplitude = self._waiting.pop(0)
            self._running.add(values, amplitude)

    def _hand_over(self, slot: int, band: int) -> None:
        """Write what a weighted band needs."""
        assert self._running is not None
        n_low = self._work.options.n_low
        # the coarsest bands as one reach into band n_low
        running = self._running if band > n_low else self._first(n_low - 1)
        slots = self._work.slots
        if self._lends:
            slots["prefix"] = running.values[None]
        else:
            slots["prefix"][slot] = running.values
        slots["deviation"][slot] = running.deviation


def _part(report: Report, begin: float, end: float) -> Report:
    """Map 0..1 of a step onto begin..end."""
    return lambda fraction: report(begin + (end - begin) * fraction)
