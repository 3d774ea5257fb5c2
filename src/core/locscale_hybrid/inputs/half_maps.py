"""What was measured: two half maps, or one map and what its solvent says about noise."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.ndimage import uniform_filter1d

from ..errors import InputError
from ..findings import Finding
from ..fourier.space import FourierSpace, squared_modulus
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Map
from ..maps.map_values import bring_to_range, range_finding, without_hot_voxels
from ..maps.mrc import MapFile, MapFrame, box_text, read_map_file
from ..maps.solvent import present_part, quiet_part, smoothed
from ..parameters import HybridInputs, HybridParameters
from ..remedies import do, give
from .half_scale import bring_to_one_scale, one_half_masked
from .outer_mask import OuterMask, outer_mask

Kind = Literal["halves", "pseudo-halves", "single"]
_MAPS = ("half_map_1", "half_map_2", "full_map")

SAME_MAP = 0.9999  # correlation above which two halves are one map
_LEAST_SOLVENT = 1000  # voxels
_MOST_VARIED = 0.5  # coarse power of solvent over that of the map; above, it is none
_LEAST_POWER = 0.01  # of the map's, in its noisiest shell; below, it was filtered away
_LOW_PASS = 8.0  # Å, or 4 voxels, at which density is looked for
_CUBES = 2.0  # low-passes on the edge of a cube
_GAUSSIAN_PER_RESOLUTION = 0.225  # sigma of a Gaussian whose amplitude is 1/e at the resolution
_FEW_VALUES = 64  # distinct values that a density map surpasses
_SAMPLES = 1 << 20  # voxels looked at for that


@dataclass(frozen=True, eq=False)
class ObservedMaps:
    """The maps of a run, their solvent mean subtracted.

    Parameters
    ----------
    average : Map
        Mean of the halves, or the one map given.
    half_1, half_2 : Map, optional
        Half maps; the one map plus and minus noise of its solvent's spectrum for pseudo-halves.
    kind : {"halves", "pseudo-halves", "single"}
        Pseudo-halves carry weights and noise levels, never a resolution or a validation.
    outer : OuterMask, optional
        The mask that the average came with: noise is measured inside it.
    noise : array, shape (n_shells,), optional
        Of pseudo-halves: see `solvent_noise`.
    digests : mapping of str to str
        SHA-256 of the files that were read, by field of `HybridInputs`.
    """

    average: Map
    half_1: Map | None
    half_2: Map | None
    kind: Kind
    outer: OuterMask | None = None
    noise: DoubleArray | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def half_difference(self) -> FloatArray | None:
        """(F1 - F2) / 2: noise with the variance of the average's."""
        if self.half_1 is None or self.half_2 is None:
            return None
        difference = np.subtract(self.half_1.values, self.half_2.values)
        difference *= np.float32(0.5)
        return difference


def read_observed(
    inputs: HybridInputs, parameters: HybridParameters
) -> tuple[ObservedMaps, MapFrame, list[Finding]]:
    """Read the maps of a run.

    Parameters
    ----------
    inputs : HybridInputs
    parameters : HybridParameters
        `voxel_size` overrides the headers; `seed` draws the noise of pseudo-halves.

    Returns
    -------
    observed : ObservedMaps
    frame : MapFrame
        Of the first map: the output is written in it.
    findings : list of Finding

    Raises
    ------
    InputError
        If a map cannot be read, is a mask, the halves have different grids or scales, or they are
        one map.
    """
    given = {name: path for name, path in inputs.files.items() if name in _MAPS}
    files = [read_map_file(path, voxel_size=parameters.voxel_size) for path in given.values()]
    digests = {name: file.sha256 for name, file in zip(given, files, strict=True)}
    findings = [finding for file in files for finding in file.findings]
    for file in files:
        refuse_mask(file.map)
        findings += without_hot_voxels(file.map)
    if len(files) == 1:
        rng = np.random.default_rng([parameters.seed, 0])
        findings += range_finding(files[0].map.name, bring_to_range(files[0].map.values))
        observed = observe_one(files[0].map, rng)
    else:
        _refuse_same_file(files[0], files[1])
        observed, told = _comparable_halves(files[0].map, files[1].map)
        findings += told
    return replace(observed, digests=digests), files[0].frame, findings


