"""Stage 7: local scaling of the observed map to the reference.

Two estimators of the local gain: bands (smoothed power of frequency bands) and windows (LocScale's
radial profiles in a moving cube).  Both give ``out(x) = sum_k c_k(x) b_k(x)``, b_k a band of the
map and c_k a gain.  The linear map is that sum; the display map is the linear map times a
weight, with its amplitudes restored.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..findings import Finding
from ..maps.given_mask import inside as inside_mask
from ..maps.grid import BoolArray, FloatArray, Map
from ..parallel.tasks import Executor
from ..progress import Progress
from ..remedies import do, give, leave_out
from ..symmetry.operators import Symmetry, average_map
from ..symmetry.point_groups import parse_point_group
from .band_filter import BandFilter, fade_out, flatten, grid_of_box, number_of_bands, relative_slope
from .band_sum import BandRunner, sum_bands
from .band_tasks import BandOptions, BandPlan, BandPowers, LocalBands, SharedBands
from .gains import BandGain, number_of_low_bands
from .local_power import LocalAverage
from .scaled_maps import ScaledMaps, band_reports, local_resolution, shown_bands
from .scaling_input import ScalingInput
from .viewing_weight import STATEMENTS, WeightInput, looking_weight, restore_amplitudes
from .window_tasks import WindowGains, WindowOptions, apply_gains, measure_windows, window_gains
from .windows import LatticeField

_WINDOWS_AROUND = 6.0  # Å around a region that get windows too, so that it has no edge
_RESTORED_AROUND = 2.0  # Å around it that amplitudes are restored in
_WAVE_BYTES = 320 << 20  # of the results of the bands in hand
_SMALL_VOXELS = 1 << 21  # boxes up to here keep three bands in memory
_FEWEST_IN_HAND = 3
_SILENT_SHARE = 0.01  # of the mask, from which the user is told


@dataclass(frozen=True, eq=False)
class _Scaled:
    """The linear maps of the box, and how to put values of the gains on its voxels."""

    maps: FloatArray
    gains: dict[int, BandGain]
    inside: FloatArray
    spread: Callable[[FloatArray], FloatArray]
    powers: BandPowers


def scale_map(
    given: ScalingInput, executor: Executor, folder: Path, progress: Progress
) -> ScaledMaps:
    """Scale the observed map locally to the amplitudes of the reference.

    Parameters
    ----------
    given : ScalingInput
    executor : Executor
    folder : Path
        For the files of the tasks; every worker must see it.
    progress : Progress

    Returns
    -------
    ScaledMaps

    Raises
    ------
    InputError
        If the window is longer than half the box, the mask is empty, or a map is missing or on
        another grid.
    """
    given.check()
    way = _by_windows if given.parameters.scaling == "windows" else _by_bands
    scaled = way(given, executor, folder, progress)
    result = _finished(given, scaled.powers, scaled)
    progress.update(1.0)
    return result


def _plan(given: ScalingInput) -> tuple[BandPlan, float]:
    """Fourier coefficients of the maps in the box, sorted by band, and the slope taken out."""
    observed = given.observed
    grid = grid_of_box(observed.average.grid, given.box)
    n_bands = number_of_bands(grid, given.window)
    options = BandOptions(
        given.window,
        given.block,
        number_of_low_bands(given.window, n_bands),
        given.resolution,
        given.policy == "adaptive",
        given.rules,
        given.parameters.scaling == "bands",
    )
    bands = BandFilter.of_grid(grid, given.window)
    coefficients = {"average": bands.gather(given.part(observed.average.values))}
    difference = given.half_difference
    if difference is not None:
        coefficients["difference"] = bands.gather(difference)
    coefficients["reference"] = bands.gather(given.part(given.reference.values))
    slope = 0.0
    if options.scaled:
        slope = relative_slope(bands, coefficients, options.n_low)
        flatten(bands, coefficients, slope)
    local = LocalAverage(grid.shape, grid.voxel_size, options.sigma, options.block)
    inside = local.block_mean(inside_mask(given.mask_in_box).astype(np.float32))
    return BandPlan(bands, options, inside, coefficients), slope


def _runner(plan: BandPlan, executor: Executor, folder: Path) -> BandRunner:
    """Choose how the tasks on bands are run."""
    wave = _bands_in_hand(plan, executor)
    if executor.workers == 1:
        return LocalBands(plan, wave)
    return SharedBands(plan, executor, folder, wave)


def _bands_in_hand(work: BandPlan, executor: Executor) -> int:
    """Choose how many bands to process at a time."""
    n_bands = work.filter.n_bands - work.options.n_low
    size = work.filter.grid.size
    if executor.workers == 1:
        return min(_FEWEST_IN_HAND, n_bands) if size <= _SMALL_VOXELS else 1
    fitting = min(max(_WAVE_BYTES // (12 * size), _FEWEST_IN_HAND, executor.workers), n_bands)
    turns = fitting // executor.workers or 1  # of every worker, before it waits for the others
    return int(max(min(turns * executor.workers, n_bands), min(_FEWEST_IN_HAND, n_bands)))


def _by_bands(given: ScalingInput, executor: Executor, folder: Path, progress: Progress) -> _Scaled:
    """Scale the linear maps by the smoothed power of bands; their gains contain the slope too.

    The coefficients, the largest arrays, go when it returns.
    """
    plan, slope = _plan(given)
    runner = _runner(plan, executor, folder)
    del plan
    result = sum_bands(runner, progress.part(0.05, 0.85))
    fade_out(result.maps, given.box, given.mask.shape, given.fade)
    gains = {
        band: gain.times(float(np.exp(slope * band**2))) for band, gain in result.gains.items()
    }
    powers = runner.work.measured()
    return _Scaled(result.maps, gains, powers.inside, powers.local.spread, powers)


def _by_windows(
    given: ScalingInput, executor: Executor, folder: Path, progress: Progress
) -> _Scaled:
    """Scale the linear maps by radial profiles in windows; they end with the mask."""
    powers, maps, gains = _before_windows(given, executor, folder, progress)
    edge = round(given.window / given.observed.average.grid.step)
    options = WindowOptions(edge, given.parameters.stride, given.parameters.taper, given.rules)
    mask = given.asked(given.mask_in_box, _WINDOWS_AROUND)
    points, measured = measure_windows(
        maps[0],
        np.ascontiguousarray(given.part(given.reference.values)),
        inside_mask(mask),
        options,
        executor,
        folder,
        progress.part(0.35, 0.75),
    )
    found = window_gains(points, measured, given.window, given.rules)
    weight_of = None
    if given.rules.noise_weight:
        weight_of = _noise_weight_of(powers, gains, found)
    maps = apply_gains(
        maps, powers.filter.grid, found, options, weight_of, progress.part(0.75, 0.9)
    )
    maps *= np.clip(2 * mask - 1, 0, 1)
    field = LatticeField(powers.filter.grid.shape, points, options.stride)
    named = {
        shell: replace(gain, global_weight=gains[shell].global_weight if gains else 1.0)
        for shell, gain in found.gains.items()
    }
    return _Scaled(maps, named, np.ones(len(points), dtype=np.float32), field.spread, powers)


def _before_windows(
    given: ScalingInput, executor: Executor, folder: Path, progress: Progress
) -> tuple[BandPowers, FloatArray, dict[int, BandGain]]:
    """Make the maps that windows scale, weighted band by band, and what bands say about noise."""
    plan, _ = _plan(given)
    runner = _runner(plan, executor, folder)
    del plan
    if given.rules.noise_weight or given.policy == "adaptive":
        result = sum_bands(runner, progress.part(0.05, 0.35))
        return runner.work.measured(), result.maps, result.gains
    maps = [given.part(given.observed.average.values)]
    difference = given.half_difference
    maps = maps if difference is None else [*maps, difference]
    return runner.work.measured(), np.stack(maps), {}


def _noise_weight_of(
    work: BandPowers, gains: dict[int, BandGain], found: WindowGains
) -> Callable[[int], FloatArray]:
    """Noise weight of a shell at every voxel; of the next band for those coarser than 12 Å."""
    return lambda shell: work.local.spread(gains[max(shell, found.n_low)].weight)


def _finished(given: ScalingInput, work: BandPowers, scaled: _Scaled) -> ScaledMaps:
    """Weight and restore, average over the group, put everything back into the map's grid."""
    whole, box = given.observed.average, given.box
    weight, output = _weighted(given, work, scaled)
    symmetry = given.symmetry if given.region is None else None

    def embed(values: FloatArray, group: Symmetry | None = symmetry) -> Map:
        """Put a box into the whole map, averaged over the group."""
        full = np.zeros(whole.grid.shape, dtype=np.float32)
        full[box] = given.asked(values)
        placed = whole.with_values(full)
        return placed if group is None else average_map(placed, group)

    silent, silent_share = _silent(given, scaled)
    volumes = {name: embed(values) for name, values in _volumes(given, work, scaled).items()}
    return ScaledMaps(
        embed(output),
        embed(scaled.maps[0]),
        embed(scaled.maps[1]) if len(scaled.maps) == 2 else None,
        embed(weight, None),
        given.policy,
        _label(given),
        STATEMENTS[given.policy],
        band_reports(scaled.gains, given.window, scaled.inside),
        silent,
        silent_share,
        volumes,
        tuple(_findings(given, silent_share)),
    )


