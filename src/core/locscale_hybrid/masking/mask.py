"""Stage 2: the confidence mask, where density rises above the noise.

The mask bounds the work; it is not what the output is multiplied by.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from ..errors import InputError
from ..findings import Finding
from ..inputs.half_maps import ObservedMaps, solvent_region
from ..maps.given_mask import checked_mask, inside
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Grid, Map
from ..maps.morphology import (
    bounding_box,
    distance_within,
    margin_for,
    without_holes,
    without_small_pieces,
)
from ..maps.solvent import present_part, quiet_part, smoothed
from ..remedies import do, give

DALTON_PER_CUBIC_ANGSTROM = 0.81

FILTER_RESOLUTION = 5.0  # Å, finest low-pass of the significance map
FILTER_FACTOR = 1.5  # times the resolution, where that is coarser
NOISE_BALL = 25.0  # Å, diameter of the ball over which the noise is averaged
SMALLEST_PIECE = 1000.0  # Å^3
SHARE_OF_LARGEST = 0.05  # smaller pieces go
DILATION = 3.0  # Å
SOFT_EDGE = 6  # voxels of the cosine edge

_GAUSSIAN_PER_RESOLUTION = 0.225  # sigma of a Gaussian whose amplitude is 1/e at the resolution
_FULL = 0.8  # significant share of the unmasked part that leaves no solvent there
_BINS_PER_SD = 200  # of the histogram that stands for the sorted p-values
_HIGHEST_Z = 38.0  # beyond it the tail of a Gaussian is below the smallest double


_NO_NOISE = Finding(
    "no-noise",
    "warning",
    "the noise of this map cannot be separated from its density, so all of it is the mask",
    remedies=(give("half_maps"), give("mask")),
)


@dataclass(frozen=True)
class Mask:
    """Where there is density.

    Parameters
    ----------
    grid : Grid
    solid : bool array, shape grid.shape
    soft : float32 array, shape grid.shape
        1 inside `solid`, falling to 0 over the cosine edge around it.
    origin : str
        How the mask was made, for the record.
    findings : tuple of Finding
    """

    grid: Grid
    solid: BoolArray
    soft: FloatArray
    origin: str
    findings: tuple[Finding, ...] = ()

    def check(self) -> None:
        """Hold the arrays to the grid; ValueError where they do not fit it."""
        if not self.solid.shape == self.soft.shape == self.grid.shape:
            raise ValueError(
                f"a mask of {self.solid.shape} and {self.soft.shape} voxels does not "
                f"fit the grid {self.grid.shape}"
            )

    @property
    def volume(self) -> float:
        """Volume of the solid part, Å^3."""
        return int(np.count_nonzero(self.solid)) * self.grid.voxel_volume

    @property
    def mass(self) -> float:
        """Mass in kDa of protein that fills the solid part."""
        return self.volume * DALTON_PER_CUBIC_ANGSTROM / 1000

    def coverage(self, positions: DoubleArray) -> float:
        """Share of positions (n, 3) in Å that stand inside the solid part."""
        if not len(positions):
            return 0.0
        return float(self.solid[self.grid.nearest_voxels(positions)].mean())


def confidence_mask(
    observed: ObservedMaps, *, fdr: float, resolution: float, user_mask: Map | None = None
) -> Mask:
    """Mask of the voxels whose density is significant against the noise.

    Parameters
    ----------
    observed : ObservedMaps
        Solvent mean subtracted.  Without a noise estimate the mask is the part of the map that
        is not masked to a constant.
    fdr : float
        False discovery rate, 0 to 1.
    resolution : float
        Å; the map is low-passed at 5 Å or at 1.5 times this, whichever is coarser.
    user_mask : Map, optional
        Taken in place of all this; 0 to 1 on the same grid.

    Returns
    -------
    Mask

    Raises
    ------
    InputError
        If nothing is significant, or the user's mask does not fit or is empty.

    References
    ----------
    .. [1] Benjamini, Hochberg (1995) J. R. Stat. Soc. B 57:289-300,
       :doi:`10.1111/j.2517-6161.1995.tb02031.x`.
    .. [2] Beckers, Jakobi, Sachse (2019) IUCrJ 6:18-33, :doi:`10.1107/S2052252518014434`.
    """
    if user_mask is not None:
        return _users_mask(user_mask, observed.average)
    grid = observed.average.grid
    outer = observed.outer
    wide = outer is not None and outer.has_solvent
    tested = outer.inside if outer is not None and wide else present_part(observed.average.values)
    raw = _significant(observed, fdr, resolution, tested)
    if raw is None or (tested is not None and raw.sum() > _FULL * tested.sum()):
        return _present_mask(grid, tested, wide)
    solid, findings = _cleaned(raw, grid), list[Finding]()
    of_what = "half maps" if observed.kind == "halves" else "solvent"
    if of_what == "half maps" and not solid.any():
        solid, of_what = _against_solvent(observed, fdr, resolution, tested), "solvent"
        findings.append(_halves_differ(observed, fdr))
    if not solid.any():
        raise _nothing_found(observed, fdr)
    solid, soft = _with_soft_edge(solid, grid, DILATION)
    origin = f"false discovery rate {fdr:g} against the {of_what}"
    return Mask(grid, solid, soft, origin, tuple(findings))


def _significant(
    observed: ObservedMaps, fdr: float, resolution: float, present: BoolArray | None
) -> BoolArray | None:
    """Mark the significant voxels; None if there is no noise to compare them with."""
    scores = significance(observed, resolution=resolution, present=present)
    return None if scores is None else scores >= discovery_threshold(scores, fdr, present)


def _against_solvent(
    observed: ObservedMaps, fdr: float, resolution: float, present: BoolArray | None
) -> BoolArray:
    """Mark what is significant in the average of two halves against its solvent alone."""
    one = ObservedMaps(observed.average, None, None, "single")
    raw = _significant(one, fdr, resolution, present)
    grid = observed.average.grid
    return np.zeros(grid.shape, dtype=np.bool_) if raw is None else _cleaned(raw, grid)


def _nothing_found(observed: ObservedMaps, fdr: float) -> InputError:
    """Make the error for a map without density."""
    return InputError(
        f"no density rises above the noise of {observed.average.name}: at a false discovery "
        f"rate of {fdr:g} no connected piece reaches {SMALLEST_PIECE:g} Å³",
        do("check that both maps show the same particle"),
        give("fdr", "a higher rate"),
        give("mask"),
    )


def _halves_differ(observed: ObservedMaps, fdr: float) -> Finding:
    """Say that the density of one half map is missing from the other."""
    return Finding(
        "halves-differ",
        "warning",
        f"half maps differ as much as they agree: none of the density in {observed.average.name} "
        f"rises above half their difference at a false discovery rate of {fdr:g}, so the mask was "
        "made against the solvent; one of them may contain only noise or another particle",
        remedies=(do("check the pair"),),
    )


def significance(
    observed: ObservedMaps, *, resolution: float, present: BoolArray | None = None
) -> FloatArray | None:
    """Low-passed density in units of its noise.

    The noise of half maps is that of half their difference, in a ball around each voxel; the
    noise of one map is that of quiet cubes of the map, or of its pseudo-halves where that is
    more.

    Parameters
    ----------
    observed : ObservedMaps
    resolution : float
        Å.
    present : bool array, optional
        Voxels that carry data; elsewhere the result is minus infinity.

    Returns
    -------
    array, shape (nz, ny, nx), or None
        float32; None where noise cannot be told from density.
    """
    grid = observed.average.grid
    cut = max(FILTER_RESOLUTION, FILTER_FACTOR * resolution)
    sigma = _GAUSSIAN_PER_RESOLUTION * cut
    scores = smoothed(observed.average.values, grid, sigma)
    quiet = None
    if observed.kind != "halves":
        part = quiet_part(scores, grid, max(NOISE_BALL, 3 * cut), present)
        quiet = None if part is None else part.noise
    difference = observed.half_difference
    if difference is None and quiet is None:
        return None
    if difference is None:
        scores /= np.float32(quiet)
    else:
        scores /= _local_noise(difference, grid, sigma, max(NOISE_BALL, 5 * cut), present, quiet)
    if present is not None:
        scores[~present] = -np.inf
    return scores


def _local_noise(
    difference: FloatArray,
    grid: Grid,
    sigma: float,
    diameter: float,
    present: BoolArray | None,
    least: float | None,
) -> FloatArray:
    """Noise sd around each voxel, from half the difference of two half maps; at least `least`."""
    variance = smoothed(difference, grid, sigma)
    np.square(variance, out=variance)
    variance = _ball_mean(variance, grid, diameter)
    if present is not None:  # the mean over the part of the ball that has data
        variance /= np.maximum(
            _ball_mean(present.astype(np.float32), grid, diameter), np.float32(1e-3)
        )
    floor = float(np.finfo(np.float32).tiny) if least is None else least**2
    floor = max(floor, 1e-12 * float(variance.max()))
    np.maximum(variance, np.float32(floor), out=variance)
    return np.sqrt(variance, out=variance)


def discovery_threshold(scores: FloatArray, fdr: float, present: BoolArray | None = None) -> float:
    """Lowest score that Benjamini and Hochberg's procedure accepts.

    One-sided p-values of a Gaussian; the sorted list is replaced by a histogram of 1/200 sd,
    which moves the threshold up by less than that.

    Parameters
    ----------
    scores : array
        In units of the noise sd; minus infinity is no test.
    fdr : float
    present : bool array, optional
        Voxels tested; all by default.

    Returns
    -------
    float
        Infinity when nothing is accepted.
    """
    n_tests = scores.size if present is None else int(np.count_nonzero(present))
    edges = np.linspace(0.0, _HIGHEST_Z, int(_HIGHEST_Z * _BINS_PER_SD) + 1)
    counts = np.zeros(edges.size, dtype=np.int64)
    for plane in scores.reshape(-1, scores.shape[-1] * scores.shape[-2]):
        positive = plane[plane > 0]
        index = np.minimum(positive * np.float32(_BINS_PER_SD), np.float32(edges.size - 1))
        counts += np.bincount(index.astype(np.intp), minlength=edges.size)
    found = np.cumsum(counts[::-1])[::-1]
    accepted = np.flatnonzero(n_tests * special.ndtr(-edges) <= fdr * found)
    return float(edges[accepted[0]]) if accepted.size and found[accepted[0]] else float("inf")


def _ball_mean(values: FloatArray, grid: Grid, diameter: float) -> FloatArray:
    """Mean around every voxel over a cube of the second moment of a ball, wrapped."""
    edge = diameter * np.sqrt(0.6)  # edge^2 / 12 = diameter^2 / 20
    size = [2 * int(round((edge / step - 1) / 2)) + 1 for step in reversed(grid.voxel_size)]
    fits = [min(n, 2 * ((length - 1) // 2) + 1) for n, length in zip(size, grid.shape, strict=True)]
    return np.asarray(ndimage.uniform_filter(values, fits, mode="wrap"), dtype=np.float32)


def _present_mask(grid: Grid, present: BoolArray | None, wide: bool) -> Mask:
    """Make the mask of a map without a noise estimate: all that is not flat."""
    if present is None:
        whole = np.ones(grid.shape, dtype=bool)
        return Mask(grid, whole, whole.astype(np.float32), "the whole box", (_NO_NOISE,))
    solid, soft = _with_soft_edge(without_holes(present), grid, 0.0)
    return Mask(
        grid,
        solid,
        soft,
        "the part of the map that is not zero",
        (_NO_NOISE if wide else _looks_masked(present),),
    )


def _looks_masked(present: BoolArray) -> Finding:
    """Report that a map comes masked."""
    share = 1 - float(np.count_nonzero(present)) / present.size
    return Finding(
        "masked-input",
        "warning",
        f"your maps look masked: {share:.0%} of the box is constant, so the solvent noise is "
        "missing",
        {"constant_share": round(share, 4)},
        (give("half_maps", "unmasked half maps"), give("mask")),
    )


def _users_mask(user_mask: Map, observed: Map) -> Mask:
    """Read the user's mask and check its grid."""
    if not user_mask.grid.same_as(observed.grid):
        raise InputError(
            f"mask {user_mask.name} has box {_box_text(user_mask.grid)}, but {observed.name} has "
            f"{_box_text(observed.grid)}; resample the mask onto the map"
        )
    values, findings = checked_mask(user_mask, observed, solvent_region(observed.grid.shape))
    solid = inside(values)
    binary = not bool(((values > 0.01) & (values < 0.99)).any())
    if binary and not solid.all():
        solid, soft = _with_soft_edge(solid, observed.grid, 0.0)
    else:
        soft = values
    return Mask(observed.grid, solid, soft, f"given: {user_mask.name}", tuple(findings))


