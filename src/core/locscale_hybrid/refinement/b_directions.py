"""Directions of steps in B: from a sparse Fisher matrix, and from the exact one.

The sparse matrix knows neighbours within 6 Å, tapered so that it stays positive definite.  Density
without detail, as that of a detergent belt, is shared by many more atoms, and coarse shells of high
weight add up over all of them: there the sparse direction goes too far.  It then becomes the
preconditioner of a few conjugate gradients on the exact Gauss-Newton matrix, which is never made:
its product with a step costs one density and one integral over the atoms.
"""

from collections.abc import Callable

import numpy as np

from ..fourier.resolution_range import Band
from ..fourier.space import real_product, squared_modulus
from ..maps.grid import ComplexArray, DoubleArray
from ..scattering.scatterers import Scatterers, form_factor
from .likelihood import Fit, Target, b_information
from .neighbours import REACH, Neighbours

_DAMPING = 0.05  # of the Fisher diagonal
_HOLD = 1e-4  # of the prior, so that no direction is free
_EXACT_STEPS = 4
_EXACT_LEAST_GAIN = 0.1  # of the gain so far; a step of the solver with less is the last

Matrix = Callable[[DoubleArray], DoubleArray]


def sparse_solver(
    target: Target,
    fit: Fit,
    scatterers: Scatterers,
    b_iso: DoubleArray,
    neighbours: Neighbours,
    tau: float,
) -> Matrix:
    """Make what divides a gradient by the damped sparse Fisher matrix and the prior.

    Parameters
    ----------
    target : Target
    fit : Fit
        Of the scatterers with `b_iso`.
    scatterers : Scatterers
    b_iso : array, shape (n,)
        Å^2.
    neighbours : Neighbours
    tau : float
        Å^2.
    """
    prior = 1 / tau**2
    information = b_information(target, fit, scatterers, b_iso)
    root = np.sqrt(information)
    overlap = _overlap(target.band, fit, neighbours.distance, float(np.median(b_iso)))
    shared = neighbours.matrix(overlap * root[neighbours.row] * root[neighbours.column])
    own = (1 + _DAMPING) * information + _HOLD * prior
    diagonal = own + prior * neighbours.stiffness

    def curvature(direction: DoubleArray) -> DoubleArray:
        """Multiply the damped Fisher matrix and the prior by a direction."""
        strain = neighbours.strain(direction)
        return np.asarray(shared @ direction + own * direction + prior * strain)

    return lambda right: conjugate_gradients(curvature, diagonal, right)


def exact_step(
    curvature: Matrix, solver: Matrix, gradient: DoubleArray, first: DoubleArray
) -> DoubleArray:
    """Find a step by a few conjugate gradients on the exact matrix.

    Parameters
    ----------
    curvature : callable
        The exact matrix and the prior times a step.
    solver : callable
        Preconditioner; it need not be the same from step to step.
    gradient : array, shape (n,)
        Of the target and its prior.
    first : array, shape (n,)
        The first direction: the solver's answer to the gradient downhill.
    """
    step, residual = np.zeros_like(first), -gradient
    direction = conditioned = first
    gain = 0.0
    for _ in range(_EXACT_STEPS):
        image = curvature(direction)
        bend = float(direction @ image)
        if bend <= 0:
            break
        length = float(direction @ residual) / bend
        step = step + length * direction
        added = length**2 * bend / 2
        gain += added
        if added < _EXACT_LEAST_GAIN * gain:
            break
        before, residual = residual, residual - length * image
        product = float(conditioned @ before)
        conditioned = solver(residual)
        turn = float(conditioned @ (residual - before)) / product if product > 0 else 0.0
        direction = conditioned + turn * direction
    return step


def curvature_of(
    target: Target, fit: Fit, model: ComplexArray, scatterers: Scatterers, b_iso: DoubleArray
) -> Matrix:
    """Make the Gauss-Newton matrix of the target over B, as its product with a step in B.

    The scale of each shell follows the step: what is parallel to the model costs nothing.
    """
    band = target.band
    blur = band.spread(fit.scale / 4) * band.s_squared
    weight = band.spread(2 * fit.weight)
    power = np.maximum(band.shell_sum(squared_modulus(model)), 1e-30)

    def product(step: DoubleArray) -> DoubleArray:
        """Multiply the matrix by a step."""
        weighted = Scatterers(
            scatterers.grid, scatterers.positions, scatterers.species, scatterers.occupancies * step
        )
        change = blur * weighted.coefficients(b_iso, band)
        change = change - band.spread(band.shell_sum(real_product(change, model)) / power) * model
        integral = scatterers.contract(weight * blur * change, b_iso, band)
        return np.asarray(band.grid.size * integral * scatterers.occupancies)

    return product


def _overlap(band: Band, fit: Fit, distance: DoubleArray, b_iso: float) -> DoubleArray:
    """Fisher information shared by two atoms at a distance, in units of their own.

    Both factors are positive definite functions in space, so that their product is, and the matrix
    made of it: cut off in any other way it has directions of no or negative curvature, in which a
    step has no end.
    """
    s = band.frequency
    shells = band.count * fit.weight * fit.scale**2 * s**4
    shells = shells * form_factor("C", s**2) ** 2 * np.exp(-b_iso * s**2 / 2)
    table = np.linspace(0, REACH, 121)
    shared = np.sinc(2 * np.outer(table, s)) @ shells / max(shells.sum(), 1e-300)
    x = table / REACH
    wendland = (1 - x) ** 4 * (4 * x + 1)
    return np.asarray(np.interp(distance, table, shared * wendland))


def conjugate_gradients(
    matrix: Matrix,
    diagonal: DoubleArray,
    right: DoubleArray,
    *,
    tolerance: float = 1e-3,
    n_max: int = 100,
) -> DoubleArray:
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
