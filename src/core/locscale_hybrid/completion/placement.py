"""Choose the places where pseudo-atoms start in the unmodelled region."""

import logging

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Map
from ..symmetry.operators import Symmetry
from .region import Region

_log = logging.getLogger(__name__)
_POINTS_PER_ATOM = (8, 30)  # in the relaxation, least and most
_RELAXATION_STEPS = 10
_JITTER = 0.3  # voxels
_SLAB_COEFFICIENTS = 1 << 22


def starting_places(
    region: Region,
    density: Map,
    *,
    d_min: float,
    rng: np.random.Generator,
    symmetry: Symmetry | None = None,
) -> DoubleArray:
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
    """Count the pseudo-atoms of one asymmetric unit that a region takes."""
    order = 1 if symmetry is None else symmetry.order
    return region.n_atoms if order == 1 else int(round(region.n_atoms / order))


def start_jitter(region: Region) -> DoubleArray:
    """Largest random shift of a start, Å, shape (3,)."""
    return _JITTER * np.array(region.grid.voxel_size)


def sampled_density(
    region: Region,
    density: Map,
    *,
    d_min: float,
    rng: np.random.Generator,
    symmetry: Symmetry | None = None,
) -> tuple[DoubleArray, DoubleArray]:
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
    values = ndimage.map_coordinates(
        _without_detail(density, d_min), index, order=1, mode="grid-wrap"
    ).astype(np.float64)
    spread = float(np.ptp(values))
    weights = np.maximum(values - values.min(), 1e-6 * spread) if spread else np.ones(len(values))
    return points, weights


def relaxed(
    points: DoubleArray,
    weights: DoubleArray,
    number: int,
    jitter: DoubleArray,
    rng: np.random.Generator,
    *,
    begin: BoolArray | None = None,
    beside: DoubleArray | None = None,
    n_steps: int = _RELAXATION_STEPS,
) -> DoubleArray:
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
        sums = np.stack(
            [np.bincount(nearest, column, number)[:number] for column in weighted.T], axis=1
        )
        centres[filled] = sums[filled] / total[filled, None]
    return np.asarray(centres)


def _without_detail(density: Map, d_min: float) -> FloatArray:
    """Remove from the map what is finer than d_min."""
    space = FourierSpace(density.grid)
    coefficients = space.forward(density.values)
    slab = max(1, _SLAB_COEFFICIENTS // (coefficients.shape[1] * coefficients.shape[2]))
    sz, sy, sx = space.axes
    for begin in range(0, len(coefficients), slab):
        part = slice(begin, begin + slab)
        coefficients[part] *= sz[part] ** 2 + sy**2 + sx**2 <= 1 / d_min**2
    return space.backward(coefficients)


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