def _comparable_halves(half_1: Map, half_2: Map) -> tuple[ObservedMaps, list[Finding]]:
    """Two half maps as they were read, in range and on one scale; their values are changed."""
    powers = [bring_to_range(half.values) for half in (half_1, half_2)]
    _refuse_unfit_pair(half_1, half_2)
    findings = range_finding(half_1.name, powers[0])
    findings += bring_to_one_scale(half_1, half_2, powers[0] - powers[1])
    findings += one_half_masked(half_1, half_2)
    return _average_of(half_1, half_2, in_place=True), findings


def observe_halves(half_1: Map, half_2: Map) -> ObservedMaps:
    """Two half maps as observation.

    Raises
    ------
    InputError
        If their grids differ, or they are the same map.
    """
    _refuse_unfit_pair(half_1, half_2)
    return _average_of(half_1, half_2)


def _refuse_unfit_pair(half_1: Map, half_2: Map) -> None:
    """Refuse half maps on different grids, and one map given twice."""
    refuse_other_grid(half_1, half_2, "half maps")
    correlation = correlate(half_1.values, half_2.values)
    if correlation > SAME_MAP:
        raise InputError(
            f"{half_1.name} and {half_2.name} are the same map (correlation "
            f"{correlation:.6f}): give the two independent half maps, or the one map "
            "as full map"
        )


def _average_of(half_1: Map, half_2: Map, *, in_place: bool = False) -> ObservedMaps:
    """Two half maps and their average, without the mean of the solvent."""
    average = np.add(half_1.values, half_2.values)
    average *= np.float32(0.5)
    outer = outer_mask(
        average, half_1.grid, lambda: np.subtract(half_1.values, half_2.values) * np.float32(0.5)
    )
    first, second = (
        without_solvent_mean(half, outer, in_place=in_place) for half in (half_1, half_2)
    )
    np.add(first.values, second.values, out=average)
    average *= np.float32(0.5)
    name = f"average of {half_1.name} and {half_2.name}"
    return ObservedMaps(half_1.with_values(average, name), first, second, "halves", outer)


def observe_one(full_map: Map, rng: np.random.Generator) -> ObservedMaps:
    """Observe one map, with pseudo-halves if its solvent contains noise.

    Parameters
    ----------
    full_map : Map
    rng : numpy Generator
        Draws the noise.
    """
    outer = outer_mask(full_map.values, full_map.grid)
    average = without_solvent_mean(full_map, outer)
    spectrum = solvent_noise(average, outer)
    if spectrum is None:
        return ObservedMaps(average, None, None, "single", outer)
    noise = coloured_noise(FourierSpace(average.grid), spectrum, rng)
    return ObservedMaps(
        average,
        average.with_values(average.values + noise, "pseudo-half 1"),
        average.with_values(average.values - noise, "pseudo-half 2"),
        "pseudo-halves",
        outer,
        spectrum,
    )


