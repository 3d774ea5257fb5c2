"""Stage 3: where the model leaves density out, how many atoms belong there, where they start."""

import logging
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .findings import Finding
from .fourier import FourierSpace
from .maps import BoolArray, DoubleArray, FloatArray, Grid, Map
from .morphology import (
    Box,
    bounding_box,
    distance_within,
    margin_for,
    opened,
    part_of,
    voxels_near,
    without_small_pieces,
)
from .observed import ObservedMaps
from .region import Region
from .symmetry import Symmetry

__all__ = ["Region", "starting_places", "unmodelled_region"]

_log = logging.getLogger(__name__)

COARSEST_GRID = 1.5        # Å, of the grid the region is found on
LOW_PASS = 2.0             # Å, sigma of the Gaussian before the threshold
NEAR_ATOM = 1.5            # Å, density that calibrates the threshold
MODELLED = 2.5             # Å around a model atom; less leaves the model's own rim
OPENING = 1.5              # Å, radius of the ball
SMALLEST_PIECE = 60.0      # Å^3; a haem's piece has 96
PROTEIN_DENSITY = 0.0585   # non-hydrogen atoms per Å^3
LEAST_COVERAGE = 0.05      # below it the model calibrates nothing

_CALIBRATION = 5.0         # percentile of the density near model atoms
_NOISE_FACTOR = 4.0        # noise sd above solvent, at least
_PLAUSIBLE_DENSITY = (0.03, 0.10)  # atoms per Å^3
_BETWEEN_CLASSES = 0.9     # of Otsu's threshold: there the volume is that of the atoms
_FEWEST_VOXELS = 50        # near model atoms
_POINTS_PER_ATOM = (8, 30)  # in the relaxation, least and most
_RELAXATION_STEPS = 10
_JITTER = 0.3              # voxels
_SLAB_COEFFICIENTS = 1 << 22


def unmodelled_region(observed: ObservedMaps, solid: BoolArray, positions: DoubleArray, *,
                      beyond: DoubleArray | None = None) -> Region:
    """The density that a model leaves out.

    Parameters
    ----------
    observed : ObservedMaps
        Solvent mean subtracted.
    solid : bool array, shape of the map
        The mask.
    positions : array, shape (n, 3)
        Å, atoms of the model and its symmetry copies; none: the whole density.
    beyond : array, shape (m, 3), optional
        Å, atoms outside the box, whose density near its faces is not left out.

    Returns
    -------
    Region
        Empty, with a finding, when the model leaves nothing out.
    """
    frame = _frame_of(observed.average.grid, solid)
    grid = frame.grid
    density = frame.values(_low_passed(observed.average))
    inside = frame.flags(solid)
    difference = observed.half_difference
    least = 0.0
    if difference is not None:
        noise = _low_passed(observed.average.with_values(difference))
        least = _NOISE_FACTOR * float(noise[solid].std(dtype=np.float64))
        del noise
    modelled = voxels_near(grid, positions, MODELLED)
    near = voxels_near(grid, positions, NEAR_ATOM) & inside
    threshold, coverage = 0.0, 0.0
    if np.count_nonzero(near) >= _FEWEST_VOXELS:
        threshold = max(float(np.percentile(density[near], _CALIBRATION)), least)
        coverage = _share(inside & (density > threshold), modelled)
    if coverage < LEAST_COVERAGE:
        threshold = max(_BETWEEN_CLASSES * _otsu(density[inside]), least)
        coverage = _share(inside & (density > threshold), modelled)
    inside &= density > threshold
    number_density = _number_density(inside & modelled, grid, len(positions), coverage)
    inside &= ~modelled
    if beyond is not None and len(beyond):
        inside &= ~voxels_near(grid, beyond, MODELLED)
    region = _tidied(inside, grid)
    return Region(grid, region, threshold, number_density, coverage,
                  () if region.any() else (_nothing_left(coverage),))


def starting_places(region: Region, density: Map, *, d_min: float, rng: np.random.Generator,
                    symmetry: Symmetry | None = None) -> DoubleArray:
    """Places of pseudo-atoms: samples of the density, spread evenly by Lloyd's relaxation.

    Parameters
    ----------
    region : Region
        Says how many.
    density : Map
    d_min : float
        Å; nothing finer is looked at.
    rng : numpy Generator
    symmetry : Symmetry, optional
        The places are those of one asymmetric unit.

    Returns
    -------
    array, shape (n, 3)
        Å, (x, y, z), in the frame of the map.

    References
    ----------
    .. [1] Lloyd (1982) IEEE Trans. Inf. Theory 28:129-137, :doi:`10.1109/TIT.1982.1056489`.
    """
    if not region.inside.any() or region.n_atoms == 0:
        return np.empty((0, 3))
    number = max(atoms_per_unit(region, symmetry), 1)
    points, weights = sampled_density(region, density, d_min=d_min, rng=rng, symmetry=symmetry)
    return relaxed(points, weights, number, start_jitter(region), rng)


