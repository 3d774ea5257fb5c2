"""Steps in B: sparse Fisher matrix, prior of the neighbours, Newton steps.

One step costs one density, two transforms and one integral over the atoms.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from scipy.spatial import cKDTree

from .band import Band
from .density import Scatterers, form_factor
from .fourier import real_product
from .likelihood import Fit, Target, b_gradient, b_information, evaluate
from .maps import BoolArray, ComplexArray, DoubleArray, IntArray

B_BOUNDS = (2.0, 400.0)  # Å^2
ROUND_TAU = 8.0  # Å^2, prior while pseudo-atoms still move
_PRIOR_REACH = 6.0  # Å
_SLOPE_COST = 0.05  # weight of L beside L^2
_FISHER_REACH = 5.0  # Å, tapered over the last 1.5
_LEVELS = (30.0, 340.0)  # Å^2, where the level keeps the 1 % and the 99 % quantile of B
_SLOPE_COARSEST = 8.0  # Å
_SLOPE_TRUST = 0.5  # Å^2; a smaller slope of the scale is left to the steps
_DAMPING = 0.05  # of the Fisher diagonal
_CONVERGED = 0.3  # Å^2, rms step


@dataclass(frozen=True)
class Neighbours:
    """Atoms within 6 Å of each other, and the prior that ties their B.

    The prior is B' (L^2 + 0.05 L) B / (2 tau^2), L the graph Laplacian: what costs is the
    curvature of B and, much less, its slope, so that B may rise smoothly to the rim of a molecule
    while neighbours stay alike.

    Parameters
    ----------
    row, column : arrays, shape (p,)
        Both directions of every pair, sorted by row.
    distance : array, shape (p,)
        Å.
    link : array, shape (p,)
        Off-diagonal elements of L.
    own : array, shape (n,)
        Its diagonal.
    """

    row: IntArray
    column: IntArray
    distance: DoubleArray
    link: DoubleArray
    own: DoubleArray

    def matrix(self, off_diagonal: DoubleArray) -> scipy.sparse.csr_matrix:
        """A sparse matrix of this pattern."""
        n = len(self.own)
        start = np.searchsorted(self.row, np.arange(n + 1))
        return scipy.sparse.csr_matrix((off_diagonal, self.column, start), shape=(n, n))

    @cached_property
    def _links(self) -> scipy.sparse.csr_matrix:
        """Off-diagonal part of L."""
        return self.matrix(self.link)

    def strain(self, b_iso: DoubleArray) -> DoubleArray:
        """(L^2 + 0.05 L) B: the derivative of the prior, times tau^2."""
        bend = self.own * b_iso + self._links @ b_iso
        return np.asarray(self.own * bend + self._links @ bend + _SLOPE_COST * bend)

    @cached_property
    def stiffness(self) -> DoubleArray:
        """Diagonal of L^2 + 0.05 L."""
        squares = np.bincount(self.row, self.link**2, len(self.own))
        return np.asarray(self.own**2 + squares + _SLOPE_COST * self.own, dtype=np.float64)


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
    n_steps : int
        Steps taken.
    """

    b_iso: DoubleArray
    fit: Fit
    model: ComplexArray
    n_steps: int


def neighbours_of(positions: DoubleArray) -> Neighbours:
    """Pairs within 6 Å and their graph Laplacian.

    Gaussian weights of sigma 3 Å, normalised by the degrees so that the strength of the prior
    does not depend on how crowded the model is.

    Parameters
    ----------
    positions : array, shape (n, 3)
        Å.
    """
    n = len(positions)
    pairs = cKDTree(positions).query_pairs(_PRIOR_REACH, output_type="ndarray")
    both = np.concatenate([pairs @ (n, 1), pairs @ (1, n)])  # row * n + column
    both.sort()
    row, column = np.divmod(both, max(n, 1))
    distance = np.linalg.norm(positions[row] - positions[column], axis=1)
    weight = np.exp(-(distance**2) / (2 * (_PRIOR_REACH / 2) ** 2))
    degree = np.bincount(row, weight, n)
    degree = np.maximum(degree, 0.3 * np.median(degree) if n else 0)
    degree = np.where(degree > 0, degree, 1.0)
    weight = weight / np.sqrt(degree[row] * degree[column])
    own: DoubleArray = np.bincount(row, weight, n).astype(np.float64)
    return Neighbours(row, column, distance, -weight, own)


def b_steps(target: Target, scatterers: Scatterers, b_iso: DoubleArray, neighbours: Neighbours, *,
            tau: float, n_steps: int, mates: IntArray | None = None,
            model: ComplexArray | None = None) -> BFit:
    """Refine the B of all atoms at fixed coordinates.

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
    b = _averaged(np.clip(b_iso, *B_BOUNDS), mates)
    current = scatterers.coefficients(b, target.band) if model is None else model
    b, current, fit = _levelled(target, scatterers, b, current)
    for done in range(1, n_steps + 1):
        step = _newton_step(target, fit, scatterers, b, neighbours, tau)
        before, b = b, _averaged(np.clip(b + step, *B_BOUNDS), mates)
        current = scatterers.coefficients(b, target.band)
        b, current, fit = _levelled(target, scatterers, b, current)
        if np.sqrt(np.mean((b - before) ** 2)) < _CONVERGED:
            return BFit(b, fit, current, done)
    return BFit(b, fit, current, n_steps)


def _levelled(target: Target, scatterers: Scatterers, b_iso: DoubleArray,
              model: ComplexArray) -> tuple[DoubleArray, ComplexArray, Fit]:
    """Move the slope of ln D into all B, so that their level does not depend on the start."""
    fit = evaluate(target, model)
    shift = _kept_from_bounds(b_iso, -4 * scale_slope(target.band, fit))
    if abs(shift) < _SLOPE_TRUST:
        return b_iso, model, fit
    b = np.clip(b_iso + shift, *B_BOUNDS)
    blur = np.exp(np.float32(-shift / 4) * target.band.s_squared)
    model = model * blur
    held = np.flatnonzero(b != b_iso + shift)
    if len(held):  # at a bound: few, so these alone are drawn again
        model += (scatterers.coefficients(b, target.band, held)
                  - scatterers.coefficients(b_iso, target.band, held) * blur)
    return b, model, evaluate(target, model)


def _kept_from_bounds(b_iso: DoubleArray, shift: float) -> float:
    """A shift of all B that leaves most of them room to either bound.

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


