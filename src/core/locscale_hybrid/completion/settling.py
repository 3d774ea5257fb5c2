"""Steps in the coordinates of pseudo-atoms: up the likelihood, apart, back into the region.

No step lowers the likelihood: one that would, pushed apart and brought back as its atoms are, is
shortened, and the last ones of a round are left out where that does not help.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..maps.grid import BoolArray, ComplexArray, DoubleArray, IntArray
from ..refinement.b_steps import ROUND_TAU, b_steps, group_levels
from ..refinement.likelihood import (
    SHORTENED,
    Fit,
    Target,
    best_length,
    coordinate_gradient,
    evaluate,
)
from ..refinement.neighbours import neighbours_of
from ..refinement.setup import COARSE
from ..scattering.scatterers import Scatterers
from ..symmetry.operators import AXIS_RADIUS, Symmetry
from .region import Region

N_ROUNDS = 3
N_STEPS = 8  # in coordinates, per round
N_B_STEPS = 2  # per round
LONGEST_STEP = 0.35  # Å
LEAST_DISTANCE = 1.25  # Å, between pseudo-atoms, and between them and model atoms

_TRIALS = 3  # lengths of a step
_LENGTHEN = 1.5  # of a step over the one before, up to the whole
_STEPS_SHARE = N_STEPS / (N_STEPS + 2 * N_B_STEPS)  # of a round's time
_PUSHES = 3  # per step
_OWN_PUSH = 0.25  # of what two pseudo-atoms lack in distance, for each of them
_MODEL_PUSH = 0.5  # of what a pseudo-atom lacks in distance to a model atom, which stays
_ON_AXIS = 1e-3  # Å


@dataclass(frozen=True)
class SettledAtoms:
    """Pseudo-atoms where the data want them.

    Parameters
    ----------
    positions : array, shape (m, 3)
        Å; with a point group those of its first unit.
    b_iso : array, shape (n,)
        Å^2, of all atoms.
    correlation : array, shape (n_shells,)
        FSC of the hybrid model with the data, in the shells of the target's band.
    values : tuple of tuples of float
        The target at the start of each round's steps in coordinates, and after each of them.
    """

    positions: DoubleArray
    b_iso: DoubleArray
    correlation: DoubleArray
    values: tuple[tuple[float, ...], ...]


def settle_pseudo_atoms(
    target: Target,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
    region: Region,
    *,
    symmetry: Symmetry | None = None,
    mates: IntArray | None = None,
    n_rounds: int = N_ROUNDS,
    progress: Callable[[float], None] = lambda done: None,
) -> SettledAtoms:
    """Alternate coordinate steps of the pseudo-atoms with B steps of all atoms.

    Parameters
    ----------
    target : Target
        The average, or half map 1 where half map 2 is to judge.
    scatterers : Scatterers
        Model atoms first, then the pseudo-atoms, with a point group those of the first unit, then
        their images operator by operator.  Left as they are.
    b_iso : array, shape (n,)
        Å^2, start.
    is_pseudo : bool array, shape (n,)
    region : Region
        The pseudo-atoms stay in it.
    symmetry : Symmetry, optional
    mates : array of int, shape (k, n), optional
        Symmetry copies of each atom: B is averaged over them.
    n_rounds : int
    progress : callable
        Told the share that is done.

    Returns
    -------
    SettledAtoms
        Pseudo-atoms within 1 Å of an axis have been moved onto it.
    """
    group = None if symmetry is None or symmetry.is_trivial else symmetry
    atoms = Scatterers(
        scatterers.grid, scatterers.positions, scatterers.species, scatterers.occupancies
    )
    moving = np.flatnonzero(is_pseudo)
    unit = moving[: len(moving) // (1 if group is None else group.order)]
    crowd = _Crowd(atoms.positions[unit], atoms.positions[~is_pseudo], region, group)
    b = np.array(b_iso, dtype=np.float64)
    correlation = evaluate(target, atoms.coefficients(b, target.band)).correlation
    values: list[tuple[float, ...]] = []
    for number in range(n_rounds):
        crowd.settle_on_axes()
        crowd.move(np.zeros((len(moving), 3)))  # steps start where there is room
        values.append(_coordinates(target, atoms, b, moving, crowd))
        progress((number + _STEPS_SHARE) / n_rounds)
        b, correlation = _refined_b(target, atoms, b, is_pseudo, mates)
        progress((number + 1) / n_rounds)
    return SettledAtoms(crowd.unit, b, correlation, tuple(values))


def _coordinates(
    target: Target, atoms: Scatterers, b_iso: DoubleArray, moving: IntArray, crowd: "_Crowd"
) -> tuple[float, ...]:
    """Take steps of the crowd at fixed B; yield the target at the start and after each."""
    still = np.ones(len(atoms), dtype=np.bool_)
    still[moving] = False
    fixed = atoms.coefficients(b_iso, target.band, still)

    def shown() -> tuple[ComplexArray, Fit]:
        """Return the model and its fit at the present places of the crowd."""
        _show(atoms, moving, crowd)
        model = fixed + atoms.coefficients(b_iso, target.band, moving)
        return model, evaluate(target, model)

    model, fit = shown()
    values, length = [fit.value], 1.0
    for _ in range(N_STEPS):
        step = _newton_step(*coordinate_gradient(target, fit, atoms, b_iso, moving))
        here = crowd.unit
        for _trial in range(_TRIALS):
            crowd.move(length * step)
            trial, after = shown()
            if after.value < fit.value:
                break
            length *= float(np.clip(best_length(target, model, trial), *SHORTENED))
            crowd.unit = here
        else:
            _show(atoms, moving, crowd)
            break
        model, fit = trial, after
        values.append(fit.value)
        length = min(1.0, _LENGTHEN * length)
    return tuple(values)


def _show(atoms: Scatterers, moving: IntArray, crowd: "_Crowd") -> None:
    """Bring the scatterers to where the crowd stands."""
    atoms.set_positions(moving, crowd.everywhere())
    occupancies = atoms.occupancies.copy()
    occupancies[moving] = np.tile(1 / crowd.multiplicity, len(moving) // len(crowd.unit))
    atoms.set_occupancies(occupancies)


def _refined_b(
    target: Target,
    atoms: Scatterers,
    b_iso: DoubleArray,
    is_pseudo: BoolArray,
    mates: IntArray | None,
) -> tuple[DoubleArray, DoubleArray]:
    """B of all atoms where they stand now, and the FSC with the data."""
    if target.band.d_min <= COARSE:
        fit = b_steps(
            target,
            atoms,
            b_iso,
            neighbours_of(atoms.positions),
            tau=ROUND_TAU,
            n_steps=N_B_STEPS,
            mates=mates,
        )
        return fit.b_iso, fit.fit.correlation
    b = group_levels(target, atoms, b_iso, (~is_pseudo, is_pseudo))
    return b, evaluate(target, atoms.coefficients(b, target.band)).correlation


def _newton_step(gradient: DoubleArray, fisher: DoubleArray) -> DoubleArray:
    """Step down the gradient in units of the information, of limited length; shape (k, 3)."""
    step = -gradient / np.maximum(fisher, 1e-300)[:, None]
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1, LONGEST_STEP / np.maximum(length, 1e-12)))


class _Crowd:
    """Pseudo-atoms of one unit that keep their distance, their region and their axes."""

    def __init__(
        self, unit: DoubleArray, fixed: DoubleArray, region: Region, symmetry: Symmetry | None
    ) -> None:
        self.unit: DoubleArray = np.array(unit, dtype=np.float64)
        self.multiplicity: IntArray = np.ones(len(unit), dtype=np.intp)
        self._fixed = cKDTree(fixed) if len(fixed) else None
        self._region = region
        self._symmetry = symmetry
        self._special: IntArray = np.empty(0, dtype=np.intp)
        self._projectors: DoubleArray = np.empty((0, 3, 3))

    def everywhere(self) -> DoubleArray:
        """Positions of the unit and its images, shape (k m, 3)."""
        if self._symmetry is None:
            return self.unit
        return self._symmetry.copies(self.unit).reshape(-1, 3)

    def settle_on_axes(self) -> None:
        """Move atoms within reach of an axis onto it, and keep them there."""
        if self._symmetry is None or not len(self.unit):
            return
        near = self._symmetry.multiplicity(self.unit, AXIS_RADIUS) > 1
        self._special = np.flatnonzero(near)
        self._projectors = _projectors(self._symmetry, self.unit[self._special])
        self._project()
        self.multiplicity = np.ones(len(self.unit), dtype=np.intp)
        self.multiplicity[self._special] = self._symmetry.multiplicity(
            self.unit[self._special], _ON_AXIS
        )

    def move(self, step: DoubleArray) -> None:
        """Move by a step for every image (k m, 3), averaged over them; then make room."""
        if self._symmetry is not None:
            step = self._symmetry.average_vectors(step.reshape(self._symmetry.order, -1, 3))
        self.unit = self.unit + step
        for _ in range(_PUSHES):
            self.unit = self.unit + self._push()
        self.unit = self._region.confined(self.unit)
        self._project()

    def _push(self) -> DoubleArray:
        """Push atoms apart that are too close to each other or to a model atom, shape (m, 3)."""
        push = self._push_of_own()
        if self._fixed is None:
            return push
        found = self._fixed.query(self.unit, distance_upper_bound=LEAST_DISTANCE)
        distance, nearest = np.asarray(found[0]), np.asarray(found[1])
        close = np.flatnonzero(np.isfinite(distance))
        away = self.unit[close] - self._fixed.data[nearest[close]]
        lack = LEAST_DISTANCE - distance[close]
        push[close] += (_MODEL_PUSH * lack / np.maximum(distance[close], 1e-6))[:, None] * away
        return push

    def _push_of_own(self) -> DoubleArray:
        """Return the part that pseudo-atoms, images included, exert."""
        everywhere, m = self.everywhere(), len(self.unit)
        pairs = cKDTree(self.unit).sparse_distance_matrix(
            cKDTree(everywhere), LEAST_DISTANCE, output_type="ndarray"
        )
        atom, other, distance = pairs["i"], pairs["j"], pairs["v"]
        on_axis = self.multiplicity > 1
        real = (other != atom) & ~(on_axis[atom] & (other % m == atom))
        atom, other, distance = atom[real], other[real], np.maximum(distance[real], 1e-6)
        share = _OWN_PUSH * (LEAST_DISTANCE - distance) / distance
        away = share[:, None] * (self.unit[atom] - everywhere[other])
        columns = [np.bincount(atom, column, m) for column in away.T]
        return np.stack(columns, axis=1).astype(np.float64)  # bincount of nothing counts

    def _project(self) -> None:
        """Bring atoms that belong on an axis back to it."""
        if self._symmetry is None or not self._special.size:
            return
        arm = self.unit[self._special] - self._symmetry.centre
        onto = np.einsum("nij,nj->ni", self._projectors, arm)
        self.unit[self._special] = onto + self._symmetry.centre


def _projectors(symmetry: Symmetry, positions: DoubleArray) -> DoubleArray:
    """Make what projects each position (n, 3) onto its axis, or onto the centre if axes meet."""
    axes = symmetry.group.axes
    arm = positions - np.array(symmetry.centre)
    along = arm @ axes.T
    squared = (arm * arm).sum(axis=1)[:, None] - along * along
    nearest = axes[np.argmin(squared, axis=1)]
    other_axis = np.abs(nearest @ axes.T) < 1 - 1e-6
    meets = ((squared <= AXIS_RADIUS**2) & other_axis).any(axis=1)
    projector = np.einsum("ni,nj->nij", nearest, nearest)
    projector[meets] = 0
    return np.asarray(projector)