def atoms_per_unit(region: Region, symmetry: Symmetry | None) -> int:
    """Number of pseudo-atoms of one asymmetric unit that a region takes."""
    order = 1 if symmetry is None else symmetry.order
    return region.n_atoms if order == 1 else int(round(region.n_atoms / order))


def start_jitter(region: Region) -> DoubleArray:
    """Largest random shift of a start, Å, shape (3,)."""
    return _JITTER * np.array(region.grid.voxel_size)


def sampled_density(region: Region, density: Map, *, d_min: float, rng: np.random.Generator,
                    symmetry: Symmetry | None = None) -> tuple[DoubleArray, DoubleArray]:
    """Points of one asymmetric unit of a region, and their density as positive weights.

    The parameters are those of `starting_places`.

    Returns
    -------
    points : array, shape (p, 3)
        Å, (x, y, z).
    weights : array, shape (p,)
    """
    number = atoms_per_unit(region, symmetry)
    points = _points(region)
    if symmetry is not None and not symmetry.is_trivial:
        points = points[symmetry.asymmetric_unit(points)]
    most = _POINTS_PER_ATOM[1] * max(number, 1)
    if len(points) > most:
        points = points[np.sort(rng.choice(len(points), most, replace=False))]
    index = density.grid.index_of(points).T
    values = ndimage.map_coordinates(_without_detail(density, d_min), index, order=1,
                                     mode="grid-wrap").astype(np.float64)
    spread = float(np.ptp(values))
    weights = np.maximum(values - values.min(), 1e-6 * spread) if spread else np.ones(len(values))
    return points, weights


def relaxed(points: DoubleArray, weights: DoubleArray, number: int, jitter: DoubleArray,
            rng: np.random.Generator, *, begin: BoolArray | None = None,
            beside: DoubleArray | None = None, n_steps: int = _RELAXATION_STEPS) -> DoubleArray:
    """Centres of `number` cells that share weighted points evenly.

    Parameters
    ----------
    points : array, shape (p, 3)
    weights : array, shape (p,)
        Positive.
    number : int
    jitter : array, shape (3,)
        Largest random shift of a start from its point.
    rng : numpy Generator
    begin : bool array, shape (p,), optional
        Points at which centres may begin; some at least.
    beside : array, shape (m, 3), optional
        Centres of further cells, which stay where they are.
    n_steps : int
        Of Lloyd's relaxation: each centre moves to the weighted mean of the points nearest to it.

    Returns
    -------
    array, shape (number, 3)
    """
    standing = np.empty((0, 3)) if beside is None else beside
    starts = weights if begin is None else weights * begin
    share = np.cumsum(starts) / starts.sum()
    picked = np.searchsorted(share, (np.arange(number) + 0.5) / number)
    centres = points[np.minimum(picked, len(points) - 1)]
    centres = centres + rng.uniform(-1, 1, (number, 3)) * jitter
    weighted = points * weights[:, None]
    for _ in range(n_steps):
        _, nearest = cKDTree(np.concatenate([centres, standing])).query(points)
        total = np.bincount(nearest, weights, number)[:number]
        filled = total > 0
        sums = np.stack([np.bincount(nearest, column, number)[:number] for column in weighted.T],
                        axis=1)
        centres[filled] = sums[filled] / total[filled, None]
    return np.asarray(centres)