def solvent_region(shape: tuple[int, int, int]) -> BoolArray:
    """Mark the box outside its inscribed ellipsoid, where a centred particle leaves solvent."""
    squares = [((np.arange(n) - n // 2) / (n / 2)) ** 2 for n in shape]
    z, y, x = np.meshgrid(*squares, indexing="ij", sparse=True)
    return np.asarray(z + y + x > 1.0, dtype=np.bool_)


def solvent_of(shape: tuple[int, int, int], outer: OuterMask | None) -> BoolArray:
    """Voxels of the solvent: inside the mask that a map came with, or far from the centre."""
    return solvent_region(shape) if outer is None or not outer.has_solvent else outer.solvent


def without_solvent_mean(
    volume: Map, outer: OuterMask | None = None, *, in_place: bool = False
) -> Map:
    """Shift the mean of the solvent to zero; inside the mask that the map came with.

    In place, it takes no memory of its own.
    """
    level = volume.values[solvent_of(volume.grid.shape, outer)].mean(dtype=np.float64)
    values = np.subtract(volume.values, np.float32(level), out=volume.values if in_place else None)
    return Map(values, volume.grid, volume.name, volume.path)


def solvent_noise(volume: Map, outer: OuterMask | None = None) -> DoubleArray | None:
    """Noise power per coefficient in each shell, from the solvent of one map.

    Parameters
    ----------
    volume : Map
        Solvent mean subtracted.
    outer : OuterMask, optional
        The mask that it came with.

    Returns
    -------
    array, shape (n_shells,), or None
        Mean |N|^2 for the whole box; None where the map is masked tightly or full of density, or
        its solvent is as strong as the map in the coarse shells, or weaker than noise ever is.
    """
    grid = volume.grid
    present = outer.inside if outer is not None else present_part(volume.values)
    cut = max(_LOW_PASS, 4 * grid.step)
    low = smoothed(volume.values, grid, _GAUSSIAN_PER_RESOLUTION * cut)
    quiet = quiet_part(low, grid, _CUBES * cut, present)
    region = None if quiet is None else quiet.region
    if region is None and outer is not None and outer.has_solvent:
        region = outer.solvent
    if region is None or np.count_nonzero(region) < _LEAST_SOLVENT:
        return None
    space = FourierSpace(grid)
    power = _power_inside(space, volume.values, region)
    whole = space.shell_mean(squared_modulus(space.forward(volume.values)))
    coarse = slice(1, max(4, space.n_shells // 4))
    varied = power[coarse].sum() > _MOST_VARIED * whole[coarse].sum()
    silent = power[1:].min() <= 0 or (power[1:] < _LEAST_POWER * whole[1:]).all()
    return None if varied or silent else power


def _power_inside(space: FourierSpace, values: FloatArray, region: BoolArray) -> DoubleArray:
    """Power per coefficient of a box filled as the region is, smoothed over 3 shells."""
    window = space.backward(
        space.forward(region.astype(np.float32)) * space.low_pass_gaussian(2 * space.grid.step)
    )
    level = np.float32((values * window).sum(dtype=np.float64) / window.sum(dtype=np.float64))
    share = float(np.square(window).mean(dtype=np.float64))
    inside = space.shell_sum(squared_modulus(space.forward((values - level) * window)))
    total, count = (uniform_filter1d(sums, 3, mode="nearest") for sums in (inside, space.count))
    return np.asarray(total / np.maximum(count, 1) / share)


def coloured_noise(space: FourierSpace, power: DoubleArray, rng: np.random.Generator) -> FloatArray:
    """Random noise with a given mean |N|^2 in each shell; beyond Nyquist as in the last shell."""
    white = space.forward(rng.standard_normal(space.shape, dtype=np.float32))
    size = float(np.prod(space.shape))
    amplitude = np.sqrt(np.append(power, power[-1]) / size).astype(np.float32)
    return space.backward(white * amplitude[space.shell_index])


def correlate(a: FloatArray, b: FloatArray) -> float:
    """Correlation of two arrays about their means; 0 where either is constant."""
    means = [np.float32(values.mean(dtype=np.float64)) for values in (a, b)]
    product, powers = 0.0, [0.0, 0.0]
    for one, two in zip(a, b, strict=True):
        first, second = one - means[0], two - means[1]
        product += float((first * second).sum(dtype=np.float64))
        powers[0] += float(np.square(first).sum(dtype=np.float64))
        powers[1] += float(np.square(second).sum(dtype=np.float64))
    norm = float(np.sqrt(powers[0]) * np.sqrt(powers[1]))
    return product / norm if norm > 0 else 0.0


def refuse_other_grid(a: Map, b: Map, what: str) -> None:
    """Refuse two maps whose boxes, voxels or origins differ.

    Raises
    ------
    InputError
        Naming both maps and the numbers that differ.
    """
    if a.grid.shape != b.grid.shape:
        raise InputError(
            f"{what} differ in box: {box_text(a.grid.shape)} voxels in {a.name} and "
            f"{box_text(b.grid.shape)} in {b.name}",
            do("resample one onto the other"),
        )
    if a.grid.same_as(b.grid):
        return
    edges = np.abs(np.subtract(a.grid.voxel_size, b.grid.voxel_size)) * max(a.grid.shape)
    if (edges >= 1e-3 * np.array(a.grid.voxel_size)).any():
        raise InputError(
            f"{what} differ in voxel size: {a.grid.step:.5g} Å in {a.name} and "
            f"{b.grid.step:.5g} Å in {b.name}",
            give("voxel_size", when="if one of the headers is wrong"),
        )
    raise InputError(
        f"{what} differ in origin: {_triple(a.grid.origin)} Å in {a.name} and "
        f"{_triple(b.grid.origin)} Å in {b.name}",
        do("set ORIGIN and NSTART of both headers alike"),
        do("resample one onto the other"),
    )


def read_companion(
    path: Path, observed: Map, what: str, *, voxel_size: float | None = None
) -> MapFile:
    """Read a map that must stand on the grid of another: a mask, a weight.

    The voxel size is taken from the other where the header differs by rounding only.  One value
    everywhere is allowed: it is a mask, or a weight, of the whole box.

    Parameters
    ----------
    path : Path
    observed : Map
    what : str
        What to call it in a message.
    voxel_size : float, optional
        Å, as it was given for the observed map in place of its header.

    Raises
    ------
    InputError
        If it cannot be read or stands on another grid.
    """
    file = read_map_file(path, voxel_size=voxel_size, may_be_constant=True)
    refuse_other_grid(observed, file.map, f"map and {what}")
    return replace(file, map=Map(file.map.values, observed.grid, file.map.name, file.map.path))


def refuse_mask(volume: Map) -> None:
    """Refuse a mask, label or local-resolution volume where density is expected.

    Raises
    ------
    InputError
        If there are few distinct values, or the values are those of a soft mask.
    """
    sample = volume.values.ravel()
    sample = sample[:: max(1, sample.size // _SAMPLES)]
    distinct = np.unique(sample)
    low, high = float(distinct[0]), float(distinct[-1])
    zeros, ones = float(np.mean(sample == 0)), float(np.mean(sample > 0.999))
    if distinct.size <= _FEW_VALUES:
        raise InputError(
            f"{volume.name} has only {distinct.size} different values, {low:g} to "
            f"{high:g}: it is a mask, or a map of labels or of local resolution; "
            "give the density map"
        )
    if low >= 0 and 0.99 <= high <= 1.01 and zeros > 0.1 and ones > 0.005:
        raise InputError(
            f"{volume.name} looks like a mask: its values go from 0 to {high:g}, "
            f"{100 * zeros:.0f} % are 0 and {100 * ones:.0f} % are 1; give the "
            "density map, and a mask as mask"
        )


def _refuse_same_file(a: MapFile, b: MapFile) -> None:
    """Refuse one file given twice, also through a link."""
    first, second = a.map.path, b.map.path
    if first is not None and second is not None and _is_same(first, second):
        raise InputError(
            f"{first} was given for both half maps ({second}); give the two "
            "independent half maps, or the one map as full map"
        )


def _is_same(a: Path, b: Path) -> bool:
    """Test whether two paths lead to one file."""
    return a.samefile(b)


def _triple(values: tuple[float, float, float]) -> str:
    """Three numbers for a message."""
    return "({})".format(", ".join(f"{value:.4g}" for value in values))
