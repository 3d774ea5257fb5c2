"""Steps in B: none of them raises the target and its prior.

A step costs one density, two transforms and one integral over the atoms; one that goes too far,
some more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..fourier.resolution_range import Band
from ..fourier.space import real_product
from ..maps.grid import BoolArray, ComplexArray, DoubleArray, IntArray
from ..scattering.scatterers import Scatterers
from .b_directions import Matrix, curvature_of, exact_step, sparse_solver
from .likelihood import SHORTENED, Fit, Target, b_gradient, best_length, evaluate
from .neighbours import Neighbours

B_BOUNDS = (2.0, 400.0)  # Å^2
ROUND_TAU = 8.0  # Å^2, prior while pseudo-atoms still move
_LEVELS = (30.0, 340.0)  # Å^2, where the level keeps the 1 % and the 99 % quantile of B
_SLOPE_COARSEST = 8.0  # Å
_SLOPE_TRUST = 0.5  # Å^2; a smaller slope of the scale is left to the steps
_CONVERGED = 0.3  # Å^2, rms step
_GOOD_LENGTH = 0.6  # of a step; where the target wants less, the direction is not trusted
_LONGEST = (0.5, 30.0)  # a step halves B at most, adds half of it or 30 Å^2
_TRIALS = 4  # lengths of a step


@dataclass(frozen=True)
class BFit:
    """Refined B.

    Parameters
    ----------
    b_iso : array, shape (n,)
        Å^2.
    fit : Fit
        With these B.
    model : array, shape (m,)
        Coefficients of the target's band with these B.
    values : tuple of float
        The target and its prior at the start, its level found, and after each step.
    last_step : float
        Å^2, rms; 0 where no step lowered the target.
    """

    b_iso: DoubleArray
    fit: Fit
    model: ComplexArray
    values: tuple[float, ...]
    last_step: float

    @property
    def n_steps(self) -> int:
        """Steps taken."""
        return len(self.values) - 1


@dataclass(frozen=True, eq=False)
class _Problem:
    """What is refined against what."""

    target: Target
    scatterers: Scatterers
    neighbours: Neighbours
    tau: float
    mates: IntArray | None

    def prior(self, one: DoubleArray, other: DoubleArray) -> float:
        """Multiply the prior's matrix from both sides by a field of B."""
        return float(one @ self.neighbours.strain(other)) / self.tau**2

    def at(self, b_iso: DoubleArray) -> "_State":
        """Compute the target at some B."""
        model = self.scatterers.coefficients(b_iso, self.target.band)
        return self.known(b_iso, model, evaluate(self.target, model))

    def known(self, b_iso: DoubleArray, model: ComplexArray, fit: Fit) -> "_State":
        """Compute the same if the model is known."""
        return _State(b_iso, model, fit, fit.value + self.prior(b_iso, b_iso) / 2)

    def moved(self, state: "_State", step: DoubleArray) -> "_State":
        """Return the state after a step, which is limited to half of B, or 30 Å^2 up."""
        share, least = _LONGEST
        b = state.b_iso
        step = np.clip(step, -share * b, np.maximum(share * b, least))
        return self.at(np.clip(b + step, *B_BOUNDS))

    def curvature(self, state: "_State") -> Matrix:
        """Make the exact matrix of the target and its prior, as its product with a step."""
        exact = curvature_of(self.target, state.fit, state.model, self.scatterers, state.b_iso)

        def product(step: DoubleArray) -> DoubleArray:
            """Multiply the matrix by a step."""
            strain = self.neighbours.strain(step)
            return np.asarray(self.averaged(exact(step)) + strain / self.tau**2)

        return product

    def averaged(self, values: DoubleArray) -> DoubleArray:
        """Values averaged over symmetry copies."""
        return values if self.mates is None else np.asarray(values[self.mates].mean(axis=0))


@dataclass(frozen=True, eq=False)
class _State:
    """Some B, the model with them, and the target with its prior."""

    b_iso: DoubleArray
    model: ComplexArray
    fit: Fit
    value: float


