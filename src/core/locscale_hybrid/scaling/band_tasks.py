"""The work on bands: what one band needs, and the tasks that another process can do.

In one process the arrays are in memory and one band is in hand at a time.  For an executor with
several workers they are files in a folder, which every worker maps into its memory; a task reads
its pieces and writes its own slot.  The arithmetic is the same, so are the bytes.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..maps.grid import ComplexArray, FloatArray, Grid
from ..parallel.shared_arrays import save_array, shared_array
from ..parallel.tasks import Executor, Report
from .adaptive_weight import FINEST_UNWEIGHTED, BandEvidence, adaptive_weight, signal_power
from .band_filter import BandFilter
from .gains import BandGain, BandPower, GainRules, Modes, local_gain
from .local_power import LocalAverage

OBSERVED, REFERENCE, NOISE = 0, 1, 2  # rows of the slot "powers"


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
class BandWork:
    """Everything that the tasks on bands read and write.

    Parameters
    ----------
    filter : BandFilter
    options : BandOptions
    inside : array, coarse shape
        Weight of each place in the global curves.
    coefficients : mapping of str to array
        Sorted coefficients of "average", "reference" and, with halves, "difference".
    slots : dict of str to array
        "powers" (n_bands, 3, coarse), "weighted" (n_bands, 2, coarse), and one per band in hand:
        "maps" (wave, 1 or 2, box), "prefix" (wave, box), "deviation" (wave, coarse).  "prefix"
        is lent by who adds up the bands where one is in hand at a time.
    bands : list of int
        The bands in hand: what the tasks 0, 1, ... are about.
    """

    filter: BandFilter
    options: BandOptions
    inside: FloatArray
    coefficients: Mapping[str, ComplexArray]
    slots: dict[str, FloatArray]
    bands: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the coarse grid."""
        self._modes: dict[tuple[int, ...], Modes] = {}
        grid = self.filter.grid
        self.local = LocalAverage(
            grid.shape, grid.voxel_size, self.options.sigma, self.options.block
        )

    @property
    def has_noise(self) -> bool:
        """Whether there are two halves."""
        return "difference" in self.coefficients

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
        powers = self.slots["powers"][band]
        return self._gain(band, powers[OBSERVED], powers[NOISE])

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

    def _gain(self, band: int, observed: FloatArray, noise: FloatArray) -> BandGain:
        """Gain from given powers."""
        reference = np.asarray(self.slots["powers"][band, REFERENCE])
        power = BandPower(
            np.asarray(observed), reference, np.asarray(noise) if self.has_noise else None
        )
        return local_gain(power, self.inside, self.modes(band), self.options.rules)

    def measure(self, band: int, room: FloatArray) -> tuple[FloatArray, FloatArray | None]:
        """Fill in the powers of a band; returns its components, in rows of `room`.

        The reference of a band that is noise alone is not looked at: its gain is 0.
        """
        mean, difference = self.components(band, room)
        powers = self.slots["powers"][band]
        powers[OBSERVED] = self.local.power(mean)
        if difference is not None:
            powers[NOISE] = self.local.power(difference)
        if self.gain(band).weight.any():
            reference = self.filter.component(self.coefficients["reference"], band)
            powers[REFERENCE] = self.local.power(reference)
        return mean, difference

    def is_noise(self, band: int) -> bool:
        """Test whether a measured band shows no signal, as a whole or anywhere."""
        gain = self.gain(band)
        return gain.doubt == 1 and not gain.weight.any()

    def flush(self) -> None:
        """Bring what was written into slots that are files to the disk."""
        for values in self.slots.values():
            if isinstance(values, np.memmap):
                values.flush()

    def save(self, folder: Path) -> None:
        """Write all but the slots."""
        self.filter.save(folder)
        save_array(folder / "inside.npy", self.inside)
        for name, values in self.coefficients.items():
            save_array(folder / f"{name}.npy", values)

    def use_files(self, folder: Path) -> None:
        """Put what `save` wrote in place of the arrays in memory, which the workers share then."""
        self.filter = BandFilter.load(folder, self.filter.grid, self.filter.window)
        self.coefficients = _mapped(folder, self.coefficients)

    def save_plan(self, folder: Path) -> None:
        """Write what the next tasks are about."""
        self.flush()
        grid, options = self.filter.grid, self.options
        plan = {
            "shape": grid.shape,
            "voxel_size": grid.voxel_size,
            "origin": grid.origin,
            "window": options.window,
            "block": options.block,
            "n_low": options.n_low,
            "resolution": options.resolution,
            "adaptive": options.adaptive,
            "scaled": options.scaled,
            "cap": options.rules.cap,
            "noise_weight": options.rules.noise_weight,
            "coefficients": sorted(self.coefficients),
            "slots": sorted(self.slots),
            "bands": self.bands,
        }
        (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "BandWork":
        """Load the work that `save` and `save_plan` wrote; its arrays stay in their files."""
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        grid = Grid(tuple(plan["shape"]), tuple(plan["voxel_size"]), tuple(plan["origin"]))
        rules = GainRules(plan["cap"], plan["noise_weight"])
        options = BandOptions(
            plan["window"],
            plan["block"],
            plan["n_low"],
            plan["resolution"],
            plan["adaptive"],
            rules,
            plan["scaled"],
        )
        coefficients = _mapped(folder, plan["coefficients"])
        slots = {
            name: np.load(folder / f"slot_{name}.npy", mmap_mode="r+") for name in plan["slots"]
        }
        return cls(
            BandFilter.load(folder, grid, options.window),
            options,
            np.load(folder / "inside.npy"),
            coefficients,
            slots,
            plan["bands"],
        )


def _mapped(folder: Path, names: Iterable[str]) -> dict[str, ComplexArray]:
    """Coefficients that lie in files, mapped into memory."""
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}