def _weighted(
    given: ScalingInput, work: BandPowers, scaled: _Scaled
) -> tuple[FloatArray, FloatArray]:
    """Make the weight of the display map, and that map, in the box."""
    grid, linear = work.filter.grid, scaled.maps[0]
    mask = np.asarray(given.mask_in_box, dtype=np.float32)
    reference = given.part(given.reference.values)
    shown = WeightInput(
        grid,
        given.resolution,
        given.part(given.observed.average.values),
        given.half_difference,
        linear,
        scaled.maps[1] if len(scaled.maps) == 2 else None,
        mask,
        None if given.weight_map is None else given.weight_map.values[given.box],
        reference,
    )
    weight = looking_weight(given.policy, shown, work.local)
    region = mask if given.policy == "none" else weight
    if given.parameters.scaling == "windows":
        region = given.asked(region, _RESTORED_AROUND)
    return weight, restore_amplitudes(linear * weight, region, reference, grid, given.resolution)


def _silent(given: ScalingInput, scaled: _Scaled) -> tuple[BoolArray, float]:
    """Find the voxels of the mask where the reference has nothing, and their share."""
    shown = [k for k in scaled.gains if given.window / k >= given.resolution]
    bands = shown or list(scaled.gains)[:1]
    share = np.stack([scaled.gains[k].silent for k in bands]).astype(np.float32).mean(axis=0)
    silent = np.zeros(given.observed.average.grid.shape, dtype=np.bool_)
    inside = inside_mask(given.asked(np.asarray(given.mask_in_box, dtype=np.float32)))
    silent[given.box] = (scaled.spread(share) > 0.5) & inside
    return silent, float(silent.sum() / max(int(inside.sum()), 1))


