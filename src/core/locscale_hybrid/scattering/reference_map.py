"""Stage 6: the density of the hybrid model, which the map is scaled to."""

from dataclasses import replace
from typing import Protocol

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..fourier.space import FourierSpace
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, Grid, Map
from .fringe import FRINGE, Fringe
from .scatterers import Scatterers

NEIGHBOURS = 20  # atoms whose mean B counts as that of one, itself included
# Å^2, by which the 1 % quantile of single B is below that of the means.  In deposited models:
# 4.9 (7CEC), 5.4 (3J6B), 8.1 (EMD-6272), 2.0 (5A1A), 2.8 (1LEE), 1.5 (3ENL), 1.4 (5NI1).
SCATTER = 5.0
BEST_ORDERED = 0.01  # share of the model whose B is brought to the floor
_SLAB_COEFFICIENTS = 1 << 22
_DEVIATIONS = 4.5  # at which a Gaussian is nothing
_FORM_FACTOR_WIDTH = 60.0  # Å^2, of the widest Gaussian of light atoms
_MOST = 0.9  # quantile of B that says how far atoms reach
_NEAREST = 4


class Atoms(Protocol):
    """What a hybrid model says about its atoms; arrays of n."""

    @property
    def positions(self) -> DoubleArray:
        """Å, shape (n, 3)."""

    @property
    def species(self) -> NDArray[np.str_]:
        """Element symbols, or `scatterers.PSEUDO`."""

    @property
    def b_iso(self) -> DoubleArray:
        """Å^2."""

    @property
    def occupancies(self) -> DoubleArray:
        """Share of each atom that is there."""

    @property
    def is_pseudo(self) -> BoolArray:
        """Which atoms are pseudo-atoms."""


def reference_map(
    grid: Grid,
    hybrid: Atoms,
    fringe: Fringe | None = None,
    *,
    b_floor: float,
    cut: float | None = None,
) -> Map:
    """Density of a hybrid model on the grid of the input.

    The blur that all atoms share is a property of the data, not of the particle, and is taken
    off: the best-ordered 1 % of the model ends at `b_floor`.

    Parameters
    ----------
    grid : Grid
    hybrid : Atoms
        With its symmetry copies: nothing is interpolated here.
    fringe : Fringe, optional
        Atoms outside the box; the part of their density that is inside is drawn, with the B of
        the nearest atoms of the hybrid model.
    b_floor : float
        Å^2.
    cut : float, optional
        Å; the reference holds nothing finer.

    Returns
    -------
    Map
        Zero beyond the Nyquist sphere.
    """
    b = shifted_b(hybrid.positions, hybrid.b_iso, hybrid.is_pseudo, b_floor)
    positions, species, occupancies = hybrid.positions, hybrid.species, hybrid.occupancies
    reach = _reach(b)
    if fringe is not None and len(positions) and len(near := fringe.within(grid, reach)):
        b = np.concatenate([b, _b_of_nearest(near.positions, positions, b)])
        positions = np.concatenate([positions, near.positions])
        species = np.concatenate([species, near.species])
        occupancies = np.concatenate([occupancies, near.occupancies])
    wide = _with_room(grid, positions, reach)
    space = FourierSpace(wide)
    coefficients = Scatterers(wide, positions, species, occupancies).structure_factors(b, space)
    if cut is not None:
        _cut_off(coefficients, space, cut)
    values = space.backward(coefficients)
    if wide is not grid:
        nz, ny, nx = grid.shape
        values = np.ascontiguousarray(values[:nz, :ny, :nx])
    return Map(values, grid, "reference")


def _reach(b_iso: DoubleArray) -> float:
    """Return how far the density of an atom extends, Å."""
    b = float(np.quantile(b_iso, _MOST)) if b_iso.size else 0.0
    return min(float(_DEVIATIONS * np.sqrt((b + _FORM_FACTOR_WIDTH) / (8 * np.pi**2))), FRINGE)


def _with_room(grid: Grid, positions: DoubleArray, reach: float) -> Grid:
    """Extend the grid beyond its far faces, so that nothing that crosses one wraps around.

    The grid as it is where nothing does.
    """
    if not len(positions):
        return grid
    index = grid.index_of(positions)
    margin = reach / np.array(grid.voxel_size[::-1])
    over = (index < margin - 0.5) | (index > np.array(grid.shape) - 0.5 - margin)
    if not over.any():
        return grid
    nz, ny, nx = (
        int(scipy.fft.next_fast_len(int(np.ceil(n + 2 * room)), real=True)) if needed else n
        for n, room, needed in zip(grid.shape, margin, over.any(axis=0), strict=True)
    )
    return replace(grid, shape=(nz, ny, nx))


def _b_of_nearest(places: DoubleArray, positions: DoubleArray, b_iso: DoubleArray) -> DoubleArray:
    """Mean B of the atoms nearest to each place."""
    _, index = cKDTree(positions).query(places, k=min(_NEAREST, len(positions)))
    return np.asarray(b_iso[index].reshape(len(places), -1).mean(axis=1))


def shifted_b(
    positions: DoubleArray, b_iso: DoubleArray, is_pseudo: BoolArray, b_floor: float
) -> DoubleArray:
    """B whose 1 % quantile over the model, averaged over neighbours, is `b_floor`; none negative.

    The B of one atom has an error; the least of many would say how large it is, and not how well
    ordered the best part is.  Pseudo-atoms would set the quantile by how badly some of them stand,
    so they set it only where there is no model.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å.
    b_iso : array, shape (n,)
        Å^2.
    is_pseudo : bool array, shape (n,)
    b_floor : float
        Å^2.
    """
    if not b_iso.size:
        return b_iso
    judges = np.flatnonzero(is_pseudo if is_pseudo.all() else ~is_pseudo)
    places, own = positions[judges], b_iso[judges]
    near = np.asarray(cKDTree(places).query(places, k=min(NEIGHBOURS, len(own)))[1])
    averaged = own[near.reshape(len(own), -1)].mean(axis=1)
    level = float(np.quantile(averaged, BEST_ORDERED)) - SCATTER
    return np.maximum(b_iso - level + b_floor, 0.0)


def _cut_off(coefficients: ComplexArray, space: FourierSpace, cut: float) -> None:
    """Set to zero what is finer than `cut` Å, in place."""
    sz, sy, sx = space.axes
    slab = max(1, _SLAB_COEFFICIENTS // (coefficients.shape[1] * coefficients.shape[2]))
    for begin in range(0, len(coefficients), slab):
        part = slice(begin, begin + slab)
        coefficients[part] *= sz[part] ** 2 + sy**2 + sx**2 <= 1 / cut**2
