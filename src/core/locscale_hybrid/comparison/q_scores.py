"""Q-scores: how much the density around each atom looks like that of a resolved atom.

The Q of an atom is the correlation about the mean between the map and a Gaussian, over points on
spheres around the atom that are nearer to it than to any other atom.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..maps.grid import BoolArray, DoubleArray, FloatArray, IntArray, Map

SIGMA = 0.6  # Å, of the Gaussian that an atom is compared with
_RADII = np.arange(21) * 0.1  # Å, of the spheres; the first is the atom's own place
_POINTS = 8  # on each sphere, at least
_TRIALS = 50  # spheres of 8, 10, 12, ... points that are tried until enough are free
_STEP = 2  # points more on each
_CLEAR = 0.9  # of its radius, from which a point counts as clear of another atom
_CHUNK = 1500  # atoms at a time


def q_scores(
    positions: DoubleArray, maps: Sequence[Map], *, count: int | None = None
) -> DoubleArray:
    """Q of every atom in each of several maps.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å, all atoms but hydrogens; each also bounds the points of its neighbours.
    maps : sequence of Map
    count : int, optional
        Only so many atoms, the first, get a score; the others are neighbours alone.

    Returns
    -------
    array, shape (len(maps), count or n)
        -1 to 1; NaN for an atom outside a map or where the map is constant.

    References
    ----------
    .. [1] Pintilie et al. (2020) Nat. Methods 17:328-334, :doi:`10.1038/s41592-020-0731-1`.
    """
    n = len(positions) if count is None else count
    result = np.full((len(maps), n), np.nan)
    reach = _RADII[-1] * (1 + _CLEAR)
    tree = cKDTree(positions)
    for begin in range(0, n, _CHUNK):
        some = np.arange(begin, min(begin + _CHUNK, n))
        near = _neighbour_vectors(positions, some, tree, reach)
        owners, points, radii = _free_points(positions[some], near)
        expected = np.exp(-0.5 * (radii / SIGMA) ** 2)
        for row, volume in enumerate(maps):
            found, inside = _sampled(volume, points)
            result[row, some] = _correlation(owners, found, expected, len(some))
            outside = np.bincount(owners, ~inside, len(some)) > 0
            result[row, some[outside]] = np.nan
    return result


def _neighbour_vectors(
    positions: DoubleArray, some: IntArray, tree: cKDTree, reach: float
) -> FloatArray:
    """Vectors to the other atoms within reach, shape (atoms, most neighbours, 3).

    Rows are filled up with vectors to nowhere.
    """
    lists = [np.asarray(tree.query_ball_point(place, reach)) for place in positions[some]]
    lengths = np.array([found.size for found in lists])
    vectors = np.full((len(some), max(int(lengths.max()), 1), 3), np.float32(1e3))
    rows = np.repeat(np.arange(len(some)), lengths)
    columns = np.concatenate([np.arange(n) for n in lengths])
    others = np.concatenate(lists).astype(np.intp)
    vectors[rows, columns] = positions[others] - positions[some[rows]]
    itself = others == some[rows]
    vectors[rows[itself], columns[itself]] = 1e3
    return vectors


def _free_points(
    centres: DoubleArray, near: FloatArray
) -> tuple[IntArray, DoubleArray, DoubleArray]:
    """Return the points of all spheres that are clear of other atoms: owner, place and radius."""
    n = len(centres)
    owners, points, radii = [np.arange(n)], [centres], [np.zeros(n)]
    squared = np.einsum("amk,amk->am", near, near)
    for radius in _RADII[1:]:
        # a point r u is within c of a neighbour v where  u.v > (r^2 + v^2 - c^2) / 2 r
        limit = (squared + np.float32(radius**2 * (1 - _CLEAR**2))) / np.float32(2 * radius)
        waiting = np.arange(n)
        for trial in range(_TRIALS):
            directions = sphere_points(_POINTS + _STEP * trial)
            free = _clear(near[waiting], limit[waiting], directions)
            enough = free.sum(axis=1) >= _POINTS
            if trial == _TRIALS - 1:
                enough[:] = True
            row, column = np.nonzero(free[enough])
            owner = waiting[enough][row]
            owners.append(owner)
            points.append(centres[owner] + radius * directions[column])
            radii.append(np.full(len(owner), radius))
            waiting = waiting[~enough]
            if not len(waiting):
                break
    return np.concatenate(owners), np.concatenate(points), np.concatenate(radii)


def _clear(near: FloatArray, limit: FloatArray, directions: DoubleArray) -> BoolArray:
    """Mark which directions (atoms, n) meet no neighbour on a sphere."""
    along = near @ directions.T.astype(np.float32)
    return np.asarray(~(along > limit[:, :, None]).any(axis=1))


def sphere_points(n: int) -> DoubleArray:
    """Return unit vectors (n, 3), spread evenly along a spiral from pole to pole.

    References
    ----------
    .. [1] Saff, Kuijlaars (1997) Math. Intell. 19:5-11, :doi:`10.1007/BF03024331`.
    """
    height = np.linspace(-1, 1, n)
    steps = np.zeros(n)
    steps[1:-1] = 3.6 / np.sqrt(n * (1 - height[1:-1] ** 2))
    turn = np.cumsum(steps)
    turn[-1] = 0.0
    across = np.sqrt(1 - height**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)


def _sampled(volume: Map, points: DoubleArray) -> tuple[DoubleArray, BoolArray]:
    """Return the map at points, by linear interpolation, and which of them are in its box."""
    index = volume.grid.index_of(points)
    inside = ((index >= 0) & (index <= np.array(volume.grid.shape) - 1)).all(axis=1)
    found = ndimage.map_coordinates(volume.values, index.T, order=1, mode="nearest")
    return found.astype(np.float64), inside


def _correlation(owners: IntArray, a: DoubleArray, b: DoubleArray, n: int) -> DoubleArray:
    """Correlation of a and b about their means, over the points of each owner."""

    def total(values: DoubleArray) -> DoubleArray:
        """Sum for each owner."""
        return np.bincount(owners, values, n)

    count = np.maximum(total(np.ones_like(a)), 1)
    mean_a, mean_b = total(a) / count, total(b) / count
    a, b = a - mean_a[owners], b - mean_b[owners]
    power = total(a * a) * total(b * b)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, total(a * b) / np.sqrt(power), np.nan)
