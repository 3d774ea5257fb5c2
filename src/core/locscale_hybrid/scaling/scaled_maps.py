"""What local scaling hands on: the maps, and what to say about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..findings import Finding
from ..maps.grid import BoolArray, FloatArray, Map
from .band_tasks import NOISE, OBSERVED, BandPowers
from .gains import BandGain, BandPower, common_share, gain_quantiles, noise_weight

RESOLVED = 0.25  # C_ref^2 at the local resolution: FSC of the halves 0.143


@dataclass(frozen=True)
class BandReport:
    """Gain of one band, or shell of windows, inside the mask.

    Parameters
    ----------
    resolution : float
        Å, middle of the band.
    median, low, high : float
        Median, 5 % and 95 % of the local gain.
    global_gain : float
        Gain of the whole, without noise weight.
    noise_weight : float
        C_k of the whole; 1 without noise weight.
    """

    resolution: float
    median: float
    low: float
    high: float
    global_gain: float
    noise_weight: float


@dataclass(frozen=True, eq=False)
class ScaledMaps:
    """Result of local scaling, on the grid of the observed map.

    Parameters
    ----------
    output : Map
        For looking: weighted, amplitudes restored.
    linear : Map
        For measuring and deposition: no voxel-sharp weight.
    difference : Map, optional
        Half the difference of the half maps with the gains and weights of the linear map.
    weight : Map
        What the output was multiplied by, 0 to 1.
    policy : str
        Weight policy that was used.
    label : str
        At most 80 characters for the label of a map file.
    statement : str
        What the weight does and what it may invent.
    bands : tuple of BandReport
        From 12 Å on.
    silent : array of bool
        Voxels of the mask where the reference has nothing, scaled by the global gain.
    silent_share : float
        Share of the mask's voxels.
    volumes : mapping of str to Map
        On request: "gain_8.3A" (local gain) and "resolution" (local resolution, Å).
    findings : tuple of Finding
    """

    output: Map
    linear: Map
    difference: Map | None
    weight: Map
    policy: str
    label: str
    statement: str
    bands: tuple[BandReport, ...]
    silent: BoolArray
    silent_share: float
    volumes: Mapping[str, Map] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def check(self) -> None:
        """Hold the maps to one grid; ValueError where they are on several."""
        maps = [
            self.linear,
            self.weight,
            *self.volumes.values(),
            *([] if self.difference is None else [self.difference]),
        ]
        if any(volume.grid != self.output.grid for volume in maps) or (
            self.silent.shape != self.output.grid.shape
        ):
            raise ValueError("its maps are not on one grid")

    @property
    def half_1(self) -> Map | None:
        """Half map 1 with the gains and weights of the linear map, made when asked for."""
        if self.difference is None:
            return None
        return self.linear.with_values(self.linear.values + self.difference.values)

    @property
    def half_2(self) -> Map | None:
        """Half map 2, likewise."""
        if self.difference is None:
            return None
        return self.linear.with_values(self.linear.values - self.difference.values)


def band_reports(
    gains: Mapping[int, BandGain], window: float, inside: FloatArray
) -> tuple[BandReport, ...]:
    """Write one line per band.

    Parameters
    ----------
    gains : mapping of int to BandGain
    window : float
        Å.
    inside : array
        Weight of the places of a gain; what is 0 does not count.
    """
    reports = []
    for band, gain in sorted(gains.items()):
        low, median, high = (float(value) for value in gain_quantiles(gain, inside))
        reports.append(
            BandReport(window / band, median, low, high, gain.global_ratio, gain.global_weight)
        )
    return tuple(reports)


def shown_bands(gains: Mapping[int, BandGain], window: float, resolution: float) -> list[int]:
    """Choose three bands for local-gain maps: the coarsest, d_min, and between them."""
    first = min(gains)
    last = min(max(round(window / resolution), first), max(gains))
    return sorted({first, (first + last) // 2, last})


def local_resolution(work: BandPowers) -> FloatArray:
    """Local resolution in Å on the coarse grid: where C_ref^2 of the average falls below 0.25."""
    options = work.options
    bands = list(range(options.n_low, work.filter.n_bands))
    position = np.full(work.local.coarse_shape, float(bands[-1]), dtype=np.float32)
    still = np.ones(position.shape, dtype=np.bool_)
    before: FloatArray | None = None
    for band in bands:
        powers = work.powers[band]
        power = BandPower(powers[OBSERVED], powers[OBSERVED], powers[NOISE])
        now = noise_weight(power, common_share(power, work.inside), work.modes(band), 0.0)
        falls = still & (now < RESOLVED)
        if before is None:
            position[falls] = band
        else:
            drop = np.maximum(before - now, 1e-6)
            part = np.clip((before - RESOLVED) / drop, 0, 1)
            position[falls] = (band - 1 + part)[falls]
        still &= ~falls
        before = now
    return np.asarray(options.window / position, dtype=np.float32)