def _box_text(grid: Grid) -> str:
    """Box, voxel and origin of a grid in a message."""
    nz, ny, nx = grid.shape
    x, y, z = grid.origin
    return f"{nx} x {ny} x {nz} voxels of {grid.step:.4g} Å at ({x:.4g}, {y:.4g}, {z:.4g}) Å"


def _cleaned(raw: BoolArray, grid: Grid) -> BoolArray:
    """Without specks, without holes."""
    box = bounding_box(raw, (1, 1, 1))
    kept, _ = without_small_pieces(raw[box], SMALLEST_PIECE / grid.voxel_volume, SHARE_OF_LARGEST)
    result = np.zeros_like(raw)
    result[box] = without_holes(kept)
    return result


def _with_soft_edge(solid: BoolArray, grid: Grid, dilation: float) -> tuple[BoolArray, FloatArray]:
    """Grow by `dilation` Å, then a cosine edge of SOFT_EDGE voxels around that."""
    width = SOFT_EDGE * grid.step
    box = bounding_box(solid, margin_for(grid, dilation + width))
    distance = distance_within(solid[box], grid.voxel_size, dilation + width)
    grown = np.zeros_like(solid)
    grown[box] = distance <= dilation
    part = np.clip((distance - np.float32(dilation)) / np.float32(width), 0, 1)
    soft = np.zeros(solid.shape, dtype=np.float32)
    soft[box] = 0.5 + 0.5 * np.cos(np.float32(np.pi) * part)
    return grown, soft
