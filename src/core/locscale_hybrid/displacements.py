"""Errors in the coordinates of a model, so that they do not pass for disorder.

An atom in a wrong place is explained best by a wrong B, its own and that of its neighbours, and
half map 2 confirms it: it is judged with the same wrong places.  Small shifts of the atoms towards
the data, which nobody sees but the refinement of B, take these errors up.
"""

import numpy as np

from .density import Scatterers
from .likelihood import Target, coordinate_gradient, evaluate
from .maps import DoubleArray, IntArray

SPREAD = 0.15  # Å along each axis, expected error of coordinates
N_STEPS = 8

_LONGEST_STEP = 0.2  # Å
# Of a step that takes neighbours for independent.  With twice as much, shifts that neighbours have
# in common, closer than the resolution as they are, overshoot and grow from step to step.
_RELAXATION = 0.25


def displaced(target: Target, scatterers: Scatterers, b_iso: DoubleArray, which: IntArray, *,
              start: DoubleArray | None = None, n_steps: int = N_STEPS) -> Scatterers:
    """A copy of the atoms, some of them shifted to where the data and a narrow prior want them.

    The posterior of a shift: the likelihood times a Gaussian of `SPREAD` about no shift.

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

    Returns
    -------
    Scatterers
    """
    moved = Scatterers(scatterers.grid, scatterers.positions if start is None else start,
                       scatterers.species, scatterers.occupancies)
    for _ in range(n_steps if len(which) else 0):
        fit = evaluate(target, moved.coefficients(b_iso, target.band))
        gradient, fisher = coordinate_gradient(target, fit, moved, b_iso, which)
        gradient += (moved.positions[which] - scatterers.positions[which]) / SPREAD**2
        step = -_RELAXATION * gradient / (fisher + 1 / SPREAD**2)[:, None]
        length = np.linalg.norm(step, axis=1, keepdims=True)
        step *= np.minimum(1, _LONGEST_STEP / np.maximum(length, 1e-12))
        moved.set_positions(which, moved.positions[which] + step)
    return moved


def rms_shift(before: Scatterers, after: Scatterers, which: IntArray) -> float:
    """Rms distance in Å that some atoms have moved; 0 where there are none."""
    moves = after.positions[which] - before.positions[which]
    return float(np.sqrt(np.square(moves).sum() / max(len(which), 1)))
