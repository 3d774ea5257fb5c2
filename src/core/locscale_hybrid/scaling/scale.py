"""Stage 7: local scaling of the observed map to the reference.

Two estimators of the local gain: bands (smoothed power of frequency bands) and windows (LocScale's
radial profiles in a moving cube).  Both give ``out(x) = sum_k c_k(x) b_k(x)``, b_k a band of the
map and c_k a gain.  The linear map is that sum; the map for looking is the linear map times a
weight, with its amplitudes restored.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..findings import Finding
from ..inputs.half_maps import ObservedMaps
from ..maps.given_mask import inside as inside_mask
from ..maps.grid import FloatArray, Grid, Map
from ..maps.subvolume import Box, grown, within
from ..parallel.tasks import Executor
from ..parameters import HybridParameters
from ..progress import Progress
from ..symmetry.operators import Symmetry, average_map
from ..symmetry.point_groups import parse_point_group
from .band_filter import (
    BandFilter,
    fade_out,
    flatten,
    grid_of_box,
    number_of_bands,
    relative_slope,
    work_box,
)
from .band_sum import sum_bands
from .band_tasks import BandOptions, BandRunner, BandWork
from .gains import BandGain, GainRules, number_of_low_bands
from .local_power import LocalAverage
from .scaled_maps import BandReport, ScaledMaps, band_reports, local_resolution, shown_bands
from .viewing_weight import (
    STATEMENTS,
    WeightInput,
    chosen_policy,
    looking_weight,
    restore_amplitudes,
)
from .window_tasks import WindowGains, WindowOptions, apply_gains, measure_windows, window_gains
from .windows import LatticeField, window_edge

__all__ = ["BandReport", "ScaledMaps", "scale_map", "window_edge"]

_MARGIN = 0.64  # windows around the mask that are worked on
_REGION_MARGIN = 1.0  # windows around a region: density goes on there
_WINDOWS_AROUND = 6.0  # Å around a region that get windows too, so that it has no edge
_RESTORED_AROUND = 2.0  # Å around it that amplitudes are restored in
_FADE = 0.32  # windows in which maps end at the faces of the box
_WAVE_BYTES = 320 << 20  # of the results of the bands in hand
_SMALL_VOXELS = 1 << 21  # boxes up to here keep three bands in memory
_FEWEST_IN_HAND = 3
_SILENT_SHARE = 0.01  # of the mask, from which the user is told


@dataclass(frozen=True, eq=False)
class _Job:
    """The input of the stage and what follows from it."""

    observed: ObservedMaps
    reference: Map
    mask: FloatArray
    resolution: float
    parameters: HybridParameters
    weight_map: Map | None
    window: float
    policy: str
    rules: GainRules
    block: int
    box: Box
    region: Box | None = None

    @property
    def fade(self) -> int:
        """Voxels in which maps end at the faces of the box."""
        return int(_FADE * self.window / self.observed.average.grid.step)

    def part(self, values: FloatArray) -> FloatArray:
        """Cut a map to the box; at faces that cut through density it fades out."""
        if self.region is None:
            return values[self.box]
        cut = np.array(values[self.box], dtype=np.float32)
        fade_out(cut[None], self.box, values.shape, self.fade)
        return cut

    def asked(self, values: FloatArray, around: float = 0.0) -> FloatArray:
        """Values in the box, 0 farther than `around` Å from where they are asked for."""
        if self.region is None:
            return values
        wanted = grown(self.region, self.observed.average.grid, around)
        inner = [
            slice(max(wanted.start - part.start, 0), max(wanted.stop - part.start, 0))
            for wanted, part in zip(wanted, self.box, strict=True)
        ]
        return within(values, (inner[0], inner[1], inner[2]))

    @property
    def half_difference(self) -> FloatArray | None:
        """Half the difference of the half maps in the box."""
        first, second = self.observed.half_1, self.observed.half_2
        if first is None or second is None:
            return None
        difference = np.subtract(self.part(first.values), self.part(second.values))
        difference *= np.float32(0.5)
        return difference


@dataclass(frozen=True, eq=False)
class _Scaled:
    """The linear maps of the box, and how to put values of the gains on its voxels."""

    maps: FloatArray
    gains: dict[int, BandGain]
    inside: FloatArray
    spread: Callable[[FloatArray], FloatArray]


def scale_map(
    observed: ObservedMaps,
    reference: Map,
    mask: FloatArray,
    *,
    resolution: float,
    parameters: HybridParameters,
    symmetry: Symmetry | None,
    executor: Executor,
    folder: Path,
    progress: Progress,
    weight_map: Map | None = None,
    region: Box | None = None,
    block: int = 4,
    cap: float | None = 4.0,
) -> ScaledMaps:
    """Scale the observed map locally to the amplitudes of the reference.

    Parameters
    ----------
    observed : ObservedMaps
        Solvent mean subtracted.
    reference : Map
        On the same grid.
    mask : array, shape grid.shape
        Soft, 0 to 1; bounds the work.
    resolution : float
        d_min, Å.
    parameters : HybridParameters
        `scaling`, `window`, `window_voxels`, `stride`, `taper`, `weight`, `noise_weight` and
        `outputs` are used.
    symmetry : Symmetry, optional
        The final maps are averaged over it.
    executor : Executor
    folder : Path
        For the files of the tasks; every worker must see it.
    progress : Progress
    weight_map : Map, optional
        For the policy "file".
    region : three slices, optional
        Only these voxels are scaled, the others are 0, and nothing is averaged over the group.
        Global curves and weights are then those of the region and a window around it.
    block : int
        Voxels along the edge of a block of the power grid; 1 keeps the full grid and the whole
        box, and is exactly symmetric for symmetric inputs.
    cap : float, optional
        Largest factor between local and global gain; None: no limit.

    Returns
    -------
    ScaledMaps

    Raises
    ------
    InputError
        If the window is longer than half the box, the mask is empty, or a map is missing or on
        another grid.
    """
    grid = observed.average.grid
    window = window_edge(grid, parameters)
    policy = chosen_policy(parameters.weight, observed.kind, weight_map)
    _refuse_other_grids(grid, reference, mask, weight_map)
    rules = GainRules(cap, parameters.noise_weight and observed.half_1 is not None)
    job = _Job(
        observed,
        reference,
        mask,
        resolution,
        parameters,
        weight_map,
        window,
        policy,
        rules,
        block,
        _box(mask, grid, window, block, region),
        region,
    )
    if region is not None:
        job, symmetry = replace(job, mask=_surroundings(job)), None
    work, slope = _band_work(job)
    runner = BandRunner(work, executor, folder, _bands_in_hand(work, executor))
    if parameters.scaling == "windows":
        scaled = _by_windows(job, runner, progress)
    else:
        scaled = _by_bands(job, runner, slope, progress)
    work.coefficients = {}  # the largest arrays; not needed any more
    work.slots = {"powers": work.slots["powers"]}
    result = _looking(job, work, scaled, symmetry)
    progress.update(1.0)
    return result


def _refuse_other_grids(
    grid: Grid, reference: Map, mask: FloatArray, weight_map: Map | None
) -> None:
    """Everything must have been made on the grid of the map."""
    for given in (reference, weight_map):
        if given is not None and not grid.same_as(given.grid):
            raise InputError(
                f"{given.name} has {given.grid.shape} voxels of {given.grid.step:.4g} Å and the "
                f"map {grid.shape} of {grid.step:.4g} Å, or their origins differ; resample it "
                "onto the map's grid"
            )
    if mask.shape != grid.shape:
        raise InputError(
            f"the mask has {mask.shape} voxels and the map {grid.shape}; resample it "
            "onto the map's grid"
        )
    if not (mask > 0).any():
        raise InputError("the mask is empty: there is nothing to scale; give another mask")


def _box(mask: FloatArray, grid: Grid, window: float, block: int, region: Box | None) -> Box:
    """Choose the part of the map to scale."""
    if block == 1:
        nz, ny, nx = grid.shape
        return slice(0, nz), slice(0, ny), slice(0, nx)
    inside, margin = mask > 0, _MARGIN
    if region is not None:
        inside, margin = within(inside, region), _REGION_MARGIN
    return work_box(inside, int(np.ceil(margin * window / grid.step)), block)


def _surroundings(job: _Job) -> FloatArray:
    """Cut the mask to the box of a region, without the rim where the maps fade out."""
    mask = np.zeros_like(job.mask)
    mask[job.box] = job.part(job.mask)
    return mask


def _band_work(job: _Job) -> tuple[BandWork, float]:
    """Fourier coefficients of the maps in the box, sorted by band, and the slope taken out."""
    observed = job.observed
    grid = grid_of_box(observed.average.grid, job.box)
    n_bands = number_of_bands(grid, job.window)
    options = BandOptions(
        job.window,
        job.block,
        number_of_low_bands(job.window, n_bands),
        job.resolution,
        job.policy == "adaptive",
        job.rules,
        job.parameters.scaling == "bands",
    )
    bands = BandFilter.of_grid(grid, job.window)
    coefficients = {"average": bands.gather(job.part(observed.average.values))}
    difference = job.half_difference
    if difference is not None:
        coefficients["difference"] = bands.gather(difference)
    coefficients["reference"] = bands.gather(job.part(job.reference.values))
    slope = 0.0
    if options.scaled:
        slope = relative_slope(bands, coefficients, options.n_low)
        flatten(bands, coefficients, slope)
    local = LocalAverage(grid.shape, grid.voxel_size, options.sigma, options.block)
    inside = local.block_mean(inside_mask(job.mask[job.box]).astype(np.float32))
    return BandWork(bands, options, inside, coefficients, {}), slope


def _bands_in_hand(work: BandWork, executor: Executor) -> int:
    """Choose how many bands to process at a time."""
    n_bands = work.filter.n_bands - work.options.n_low
    size = work.filter.grid.size
    if executor.workers == 1:
        return min(_FEWEST_IN_HAND, n_bands) if size <= _SMALL_VOXELS else 1
    fitting = min(max(_WAVE_BYTES // (12 * size), _FEWEST_IN_HAND, executor.workers), n_bands)
    turns = fitting // executor.workers or 1  # of every worker, before it waits for the others
    return int(max(min(turns * executor.workers, n_bands), min(_FEWEST_IN_HAND, n_bands)))


def _by_bands(job: _Job, runner: BandRunner, slope: float, progress: Progress) -> _Scaled:
    """Scale the linear maps by the smoothed power of bands; their gains contain the slope too."""
    work = runner.work
    result = sum_bands(runner, progress.part(0.05, 0.85))
    fade_out(result.maps, job.box, job.mask.shape, job.fade)
    gains = {
        band: gain.times(float(np.exp(slope * band**2))) for band, gain in result.gains.items()
    }
    return _Scaled(result.maps, gains, work.inside, work.local.spread)


def _by_windows(job: _Job, runner: BandRunner, progress: Progress) -> _Scaled:
    """Scale the linear maps by radial profiles in windows; they end with the mask."""
    work = runner.work
    maps, gains = _before_windows(job, runner, progress)
    for name in ("maps", "prefix"):  # boxes of the bands, which are done
        work.slots.pop(name, None)
    edge = round(job.window / job.observed.average.grid.step)
    options = WindowOptions(edge, job.parameters.stride, job.parameters.taper, job.rules)
    mask = job.asked(job.mask[job.box], _WINDOWS_AROUND)
    points, measured = measure_windows(
        maps[0],
        np.ascontiguousarray(job.part(job.reference.values)),
        inside_mask(mask),
        options,
        runner.executor,
        runner.folder,
        progress.part(0.35, 0.75),
    )
    found = window_gains(points, measured, job.window, job.rules)
    weight_of = None
    if job.rules.noise_weight:
        weight_of = _noise_weight_of(work, gains, found)
    maps = apply_gains(maps, work.filter.grid, found, options, weight_of, progress.part(0.75, 0.9))
    maps *= np.clip(2 * mask - 1, 0, 1)
    field = LatticeField(work.filter.grid.shape, points, options.stride)
    named = {
        shell: replace(gain, global_weight=gains[shell].global_weight if gains else 1.0)
        for shell, gain in found.gains.items()
    }
    return _Scaled(maps, named, np.ones(len(points), dtype=np.float32), field.spread)


def _before_windows(
    job: _Job, runner: BandRunner, progress: Progress
) -> tuple[FloatArray, dict[int, BandGain]]:
    """Make the maps that windows scale, weighted band by band, and what bands say about noise."""
    if job.rules.noise_weight or job.policy == "adaptive":
        result = sum_bands(runner, progress.part(0.05, 0.35))
        return result.maps, result.gains
    maps = [job.part(job.observed.average.values)]
    difference = job.half_difference
    return np.stack(maps if difference is None else [*maps, difference]), {}


def _noise_weight_of(
    work: BandWork, gains: dict[int, BandGain], found: WindowGains
) -> Callable[[int], FloatArray]:
    """Noise weight of a shell at every voxel; of the next band for those coarser than 12 Å."""
    return lambda shell: work.local.spread(gains[max(shell, found.n_low)].weight)


def _looking(job: _Job, work: BandWork, scaled: _Scaled, symmetry: Symmetry | None) -> ScaledMaps:
    """Weight and restore, average over the group, put everything back into the map's grid."""
    grid, whole, box = work.filter.grid, job.observed.average, job.box
    linear = scaled.maps[0]
    difference = scaled.maps[1] if len(scaled.maps) == 2 else None
    user = None if job.weight_map is None else job.weight_map.values[box]
    given = WeightInput(
        grid,
        job.resolution,
        job.part(whole.values),
        job.half_difference,
        linear,
        difference,
        np.asarray(job.mask[box], dtype=np.float32),
        user,
        job.part(job.reference.values),
    )
    weight = looking_weight(job.policy, given, work.local)
    region = given.mask if job.policy == "none" else weight
    if job.parameters.scaling == "windows":
        region = job.asked(region, _RESTORED_AROUND)
    assert given.reference is not None
    output = restore_amplitudes(linear * weight, region, given.reference, grid, job.resolution)

    def embed(values: FloatArray, group: Symmetry | None = symmetry) -> Map:
        """Put a box into the whole map, averaged over the group."""
        full = np.zeros(whole.grid.shape, dtype=np.float32)
        full[box] = job.asked(values)
        placed = whole.with_values(full)
        return placed if group is None else average_map(placed, group)

    bands = [k for k in scaled.gains if job.window / k >= job.resolution] or list(scaled.gains)[:1]
    share = np.stack([scaled.gains[k].silent for k in bands]).astype(np.float32).mean(axis=0)
    silent = np.zeros(whole.grid.shape, dtype=np.bool_)
    inside = inside_mask(job.asked(given.mask))
    silent[box] = (scaled.spread(share) > 0.5) & inside
    silent_share = float(silent.sum() / max(int(inside.sum()), 1))
    volumes = {name: embed(values) for name, values in _volumes(job, work, scaled).items()}
    return ScaledMaps(
        embed(output),
        embed(linear),
        None if difference is None else embed(difference),
        embed(weight, None),
        job.policy,
        _label(job),
        STATEMENTS[job.policy],
        band_reports(scaled.gains, job.window, scaled.inside),
        silent,
        silent_share,
        volumes,
        tuple(_findings(job, silent_share)),
    )


