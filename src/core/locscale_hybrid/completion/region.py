"""Find the part of the map that the model leaves out; pseudo-atoms are placed and kept in it."""

import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..findings import Finding
from ..fourier.space import FourierSpace
from ..inputs.half_maps import ObservedMaps
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Grid, Map
from ..maps.morphology import (
    Box,
    bounding_box,
    distance_within,
    margin_for,
    opened,
    part_of,
    voxels_near,
    without_small_pieces,
)

_log = logging.getLogger(__name__)
COARSEST_GRID = 1.5  # Å, of the grid the region is found on
LOW_PASS = 2.0  # Å, sigma of the Gaussian before the threshold
NEAR_ATOM = 1.5  # Å, density that calibrates the threshold
MODELLED = 2.5  # Å around a model atom; less leaves the model's own rim
OPENING = 1.5  # Å, radius of the ball
SMALLEST_PIECE = 60.0  # Å^3; a haem's piece has 96
PROTEIN_DENSITY = 0.0585  # non-hydrogen atoms per Å^3
LEAST_COVERAGE = 0.05  # below it the model calibrates nothing
_CALIBRATION = 5.0  # percentile of the density near model atoms
_NOISE_FACTOR = 4.0  # noise sd above solvent, at least
_PLAUSIBLE_DENSITY = (0.03, 0.10)  # atoms per Å^3
_BETWEEN_CLASSES = 0.9  # of Otsu's threshold: there the volume is that of the atoms
_FEWEST_VOXELS = 50  # near model atoms


@dataclass(frozen=True, eq=False)
class Region:
    """The part of the map that the model leaves out.

    Parameters
    ----------
    grid : Grid
        The box around the region, in the frame of the map; finer than the map where that is
        coarse.
    inside : bool array, shape grid.shape
    threshold : float
        Density above which a voxel counts, after the low-pass of 2 Å.
    number_density : float
        Atoms per Å^3.
    coverage : float
        Share of the density above the threshold that the model explains, 0 to 1.
    findings : tuple of Finding
    """

    grid: Grid
    inside: BoolArray
    threshold: float
    number_density: float
    coverage: float
    findings: tuple[Finding, ...] = ()

    @cached_property
    def volume(self) -> float:
        """Å^3."""
        return int(np.count_nonzero(self.inside)) * self.grid.voxel_volume

    @property
    def n_atoms(self) -> int:
        """Number of pseudo-atoms that the region takes."""
        return int(round(self.volume * self.number_density))

    def voxels(self) -> DoubleArray:
        """Positions of the voxels inside, Å, (x, y, z), shape (n, 3)."""
        return self.grid.position_of(np.argwhere(self.inside))

    def holds(self, positions: DoubleArray) -> BoolArray:
        """Mark which positions (n, 3) in Å are in a voxel of the region, shape (n,)."""
        voxels = np.rint(self.grid.index_of(positions)).astype(np.intp)
        within = ((voxels >= 0) & (voxels < self.grid.shape)).all(axis=1)
        result = np.zeros(len(voxels), dtype=np.bool_)
        result[within] = self.inside[tuple(voxels[within].T)]
        return result

    def confined(self, positions: DoubleArray) -> DoubleArray:
        """Move positions (n, 3) outside to the nearest voxel of the region."""
        outside = np.flatnonzero(~self.holds(positions))
        result = np.array(positions, dtype=np.float64)
        if not outside.size or not len(self._rim):
            return result
        _, nearest = self._rim_tree.query(result[outside])
        half = 0.499 * np.array(self.grid.voxel_size)
        centre = self._rim[nearest]
        result[outside] = np.clip(result[outside], centre - half, centre + half)
        return result

    @cached_property
    def _rim(self) -> DoubleArray:
        """Positions of the voxels that touch the outside."""
        core = ndimage.binary_erosion(self.inside)
        return self.grid.position_of(np.argwhere(self.inside & ~core))

    @cached_property
    def _rim_tree(self) -> cKDTree:
        """A search tree of the rim."""
        return cKDTree(self._rim)


def unmodelled_region(
    observed: ObservedMaps,
    solid: BoolArray,
    positions: DoubleArray,
    *,
    beyond: DoubleArray | None = None,
) -> Region:
    """Find the density that a model leaves out.

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
    return Region(
        grid,
        region,
        threshold,
        number_density,
        coverage,
        () if region.any() else (_nothing_left(coverage),),
    )


@dataclass(frozen=True)
class _Frame:
    """A box of the map, `factor` times as fine."""

    box: Box
    factor: int
    grid: Grid

    def values(self, full: FloatArray) -> FloatArray:
        """Cut the box of a map, by cubic spline if it is refined."""
        part = full[self.box]
        if self.factor == 1:
            return part
        zoom = [fine / coarse for fine, coarse in zip(self.grid.shape, part.shape, strict=True)]
        return np.asarray(ndimage.zoom(part, zoom, order=3, mode="nearest"), dtype=np.float32)

    def flags(self, full: BoolArray) -> BoolArray:
        """Cut the box of a mask, from the nearest voxel."""
        part = full[self.box]
        where = [(np.arange(n) + self.factor // 2) // self.factor for n in self.grid.shape]
        return np.array(part[np.ix_(*where)])


def _frame_of(grid: Grid, solid: BoolArray) -> _Frame:
    """Put the box around the mask on a grid of at most 1.5 Å."""
    box = bounding_box(solid, margin_for(grid, MODELLED))
    part = part_of(grid, box)
    factor = int(np.ceil(max(grid.voxel_size) / COARSEST_GRID - 1e-3))
    nz, ny, nx = ((n - 1) * factor + 1 for n in part.shape)
    x, y, z = (edge / factor for edge in grid.voxel_size)
    return _Frame(box, factor, Grid((nz, ny, nx), (x, y, z), part.origin))


def _low_passed(density: Map) -> FloatArray:
    """Smooth the map with a Gaussian of 2 Å."""
    space = FourierSpace(density.grid)
    coefficients = space.forward(density.values)
    for frequency in space.axes:
        coefficients *= np.exp(np.float32(-2 * np.pi**2 * LOW_PASS**2) * frequency * frequency)
    return space.backward(coefficients)


def _otsu(values: FloatArray) -> float:
    """Find the level that parts values into the two most distinct classes.

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
        _log.info(
            "%d pieces of unmodelled density below %g Å³ left out, %.0f Å³ in all",
            small.size,
            SMALLEST_PIECE,
            small.sum() * grid.voxel_volume,
        )
    result = np.zeros_like(inside)
    result[box] = kept
    return result


def _nothing_left(coverage: float) -> Finding:
    """Say that there is no density to add atoms to."""
    return Finding(
        "nothing-to-add",
        "note",
        f"the model explains {coverage:.0%} of the density, and no piece of at least "
        f"{SMALLEST_PIECE:g} Å³ is left over: no pseudo-atoms are added",
        {"coverage": round(coverage, 4)},
    )