def group_levels(target: Target, scatterers: Scatterers, b_iso: DoubleArray,
                 groups: Sequence[BoolArray], *, n_steps: int = 3) -> DoubleArray:
    """One B for each group of atoms, from the slopes of their scales.

    For data that hold too little to tell atoms apart.  Each shell gives every group its own scale
    by least squares; the slope of its logarithm on s^2, 12 Å to d_min, goes into the group's B.

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
    b, band = np.clip(b_iso, *B_BOUNDS), target.band
    filled = [group for group in groups if group.any()]
    for _ in range(n_steps):
        parts = np.stack([scatterers.coefficients(b, band, group) for group in filled])
        fit = evaluate(target, parts.sum(axis=0))
        scale, variance = _joint_scales(target, parts, 1 / (2 * fit.weight))
        common = -4 * scale_slope(band, fit, coarsest=np.inf)
        shift = np.zeros(len(b))
        for group, d, error in zip(filled, scale, variance, strict=True):
            use = d > 0
            shift[group] = -4 * _slope(band.frequency[use] ** 2, np.log(d[use]),
                                       (d**2 / error)[use]) if use.sum() >= 3 else common
        b = np.clip(b + shift + _kept_from_bounds(b + shift, 0.0), *B_BOUNDS)
    return b


def _joint_scales(target: Target, parts: ComplexArray,
                  variance: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
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
    """Number of atoms at the lower and at the upper bound of B."""
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


def _averaged(values: DoubleArray, mates: IntArray | None) -> DoubleArray:
    """Values averaged over symmetry copies."""
    return values if mates is None else np.asarray(values[mates].mean(axis=0))


def _newton_step(target: Target, fit: Fit, scatterers: Scatterers, b_iso: DoubleArray,
                 neighbours: Neighbours, tau: float) -> DoubleArray:
    """Step in B from the damped Fisher matrix and the prior, of limited length."""
    prior = 1 / tau**2
    gradient = b_gradient(target, fit, scatterers, b_iso) + prior * neighbours.strain(b_iso)
    information = b_information(target, fit, scatterers, b_iso)
    root = np.sqrt(information)
    overlap = _overlap(target.band, fit, neighbours.distance, float(np.median(b_iso)))
    shared = neighbours.matrix(overlap * root[neighbours.row] * root[neighbours.column])
    own = (1 + _DAMPING) * information + 1e-4 * prior

    def curvature(direction: DoubleArray) -> DoubleArray:
        """The damped Fisher matrix and the prior times a direction."""
        strain = neighbours.strain(direction)
        return np.asarray(shared @ direction + own * direction + prior * strain)

    step = _conjugate_gradients(curvature, own + prior * neighbours.stiffness, -gradient)
    return np.clip(step, -b_iso / 2, np.maximum(b_iso / 2, 30.0))


def _overlap(band: Band, fit: Fit, distance: DoubleArray, b_iso: float) -> DoubleArray:
    """Fisher information shared by two atoms at a distance, in units of their own."""
    s = band.frequency
    shells = band.count * fit.weight * fit.scale**2 * s**4
    shells = shells * form_factor("C", s**2) ** 2 * np.exp(-b_iso * s**2 / 2)
    table = np.linspace(0, _FISHER_REACH, 101)
    shared = np.sinc(2 * np.outer(table, s)) @ shells / max(shells.sum(), 1e-300)
    taper = np.clip((_FISHER_REACH - distance) / 1.5, 0, 1)
    return np.asarray(np.interp(distance, table, shared) * taper)


def _conjugate_gradients(matrix: Callable[[DoubleArray], DoubleArray], diagonal: DoubleArray,
                         right: DoubleArray, *, tolerance: float = 1e-3,
                         n_max: int = 100) -> DoubleArray:
    """Solve matrix(x) = right, preconditioned by the diagonal."""
    solution = np.zeros_like(right)
    residual = right.copy()
    goal = tolerance * float(np.linalg.norm(right))
    conditioned = residual / diagonal
    direction = conditioned.copy()
    product = float(residual @ conditioned)
    for _ in range(n_max):
        if float(np.linalg.norm(residual)) <= goal:
            break
        image = matrix(direction)
        length = product / float(direction @ image)
        solution += length * direction
        residual -= length * image
        conditioned = residual / diagonal
        before, product = product, float(residual @ conditioned)
        direction = conditioned + (product / before) * direction
    return solution