def scale_band(work: BandWork, slot: int) -> None:
    """Measure the band of a slot and scale it as it is."""
    band, maps = work.bands[slot], np.asarray(work.slots["maps"][slot])
    if not (work.options.scaled or work.options.adaptive):
        work.measure(band, np.empty_like(maps))  # nobody reads the band
        return
    known = bool(work.slots["powers"][band, OBSERVED].any())
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
    observed, _, noise = (np.asarray(row) for row in work.slots["powers"][band])
    deviation = np.asarray(work.slots["deviation"][slot])
    least = np.float32(max(float(deviation.min()), 1e-30))
    score = _spread(work, deviation, least)
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


def _spread(work: BandWork, coarse: FloatArray, least: np.float32) -> FloatArray:
    """Coarse values on the voxels, nowhere below a limit."""
    values = work.local.spread(coarse)
    if values is coarse:  # blocks of one voxel
        values = coarse.copy()
    return np.asarray(np.maximum(values, least, out=values))


def scale_band_task(folder: Path, index: int) -> None:
    """`scale_band` on the work in a folder."""
    work = BandWork.load(folder)
    scale_band(work, index)
    work.flush()


def weigh_band_task(folder: Path, index: int) -> None:
    """`weigh_band` on the work in a folder, for the weighted bands of the plan."""
    work = BandWork.load(folder)
    weigh_band(work, weighted_slots(work)[index])
    work.flush()


def weighted_slots(work: BandWork) -> list[int]:
    """Slots of the bands in hand that get a weight."""
    return [slot for slot, band in enumerate(work.bands) if work.options.is_weighted(band)]


class BandRunner:
    """Runs the tasks on the bands in hand: here and now, or by an executor.

    Parameters
    ----------
    work : BandWork
        With its slots still empty.
    executor : Executor
    folder : Path
        For the files of an executor with several workers.
    wave : int
        Number of bands in hand at a time.
    """

    def __init__(self, work: BandWork, executor: Executor, folder: Path, wave: int) -> None:
        self.work = work
        self.executor = executor
        self.folder = folder
        self.is_local = executor.workers == 1
        self.wave = wave
        if not self.is_local:
            work.save(folder)
            work.use_files(folder)
        self._make_slots()

    def scale(self, bands: list[int], report: Report) -> None:
        """Run `scale_band` on bands."""
        self.work.bands = bands
        self._run(scale_band, scale_band_task, list(range(len(bands))), report)

    def weigh(self, report: Report) -> None:
        """Run `weigh_band` on those bands in hand that get a weight."""
        self._run(weigh_band, weigh_band_task, weighted_slots(self.work), report)

    def _run(
        self,
        function: Callable[[BandWork, int], None],
        task: Callable[[Path, int], None],
        slots: list[int],
        report: Report,
    ) -> None:
        """Run a task for each slot."""
        if not slots:
            return
        if self.is_local:
            for done, slot in enumerate(slots):
                function(self.work, slot)
                report((done + 1) / len(slots))
            return
        self.work.save_plan(self.folder)
        self.executor.map(task, self.folder, len(slots), progress=report)

    def _make_slots(self) -> None:
        """Arrays for the results, in memory or in files."""
        work = self.work
        coarse, box = work.local.coarse_shape, work.filter.grid.shape
        n_maps = 2 if work.has_noise else 1
        shapes: dict[str, tuple[int, ...]] = {
            "powers": (work.filter.n_bands, 3, *coarse),
            "maps": (self.wave, n_maps, *box),
        }
        if work.options.adaptive:
            shapes |= {
                "weighted": (work.filter.n_bands, 2, *coarse),
                "deviation": (self.wave, *coarse),
            }
            if not self.is_local or self.wave > 1:
                shapes["prefix"] = (self.wave, *box)
        for name, shape in shapes.items():
            if self.is_local:
                work.slots[name] = np.zeros(shape, dtype=np.float32)
            else:
                work.slots[name] = shared_array(self.folder / f"slot_{name}.npy", shape)