@dataclass(frozen=True)
class _Frame:
    """A box of the map, `factor` times as fine."""

    box: Box
    factor: int
    grid: Grid

    def values(self, full: FloatArray) -> FloatArray:
        """The box of a map, by cubic spline where it is refined."""
        part = full[self.box]
        if self.factor == 1:
            return part
        zoom = [fine / coarse for fine, coarse in zip(self.grid.shape, part.shape, strict=True)]
        return np.asarray(ndimage.zoom(part, zoom, order=3, mode="nearest"), dtype=np.float32)

    def flags(self, full: BoolArray) -> BoolArray:
        """The box of a mask, from the nearest voxel."""
        part = full[self.box]
        where = [(np.arange(n) + self.factor // 2) // self.factor for n in self.grid.shape]
        return np.array(part[np.ix_(*where)])


def _frame_of(grid: Grid, solid: BoolArray) -> _Frame:
    """The box around the mask on a grid of at most 1.5 Å."""
    box = bounding_box(solid, margin_for(grid, MODELLED))
    part = part_of(grid, box)
    factor = int(np.ceil(max(grid.voxel_size) / COARSEST_GRID - 1e-3))
    nz, ny, nx = ((n - 1) * factor + 1 for n in part.shape)
    x, y, z = (edge / factor for edge in grid.voxel_size)
    return _Frame(box, factor, Grid((nz, ny, nx), (x, y, z), part.origin))


def _low_passed(density: Map) -> FloatArray:
    """The map under a Gaussian of 2 Å."""
    space = FourierSpace(density.grid)
    coefficients = space.forward(density.values)
    for frequency in space.axes:
        coefficients *= np.exp(np.float32(-2 * np.pi**2 * LOW_PASS**2) * frequency * frequency)
    return space.backward(coefficients)


def _without_detail(density: Map, d_min: float) -> FloatArray:
    """The map without what is finer than d_min."""
    space = FourierSpace(density.grid)
    coefficients = space.forward(density.values)
    slab = max(1, _SLAB_COEFFICIENTS // (coefficients.shape[1] * coefficients.shape[2]))
    sz, sy, sx = space.axes
    for begin in range(0, len(coefficients), slab):
        part = slice(begin, begin + slab)
        coefficients[part] *= sz[part] ** 2 + sy**2 + sx**2 <= 1 / d_min**2
    return space.backward(coefficients)


def _otsu(values: FloatArray) -> float:
    """The level that parts values into the two most distinct classes.

    References
    ----------
    .. [1] Otsu (1979) IEEE Trans. Syst. Man Cybern. 9:62-66, :doi:`10.1109/TSMC.1979.4310076`.
    """
    counts, edges = np.histogram(values, 400)
    middle = (edges[1:] + edges[:-1]) / 2
    share = np.cumsum(counts) / counts.sum()
    moment = np.cumsum(counts * middle) / counts.sum()
    between = (moment[-1] * share - moment) ** 2 / np.maximum(share * (1 - share), 1e-12)
    return float(middle[np.argmax(between)])


def _points(region: Region) -> DoubleArray:
    """Voxels of the region, divided where there are too few of them for its atoms."""
    voxels = region.voxels()
    wanted = _POINTS_PER_ATOM[0] * max(region.n_atoms, 1) / len(voxels)
    parts = int(np.ceil(wanted ** (1 / 3) - 1e-6))
    if parts < 2:
        return voxels
    at = (np.arange(parts) + 0.5) / parts - 0.5
    offsets = np.stack(np.meshgrid(at, at, at, indexing="ij"), axis=-1).reshape(-1, 3)
    return (voxels[:, None, :] + offsets * region.grid.voxel_size).reshape(-1, 3)


def _share(of: BoolArray, within: BoolArray) -> float:
    """Share of the voxels `of` that lie `within`."""
    return int(np.count_nonzero(of & within)) / max(int(np.count_nonzero(of)), 1)


def _number_density(own: BoolArray, grid: Grid, n_atoms: int, coverage: float) -> float:
    """Atoms per Å^3 of the model's own density; protein's where the model is too small."""
    if coverage < LEAST_COVERAGE:
        return PROTEIN_DENSITY
    volume = np.count_nonzero(own) * grid.voxel_volume
    return float(np.clip(n_atoms / volume, *_PLAUSIBLE_DENSITY))


def _tidied(inside: BoolArray, grid: Grid) -> BoolArray:
    """Without necks, specks and pieces too small to be anything."""
    if not inside.any():
        return inside
    box = bounding_box(inside, margin_for(grid, OPENING))
    core = opened(inside[box], grid.voxel_size, OPENING)
    # an opening rounds off what is no neck; as much again around it restores that
    core = inside[box] & (distance_within(core, grid.voxel_size, OPENING) <= OPENING)
    smallest = SMALLEST_PIECE / grid.voxel_volume
    kept, sizes = without_small_pieces(core, smallest)
    small = sizes[sizes < smallest]
    if small.size:
        _log.info("%d pieces of unmodelled density below %g Å³ left out, %.0f Å³ in all",
                  small.size, SMALLEST_PIECE, small.sum() * grid.voxel_volume)
    result = np.zeros_like(inside)
    result[box] = kept
    return result


def _nothing_left(coverage: float) -> Finding:
    """Say that there is no density to add atoms to."""
    return Finding(
        "nothing-to-add", "note",
        f"the model explains {coverage:.0%} of the density, and no piece of at least "
        f"{SMALLEST_PIECE:g} Å³ is left over: no pseudo-atoms are added",
        {"coverage": round(coverage, 4)})