def b_steps(
    target: Target,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    neighbours: Neighbours,
    *,
    tau: float,
    n_steps: int,
    mates: IntArray | None = None,
    model: ComplexArray | None = None,
) -> BFit:
    """Refine the B of all atoms at fixed coordinates.

    A step that raises the target, or goes far beyond its minimum, gives way to a better direction
    or is shortened; where nothing lowers the target, B stay as they are.

    Parameters
    ----------
    target : Target
    scatterers : Scatterers
    b_iso : array, shape (n,)
        Å^2, start; the level is taken from the data, so it does not matter.  (That of a sharpened
        map is raised: only differences mean something there.)
    neighbours : Neighbours
        Of the scatterers' positions.
    tau : float
        Å^2, how far B may depart from a smooth field: see `Neighbours`.
    n_steps : int
        At most; fewer when the rms step falls below 0.3 Å^2.
    mates : array of int, shape (k, n), optional
        Symmetry copies of each atom, itself included; B is averaged over them.
    model : array, optional
        Coefficients of the start, when the caller has them.

    Returns
    -------
    BFit
    """
    problem = _Problem(target, scatterers, neighbours, tau, mates)
    b = problem.averaged(np.clip(b_iso, *B_BOUNDS))
    current = scatterers.coefficients(b, target.band) if model is None else model
    state = problem.known(*_levelled(target, scatterers, b, current, evaluate(target, current)))
    values, last_step = [state.value], 0.0
    for _ in range(n_steps):
        before, state = state, _next(problem, state)
        values.append(state.value)
        last_step = float(np.sqrt(np.mean((state.b_iso - before.b_iso) ** 2))) if len(b) else 0.0
        if last_step < _CONVERGED:
            break
    return BFit(state.b_iso, state.fit, state.model, tuple(values), last_step)


def _next(problem: _Problem, state: _State) -> _State:
    """Return the state after a step that lowers the target; the same if none does."""
    target, b = problem.target, state.b_iso
    gradient = problem.averaged(b_gradient(target, state.fit, problem.scatterers, b))
    gradient += problem.neighbours.strain(b) / problem.tau**2
    sparse = sparse_solver(
        target, state.fit, problem.scatterers, b, problem.neighbours, problem.tau
    )

    def solver(right: DoubleArray) -> DoubleArray:
        """Find a step for a gradient downhill."""
        return problem.averaged(sparse(right))

    step = solver(-gradient)
    trial = problem.moved(state, step)
    if trial.value >= state.value or _length(problem, state, trial) < _GOOD_LENGTH:
        step = exact_step(problem.curvature(state), solver, gradient, step)
        trial = _lowered(problem, state, step)
    if trial is state:
        return state
    levelled = problem.known(
        *_levelled(target, problem.scatterers, trial.b_iso, trial.model, trial.fit)
    )
    return levelled if levelled.value < state.value else trial


def _lowered(problem: _Problem, state: _State, step: DoubleArray) -> _State:
    """Return the state after so much of a step that the target is lower."""
    for _ in range(_TRIALS):
        trial = problem.moved(state, step)
        if trial.value < state.value:
            return trial
        step = step * np.clip(_length(problem, state, trial), *SHORTENED)
    return state


def _length(problem: _Problem, state: _State, trial: _State) -> float:
    """Share of the way to another state at which the target is least."""
    step = trial.b_iso - state.b_iso
    return best_length(
        problem.target,
        state.model,
        trial.model,
        prior_slope=problem.prior(step, state.b_iso),
        prior_curvature=problem.prior(step, step),
    )


def _levelled(
    target: Target, scatterers: Scatterers, b_iso: DoubleArray, model: ComplexArray, fit: Fit
) -> tuple[DoubleArray, ComplexArray, Fit]:
    """Move the slope of ln D into all B, so that their level does not depend on the start."""
    shift = _kept_from_bounds(b_iso, -4 * scale_slope(target.band, fit))
    if abs(shift) < _SLOPE_TRUST:
        return b_iso, model, fit
    b = np.clip(b_iso + shift, *B_BOUNDS)
    blur = np.exp(np.float32(-shift / 4) * target.band.s_squared)
    model = model * blur
    held = np.flatnonzero(b != b_iso + shift)
    if len(held):  # at a bound: few, so these alone are drawn again
        model += (
            scatterers.coefficients(b, target.band, held)
            - scatterers.coefficients(b_iso, target.band, held) * blur
        )
    return b, model, evaluate(target, model)