def _volumes(given: ScalingInput, work: BandPowers, scaled: _Scaled) -> dict[str, FloatArray]:
    """Make the local-gain and local-resolution volumes that were asked for."""
    volumes: dict[str, FloatArray] = {}
    if "gain" in given.parameters.outputs:
        for band in shown_bands(scaled.gains, given.window, given.resolution):
            name = f"gain_{given.window / band:.1f}A"
            # the spline that spreads the coarse grid swings below zero outside the mask
            volumes[name] = np.maximum(scaled.spread(scaled.gains[band].gain), 0)
    if "resolution" in given.parameters.outputs and len(scaled.maps) == 2:
        resolution = work.local.spread(local_resolution(work))
        finest = given.window / (work.filter.n_bands - 1)
        volumes["resolution"] = np.clip(resolution, finest, given.window / work.options.n_low)
    return volumes


def _label(given: ScalingInput) -> str:
    """Say what a map file says about the scaling."""
    size = f"{given.window:.4g} A"
    how = f"bands {size}" if given.parameters.scaling == "bands" else f"windows {size}"
    noise = "" if given.rules.noise_weight else ", no noise weight"
    return f"local scaling, {how}, weight {given.policy}{noise}"[:80]


def _findings(given: ScalingInput, silent_share: float) -> list[Finding]:
    """Report what the user must know about this scaling."""
    alone = (
        ""
        if parse_point_group(given.parameters.point_group).is_trivial
        else (f", and nothing is averaged over {given.parameters.point_group}")
    )
    found = (
        []
        if given.region is None
        else [
            Finding(
                "region-alone",
                "note",
                "a region alone was scaled, for a quick look: the map is 0 "
                f"elsewhere, weights and global gains are those of the region{alone}",
                remedies=(leave_out("region", when="for the map to keep"),),
            )
        ]
    )
    asked, voxels = given.parameters.weight, given.parameters.window_voxels
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
    if asked != given.policy:
        found.append(
            Finding(
                "weight-policy",
                "note",
                f"weight {given.policy} was used in place of {asked}, because {asked} needs two "
                "half maps",
                {"policy": given.policy},
                (give("half_maps"),),
            )
        )
    if silent_share > _SILENT_SHARE:
        found.append(
            Finding(
                "silent-reference",
                "warning",
                f"the reference has no density near {silent_share:.0%} of the mask, "
                "which got the global gain",
                {"share": silent_share},
                (do("complete the model"), give("mask", "a tighter mask")),
            )
        )
    return found
