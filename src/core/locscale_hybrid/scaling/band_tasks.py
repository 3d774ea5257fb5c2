"""What one band needs, the tasks on bands, and the two ways to run them.

Why a wave: a band of a box is as large as the box, and there are dozens, so that all bands at a time
do not fit into memory, nor into the temporary folder.  A few are in hand at a time, one for each
worker or more; each has a slot for its result, and the slots serve the next wave again.  What all
waves need of a band is small: its local powers, on the coarse grid of blocks.

Why two steps: the weight of a band asks how much the coarser bands show in the same place
(`adaptive_weight`), so that `scale_band` does all that a band needs of itself, at once for the whole
wave, and `weigh_band` follows when `band_sum` has added up what lies below each band.

Why two runners: `LocalBands` keeps arrays in memory, `SharedBands` in files that workers map into
theirs, so that no map is ever sent.  Both call the same functions on the same numbers: the bytes
are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..maps.grid import ComplexArray, FloatArray
from ..parallel.shared_arrays import load_value, save_value, shared_array
from ..parallel.tasks import Executor, Report
from .adaptive_weight import FINEST_UNWEIGHTED, BandEvidence, adaptive_weight, signal_power
from .band_filter import BandFilter
from .gains import BandGain, BandPower, GainRules, Modes, local_gain
from .local_power import LocalAverage

OBSERVED, REFERENCE, NOISE = 0, 1, 2  # rows of the powers of a band
_PLAN, _WAVE = "bands", "wave"  # values in the folder of the tasks


@dataclass(frozen=True)
class BandOptions:
    """What decides how a band is scaled.

    Parameters
    ----------
    window : float
        Å.
    block : int
        Voxels along the edge of a block of the power grid.
    n_low : int
        Bands that are coarser than 12 Å.
    resolution : float
        d_min, Å.
    adaptive : bool
        Whether the bands finer than 2 d_min are weighted.
    rules : GainRules
    scaled : bool
        Whether the maps get the gain; False: powers and weights only, for another estimator.
    """

    window: float
    block: int
    n_low: int
    resolution: float
    adaptive: bool
    rules: GainRules
    scaled: bool = True

    @property
    def sigma(self) -> float:
        """Sigma of the Gaussian with the second moment of the window, Å."""
        return float(self.window / np.sqrt(12))

    def is_weighted(self, band: int) -> bool:
        """Test whether a band gets an adaptive weight."""
        return self.adaptive and self.window < FINEST_UNWEIGHTED * self.resolution * band


@dataclass(eq=False)
class BandPowers:
    """What is known of the bands when they are done: their local powers, and what these say.

    Parameters
    ----------
    filter : BandFilter
    options : BandOptions
    inside : array, coarse shape
        Weight of each place in the global curves.
    has_noise : bool
        Whether there are two halves.
    powers : array, shape (n_bands, 3, coarse)
        Of the average, the reference and half the difference of the halves.
    """

    filter: BandFilter
    options: BandOptions
    inside: FloatArray
    has_noise: bool
    powers: FloatArray

    def __post_init__(self) -> None:
        """Make the coarse grid."""
        self._modes: dict[tuple[int, ...], Modes] = {}
        grid, options = self.filter.grid, self.options
        self.local = LocalAverage(grid.shape, grid.voxel_size, options.sigma, options.block)

    def modes(self, *bands: int) -> Modes:
        """Independent values behind the powers of bands taken together."""
        if bands not in self._modes:
            grid, sigma = self.filter.grid, self.options.sigma
            part = float(self.inside.sum(dtype=np.float64)) / self.inside.size
            volume = part * grid.size * grid.voxel_volume
            self._modes[bands] = Modes(
                sum(self.filter.modes_within(band, sigma) for band in bands),
                sum(self.filter.modes_per_volume(band) for band in bands) * volume,
            )
        return self._modes[bands]

    def gain(self, band: int) -> BandGain:
        """Gain of a band as it is, from its powers."""
        return self._gain(band, self.powers[band, OBSERVED], self.powers[band, NOISE])

    def is_noise(self, band: int) -> bool:
        """Test whether a measured band shows no signal, as a whole or anywhere."""
        gain = self.gain(band)
        return gain.doubt == 1 and not gain.weight.any()

    def _gain(self, band: int, observed: FloatArray, noise: FloatArray) -> BandGain:
        """Gain from given powers."""
        reference = np.asarray(self.powers[band, REFERENCE])
        power = BandPower(
            np.asarray(observed), reference, np.asarray(noise) if self.has_noise else None
        )
        return local_gain(power, self.inside, self.modes(band), self.options.rules)


@dataclass(eq=False)
class BandWork(BandPowers):
    """Everything that the tasks on bands read and write.

    Parameters
    ----------
    coefficients : dict of str to array
        Sorted coefficients of "average", "reference" and, with halves, "difference".
    slots : dict of str to array
        "weighted" (n_bands, 2, coarse), and one per band in hand: "maps" (wave, 1 or 2, box),
        "prefix" (wave, box), "deviation" (wave, coarse).  "prefix" is lent by who adds up the
        bands where one is in hand at a time.
    bands : list of int
        The bands in hand: what the tasks 0, 1, ... are about.
    """

    coefficients: dict[str, ComplexArray]
    slots: dict[str, FloatArray]
    bands: list[int] = field(default_factory=list)

    def measured(self) -> BandPowers:
        """Return what is known of the bands, without the arrays that it took."""
        return BandPowers(self.filter, self.options, self.inside, self.has_noise, self.powers)

    def components(self, band: int, room: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Write a band of the average and of half the difference into rows of `room`."""
        room[0] = self.filter.component(self.coefficients["average"], band)
        if not self.has_noise:
            return room[0], None
        room[1] = self.filter.component(self.coefficients["difference"], band)
        return room[0], room[1]

    def root_components(self, band: int, room: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Write the same of root components."""
        for row, name in zip(room, ("average", "difference"), strict=True):
            row[...] = self.filter.root_component(self.coefficients[name], band)
        return room[0], room[1]

    def weighted_gain(self, band: int) -> BandGain:
        """Gain of a band after its weight.

        The weight favours what looks like signal, so it cannot say whether there is any: where
        that is in doubt, the band must have shown it before.
        """
        observed, noise = self.slots["weighted"][band]
        before, after = self.gain(band), self._gain(band, observed, noise)
        if before.doubt == 0:
            return after
        shown = np.where(before.weight > 0, np.float32(1), np.float32(1 - before.doubt))
        return replace(after, weight=after.weight * shown, doubt=before.doubt)

    def measure(self, band: int, room: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Fill in the powers of a band; returns its components, in rows of `room`.

        The reference of a band that is noise alone is not looked at: its gain is 0.
        """
        mean, difference = self.components(band, room)
        powers = self.powers[band]
        powers[OBSERVED] = self.local.power(mean)
        if difference is not None:
            powers[NOISE] = self.local.power(difference)
        if self.gain(band).weight.any():
            reference = self.filter.component(self.coefficients["reference"], band)
            powers[REFERENCE] = self.local.power(reference)
        return mean, difference


def scale_band(work: BandWork, slot: int) -> None:
    """Measure the band of a slot and scale it as it is."""
    band, maps = work.bands[slot], np.asarray(work.slots["maps"][slot])
    if not (work.options.scaled or work.options.adaptive):
        work.measure(band, np.empty_like(maps))  # nobody reads the band
        return
    known = bool(work.powers[band, OBSERVED].any())
    mean, difference = (work.components if known else work.measure)(band, maps)
    gain = work.gain(band).gain
    if not gain.any():
        maps[:] = 0
        return
    spread = work.local.spread(gain)
    mean *= spread
    if difference is not None and not work.options.is_weighted(band):
        difference *= spread


def weigh_band(work: BandWork, slot: int) -> None:
    """Weight the band of a slot, confine it to its frequencies, and scale it."""
    band, maps = work.bands[slot], np.asarray(work.slots["maps"][slot])
    if work.is_noise(band):
        work.slots["weighted"][band] = 0
        maps[:] = 0
        return
    mean, difference = work.root_components(band, maps)
    weight = adaptive_weight(_evidence(work, slot, difference), mean, difference)
    mean *= weight
    difference *= weight
    del weight
    mean[...] = work.filter.finish(mean, band)
    difference[...] = work.filter.finish(difference, band)
    work.slots["weighted"][band] = work.local.power(mean), work.local.power(difference)
    if work.options.scaled:
        maps *= work.local.spread(work.weighted_gain(band).gain)


def _evidence(work: BandWork, slot: int, difference: FloatArray) -> BandEvidence:
    """Collect what the weight of a band's root component is made of."""
    band = work.bands[slot]
    observed, _, noise = (np.asarray(row) for row in work.powers[band])
    deviation = np.asarray(work.slots["deviation"][slot])
    least = np.float32(max(float(deviation.min()), 1e-30))
    score = work.local.spread_above(deviation, least)
    np.divide(work.slots["prefix"][slot], score, out=score)
    # the powers are the band's, the root component has more of both signal and noise
    level = float(np.square(difference).mean(dtype=np.float64)) / max(float(noise.mean()), 1e-30)
    noise = noise * np.float32(level)
    signal = signal_power(observed * np.float32(level), noise)
    return BandEvidence(
        score,
        work.local.planes(signal, 0.0),
        work.local.planes(noise, 0.0),
        work.filter.modes_per_volume(band) * work.filter.grid.voxel_volume,
    )


def weighted_slots(work: BandWork) -> list[int]:
    """Return the slots of the bands in hand that get a weight."""
    return [slot for slot, band in enumerate(work.bands) if work.options.is_weighted(band)]


@dataclass(frozen=True, eq=False)
class BandPlan:
    """What the tasks on the bands of a box start from; see `BandWork` and `BandPowers`."""

    filter: BandFilter
    options: BandOptions
    inside: FloatArray
    coefficients: dict[str, ComplexArray]

    def work(self, slots: dict[str, FloatArray], bands: tuple[int, ...] = ()) -> BandWork:
        """Return the work with arrays for its results."""
        slots = dict(slots)
        powers = slots.pop("powers")
        has_noise = "difference" in self.coefficients
        plan = (self.filter, self.options, self.inside, has_noise, powers, self.coefficients)
        return BandWork(*plan, slots, list(bands))

    def shapes(self, wave: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays for the results, with `wave` bands in hand."""
        grid, options, coarse = self.filter.grid, self.options, self.inside.shape
        n_maps = 2 if "difference" in self.coefficients else 1
        shapes: dict[str, tuple[int, ...]] = {
            "powers": (self.filter.n_bands, 3, *coarse),
            "maps": (wave, n_maps, *grid.shape),
        }
        if options.adaptive:
            shapes["weighted"] = (self.filter.n_bands, 2, *coarse)
            shapes["deviation"] = (wave, *coarse)
            shapes["prefix"] = (wave, *grid.shape)
        return shapes


class LocalBands:
    """Runs the tasks on the bands in hand one after the other, on arrays in memory.

    Parameters
    ----------
    plan : BandPlan
    wave : int
        Number of bands in hand at a time.
    """

    def __init__(self, plan: BandPlan, wave: int) -> None:
        self.wave = wave
        shapes = plan.shapes(wave)
        if wave == 1:
            shapes.pop("prefix", None)  # the sum itself serves
        self.work = plan.work(
            {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
        )

    def scale(self, bands: list[int], report: Report) -> None:
        """Run `scale_band` on bands."""
        self.work.bands = bands
        self._run(scale_band, list(range(len(bands))), report)

    def weigh(self, report: Report) -> None:
        """Run `weigh_band` on those bands in hand that get a weight."""
        self._run(weigh_band, weighted_slots(self.work), report)

    def _run(
        self, function: Callable[[BandWork, int], None], slots: list[int], report: Report
    ) -> None:
        """Do it for each slot."""
        for done, slot in enumerate(slots):
            function(self.work, slot)
            report((done + 1) / len(slots))


class SharedBands:
    """Has an executor run the tasks on the bands in hand, on arrays in files.

    Parameters
    ----------
    plan : BandPlan
    executor : Executor
    folder : Path
        For the files; every worker must see it.
    wave : int
        Number of bands in hand at a time.
    """

    def __init__(self, plan: BandPlan, executor: Executor, folder: Path, wave: int) -> None:
        self.wave = wave
        self._executor, self._folder = executor, folder
        save_value(folder, _PLAN, plan)
        slots = {
            name: shared_array(_slot(folder, name), shape)
            for name, shape in plan.shapes(wave).items()
        }
        self.work = load_value(BandPlan, folder, _PLAN).work(slots)

    def scale(self, bands: list[int], report: Report) -> None:
        """Run `scale_band` on bands."""
        self.work.bands = bands
        self._run(scale_band_task, len(bands), report)

    def weigh(self, report: Report) -> None:
        """Run `weigh_band` on those bands in hand that get a weight."""
        self._run(weigh_band_task, len(weighted_slots(self.work)), report)

    def _run(self, task: Callable[[Path, int], None], count: int, report: Report) -> None:
        """Have so many tasks done."""
        if count:
            _flush(self.work)
            save_value(self._folder, _WAVE, tuple(self.work.bands))
            self._executor.map(task, self._folder, count, progress=report)


def scale_band_task(folder: Path, index: int) -> None:
    """Run `scale_band` on the work in a folder."""
    work = _work_in(folder)
    scale_band(work, index)
    _flush(work)


def weigh_band_task(folder: Path, index: int) -> None:
    """Run `weigh_band` on the work in a folder, for the weighted bands of the wave."""
    work = _work_in(folder)
    weigh_band(work, weighted_slots(work)[index])
    _flush(work)


def _work_in(folder: Path) -> BandWork:
    """Map the work that `SharedBands` has put into a folder."""
    plan = load_value(BandPlan, folder, _PLAN)
    slots = {name: np.load(_slot(folder, name), mmap_mode="r+") for name in plan.shapes(1)}
    return plan.work(slots, load_value(tuple[int, ...], folder, _WAVE))


def _slot(folder: Path, name: str) -> Path:
    """Return the file of an array for results."""
    return folder / f"slot_{name}.npy"


def _flush(work: BandWork) -> None:
    """Bring what was written into files to the disk."""
    for values in (work.powers, *work.slots.values()):
        if isinstance(values, np.memmap):
            values.flush()
