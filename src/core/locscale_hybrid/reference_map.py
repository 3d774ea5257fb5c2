"""Stage 6: the density of the hybrid model, which the map is scaled to."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .density import Scatterers
from .fourier import FourierSpace
from .maps import BoolArray, ComplexArray, DoubleArray, Grid, Map

BEST_ORDERED = 0.01  # share of the model whose B is brought to the floor
_SLAB_COEFFICIENTS = 1 << 22


class Atoms(Protocol):
    """What a hybrid model says about its atoms; arrays of n."""

    @property
    def positions(self) -> DoubleArray:
        """Å, shape (n, 3)."""

    @property
    def species(self) -> NDArray[np.str_]:
        """Element symbols, or `density.PSEUDO`."""

    @property
    def b_iso(self) -> DoubleArray:
        """Å^2."""

    @property
    def occupancies(self) -> DoubleArray:
        """Share of each atom that is there."""

    @property
    def is_pseudo(self) -> BoolArray:
        """Which atoms are pseudo-atoms."""


def reference_map(grid: Grid, hybrid: Atoms, *, b_floor: float,
                  cut: float | None = None) -> Map:
    """Density of a hybrid model on the grid of the input.

    The blur that all atoms share is a property of the data, not of the particle, and is taken
    off: the best-ordered 1 % of the model ends at `b_floor`.

    Parameters
    ----------
    grid : Grid
    hybrid : Atoms
        With its symmetry copies: nothing is interpolated here.
    b_floor : float
        Å^2.
    cut : float, optional
        Å; the reference holds nothing finer.

    Returns
    -------
    Map
        Zero beyond the Nyquist sphere.
    """
    space = FourierSpace(grid)
    atoms = Scatterers(grid, hybrid.positions, hybrid.species, hybrid.occupancies)
    b = shifted_b(hybrid.b_iso, hybrid.is_pseudo, b_floor)
    coefficients = atoms.structure_factors(b, space)
    if cut is not None:
        _cut_off(coefficients, space, cut)
    return Map(space.backward(coefficients), grid, "reference")


def shifted_b(b_iso: DoubleArray, is_pseudo: BoolArray, b_floor: float) -> DoubleArray:
    """B whose 1 % quantile over the model atoms is `b_floor`; none is negative.

    Pseudo-atoms would set the quantile by how badly some of them stand, so they set it only where
    there is no model.

    Parameters
    ----------
    b_iso : array, shape (n,)
        Å^2.
    is_pseudo : bool array, shape (n,)
    b_floor : float
        Å^2.
    """
    if not b_iso.size:
        return b_iso
    judges = b_iso if is_pseudo.all() else b_iso[~is_pseudo]
    lowest = float(np.quantile(judges, BEST_ORDERED))
    return np.maximum(b_iso - lowest + b_floor, 0.0)


def _cut_off(coefficients: ComplexArray, space: FourierSpace, cut: float) -> None:
    """Set to zero what is finer than `cut` Å, in place."""
    sz, sy, sx = space.axes
    slab = max(1, _SLAB_COEFFICIENTS // (coefficients.shape[1] * coefficients.shape[2]))
    for begin in range(0, len(coefficients), slab):
        part = slice(begin, begin + slab)
        coefficients[part] *= sz[part] ** 2 + sy**2 + sx**2 <= 1 / cut**2