def _kept_from_bounds(b_iso: DoubleArray, shift: float) -> float:
    """Shift all B to leave most of them room to either bound.

    The scales of the shells take up any level, so that a sharpened map, whose B would be
    negative, is refined like any other: at a level of its own.
    """
    low, high = np.quantile(b_iso + shift, (0.01, 0.99)) if len(b_iso) else _LEVELS
    lowest, highest = _LEVELS
    if low < lowest:
        return shift + float(lowest - low)
    if high > highest:
        return shift - float(min(high - highest, low - lowest))
    return shift


def group_levels(
    target: Target,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    groups: Sequence[BoolArray],
    *,
    n_steps: int = 3,
) -> DoubleArray:
    """Fit one B for each group of atoms, from the slopes of their scales.

    For data that hold too little to tell atoms apart.  Each shell gives every group its own scale
    by least squares; the slope of its logarithm on s^2, 12 Å to d_min, goes into the group's B, or
    as much of it as lowers the target.

    Parameters
    ----------
    target : Target
    scatterers : Scatterers
    b_iso : array, shape (n,)
        Å^2, start.
    groups : sequence of bool arrays, shape (n,)
        Empty ones are left out.
    n_steps : int

    Returns
    -------
    array, shape (n,)
    """
    band = target.band
    filled = [group for group in groups if group.any()]

    def at(b: DoubleArray) -> tuple[DoubleArray, ComplexArray, Fit]:
        """Return B within bounds, the part of each group in the model, and the fit of all."""
        b = np.clip(b + _kept_from_bounds(b, 0.0), *B_BOUNDS)
        parts = np.stack([scatterers.coefficients(b, band, group) for group in filled])
        return b, parts, evaluate(target, parts.sum(axis=0))

    b, parts, fit = at(np.clip(b_iso, *B_BOUNDS))
    for _ in range(n_steps):
        shift = _group_shifts(target, parts, fit, filled, len(b))
        for _trial in range(_TRIALS):
            trial = at(b + shift)
            if trial[2].value < fit.value:
                break
            shift = shift / 2
        else:
            break
        b, parts, fit = trial
    return b


def _group_shifts(
    target: Target, parts: ComplexArray, fit: Fit, groups: Sequence[BoolArray], n: int
) -> DoubleArray:
    """Return what the slopes of the groups' scales add to B, shape (n,)."""
    band, shift = target.band, np.zeros(n)
    scale, variance = _joint_scales(target, parts, 1 / (2 * fit.weight))
    common = -4 * scale_slope(band, fit, coarsest=np.inf)
    for group, d, error in zip(groups, scale, variance, strict=True):
        use = d > 0
        shift[group] = (
            -4 * _slope(band.frequency[use] ** 2, np.log(d[use]), (d**2 / error)[use])
            if use.sum() >= 3
            else common
        )
    return shift


def _joint_scales(
    target: Target, parts: ComplexArray, variance: DoubleArray
) -> tuple[DoubleArray, DoubleArray]:
    """Least-squares scale of each part in each shell, and its variance; shape (g, n_shells)."""
    band = target.band
    normal = np.array([[band.shell_sum(real_product(a, b)) for a in parts] for b in parts])
    right = np.array([band.shell_sum(real_product(target.observed, a)) for a in parts])
    normal = np.moveaxis(normal, -1, 0)
    trace = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    inverse = np.linalg.inv(normal + 1e-9 * trace * np.eye(len(parts)))
    scale = np.einsum("kab,bk->ak", inverse, right)
    return scale, np.diagonal(inverse, axis1=1, axis2=2).T * variance


def at_bounds(b_iso: DoubleArray) -> tuple[int, int]:
    """Count the atoms at the lower and at the upper bound of B."""
    low, high = B_BOUNDS
    return int((b_iso <= low).sum()), int((b_iso >= high).sum())


def scale_slope(band: Band, fit: Fit, coarsest: float = _SLOPE_COARSEST) -> float:
    """Slope of ln D on s^2 between `coarsest` and d_min; 0 where it cannot be told."""
    use = (fit.scale > 0) & (band.frequency >= 1 / coarsest)
    if use.sum() < 2:
        return 0.0
    weight = (band.count * fit.correlation**2)[use]
    return _slope(band.frequency[use] ** 2, np.log(fit.scale[use]), weight)


def _slope(x: DoubleArray, y: DoubleArray, weight: DoubleArray) -> float:
    """Slope of a weighted straight line."""
    x = x - np.average(x, weights=weight)
    spread = float((weight * x * x).sum())
    return float((weight * x * y).sum()) / spread if spread > 0 else 0.0
