"""Directions of steps in B: the sparse matrix, the exact one, their solvers; simulated."""

import numpy as np
import pytest

from locscale_hybrid.fourier.resolution_range import Band
from locscale_hybrid.fourier.space import real_product, squared_modulus
from locscale_hybrid.maps.grid import Grid
from locscale_hybrid.refinement.b_directions import (
    _overlap,
    conjugate_gradients,
    curvature_of,
    exact_step,
)
from locscale_hybrid.refinement.likelihood import Target, evaluate
from locscale_hybrid.scattering.scatterers import Scatterers

GRID = Grid((30, 32, 34), (1.2, 1.2, 1.2))


@pytest.fixture(scope="module")
def crowd():
    """400 atoms in a ball, as dense as protein, and data that differ from them."""
    rng = np.random.default_rng(1)
    places = rng.uniform(-1, 1, (1200, 3))
    places = 12.4 * places[np.linalg.norm(places, axis=1) < 1][:400] + 18.0
    atoms = Scatterers(GRID, places, np.array(["C", "N", "O", "C"] * 100))
    b = rng.uniform(60, 200, 400)
    band = Band(GRID, 3.5)
    model = atoms.coefficients(b, band)
    size = np.sqrt(np.mean(squared_modulus(model)))
    noise = rng.normal(0, size, (2, len(model)))
    observed = (model + noise[0] + 1j * noise[1]).astype(np.complex64)
    return Target(band, observed, np.full(band.n_shells, 0.5 * size**2)), atoms, b, model


def test_the_sparse_matrix_is_positive_definite(crowd):
    target, atoms, _, model = crowd
    fit = evaluate(target, model)
    distance = np.linalg.norm(atoms.positions[:, None] - atoms.positions, axis=2)
    matrix = _overlap(target.band, fit, distance, 120.0)
    np.testing.assert_allclose(np.diag(matrix), 1.0)
    assert np.linalg.eigvalsh(matrix).min() > -1e-6
    # adversarial neighbour: a table that simply ends is not
    ending = np.where(distance < 5.0, np.sinc(2 * distance / 6.0), 0.0)
    assert np.linalg.eigvalsh(ending).min() < -0.1


def test_the_exact_matrix_is_that_of_finite_differences(crowd):
    target, atoms, b, model = crowd
    fit, band = evaluate(target, model), target.band
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, len(b)))

    def change(step):
        """Derivative of the scaled model, without what is parallel to it in a shell."""
        ends = [atoms.coefficients(b + sign * 0.5 * step, band) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) * band.spread(fit.scale)
        share = band.shell_sum(real_product(slope, model)) / band.shell_sum(squared_modulus(model))
        return slope - band.spread(share) * model

    expected = (2 * fit.weight * band.shell_sum(real_product(change(one), change(other)))).sum()
    product = curvature_of(target, fit, model, atoms, b)
    scale = np.sqrt((one @ product(one)) * (other @ product(other)))
    assert one @ product(other) == pytest.approx(expected, abs=2e-3 * scale)
    assert other @ product(one) == pytest.approx(one @ product(other), abs=1e-4 * scale)


def test_the_exact_matrix_costs_nothing_for_a_common_level(crowd):
    target, atoms, b, model = crowd
    product = curvature_of(target, evaluate(target, model), model, atoms, b)
    level, rough = np.ones(len(b)), np.random.default_rng(3).choice([-1.0, 1.0], len(b))
    assert level @ product(level) < 0.02 * (rough @ product(rough))


def test_an_exact_step_goes_where_the_sparse_one_does_not():
    # many atoms share one coarse mode, which the preconditioner does not know
    rng = np.random.default_rng(4)
    mode = np.full(60, 3.0)
    matrix = np.diag(rng.uniform(1, 2, 60)) + np.outer(mode, mode)
    gradient = rng.normal(size=60)
    right = np.linalg.solve(matrix, -gradient)

    def value(step):
        return gradient @ step + step @ matrix @ step / 2

    first = -gradient / (np.diag(matrix) - 9)
    made = exact_step(lambda x: matrix @ x, lambda x: x / (np.diag(matrix) - 9), gradient, first)
    assert value(first) > 0
    assert value(made) < 0.97 * value(right) < 0


def test_an_exact_step_without_curvature_stays():
    made = exact_step(lambda x: 0 * x, lambda x: x, np.ones(3), -np.ones(3))
    assert (made == 0).all()


def testconjugate_gradients_solve_what_a_dense_solver_solves():
    rng = np.random.default_rng(5)
    root = rng.normal(size=(40, 40))
    matrix = root @ root.T + 5 * np.eye(40)
    right = rng.normal(size=40)
    made = conjugate_gradients(
        lambda x: matrix @ x, np.diag(matrix).copy(), right, tolerance=1e-10, n_max=200
    )
    np.testing.assert_allclose(made, np.linalg.solve(matrix, right), rtol=1e-6)
