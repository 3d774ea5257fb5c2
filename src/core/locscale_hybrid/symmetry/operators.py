"""A point group about a point of the map: what it does to positions and to maps.

Positions are (n, 3) arrays in Å, (x, y, z), in the frame of the map.  The centre of a box of n
voxels is voxel n // 2 unless another is given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from ..maps.grid import BoolArray, DoubleArray, FloatArray, Grid, IntArray, Map, Vector
from .point_groups import PointGroup, parse_point_group
from .rotation import Turn, average_exact, spline_coefficients, sum_of_images

__all__ = [
    "PointGroup",
    "Symmetry",
    "average_map",
    "map_correlations",
    "parse_point_group",
    "preserves_grid",
    "symmetry_of",
    "voxel_turns",
]

MATE_TOLERANCE = 0.7  # Å, an atom this near to the image of another is its symmetry mate
AXIS_RADIUS = 1.0  # Å, an atom this near to an axis is on it

# no axis or mirror plane of any setting lies along it
_GENERIC = np.array([0.31, 0.53, 0.79])
_CHUNK = 1 << 16  # positions per step: 60 operators make 32 MB
_SAMPLES = 50_000  # voxels that a correlation is taken over


@dataclass(frozen=True)
class Symmetry:
    """A point group about a centre.

    Parameters
    ----------
    group : PointGroup
    centre : (x, y, z)
        Å, in the frame of the map.
    """

    group: PointGroup
    centre: Vector = (0.0, 0.0, 0.0)

    @property
    def order(self) -> int:
        """Number of operators."""
        return self.group.order

    @property
    def is_trivial(self) -> bool:
        """Whether there is nothing but the identity."""
        return self.group.is_trivial

    def images(self, positions: DoubleArray) -> Iterator[DoubleArray]:
        """Positions (n, 3) under one operator after the other; the first are themselves."""
        given = np.asarray(positions, dtype=np.float64)
        arm = given - self.centre
        yield given
        for matrix in self.group.matrices[1:]:
            yield arm @ matrix.T + self.centre

    def copies(self, positions: DoubleArray) -> DoubleArray:
        """Images of positions (n, 3) under every operator, shape (k, n, 3)."""
        return np.stack(list(self.images(positions)))

    def average_copies(self, copies: DoubleArray) -> DoubleArray:
        """Mean over k copies (k, n, 3), each brought back by its operator; shape (n, 3)."""
        arms = np.asarray(copies, dtype=np.float64) - self.centre
        back = np.einsum("kji,knj->ni", self.group.matrices, arms)
        return np.asarray(back / self.order + self.centre, dtype=np.float64)

    def average_vectors(self, vectors: DoubleArray) -> DoubleArray:
        """Mean over k copies (k, n, 3) of vectors such as gradients, each turned back; (n, 3)."""
        back = np.einsum("kji,knj->ni", self.group.matrices, vectors)
        return np.asarray(back / self.order, dtype=np.float64)

    def asymmetric_unit(self, positions: DoubleArray) -> BoolArray:
        """Mark which positions (n, 3) are in one asymmetric unit, shape (n,).

        A position is in it when no image of it lies farther along one generic direction; a
        position on an axis is there as often as its images are, once.
        """
        directions = self.group.matrices.transpose(0, 2, 1) @ _GENERIC  # g x . d = x . g^T d
        result = np.empty(len(positions), dtype=np.bool_)
        for begin in range(0, len(positions), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            arm = np.asarray(positions[part], dtype=np.float64) - self.centre
            along = arm @ directions.T
            result[part] = (along <= along[:, :1] + 1e-9).all(axis=1)
        return result

    def multiplicity(self, positions: DoubleArray, radius: float = AXIS_RADIUS) -> IntArray:
        """Count the operators that leave each position (n, 3) in place, shape (n,).

        An operator does when its axis passes within `radius` Å: 1 off the axes, n on an n-fold
        axis, the order of the group at the centre.
        """
        arm = np.asarray(positions, dtype=np.float64) - self.centre
        squared = (arm * arm).sum(axis=1)
        count = np.ones(len(arm), dtype=np.intp)
        for axis in self.group.axes:
            along = arm @ axis
            count += squared - along * along <= radius * radius
        return count

    def mates(self, positions: DoubleArray, tolerance: float = MATE_TOLERANCE) -> IntArray:
        """Index of the atom that stands where each operator brings each atom, shape (k, n).

        Where none stands within `tolerance` Å it is the atom's own index.
        """
        tree = cKDTree(positions)
        own = np.arange(len(positions))
        result = np.empty((self.order, len(positions)), dtype=np.intp)
        for row, image in zip(result, self.images(positions), strict=True):
            _, index = tree.query(image, distance_upper_bound=tolerance)
            row[:] = np.where(index < len(positions), index, own)
        return result


def symmetry_of(grid: Grid, symbol: str, centre_voxels: Vector | None = None) -> Symmetry:
    """Make the point group of a symbol about the centre of a grid.

    Parameters
    ----------
    grid : Grid
    symbol : str
        See `point_groups`.
    centre_voxels : (x, y, z), optional
        In voxels from 0, may be fractional; voxel n // 2 of every axis unless given.

    Raises
    ------
    InputError
        If the symbol is unknown or the centre is outside the box.
    """
    group = parse_point_group(symbol)
    size = np.array(grid.shape[::-1])
    centre = size // 2 if centre_voxels is None else np.asarray(centre_voxels, dtype=np.float64)
    if not (np.isfinite(centre).all() and (centre >= 0).all() and (centre <= size - 1).all()):
        at = ", ".join(f"{value:g}" for value in centre)
        last = ", ".join(str(n - 1) for n in size)
        raise InputError(
            f"symmetry centre ({at}) voxels is outside the box: give x, y, z from "
            f"(0, 0, 0) to ({last})"
        )
    x, y, z = grid.position_of(centre[::-1]).tolist()
    return Symmetry(group, (x, y, z))


def voxel_turns(symmetry: Symmetry, grid: Grid) -> list[Turn]:
    """Return the operators in voxels and array order, in the order of the group."""
    voxel = np.array(grid.voxel_size)
    scaled = symmetry.group.matrices * voxel / voxel[:, None]
    centre = grid.index_of(np.array(symmetry.centre))
    return [Turn(matrix[::-1, ::-1], centre, grid.shape) for matrix in scaled]


def preserves_grid(symmetry: Symmetry, grid: Grid) -> bool:
    """Test whether operators map voxels onto voxels: averaging then needs no interpolation."""
    return all(turn.is_exact for turn in voxel_turns(symmetry, grid))


def average_map(density: Map, symmetry: Symmetry) -> Map:
    """Average of a map over its point group.

    Operators that map voxels onto voxels act by exchange of voxels, without loss and symmetric
    to the last bit; the others by cubic spline, where the mean is over the images that reach a
    voxel from inside the box.

    Parameters
    ----------
    density : Map
    symmetry : Symmetry
    """
    if symmetry.is_trivial:
        return density
    turns = voxel_turns(symmetry, density.grid)
    exact = [turn for turn in turns if turn.is_exact]
    if len(exact) == len(turns):
        return density.with_values(average_exact(density.values, exact))
    # the exact operators H form a subgroup: the mean over its cosets r H is the mean over H of
    # the mean over r, so that only one image per coset is interpolated
    firsts = _coset_representatives(symmetry.group, [turn.is_exact for turn in turns])
    total, count = sum_of_images(density.values, [turns[i] for i in firsts])
    return density.with_values(average_exact(total, exact, count))


def map_correlations(
    density: Map, symmetry: Symmetry, mask: BoolArray | None = None
) -> DoubleArray:
    """Correlation of a map with its image under every operator.

    Parameters
    ----------
    density : Map
        Low-pass it first: noise is no more symmetric than the map's symmetry is imposed.
    symmetry : Symmetry
    mask : boolean array, shape of the map, optional
        Voxels that are compared, an even choice of 50,000 of them; all if not given.

    Returns
    -------
    array, shape (k,)
        1 for the identity; 0 where one of the two is constant or out of the box.
    """
    return correlations_under(density.values, voxel_turns(symmetry, density.grid), mask)


def least_correlation(density: Map, symmetry: Symmetry, mask: BoolArray) -> float | None:
    """Least correlation of a map with its images inside a mask; None without a point group."""
    if symmetry.is_trivial:
        return None
    return float(map_correlations(density, symmetry, mask).min())


def correlations_under(
    values: FloatArray,
    turns: Sequence[Turn],
    mask: BoolArray | None = None,
    *,
    stop_below: float = -np.inf,
    samples: int = _SAMPLES,
    coefficients: FloatArray | None = None,
) -> DoubleArray:
    """Correlation of an array with itself read by each turn; see `map_correlations`.

    Ends with the first that is less than `stop_below`.  `coefficients` are the spline
    coefficients of the array, if they are known.
    """
    chosen = np.arange(values.size) if mask is None else np.flatnonzero(mask)
    chosen = chosen[:: max(1, len(chosen) // samples)]
    index = np.column_stack(np.unravel_index(chosen, values.shape))
    if coefficients is None:
        coefficients = spline_coefficients(values)
    here = values.ravel()[chosen]
    result: list[float] = []
    for turn in turns:
        inside = turn.inside_at(index)
        result.append(_correlation(here[inside], turn.read(coefficients, index[inside])))
        if result[-1] < stop_below:
            break
    return np.array(result)


def _correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson correlation; 0 where it is not defined."""
    if len(a) < 2:
        return 0.0
    first = a - a.mean(dtype=np.float64)
    second = b - b.mean(dtype=np.float64)
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm > 0 else 0.0


def _coset_representatives(group: PointGroup, in_subgroup: Sequence[bool]) -> list[int]:
    """Choose one operator r of every coset r H of the subgroup H, the identity first."""
    members = np.flatnonzero(in_subgroup)
    cosets = group.products[:, members].min(axis=1)
    return [int(i) for i in np.unique(cosets, return_index=True)[1]]
