"""Errors in the coordinates of a model, so that they do not pass for disorder.

An atom in a wrong place is explained best by a wrong B, its own and that of its neighbours, and
half map 2 confirms it: it is judged with the same wrong places.  Small shifts of the atoms towards
the data, which nobody sees but the refinement of B, take these errors up.
"""

from dataclasses import dataclass

import numpy as np

from ..maps.grid import ComplexArray, DoubleArray, IntArray
from ..scattering.scatterers import Scatterers
from .likelihood import SHORTENED, Fit, Target, best_length, coordinate_gradient, evaluate

SPREAD = 0.15  # Å along each axis, expected error of coordinates
N_STEPS = 8

_LONGEST_STEP = 0.2  # Å
# Of a step that takes neighbours for independent.  With twice as much, shifts that neighbours have
# in common, closer than the resolution as they are, overshoot and grow from step to step.
_RELAXATION = 0.25
_TRIALS = 3  # lengths of a step


@dataclass(frozen=True, eq=False)
class Displaced:
    """Atoms that have shifted.

    Parameters
    ----------
    atoms : Scatterers
    model : array, shape (m,)
        Their coefficients of the target's band.
    values : tuple of float
        The target and its prior at the start and after each step.
    """

    atoms: Scatterers
    model: ComplexArray
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _State:
    """Shifts of some atoms (k, 3) from where the model has them, and the target with its prior."""

    shift: DoubleArray
    model: ComplexArray
    fit: Fit
    value: float


@dataclass(frozen=True, eq=False)
class _Descent:
    """The atoms `which`, moved about `home`, and what is to become lower."""

    target: Target
    moved: Scatterers
    b_iso: DoubleArray
    which: IntArray
    home: DoubleArray

    def at(self, shift: DoubleArray) -> _State:
        """Compute the target at some shifts."""
        self.moved.set_positions(self.which, self.home + shift)
        model = self.moved.coefficients(self.b_iso, self.target.band)
        fit = evaluate(self.target, model)
        return _State(shift, model, fit, fit.value + float(np.square(shift).sum()) / 2 / SPREAD**2)

    def lowered(self, state: _State, step: DoubleArray) -> _State:
        """Shorten a step until the target is lower; the same state if it never is."""
        for _ in range(_TRIALS):
            trial = self.at(state.shift + step)
            if trial.value < state.value:
                return trial
            length = best_length(
                self.target,
                state.model,
                trial.model,
                prior_slope=float((state.shift * step).sum()) / SPREAD**2,
                prior_curvature=float(np.square(step).sum()) / SPREAD**2,
            )
            step = step * np.clip(length, *SHORTENED)
        return state


def displaced(
    target: Target,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    which: IntArray,
    *,
    start: DoubleArray | None = None,
    n_steps: int = N_STEPS,
) -> Displaced:
    """Copy the atoms, some of them shifted to where the data and a narrow prior want them.

    The posterior of a shift: the likelihood times a Gaussian of `SPREAD` about no shift.  No step
    lowers it: one that would is shortened, and where that does not help the shifts stay.

    Parameters
    ----------
    target : Target
    scatterers : Scatterers
        Left as they are.
    b_iso : array, shape (n,)
        Å^2, on the level of the target.
    which : array of int, shape (k,)
        The atoms that shift.
    start : array, shape (n, 3), optional
        Å, where all atoms stand at first; by default where the scatterers stand.
    n_steps : int
        At most.

    Returns
    -------
    Displaced
    """
    moved = Scatterers(
        scatterers.grid,
        scatterers.positions if start is None else start,
        scatterers.species,
        scatterers.occupancies,
    )
    home = scatterers.positions[which]
    descent = _Descent(target, moved, b_iso, which, home)
    state = descent.at(moved.positions[which] - home)
    values = [state.value]
    for _ in range(n_steps if len(which) else 0):
        moved.set_positions(which, home + state.shift)
        gradient, fisher = coordinate_gradient(target, state.fit, moved, b_iso, which)
        step = _step(gradient + state.shift / SPREAD**2, fisher)
        before, state = state, descent.lowered(state, step)
        if state is before:
            break
        values.append(state.value)
    moved.set_positions(which, home + state.shift)
    return Displaced(moved, state.model, tuple(values))


def _step(gradient: DoubleArray, fisher: DoubleArray) -> DoubleArray:
    """Take a short step downhill of limited length; shape (k, 3)."""
    step = -_RELAXATION * gradient / (fisher + 1 / SPREAD**2)[:, None]
    length = np.linalg.norm(step, axis=1, keepdims=True)
    return np.asarray(step * np.minimum(1, _LONGEST_STEP / np.maximum(length, 1e-12)))


def rms_shift(before: Scatterers, after: Scatterers, which: IntArray) -> float:
    """Rms distance in Å that some atoms have moved; 0 where there are none."""
    moves = after.positions[which] - before.positions[which]
    return float(np.sqrt(np.square(moves).sum() / max(len(which), 1)))