def _volumes(job: _Job, work: BandWork, scaled: _Scaled) -> dict[str, FloatArray]:
    """Make the local-gain and local-resolution volumes that were asked for."""
    volumes: dict[str, FloatArray] = {}
    if "gain" in job.parameters.outputs:
        for band in shown_bands(scaled.gains, job.window, job.resolution):
            name = f"gain_{job.window / band:.1f}A"
            # the spline that spreads the coarse grid swings below zero outside the mask
            volumes[name] = np.maximum(scaled.spread(scaled.gains[band].gain), 0)
    if "resolution" in job.parameters.outputs and len(scaled.maps) == 2:
        resolution = work.local.spread(local_resolution(work))
        finest = job.window / (work.filter.n_bands - 1)
        volumes["resolution"] = np.clip(resolution, finest, job.window / work.options.n_low)
    return volumes


def _label(job: _Job) -> str:
    """Say what a map file says about the scaling."""
    size = f"{job.window:.4g} A"
    how = f"bands {size}" if job.parameters.scaling == "bands" else f"windows {size}"
    noise = "" if job.rules.noise_weight else ", no noise weight"
    return f"local scaling, {how}, weight {job.policy}{noise}"[:80]


def _findings(job: _Job, silent_share: float) -> list[Finding]:
    """Report what the user must know about this scaling."""
    alone = (
        ""
        if parse_point_group(job.parameters.point_group).is_trivial
        else (f", and nothing is averaged over {job.parameters.point_group}")
    )
    found = (
        []
        if job.region is None
        else [
            Finding(
                "region-alone",
                "note",
                "a region alone was scaled, for a quick look: the map is 0 "
                f"elsewhere, weights and global gains are those of the region{alone}; run without "
                "--region for the map to keep",
            )
        ]
    )
    asked, voxels = job.parameters.weight, job.parameters.window_voxels
    if voxels is not None and voxels % 2 == 0:
        found.append(
            Finding(
                "even-window",
                "note",
                f"the window of {voxels} voxels was rounded up to {voxels + 1}: a "
                "window must be odd to have a central voxel",
                {"asked_voxels": voxels, "used_voxels": voxels + 1},
            )
        )
    if asked != job.policy:
        found.append(
            Finding(
                "weight-policy",
                "note",
                f"weight {job.policy} was used in place of {asked}: {asked} needs "
                "two half maps; give them with -hm",
                {"policy": job.policy},
            )
        )
    if silent_share > _SILENT_SHARE:
        found.append(
            Finding(
                "silent-reference",
                "warning",
                f"the reference has no density near {silent_share:.0%} of the mask, "
                "which got the global gain: complete the model, or give a tighter "
                "mask",
                {"share": silent_share},
            )
        )
    return found
